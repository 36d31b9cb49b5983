//! What the kernel asks of whoever has the sockets and the names: a connection to another server.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use waxwing_stream::{Demand, Security};

use crate::links::policy::PeerPlace;
use crate::links::survey::Survey;
use crate::request::Answer;
use crate::wire::{Transport, Wire};

/// The way out. `waxwing-net` implements it, and tests do in memory. All domains are prepared ones
/// (RFC 7622).
pub trait Dial: Send + Sync {
    /// Finds the other server and connects, to one candidate after the other. Never longer than
    /// until the deadline.
    fn dial(&self, ask: DialAsk) -> Answer<'static, Result<Dialled, Unreached>>;

    /// Whether a chain of certificates (DER, leaf first) that somebody showed us stands for
    /// `domain` (RFC 6120 §13.7, RFC 9525). The error is for a person.
    fn judge(&self, chain: Vec<Vec<u8>>, domain: Arc<str>)
    -> Answer<'static, Result<(), Arc<str>>>;

    /// What names, addresses and certificates say about `domain`, step by step; about `place` where
    /// the operator has said that its server is there.
    fn survey(&self, domain: Arc<str>, place: Option<PeerPlace>) -> Answer<'static, Survey>;
}

/// Whom to connect to, and how.
#[derive(Clone, Debug)]
pub struct DialAsk {
    /// The domain of ours that calls, whose certificate is shown.
    pub from: Arc<str>,
    /// The domain of the other server.
    pub to: Arc<str>,
    /// Where it was reached before, in vain.
    pub skip: Vec<SocketAddr>,
    /// How the other side has to prove who it is.
    pub demand: Demand,
    /// Where it is, when the operator has said so; no name is asked for that then.
    pub place: Option<PeerPlace>,
    /// When it is too late, by the kernel's clock.
    pub deadline: Instant,
}

/// A connection to another server. On one for STARTTLS [`Wire::upgrade`] is the client's side of
/// the handshake, and tells in [`Security::peer_trust`] what to think of the certificate; one with
/// direct TLS is secured already.
pub struct Dialled {
    /// The connection.
    pub wire: Box<dyn Wire>,
    /// What protects it so far.
    pub security: Security,
    /// Where it leads.
    pub place: Place,
}

/// Where another server was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The name of the machine, as the names gave it.
    pub host: Arc<str>,
    /// Its address and port.
    pub address: SocketAddr,
    /// How it was found.
    pub found_by: FoundBy,
    /// How it was connected to.
    pub transport: Transport,
    /// Whether DNSSEC proves all of what led there.
    pub is_signed: bool,
}

/// How the place of another server was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundBy {
    /// SRV records of `_xmpp-server` (RFC 6120 §3.2.1).
    Srv,
    /// SRV records of `_xmpps-server` (XEP-0368).
    SrvTls,
    /// There are none, so it is the domain itself on port 5269 (RFC 6120 §3.2.2).
    Fallback,
    /// The host-meta document of the domain (XEP-0156, 0468, 0487).
    HostMeta,
    /// The operator has said it.
    Configured,
}

impl fmt::Display for FoundBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Srv => "SRV _xmpp-server",
            Self::SrvTls => "SRV _xmpps-server",
            Self::Fallback => "the domain itself",
            Self::HostMeta => "host-meta",
            Self::Configured => "the configuration",
        })
    }
}

/// Another server could not be connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreached {
    /// What kind of failure it is.
    pub kind: UnreachedKind,
    /// What happened, for a person: one sentence.
    pub words: Arc<str>,
    /// What can be done about it, by whom.
    pub advice: Option<Arc<str>>,
    /// Each place that was tried.
    pub tried: Vec<Attempt>,
}

/// Why another server could not be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnreachedKind {
    /// There is no such domain.
    NoSuchDomain,
    /// The domain says that it has no XMPP (RFC 6120 §3.2.1: a target of ".").
    NotXmpp,
    /// Names did not answer, or have no address.
    NoAnswer,
    /// The machine refuses connections.
    Refused,
    /// The machine says nothing.
    Timeout,
    /// Its certificate cannot be trusted, where nothing else would do, or TLS failed.
    Untrusted,
    /// DNSSEC says that answers are forged.
    Bogus,
    /// There is nothing left to try behind what is to be skipped.
    Exhausted,
}

/// One place that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The name of the machine.
    pub host: Arc<str>,
    /// Its address, when there was one.
    pub address: Option<SocketAddr>,
    /// How it was to be connected to.
    pub transport: Transport,
    /// What came of it, for a person.
    pub words: Arc<str>,
}
