//! The client's side of SCRAM-SHA-1 without channel binding (RFC 5802).

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::{digest, hmac, pbkdf2, rand};
use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;

use crate::Outcome;

const DIGEST_BYTES: usize = 20;

/// Salted passwords, by password, salt and rounds. A server's salt stays, so that a client that has
/// signed in once need not derive again, and the processor is left to the server.
#[derive(Debug, Default)]
pub(crate) struct Keys(Mutex<HashMap<Origin, Salted>>);

/// Password, salt, rounds.
type Origin = (String, Vec<u8>, u32);
type Salted = [u8; DIGEST_BYTES];

impl Keys {
    fn salted(&self, password: &str, salt: &[u8], rounds: NonZeroU32) -> Salted {
        let place = (password.to_owned(), salt.to_vec(), rounds.get());
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&place).copied();
        known.unwrap_or_else(|| {
            let mut salted = [0; DIGEST_BYTES];
            let algorithm = pbkdf2::PBKDF2_HMAC_SHA1;
            pbkdf2::derive(algorithm, rounds, salt, password.as_bytes(), &mut salted);
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(place, salted);
            salted
        })
    }
}

/// An exchange under way.
pub(crate) struct Scram {
    nonce: String,
    first: String,
}

impl Scram {
    /// Begins for `user`.
    pub(crate) fn new(user: &str) -> Self {
        let mut raw = [0; 18];
        rand::fill(&mut raw).expect("the operating system has randomness");
        let nonce = BASE64.encode(raw);
        // RFC 5802 §5.1: "The characters ',' or '=' in usernames are sent as '=2C' and '=3D'".
        let user = user.replace('=', "=3D").replace(',', "=2C");
        let first = format!("n={user},r={nonce}");
        Self { nonce, first }
    }

    /// The first message, in base64.
    pub(crate) fn first(&self) -> String {
        BASE64.encode(format!("n,,{}", self.first))
    }

    /// The answer to the server's challenge, and what its last message has to be, in base64.
    pub(crate) fn answer(
        &self,
        challenge: &str,
        password: &str,
        keys: &Keys,
    ) -> Outcome<(String, String)> {
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
        let salted = keys.salted(password, &salt, rounds);
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
        let (challenge, keys) = (BASE64.encode(challenge), Keys::default());
        let first = scram.answer(&challenge, "pencil", &keys).expect("a good challenge");
        let (answer, verifier) = scram.answer(&challenge, "pencil", &keys).expect("known keys");
        assert_eq!(first, (answer.clone(), verifier.clone()));
        let answer = decode(&answer).expect("text");
        assert!(answer.ends_with("p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="), "{answer}");
        assert_eq!(decode(&verifier).expect("text"), "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=");
    }
}
