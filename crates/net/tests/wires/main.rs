//! The network layer over real sockets, all in one binary.

mod http;
mod listen;
mod support;
mod tls;
mod websocket;
