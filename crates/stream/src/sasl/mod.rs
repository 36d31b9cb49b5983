//! SASL (RFC 4422, RFC 6120 §6) without XML and without accounts: messages in, steps out.

mod exchange;
mod failure;
mod hash;
mod mechanism;
mod plain;
mod scram;

pub use failure::{Failure, FailureCondition};
pub use hash::{Hash, ScramKeys};
pub use mechanism::Mechanism;

pub(crate) use exchange::{Context, Exchange, Step};
pub(crate) use mechanism::{offered, refusal};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use zeroize::Zeroizing;

/// Decodes the content of `<auth/>` and `<response/>`: base64 with its padding and nothing else,
/// or "=" for no data (RFC 6120 §6.4.2).
pub(crate) fn decode(text: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    match text {
        "=" => Ok(Zeroizing::default()),
        _ => BASE64
            .decode(text)
            .map(Zeroizing::new)
            .map_err(|_| Failure::new(FailureCondition::IncorrectEncoding)),
    }
}

/// Encodes the content of `<challenge/>` and `<success/>`.
pub(crate) fn encode(data: &[u8]) -> String {
    BASE64.encode(data)
}
