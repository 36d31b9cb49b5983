//! Which server, and how to reach it.

use std::net::SocketAddr;

use clap::ValueEnum;

/// A server under load.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) domain: String,
    pub(crate) transport: Transport,
}

impl Target {
    /// The name of the client with this number; its account is called the same.
    pub(crate) fn user(number: usize) -> String {
        format!("load{number}")
    }

    /// Its full address.
    pub(crate) fn full_address(&self, number: usize) -> String {
        format!("{}@{}/{RESOURCE}", Self::user(number), self.domain)
    }
}

/// The resource that every client binds.
pub(crate) const RESOURCE: &str = "load";

/// The password of every client.
pub(crate) const PASSWORD: &str = "under-the-load";

/// How to speak with a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    /// TCP without encryption.
    Tcp,
    /// TLS from the first byte (XEP-0368). Certificates are not checked.
    Tls,
    /// WebSocket without encryption (RFC 7395).
    Websocket,
}
