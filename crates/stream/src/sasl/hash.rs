//! The hash functions of SCRAM, and the keys made with them.

use std::fmt;
use std::num::NonZeroU32;

use aws_lc_rs::{constant_time, digest, hmac, pbkdf2};
use waxwing_jid::{JidError, prepare_password};

/// A hash function of SCRAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hash {
    /// RFC 5802.
    Sha1,
    /// RFC 7677.
    Sha256,
    /// XEP-0438 and draft-melnikov-scram-sha-512.
    Sha512,
}

impl Hash {
    /// All of them, strongest first.
    pub const ALL: [Hash; 3] = [Hash::Sha512, Hash::Sha256, Hash::Sha1];

    /// As registered with IANA: `SHA-1`, `SHA-256`, `SHA-512`.
    pub fn name(self) -> &'static str {
        match self {
            Hash::Sha1 => "SHA-1",
            Hash::Sha256 => "SHA-256",
            Hash::Sha512 => "SHA-512",
        }
    }

    /// Length of the hash in bytes.
    pub fn output_len(self) -> usize {
        self.digest_algorithm().output_len()
    }

    pub(crate) fn digest(self, data: &[u8]) -> Vec<u8> {
        digest::digest(self.digest_algorithm(), data).as_ref().to_vec()
    }

    pub(crate) fn hmac(self, key: &[u8], data: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Hash::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Hash::Sha256 => hmac::HMAC_SHA256,
            Hash::Sha512 => hmac::HMAC_SHA512,
        };
        hmac::sign(&hmac::Key::new(algorithm, key), data).as_ref().to_vec()
    }

    /// `Hi()` of RFC 5802 §2.2.
    fn stretch(self, password: &str, salt: &[u8], iterations: NonZeroU32) -> Vec<u8> {
        let algorithm = match self {
            Hash::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
            Hash::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Hash::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        };
        let mut out = vec![0; self.output_len()];
        pbkdf2::derive(algorithm, iterations, salt, password.as_bytes(), &mut out);
        out
    }

    fn digest_algorithm(self) -> &'static digest::Algorithm {
        match self {
            Hash::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Hash::Sha256 => &digest::SHA256,
            Hash::Sha512 => &digest::SHA512,
        }
    }
}

/// What a server keeps of a password (RFC 5802 §3): enough to verify it, useless to sign in.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramKeys {
    /// The hash function used throughout.
    pub hash: Hash,
    /// Random per account.
    pub salt: Vec<u8>,
    /// How often the hash is applied.
    pub iterations: u32,
    /// `H(HMAC(SaltedPassword, "Client Key"))`.
    pub stored_key: Vec<u8>,
    /// `HMAC(SaltedPassword, "Server Key")`.
    pub server_key: Vec<u8>,
}

impl ScramKeys {
    /// Iterations for new passwords (XEP-0438 §4 asks for 10 000 with SHA-1 at least).
    pub const ITERATIONS: u32 = 10_000;

    /// Makes the keys of a password; `iterations` of 0 count as 1.
    ///
    /// # Errors
    /// The password is empty or has characters that no password may have (RFC 8265 §4.2).
    pub fn derive(
        hash: Hash,
        password: &str,
        salt: &[u8],
        iterations: u32,
    ) -> Result<ScramKeys, JidError> {
        let password = prepare_password(password)?;
        let rounds = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
        let salted = zeroize::Zeroizing::new(hash.stretch(&password, salt, rounds));
        Ok(ScramKeys::from_salted(hash, &salted, salt, rounds.get()))
    }

    /// The keys of a password that was stretched already: `SaltedPassword` of RFC 5802 §3.
    pub(crate) fn from_salted(
        hash: Hash,
        salted: &[u8],
        salt: &[u8],
        iterations: u32,
    ) -> ScramKeys {
        let client_key = zeroize::Zeroizing::new(hash.hmac(salted, b"Client Key"));
        ScramKeys {
            hash,
            salt: salt.to_vec(),
            iterations,
            stored_key: hash.digest(&client_key),
            server_key: hash.hmac(salted, b"Server Key"),
        }
    }

    /// Whether this is the password, for PLAIN and for the admin's own checks.
    pub fn verify_plain(&self, password: &str) -> bool {
        ScramKeys::derive(self.hash, password, &self.salt, self.iterations)
            .is_ok_and(|keys| same(&keys.stored_key, &self.stored_key))
    }

    /// Stable keys for an account that does not exist: nobody can prove them, and asking twice
    /// shows the same salt, so that existing accounts cannot be told from others.
    pub(crate) fn fake(hash: Hash, secret: &[u8], account: &str, iterations: u32) -> ScramKeys {
        let seed = |purpose: &str| {
            let text = [purpose, "\0", hash.name(), "\0", account].concat();
            Hash::Sha512.hmac(secret, text.as_bytes())
        };
        let mut salt = seed("salt");
        salt.truncate(16);
        let mut stored_key = seed("stored");
        stored_key.truncate(hash.output_len());
        let mut server_key = seed("server");
        server_key.truncate(hash.output_len());
        ScramKeys { hash, salt, iterations, stored_key, server_key }
    }
}

impl fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramKeys")
            .field("hash", &self.hash)
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

/// Compares secrets in constant time.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_passwords_are_verified_by_their_keys() {
        for hash in Hash::ALL {
            let keys = ScramKeys::derive(hash, "pencil", b"salt", 10).unwrap();
            assert!(keys.verify_plain("pencil"));
            assert!(!keys.verify_plain("Pencil"));
            assert!(!keys.verify_plain(""));
        }
    }

    #[test]
    fn fake_keys_are_stable_and_differ_by_account_and_hash() {
        let fake = |hash, account| ScramKeys::fake(hash, &[7; 32], account, 10);
        assert_eq!(fake(Hash::Sha1, "a@b"), fake(Hash::Sha1, "a@b"));
        assert_ne!(fake(Hash::Sha1, "a@b").salt, fake(Hash::Sha1, "c@b").salt);
        assert_ne!(fake(Hash::Sha1, "a@b").salt, fake(Hash::Sha256, "a@b").salt);
        assert_eq!(fake(Hash::Sha512, "a@b").stored_key.len(), 64);
    }

    #[test]
    fn debug_output_shows_no_key() {
        let keys = ScramKeys::derive(Hash::Sha1, "pencil", b"salt", 10).unwrap();
        assert!(!format!("{keys:?}").contains("stored_key"));
    }
}
