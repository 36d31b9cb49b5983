//! WebSocket for XMPP: the opening handshake, the frame codec, and the wire made of both
//! (RFC 6455, RFC 7395).

pub mod codec;
pub mod extension;
pub mod handshake;
pub(crate) mod wire;
