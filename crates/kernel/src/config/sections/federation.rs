//! Other servers.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use crate::blocklist::Source;
use crate::config::host::DomainName;
use crate::config::section::Flaw;
use crate::config::value::worded;

/// The port of DNS.
const DNS: u16 = 53;

crate::section! {
    /// Other servers: whom this one talks with, and how they must prove who they are. The page of
    /// the module `federation` tells more.
    pub struct FederationConfig("federation") {
        /// Whether this server talks with others at all. As `server.public` if nothing is said:
        /// `enabled = true`.
        [restart] pub enabled: Option<bool> = None,
        /// Whether every domain may talk with this server that is not blocked. If false, only those
        /// that are allowed, here or by `waxwing federation allow`.
        pub open: bool = true,
        /// What proves that another server is the one of its domain.
        pub trust: Trust = "either",
        /// Whether links to other servers are encrypted.
        pub tls: Need = "required",
        /// Domains that may talk with this server in any case, with all below them, such as
        /// `["example.org"]`. Of several names that fit the longest counts.
        pub allow: Vec<DomainName> = [],
        /// Domains that nothing is exchanged with, with all below them. What is said here wins
        /// over `waxwing federation allow`.
        pub block: Vec<DomainName> = [],
        /// Lists of domains, shared by several servers, that nothing is exchanged with unless they
        /// are allowed, such as `["xmpp:lists.example.org?;node=domains"]`.
        pub lists: Vec<Source> = [],
        /// Entries of one such list that are kept.
        pub list_entries: u32 = 100_000 in 1..=10_000_000,
        /// Certificates (PEM) of authorities that vouch for other servers, beside those that
        /// everybody trusts. For networks with an authority of their own:
        /// `authorities = "/etc/waxwing/authorities.pem"`.
        pub authorities: Option<PathBuf> = None,
        /// Name servers to ask, such as `["127.0.0.1"]`; those of this machine if empty.
        pub dns: Vec<NameServer> = [],
        /// Whether signatures in DNS are checked.
        pub dnssec: Dnssec = "auto",
        /// A file with the keys (DNSKEY records) that DNSSEC begins at, for networks with a root of
        /// their own: `anchors = "/etc/waxwing/root.zone"`.
        pub anchors: Option<PathBuf> = None,
        /// Whether other servers may be at addresses that are not on the open internet, such as
        /// 10.0.0.1. Without it, only where `server.public` is false, and for a `[[peer]]` with an
        /// `address`: `private_addresses = true`.
        pub private_addresses: Option<bool> = None,
    }
}

crate::section! {
    /// What holds for one other domain, and all below it, instead of what `[federation]` says.
    /// Repeat the section for each.
    pub struct PeerConfig("peer", check = PeerConfig::check) {
        /// The domain: `domain = "example.net"`.
        pub domain: DomainName,
        /// What proves that a server is the one of this domain.
        pub trust: Option<Trust> = None,
        /// Whether links to it are encrypted.
        pub tls: Option<Need> = None,
        /// Where its server is, with a port if that is not 5269 (5270 with `direct_tls`). DNS is
        /// not asked then: `address = "xmpp.example.net:5269"`.
        pub address: Option<PeerAddress> = None,
        /// Whether the server at `address` wants TLS from the first byte.
        pub direct_tls: bool = false,
    }
}

impl PeerConfig {
    fn check(&self) -> Result<(), Flaw> {
        let problem = match (self.address.is_some(), self.direct_tls, self.trust, self.tls) {
            (false, true, ..) => "needs `address` beside it; otherwise DNS tells",
            (_, _, Some(Trust::Certificate), Some(Need::Optional)) => {
                let problem = "a certificate needs TLS: leave out `tls`, or `trust`".to_owned();
                return Err(Flaw { key: "tls", problem });
            }
            _ => return Ok(()),
        };
        Err(Flaw { key: "direct_tls", problem: problem.to_owned() })
    }
}

crate::choice! {
    /// What proves that a server is the one of its domain.
    pub enum Trust {
        /// A valid certificate, or else dialback: the server asks back where DNS says that the
        /// domain is (XEP-0220).
        Either = "either",
        /// A valid certificate and nothing else.
        Certificate = "certificate",
    }
}

crate::choice! {
    /// Whether links are encrypted.
    pub enum Need {
        /// Always, or nothing is exchanged.
        Required = "required",
        /// Where the other server can; everybody on the way reads along where it cannot.
        Optional = "optional",
    }
}

crate::choice! {
    /// Whether signatures in DNS are checked.
    pub enum Dnssec {
        /// As soon as the name servers give out signatures.
        Auto = "auto",
        /// Never; certificates that only DNS names (DANE) are not accepted then.
        Off = "off",
    }
}

/// A host with or without a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerAddress {
    host: String,
    port: Option<u16>,
}

impl PeerAddress {
    /// Reads `xmpp.example.net`, `xmpp.example.net:5269`, `192.0.2.1`, `[2001:db8::1]:5269`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self { host: ip.to_string(), port: None });
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self { host: address.ip().to_string(), port: Some(address.port()) });
        }
        let (host, port) = match text.split_once(':') {
            None => (text, None),
            Some((host, port)) => {
                let port = port.parse::<u16>().ok().filter(|port| *port > 0);
                (host, Some(port.ok_or("behind the colon stands a port from 1 to 65535")?))
            }
        };
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if host.is_empty() || host.starts_with('.') || !host.bytes().all(is_letter) {
            return Err("a name as DNS has it, or the number of an address is needed");
        }
        Ok(Self { host: host.trim_end_matches('.').to_ascii_lowercase(), port })
    }

    /// A name or an address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, if one was written.
    pub fn port(&self) -> Option<u16> {
        self.port
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.port, self.host.contains(':')) {
            (Some(port), true) => write!(f, "[{}]:{port}", self.host),
            (Some(port), false) => write!(f, "{}:{port}", self.host),
            (None, _) => f.write_str(&self.host),
        }
    }
}

/// A name server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameServer(pub SocketAddr);

impl NameServer {
    /// Reads `127.0.0.1` or `127.0.0.1:53`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        let with_port = || text.parse::<SocketAddr>();
        let bare = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, DNS));
        bare.or_else(|_| with_port()).map(Self).map_err(|_| "the number of an address is needed")
    }
}

impl fmt::Display for NameServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.port() == DNS { self.0.ip().fmt(f) } else { self.0.fmt(f) }
    }
}

worded!(
    PeerAddress,
    "a name or address, perhaps with a port, such as \"xmpp.example.net:5269\"",
    PeerAddress::new
);
worded!(NameServer, "the address of a name server, such as \"127.0.0.1\"", NameServer::new);
worded!(Source, "a list such as \"xmpp:lists.example.org?;node=domains\"", Source::read);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_at_a_name_or_a_number() {
        for (text, host, port, shown) in [
            ("XMPP.example.net", "xmpp.example.net", None, "xmpp.example.net"),
            ("xmpp.example.net.:5269", "xmpp.example.net", Some(5269), "xmpp.example.net:5269"),
            ("192.0.2.1", "192.0.2.1", None, "192.0.2.1"),
            ("192.0.2.1:1", "192.0.2.1", Some(1), "192.0.2.1:1"),
            ("2001:db8::1", "2001:db8::1", None, "2001:db8::1"),
            ("[2001:db8::1]:5269", "2001:db8::1", Some(5269), "[2001:db8::1]:5269"),
        ] {
            let address = PeerAddress::new(text).unwrap();
            assert_eq!((address.host(), address.port()), (host, port), "{text}");
            assert_eq!(address.to_string(), shown);
        }
        for wrong in ["", ":5269", "a:0", "a:65536", "a:b", "a b", ".", "xmpp://a", "a:1:2"] {
            assert!(PeerAddress::new(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_name_server_needs_no_port() {
        for text in ["127.0.0.1", "127.0.0.1:5353", "::1", "[::1]:5353"] {
            assert_eq!(NameServer::new(text).unwrap().to_string(), text);
        }
        assert!(NameServer::new("ns.example.org").is_err());
    }
}
