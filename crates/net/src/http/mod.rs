//! HTTP for what XMPP needs of it, and for the routes that the server registers.

mod discovery;
mod folder;
mod forwarded;
mod opening;
mod outgoing;
mod page;
mod route;
mod serve;
mod streams;

use std::sync::Arc;

use waxwing_kernel::metrics::Deflated;

pub(crate) use self::serve::serve;
pub use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
pub use hyper::{Method, StatusCode};

pub use self::discovery::{Discovery, Everything, Link};
pub use self::folder::Folder;
pub use self::forwarded::{Network, Proxies, ProxyHeader};
pub use self::route::{Handler, HttpRoute, Reply, Request};
use crate::websocket::handshake::Origins;

/// What the HTTP listeners answer. One for all of them.
#[derive(Clone, Default)]
pub struct Site {
    /// The routes of the server crate: pages, health, metrics.
    pub routes: Vec<HttpRoute>,
    /// What modules serve themselves, bodies and all.
    pub folders: Vec<Folder>,
    /// Where WebSockets are opened; empty for none. The usual one is [`WEBSOCKET_PATH`].
    pub websocket_paths: Vec<String>,
    /// Where other servers open theirs (XEP-0468); empty where none are let in. The usual one is
    /// [`SERVER_WEBSOCKET_PATH`].
    pub server_websocket_paths: Vec<String>,
    /// Messages on WebSockets may be compressed (RFC 7692), and are counted here; None for never.
    pub deflate: Option<Arc<Deflated>>,
    /// Where BOSH is spoken; empty for nowhere. The usual one is
    /// [`BOSH_PATH`](crate::bosh::BOSH_PATH).
    pub bosh_paths: Vec<String>,
    /// Which pages may open a WebSocket or a BOSH session.
    pub origins: Origins,
    /// What `/.well-known/host-meta` says; None answers 404.
    pub discovery: Option<Discovery>,
    /// Whose word on the client's address counts.
    pub proxies: Proxies,
}

/// A domain as it is written in a URL: names with other letters in their ASCII form.
pub fn host_in_url(domain: &str) -> String {
    idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_owned())
}

/// Where clients look for the WebSocket.
pub const WEBSOCKET_PATH: &str = "/xmpp-websocket";

/// Where other servers are told to look for theirs.
pub const SERVER_WEBSOCKET_PATH: &str = "/xmpp-server-websocket";
