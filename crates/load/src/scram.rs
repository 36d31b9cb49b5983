//! The client's side of SCRAM-SHA-1 without channel binding (RFC 5802).

use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2, rand};
use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;

use crate::Outcome;

const DIGEST_BYTES: usize = 20;

/// An exchange under way.
pub(crate) struct Scram {
    nonce: String,
    first: String,
}

impl Scram {
    /// Begins for `user`, whose name needs no escapes.
    pub(crate) fn new(user: &str) -> Self {
        let mut raw = [0; 18];
        rand::fill(&mut raw).expect("the operating system has randomness");
        let nonce = BASE64.encode(raw);
        let first = format!("n={user},r={nonce}");
        Self { nonce, first }
    }

    /// The first message, in base64.
    pub(crate) fn first(&self) -> String {
        BASE64.encode(format!("n,,{}", self.first))
    }

    /// The answer to the server's challenge, and what its last message has to be, in base64.
    pub(crate) fn answer(&self, challenge: &str, password: &str) -> Outcome<(String, String)> {
        let challenge = decode(challenge)?;
        let field = |name: &str| {
            let mut fields = challenge.split(',');
            let value = fields.find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
            value.ok_or_else(|| format!("a challenge without {name}: {challenge}"))
        };
        let (nonce, salt, rounds) = (field("r")?, field("s")?, field("i")?);
        if !nonce.starts_with(&self.nonce) {
            return Err("the challenge is for another client".into());
        }
        let salt = BASE64.decode(salt).map_err(|error| format!("a broken salt: {error}"))?;
        let rounds: NonZeroU32 = rounds.parse().map_err(|_| format!("{rounds} rounds"))?;
        let mut salted = [0; DIGEST_BYTES];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA1, rounds, &salt, password.as_bytes(), &mut salted);
        let client_key = sign(&salted, b"Client Key");
        let stored_key = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, client_key.as_ref());
        let last = format!("c=biws,r={nonce}");
        let signed = format!("{},{challenge},{last}", self.first);
        let signature = sign(stored_key.as_ref(), signed.as_bytes());
        let mut proof = [0; DIGEST_BYTES];
        let keys = client_key.as_ref().iter().zip(signature.as_ref());
        proof.iter_mut().zip(keys).for_each(|(proof, (key, mark))| *proof = key ^ mark);
        let server_key = sign(&salted, b"Server Key");
        let verifier = sign(server_key.as_ref(), signed.as_bytes());
        let verifier = BASE64.encode(format!("v={}", BASE64.encode(verifier)));
        Ok((BASE64.encode(format!("{last},p={}", BASE64.encode(proof))), verifier))
    }
}

fn sign(key: &[u8], message: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key), message)
}

fn decode(text: &str) -> Outcome<String> {
    let bytes = BASE64.decode(text).map_err(|error| format!("a broken challenge: {error}"))?;
    String::from_utf8(bytes).map_err(|error| format!("a broken challenge: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5802 §5.
    #[test]
    fn the_example_of_the_standard() {
        let nonce = "fyko+d2lbbFgONRv9qkxdawL".to_owned();
        let scram = Scram { first: format!("n=user,r={nonce}"), nonce };
        let challenge = "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096";
        let (answer, verifier) =
            scram.answer(&BASE64.encode(challenge), "pencil").expect("a good challenge");
        let answer = decode(&answer).expect("text");
        assert!(answer.ends_with("p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="), "{answer}");
        assert_eq!(decode(&verifier).expect("text"), "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=");
    }
}
