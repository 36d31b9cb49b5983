//! The only sockets of Waxwing: listeners, TLS, WebSocket and HTTP.

pub mod websocket;
