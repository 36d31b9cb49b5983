//! SASL (RFC 4422, RFC 6120 §6) without XML and without accounts: messages in, steps out.

mod bearer;
mod downgrade;
mod exchange;
mod failure;
mod hash;
mod mechanism;
mod plain;
mod scram;
mod token;

pub(crate) use failure::Profile;
pub use failure::{Failure, FailureCondition};
pub use hash::{Hash, ScramKeys};
pub use mechanism::Mechanism;
pub use token::TokenBinding;

pub(crate) use downgrade::binding_kinds;
pub(crate) use exchange::{Context, Exchange, Step};
pub(crate) use mechanism::{offered, offered_tokens, offers_sasl2, refusal, upgrades};

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

/// The same in XEP-0388, where nothing stands for no data and "=" is not special (§2.2). White
/// space around it is forgiven: "This SHOULD NOT include any line wrapping or other whitespace".
pub(crate) fn decode_plain(text: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let decoded = BASE64.decode(text.trim_ascii());
    decoded.map(Zeroizing::new).map_err(|_| Failure::new(FailureCondition::IncorrectEncoding))
}

/// Encodes the content of `<challenge/>` and `<success/>`.
pub(crate) fn encode(data: &[u8]) -> String {
    BASE64.encode(data)
}
