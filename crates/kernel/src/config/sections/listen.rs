//! Where the server listens.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

crate::section! {
    /// Addresses to listen on. A kind that is not mentioned listens on its usual port: on
    /// loopback, or on every interface with `server.public`. An empty list switches it off.
    pub struct ListenConfig("listen") {
        /// XMPP for clients; encryption begins with STARTTLS. Usually port 5222: on every
        /// interface that is `xmpp = ["[::]:5222"]`.
        [restart] pub xmpp: Option<Vec<SocketAddr>> = None,
        /// XMPP for clients inside TLS (XEP-0368). Usually port 5223:
        /// `xmpp_tls = ["[::]:5223"]`.
        [restart] pub xmpp_tls: Option<Vec<SocketAddr>> = None,
        /// HTTP without encryption, for a proxy on this machine: WebSocket, metrics, pages.
        /// Usually port 5280, and on loopback even with `server.public`:
        /// `http = ["127.0.0.1:5280", "[::1]:5280"]`.
        [restart] pub http: Option<Vec<SocketAddr>> = None,
        /// HTTPS: WebSocket and pages. Usually port 5443:
        /// `https = ["[::]:5443"]`.
        [restart] pub https: Option<Vec<SocketAddr>> = None,
        /// Components (XEP-0114), without encryption: whoever reads along on a network learns
        /// everything but the secret. Usually port 5347, on loopback even with `server.public`, and
        /// only where a `[[component]]` is declared:
        /// `component = ["127.0.0.1:5347", "[::1]:5347"]`.
        [restart] pub component: Option<Vec<SocketAddr>> = None,
        /// Other servers; encryption begins with STARTTLS. Usually port 5269, where this server
        /// talks with others: `server = ["[::]:5269"]`.
        [restart] pub server: Option<Vec<SocketAddr>> = None,
        /// Other servers inside TLS (XEP-0368). Usually port 5270, where this server talks with
        /// others: `server_tls = ["[::]:5270"]`.
        [restart] pub server_tls: Option<Vec<SocketAddr>> = None,
        /// Authorities that look whether a domain leads here before they give a certificate for it
        /// (`[acme]`), and nobody else. Nowhere unless it is said; they come to port 80:
        /// `challenges = ["[::]:80"]`.
        [restart] pub challenges: Option<Vec<SocketAddr>> = None,
    }
}

/// What is spoken on an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Port {
    /// XMPP with STARTTLS.
    Xmpp,
    /// XMPP inside TLS.
    XmppTls,
    /// HTTP.
    Http,
    /// HTTPS.
    Https,
    /// The component protocol.
    Component,
    /// Other servers, with STARTTLS.
    Server,
    /// Other servers inside TLS.
    ServerTls,
    /// Pages for authorities.
    Challenges,
}

/// One address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// What is spoken there.
    pub port: Port,
    /// Where. `[::]` takes IPv4 too.
    pub address: SocketAddr,
    /// Whether the operator asked for it; a usual address may be missing on this machine
    /// (no IPv6), an asked one may not.
    pub is_asked: bool,
}

impl Address {
    /// What to take instead on a machine without IPv6, where the operator did not ask.
    pub fn fallback(&self) -> Option<SocketAddr> {
        let is_all = self.address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        let all = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), self.address.port());
        (is_all && !self.is_asked).then_some(all)
    }
}

impl Port {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Xmpp,
        Self::XmppTls,
        Self::Http,
        Self::Https,
        Self::Component,
        Self::Server,
        Self::ServerTls,
        Self::Challenges,
    ];

    /// Whether other servers come there.
    pub fn is_for_servers(self) -> bool {
        matches!(self, Self::Server | Self::ServerTls)
    }

    /// Its key in `[listen]`.
    pub fn key(self) -> &'static str {
        match self {
            Self::Xmpp => "xmpp",
            Self::XmppTls => "xmpp_tls",
            Self::Http => "http",
            Self::Https => "https",
            Self::Component => "component",
            Self::Server => "server",
            Self::ServerTls => "server_tls",
            Self::Challenges => "challenges",
        }
    }

    fn usual(self) -> u16 {
        match self {
            Self::Xmpp => 5222,
            Self::XmppTls => 5223,
            Self::Http => 5280,
            Self::Https => 5443,
            Self::Component => 5347,
            Self::Server => 5269,
            Self::ServerTls => 5270,
            Self::Challenges => 80,
        }
    }
}

impl ListenConfig {
    /// Every address to listen on. `is_public` is `server.public`.
    pub fn addresses(&self, is_public: bool) -> Vec<Address> {
        Port::ALL.into_iter().flat_map(|port| self.of_port(port, is_public)).collect()
    }

    fn of_port(&self, port: Port, is_public: bool) -> Vec<Address> {
        let asked = match port {
            Port::Xmpp => &self.xmpp,
            Port::XmppTls => &self.xmpp_tls,
            Port::Http => &self.http,
            Port::Https => &self.https,
            Port::Component => &self.component,
            Port::Server => &self.server,
            Port::ServerTls => &self.server_tls,
            Port::Challenges => &self.challenges,
        };
        // Nobody else has a use for it.
        if asked.is_none() && port == Port::Challenges {
            return Vec::new();
        }
        if let Some(asked) = asked {
            return asked
                .iter()
                .map(|address| Address { port, address: *address, is_asked: true })
                .collect();
        }
        let is_open = is_public && !matches!(port, Port::Http | Port::Component);
        let hosts: &[IpAddr] = if is_open {
            &[IpAddr::V6(Ipv6Addr::UNSPECIFIED)]
        } else {
            &[IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]
        };
        hosts
            .iter()
            .map(|host| Address {
                port,
                address: SocketAddr::new(*host, port.usual()),
                is_asked: false,
            })
            .collect()
    }
}
