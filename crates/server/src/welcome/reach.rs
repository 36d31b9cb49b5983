//! How programs reach this server, in words for people.

use std::net::SocketAddr;

use serde::Serialize;
use waxwing_kernel::config::Config;
use waxwing_net::Kind;
use waxwing_net::http::WEBSOCKET_PATH;

/// Where the server listens, and what the configuration says of it.
pub(super) struct Reach {
    listening: Vec<(Kind, SocketAddr)>,
    /// The WebSocket's address, where a proxy is in front.
    websocket: Option<String>,
    /// Whether a client may sign in without encryption.
    takes_plaintext: bool,
    /// Domains with a certificate that the operator gave.
    certified: Vec<String>,
}

/// One line of the connection settings.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Setting {
    label: &'static str,
    value: String,
}

impl Reach {
    /// What can be told of a server that listens there.
    pub(super) fn new(listening: &[(Kind, SocketAddr)], config: &Config) -> Self {
        let with_certificate = config.hosts.iter().filter(|h| h.config.certificate.is_some());
        let name = |host: &waxwing_kernel::config::Host| host.config.domain.as_str().to_owned();
        let websocket = config.http.public_url.as_ref().map(|url| url.to_websocket());
        Self {
            listening: listening.to_vec(),
            websocket: websocket.map(|url| url + WEBSOCKET_PATH),
            takes_plaintext: !config.tls.required || !config.server.public,
            certified: with_certificate.map(name).collect(),
        }
    }

    /// What a client asks for when it does not find the server by itself.
    pub(super) fn settings(&self, domain: &str) -> Vec<Setting> {
        let mut settings = vec![Setting { label: "Server", value: self.host(domain).to_owned() }];
        let mut add = |label, value: Option<String>| {
            settings.extend(value.map(|value| Setting { label, value }));
        };
        add("Port (STARTTLS)", self.port(Kind::Xmpp).map(|port| port.to_string()));
        add("Port (direct TLS)", self.port(Kind::XmppTls).map(|port| port.to_string()));
        add("WebSocket", self.websocket(domain));
        settings
    }

    /// What is good to know before the first attempt.
    pub(super) fn notes(&self, domain: &str) -> Vec<&'static str> {
        let mut notes = Vec::new();
        if self.is_local() {
            notes.push(
                "The server listens on this machine only, so a phone cannot reach it yet. To \
                 open it to the network, set public = true under [server] in its configuration.",
            );
        }
        if !self.certified.iter().any(|known| known == domain) {
            notes.push(
                "The server made its certificate itself. Your client asks whether to trust it; \
                 on your own machine you may say yes.",
            );
        }
        notes
    }

    /// Nothing but this machine can connect.
    fn is_local(&self) -> bool {
        self.listening.iter().all(|(_, address)| address.ip().is_loopback())
    }

    fn host<'a>(&self, domain: &'a str) -> &'a str {
        if self.is_local() && domain != "localhost" { "127.0.0.1" } else { domain }
    }

    fn port(&self, kind: Kind) -> Option<u16> {
        self.listening.iter().find(|(known, _)| *known == kind).map(|(_, address)| address.port())
    }

    /// On one's own machine the unencrypted one, which needs no trust in a certificate, if a
    /// client may sign in there.
    fn websocket(&self, domain: &str) -> Option<String> {
        if let Some(url) = &self.websocket {
            return Some(url.clone());
        }
        let host = self.host(domain);
        let url = |scheme: &str, port| format!("{scheme}://{host}:{port}{WEBSOCKET_PATH}");
        let secure = || self.port(Kind::Https).map(|port| url("wss", port));
        match self.port(Kind::Http) {
            Some(port) if self.is_local() && self.takes_plaintext => Some(url("ws", port)),
            _ => secure(),
        }
    }
}
