//! HT: a token that the server made, proven in one message (draft-schmaus-kitten-sasl-ht-09).

use crate::event::TokenKey;
use crate::sasl::Hash;
use crate::sasl::hash::same;

/// What the channel is bound by; `tls-unique` is not, because TLS 1.3 does not have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenBinding {
    /// `tls-exporter`.
    Exporter,
    /// `tls-server-end-point`.
    EndPoint,
    /// Nothing.
    None,
}

impl TokenBinding {
    /// All of them, the strongest first.
    pub const ALL: [TokenBinding; 3] =
        [TokenBinding::Exporter, TokenBinding::EndPoint, TokenBinding::None];

    /// The name of the mechanism.
    pub fn mechanism(self) -> &'static str {
        match self {
            TokenBinding::Exporter => "HT-SHA-256-EXPR",
            TokenBinding::EndPoint => "HT-SHA-256-ENDP",
            TokenBinding::None => "HT-SHA-256-NONE",
        }
    }

    /// The type of channel binding (RFC 5056), if there is one.
    pub(crate) fn kind(self) -> Option<&'static str> {
        match self {
            TokenBinding::Exporter => Some("tls-exporter"),
            TokenBinding::EndPoint => Some("tls-server-end-point"),
            TokenBinding::None => None,
        }
    }
}

/// The message of the client, taken apart, and what its channel is bound by.
pub(crate) struct HashedToken {
    hashed: Vec<u8>,
    binding: Vec<u8>,
}

impl HashedToken {
    /// §3.1: "initiator-msg = authcid NUL initiator-hashed-token". Gives the name, too.
    pub(crate) fn parse(message: &[u8], binding: &[u8]) -> Option<(String, HashedToken)> {
        let end = message.iter().position(|byte| *byte == 0)?;
        let name = std::str::from_utf8(&message[..end]).ok()?;
        let hashed = message[end + 1..].to_vec();
        let is_whole = !name.is_empty() && hashed.len() == Hash::Sha256.output_len();
        is_whole.then(|| (name.to_owned(), HashedToken { hashed, binding: binding.to_vec() }))
    }

    /// Which of `keys` it was made with, and the answer that proves the server: "HMAC(token,
    /// "Responder" || cb-data)" (§3.3).
    pub(crate) fn verify<'a>(&self, keys: &'a [TokenKey]) -> Option<(&'a TokenKey, Vec<u8>)> {
        let nobody = self.hash(b"", "Initiator");
        let is_it =
            |key: &&TokenKey| same(&self.hash(key.secret.as_bytes(), "Initiator"), &self.hashed);
        // An account without tokens is not to be told by the time that the answer takes.
        let found = keys.iter().rfind(is_it).filter(|_| !same(&nobody, &self.hashed))?;
        Some((found, self.hash(found.secret.as_bytes(), "Responder")))
    }

    fn hash(&self, secret: &[u8], side: &str) -> Vec<u8> {
        Hash::Sha256.hmac(secret, &[side.as_bytes(), &self.binding].concat())
    }
}

impl std::fmt::Debug for HashedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashedToken")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, secret: &str) -> TokenKey {
        TokenKey { name: name.into(), secret: secret.to_owned().into() }
    }

    fn message(name: &str, secret: &str, binding: &[u8]) -> Vec<u8> {
        let said = [b"Initiator", binding].concat();
        [name.as_bytes(), b"\0", &Hash::Sha256.hmac(secret.as_bytes(), &said)].concat()
    }

    #[test]
    fn the_token_that_was_hashed_is_found_and_the_server_proves_itself() {
        let keys = [key("new", "one"), key("current", "two")];
        for (secret, name) in [("one", "new"), ("two", "current")] {
            let (user, token) = HashedToken::parse(&message("tim", secret, b"cb"), b"cb").unwrap();
            let (found, answer) = token.verify(&keys).unwrap();
            assert_eq!((user.as_str(), found.name.as_str()), ("tim", name));
            assert_eq!(answer, Hash::Sha256.hmac(secret.as_bytes(), b"Respondercb"));
        }
    }

    #[test]
    fn another_token_or_channel_is_refused_and_no_token_is_none() {
        let keys = [key("new", "one")];
        let verify = |secret: &str, there: &[u8], here: &[u8], keys: &[TokenKey]| {
            let (_, token) = HashedToken::parse(&message("tim", secret, there), here).unwrap();
            token.verify(keys).is_some()
        };
        assert!(verify("one", b"", b"", &keys));
        assert!(!verify("two", b"", b"", &keys));
        assert!(!verify("one", b"there", b"here", &keys));
        assert!(!verify("", b"", b"", &[]));
        assert!(!verify("", b"", b"", &[key("empty", "")]), "an empty secret is nobody's");
    }

    #[test]
    fn the_grammar_is_kept() {
        let hash = [7; 32];
        let whole = |name: &[u8], hash: &[u8]| [name, b"\0", hash].concat();
        assert!(HashedToken::parse(&whole(b"tim", &hash), b"").is_some());
        for bad in [whole(b"", &hash), whole(b"tim", &hash[1..]), whole(b"\xff", &hash), vec![b't']]
        {
            assert!(HashedToken::parse(&bad, b"").is_none(), "{bad:?}");
        }
    }
}
