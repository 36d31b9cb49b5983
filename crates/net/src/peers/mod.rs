//! Connections to other servers: dialled by happy eyeballs (RFC 8305, XEP-0495), secured as the
//! client of TLS (RFC 6120 §5, XEP-0368), and judged by certificates (RFC 9525), DANE (RFC 7673)
//! and POSH (RFC 7711), with reasons in words.
//!
//! The handshake itself refuses nobody who has the key of its certificate. Whom that certificate
//! stands for is judged after it, because there may be other proofs than an authority, and because
//! an alert would not say why.

mod authorities;
mod call;
mod dane;
mod dialer;
mod identity;
mod judge;
mod probe;
mod race;
mod reproach;
mod survey;
#[cfg(test)]
mod tests;
mod tried;
mod websocket;

pub use self::authorities::Authorities;
pub use self::dialer::{PeerDialer, PeerOptions};
pub use self::probe::{Probe, Sight, Speech};
