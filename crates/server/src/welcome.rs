//! The page that makes the first account: behind a link that works once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use waxwing_jid::BareJid;
use waxwing_kernel::Hub;
use waxwing_net::http::{HeaderValue, HttpRoute, Reply, Request, StatusCode, header};
use waxwing_store::StoreError;
use waxwing_store::domains::accounts::Accounts;

/// Bytes of randomness in the link.
const TOKEN_BYTES: usize = 16;

/// The one-time link.
pub(crate) struct Welcome {
    hub: Hub,
    token: String,
    is_used: AtomicBool,
}

impl Welcome {
    /// A fresh link.
    pub(crate) fn new(hub: Hub) -> Self {
        let token = hub.clock().token(TOKEN_BYTES);
        Self { hub, token, is_used: AtomicBool::new(false) }
    }

    /// Its path on the web server.
    pub(crate) fn path(&self) -> String {
        format!("/welcome/{}", self.token)
    }
}

/// The page, its parts, and what it asks for.
pub(crate) fn routes(welcome: &Arc<Welcome>) -> Vec<HttpRoute> {
    let _ = (welcome, Reply::text(StatusCode::OK, ""), header::CACHE_CONTROL);
    Vec::new()
}
