//! The network layer over real sockets, all in one binary.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside their functions")]

mod bosh;
mod http;
mod listen;
mod second;
mod support;
mod tls;
mod websocket;
