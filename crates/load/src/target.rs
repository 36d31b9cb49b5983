//! Which server, and how to reach it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;

use crate::accounts::Accounts;
use crate::scram::Keys;
use crate::sources::Sources;

/// A server under load.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) domain: String,
    pub(crate) path: String,
    pub(crate) transport: Transport,
    pub(crate) speech: Speech,
    pub(crate) accounts: Arc<Accounts>,
    /// Where connections come from.
    pub(crate) sources: Arc<Sources>,
    /// What was derived from passwords already: a client that signs in often derives once.
    pub(crate) keys: Arc<Keys>,
    /// How long one answer may take.
    pub(crate) patience: Duration,
}

impl Target {
    /// The full address of the client with this number.
    pub(crate) fn full_address(&self, number: usize) -> String {
        format!("{}/{RESOURCE}", self.bare_address(number))
    }

    /// The address of its account.
    pub(crate) fn bare_address(&self, number: usize) -> String {
        format!("{}@{}", self.accounts.name(number), self.domain)
    }

    /// Whether the other side is a relay that knows no XMPP.
    pub(crate) fn is_floor(&self) -> bool {
        self.speech == Speech::Floor
    }
}

/// The resource that every client binds.
pub(crate) const RESOURCE: &str = "load";

/// How to speak with a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    /// TCP without encryption.
    Tcp,
    /// TCP that becomes TLS (RFC 6120 §5). Certificates are not checked.
    Starttls,
    /// TLS from the first byte (XEP-0368). Certificates are not checked.
    Tls,
    /// WebSocket without encryption (RFC 7395).
    Ws,
    /// WebSocket over TLS. Certificates are not checked.
    Wss,
}

impl Transport {
    /// As it is written on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Starttls => "starttls",
            Self::Tls => "tls",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }

    /// Whether every element is a message of its own.
    pub(crate) fn is_websocket(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }
}

/// How a client shows who it is, if at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Speech {
    /// SASL SCRAM-SHA-1 (RFC 5802).
    #[value(name = "scram-sha-1")]
    ScramSha1,
    /// SASL PLAIN (RFC 4616).
    Plain,
    /// Not at all: the other side is `waxwing-load floor`.
    Floor,
}
