//! XMPP over BOSH (XEP-0124 1.11.2, XEP-0206 1.4): a stream in a row of HTTP requests.
//!
//! A session is cut into messages here, one element each, as RFC 7395 frames them: the stream sees
//! a WebSocket that loses nothing when a connection breaks. The rules of request ids are in
//! `state.rs`, and know neither sockets nor tasks.

mod body;
mod letter;
mod serve;
mod session;
mod state;
mod wire;

pub(crate) use self::serve::{Caller, answer};
pub(crate) use self::session::Sessions;

/// Where clients look for it.
pub const BOSH_PATH: &str = "/http-bind";
