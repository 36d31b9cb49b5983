//! The only sockets of Waxwing: listeners, TLS, WebSocket, BOSH and HTTP.
//!
//! [`Net::listen`] opens ports. Every client that comes in becomes a
//! [`Wire`](waxwing_kernel::wire::Wire) and is handed to the kernel with what TLS knows of it;
//! from then on the session's task drives it and nothing of it is left here.
//!
//! **Memory.** A wire that waits owns no buffer: reads go through one buffer per thread, frames
//! are taken apart there in place, and only an unfinished WebSocket message or an answer that the
//! socket does not take yet is kept. An idle TLS connection holds its keys and little else.

pub mod acme;
pub mod bosh;
mod census;
mod fetch;
pub mod http;
mod ldap;
mod limits;
mod listener;
pub mod names;
mod net;
mod peers;
mod port;
mod proxied;
mod socket;
mod tcp;
pub mod tls;
pub mod websocket;

pub use census::Counts;
pub use fetch::Fetcher;
pub use ldap::LdapDialer;
pub use limits::Limits;
pub use listener::{Kind, ListenError, Listener};
pub use net::{Entry, Listening, Net};
pub use peers::{Authorities, PeerDialer, PeerOptions, Probe, Sight, Speech};
pub use tls::{Certificate, InUse, Tls, TlsError, TlsOptions, days_left};
