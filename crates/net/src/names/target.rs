//! What is found: where a server can be, and what proves that it is the right one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

pub use waxwing_kernel::links::dial::FoundBy;

/// The port of servers for each other where nobody says another one (RFC 6120 §14.7).
pub const PORT: u16 = 5269;

/// Where the server of a domain can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// In the order in which they should be tried, bounded by `Limits::targets_max`. Never empty.
    pub targets: Vec<Target>,
    /// DNSSEC proves all of them.
    pub is_signed: bool,
}

/// One place where a server can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The machine: a name in A-labels and lower case, or an address.
    pub host: Arc<str>,
    /// Its port.
    pub port: u16,
    /// XEP-0495 §4.1: "Only after all connection attempts … for all target hosts in the first
    /// priority group are exhausted, target hosts for the subsequent priority group are processed."
    pub priority: u16,
    /// How it is spoken to.
    pub way: Way,
    /// Who told of it.
    pub found_by: FoundBy,
    /// DNSSEC proves that this is a server of the domain.
    pub is_signed: bool,
    /// What its host-meta says beyond that.
    pub meta: Option<Arc<Meta>>,
}

/// How a server is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// TCP, and TLS when the stream asks for it.
    StartTls,
    /// TLS from the first byte (XEP-0368).
    DirectTls,
    /// A WebSocket (XEP-0468).
    WebSocket {
        /// Path and query of its URL.
        path: Arc<str>,
    },
}

/// What host-meta says of a place (XEP-0487 §2.1). It came from the domain over HTTPS, which is
/// what makes it a secure delegation: §2.3 "you MUST send the provided SNI and validate that the
/// certificate is valid for that host *or* the XMPP domain (or the public key hash is pinned)".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// The name to ask for in TLS; a certificate for it will do.
    pub sni: Arc<str>,
    /// The addresses to dial; empty where the host is to be looked up.
    pub ips: Vec<IpAddr>,
    /// SHA-256 of public keys (of the SubjectPublicKeyInfo, RFC 7469) that will do as well.
    pub pins: Vec<[u8; 32]>,
}

/// The addresses of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// IPv6.
    pub v6: Vec<Ipv6Addr>,
    /// IPv4.
    pub v4: Vec<Ipv4Addr>,
    /// DNSSEC proves all of them.
    pub is_signed: bool,
}

/// A TLSA record (RFC 6698 §2.1), proven by DNSSEC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tlsa {
    /// Certificate usage: 0 PKIX-TA, 1 PKIX-EE, 2 DANE-TA, 3 DANE-EE; others are unusable.
    pub usage: u8,
    /// Selector: 0 the certificate, 1 its public key.
    pub selector: u8,
    /// Matching type: 0 the bytes, 1 their SHA-256, 2 their SHA-512.
    pub matching: u8,
    /// What the certificate is compared with.
    pub data: Vec<u8>,
}

/// The certificates that a domain names for itself (RFC 7711).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Posh {
    /// One of them is enough.
    pub fingerprints: Vec<Fingerprint>,
}

/// Hashes of one certificate's DER encoding. All that are there must match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// SHA-256.
    pub sha256: Option<[u8; 32]>,
    /// SHA-512.
    pub sha512: Option<[u8; 64]>,
}

impl Target {
    /// TLS comes first, before any byte of XMPP.
    pub fn is_direct(&self) -> bool {
        self.way != Way::StartTls
    }
}

impl Addresses {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.v6.is_empty() && self.v4.is_empty()
    }

    /// Adds one to its family.
    pub(super) fn add(&mut self, address: IpAddr) {
        match address {
            IpAddr::V6(v6) => self.v6.push(v6),
            IpAddr::V4(v4) => self.v4.push(v4),
        }
    }
}
