//! What the operator says about finding other servers.

use std::net::SocketAddr;
use std::path::PathBuf;

/// How names are looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamesOptions {
    /// The recursive DNS servers to ask; empty for those of this machine.
    pub servers: Vec<SocketAddr>,
    /// Whether signatures are validated.
    pub dnssec: Dnssec,
    /// A zone file with DNSKEY records that are trusted instead of the root's.
    pub anchors: Option<PathBuf>,
    /// Servers may be at addresses of private networks. Else nobody can make this server knock at
    /// machines that only it can reach, by writing to a domain whose records lead there.
    pub private_addresses: bool,
}

/// Whether DNSSEC is validated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dnssec {
    /// Wherever the DNS servers hand out signatures.
    #[default]
    Auto,
    /// Never, and DANE is not used.
    Off,
}
