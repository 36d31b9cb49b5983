//! What to listen on, and why it cannot be done.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use crate::tls::TlsError;

/// A port to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where. `[::]` also takes IPv4 on most systems; port 0 takes any that is free.
    pub address: SocketAddr,
    /// For whom.
    pub kind: Kind,
    /// Ask clients for a certificate, for SASL EXTERNAL. Browsers then bother their users, so not
    /// on a port that web clients use.
    pub asks_certificate: bool,
    /// Every connection begins with a PROXY protocol header (version 1 or 2) of a trusted proxy;
    /// others are refused.
    pub is_proxied: bool,
}

impl Listener {
    /// A listener without client certificates and without the PROXY protocol.
    pub fn new(address: SocketAddr, kind: Kind) -> Self {
        Self { address, kind, asks_certificate: false, is_proxied: false }
    }
}

/// What is spoken on a port. On the three TLS kinds, ALPN decides if the caller uses it:
/// `xmpp-client`, `xmpp-server`, `h2` and `http/1.1` are all served; the kind is for callers that
/// do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// XMPP with STARTTLS, 5222 as a rule.
    Xmpp,
    /// XMPP inside TLS (XEP-0368), 5223 as a rule.
    XmppTls,
    /// HTTP, 5280 as a rule: for a proxy on the same machine.
    Http,
    /// HTTPS, 5443 as a rule.
    Https,
    /// The component protocol (XEP-0114), 5347 as a rule.
    Component,
    /// Other servers with STARTTLS (RFC 6120), 5269 as a rule. They are asked for a certificate.
    Server,
    /// Other servers inside TLS (XEP-0368), 5270 as a rule. They are asked for a certificate.
    ServerTls,
    /// HTTP for authorities that look whether a name leads here (RFC 8555 §8.3), 80 as a rule.
    Challenges,
}

impl Kind {
    /// Whether TLS begins with the first byte.
    pub fn is_tls(self) -> bool {
        matches!(self, Self::XmppTls | Self::Https | Self::ServerTls)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Xmpp => "XMPP",
            Self::XmppTls => "XMPP with direct TLS",
            Self::Http => "HTTP",
            Self::Https => "HTTPS",
            Self::Component => "components",
            Self::Server => "other servers",
            Self::ServerTls => "other servers with direct TLS",
            Self::Challenges => "challenges of ACME",
        })
    }
}

/// Why a port cannot be listened on. The text is for the operator.
#[derive(Debug)]
pub struct ListenError {
    pub(crate) listener: Listener,
    pub(crate) cause: Cause,
}

#[derive(Debug)]
pub(crate) enum Cause {
    Bind(io::Error),
    /// Another of the listeners has the port.
    Twice(SocketAddr),
    NoTls,
    NoAuthority,
}

impl std::error::Error for ListenError {}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Listener { address, kind, .. } = self.listener;
        write!(f, "Cannot listen on {address} for {kind}: ")?;
        let port = address.port();
        match &self.cause {
            Cause::Twice(other) => write!(
                f,
                "the listener on {other} has port {port} already. '[::]' takes IPv4 as well, so \
                 it needs no '0.0.0.0' beside it."
            ),
            Cause::NoTls => f.write_str("TLS is not set up."),
            Cause::NoAuthority => TlsError::NoAuthority.fmt(f),
            Cause::Bind(error) => match error.kind() {
                ErrorKind::AddrInUse => write!(
                    f,
                    "port {port} is in use. Stop the program that holds it ('ss -ltnp sport = \
                     :{port}' names it), or choose another port."
                ),
                ErrorKind::PermissionDenied => write!(
                    f,
                    "the system does not permit port {port}. Ports below 1024 need the \
                     capability CAP_NET_BIND_SERVICE; or choose a higher port."
                ),
                ErrorKind::AddrNotAvailable => write!(
                    f,
                    "this machine has no address {}. Use one of its own, or 0.0.0.0 or [::] for \
                     all.",
                    address.ip()
                ),
                _ => write!(f, "{error}."),
            },
        }
    }
}
