//! The client's side of SCRAM (RFC 5802) and of HT, not the server's own.

use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use waxwing_testkit::world::PASSWORD;

const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";

/// The algorithms behind one name.
#[derive(Clone, Copy)]
pub(crate) struct Hash {
    pub(crate) name: &'static str,
    digest: &'static digest::Algorithm,
    hmac: hmac::Algorithm,
    stretch: fn() -> pbkdf2::Algorithm,
}

impl Hash {
    /// `SaltedPassword` of RFC 5802 §3.
    pub(crate) fn salted(self, salt: &[u8], rounds: NonZeroU32) -> Vec<u8> {
        let mut salted = vec![0; self.digest.output_len()];
        pbkdf2::derive((self.stretch)(), rounds, salt, PASSWORD.as_bytes(), &mut salted);
        salted
    }
}

pub(crate) fn hashes() -> [Hash; 3] {
    [
        Hash {
            name: "SCRAM-SHA-1",
            digest: &digest::SHA1_FOR_LEGACY_USE_ONLY,
            hmac: hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            stretch: || pbkdf2::PBKDF2_HMAC_SHA1,
        },
        Hash {
            name: "SCRAM-SHA-256",
            digest: &digest::SHA256,
            hmac: hmac::HMAC_SHA256,
            stretch: || pbkdf2::PBKDF2_HMAC_SHA256,
        },
        Hash {
            name: "SCRAM-SHA-512",
            digest: &digest::SHA512,
            hmac: hmac::HMAC_SHA512,
            stretch: || pbkdf2::PBKDF2_HMAC_SHA512,
        },
    ]
}

/// The first message of `user`, whose channel is bound as `flag` says.
pub(crate) fn first(user: &str, flag: &str) -> Vec<u8> {
    format!("{flag}n={user},r={NONCE}").into_bytes()
}

/// The second message, and what the server must answer to it.
pub(crate) fn last(
    hash: Hash,
    user: &str,
    (flag, binding): (&str, &[u8]),
    challenge: &str,
) -> (Vec<u8>, Vec<u8>) {
    let salt = BASE64.decode(field(challenge, "s=")).expect("base64");
    let rounds: NonZeroU32 = field(challenge, "i=").parse().expect("a number");
    let salted = hash.salted(&salt, rounds);
    let bound = BASE64.encode([flag.as_bytes(), binding].concat());
    let last = format!("c={bound},r={}", field(challenge, "r="));
    let signed = format!("n={user},r={NONCE},{challenge},{last}");
    let client_key = sign(hash.hmac, &salted, b"Client Key");
    let stored_key = digest::digest(hash.digest, &client_key);
    let signature = sign(hash.hmac, stored_key.as_ref(), signed.as_bytes());
    let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(key, mark)| key ^ mark).collect();
    let server_key = sign(hash.hmac, &salted, b"Server Key");
    let answer = BASE64.encode(sign(hash.hmac, &server_key, signed.as_bytes()));
    let last = format!("{last},p={}", BASE64.encode(proof));
    (last.into_bytes(), format!("v={answer}").into_bytes())
}

/// The message of somebody with a token, and what the server must answer.
pub(crate) fn token(user: &str, token: &str, binding: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let hash = |side: &[u8]| sign(hmac::HMAC_SHA256, token.as_bytes(), &[side, binding].concat());
    ([user.as_bytes(), b"\0", &hash(b"Initiator")].concat(), hash(b"Responder"))
}

pub(crate) fn field<'a>(challenge: &'a str, name: &str) -> &'a str {
    challenge.split(',').find_map(|field| field.strip_prefix(name)).expect("a field")
}

fn sign(algorithm: hmac::Algorithm, key: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(algorithm, key), message).as_ref().to_vec()
}
