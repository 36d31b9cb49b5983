//! Keys that tokens are signed with, each bound to what it may sign.

use std::sync::Arc;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm as Signature, DecodingKey, Header};

use super::Algorithm;

/// Keys of one set that are looked at; RFC 7517 knows no limit.
const KEYS: usize = 64;
/// Keys that one token is tried with, where it does not name its own.
const TRIED: usize = 16;
/// RFC 7518 §3.2: "A key of the same size as the hash output … or larger MUST be used".
const SECRET_BYTES: usize = 32;

/// How one kind of key is read.
type ReadPem = fn(&[u8]) -> jsonwebtoken::errors::Result<DecodingKey>;

/// One key.
pub(super) struct Key {
    /// Its name among others.
    id: Option<String>,
    /// What it may have signed with; never both secrets and public keys.
    algorithms: Vec<Signature>,
    pub(super) key: DecodingKey,
}

impl Key {
    /// A secret that both sides share.
    ///
    /// # Errors
    /// It is too short to be one.
    pub(super) fn of_secret(secret: &[u8], pinned: &[Algorithm]) -> Result<Self, String> {
        if secret.len() < SECRET_BYTES {
            return Err(format!("the secret must have {SECRET_BYTES} bytes at least"));
        }
        let algorithms = of(pinned, &HMAC);
        Ok(Self { id: None, algorithms, key: DecodingKey::from_secret(secret) })
    }

    /// A public key in PEM.
    ///
    /// # Errors
    /// It is none, or none that can have signed what is allowed.
    pub(super) fn of_pem(pem: &[u8], pinned: &[Algorithm]) -> Result<Self, String> {
        if String::from_utf8_lossy(pem).contains("PRIVATE KEY") {
            return Err("`key_file` holds a private key; only the public one is needed, and \
                        nobody else should have the other"
                .to_owned());
        }
        let kinds: [(ReadPem, &[Signature]); 3] = [
            (DecodingKey::from_rsa_pem, &RSA),
            (DecodingKey::from_ec_pem, &EC),
            (DecodingKey::from_ed_pem, &ED),
        ];
        let found = kinds.into_iter().find_map(|(read, can)| Some((read(pem).ok()?, can)));
        let (key, can) = found.ok_or("`key_file` holds no public key in PEM")?;
        let algorithms = of(pinned, can);
        if algorithms.is_empty() {
            return Err("the key in `key_file` signs by none of the `algorithms`".to_owned());
        }
        Ok(Self { id: None, algorithms, key })
    }

    /// A published key. None where it is not for signatures that are allowed; secrets are never
    /// published.
    fn of_jwk(jwk: &Jwk, pinned: &[Algorithm]) -> Option<Self> {
        let can: &[Signature] = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => &RSA,
            AlgorithmParameters::EllipticCurve(key) => match key.curve {
                EllipticCurve::P256 => &[Signature::ES256],
                EllipticCurve::P384 => &[Signature::ES384],
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => &ED,
            _ => return None,
        };
        if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
            return None;
        }
        let mut algorithms = of(pinned, can);
        if let Some(only) = jwk.common.key_algorithm {
            algorithms.retain(|algorithm| KeyAlgorithm::from(*algorithm) == only);
        }
        let key = DecodingKey::from_jwk(jwk).ok().filter(|_| !algorithms.is_empty())?;
        Some(Self { id: jwk.common.key_id.clone(), algorithms, key })
    }
}

/// Several keys.
#[derive(Default)]
pub(super) struct Keys(Vec<Arc<Key>>);

impl Keys {
    pub(super) fn one(key: Key) -> Self {
        Self(vec![Arc::new(key)])
    }

    /// Reads a JWK Set (RFC 7517 §5): "Implementations SHOULD ignore JWKs within a JWK Set that use
    /// "kty" (key type) values that are not understood by them".
    ///
    /// # Errors
    /// It is none, or has no key that could be used.
    pub(super) fn read(json: &[u8], pinned: &[Algorithm]) -> Result<Self, &'static str> {
        let set: serde_json::Value = serde_json::from_slice(json).map_err(|_| "it is no JSON")?;
        let keys = set.get("keys").and_then(|keys| keys.as_array()).ok_or("it has no `keys`")?;
        let read = |key: &serde_json::Value| {
            let jwk = serde_json::from_value::<Jwk>(key.clone()).ok()?;
            Key::of_jwk(&jwk, pinned).map(Arc::new)
        };
        let keys: Vec<_> = keys.iter().take(KEYS).filter_map(read).collect();
        if keys.is_empty() {
            Err("it has no key for the algorithms allowed")
        } else {
            Ok(Self(keys))
        }
    }

    /// Those that may have signed a token with this header. One that names its key was signed with
    /// that, where keys have names.
    pub(super) fn fitting(&self, header: &Header) -> Vec<Arc<Key>> {
        let fits = |key: &&Arc<Key>| {
            let is_it = match (&header.kid, &key.id) {
                (Some(wanted), Some(id)) => wanted == id,
                _ => true,
            };
            is_it && key.algorithms.contains(&header.alg)
        };
        self.0.iter().filter(fits).take(TRIED).cloned().collect()
    }
}

const HMAC: [Signature; 3] = [Signature::HS256, Signature::HS384, Signature::HS512];
const RSA: [Signature; 6] = [
    Signature::RS256,
    Signature::RS384,
    Signature::RS512,
    Signature::PS256,
    Signature::PS384,
    Signature::PS512,
];
const EC: [Signature; 2] = [Signature::ES256, Signature::ES384];
const ED: [Signature; 1] = [Signature::EdDSA];

/// What of `pinned` a kind of key can do.
fn of(pinned: &[Algorithm], can: &[Signature]) -> Vec<Signature> {
    pinned.iter().map(|algorithm| name(*algorithm)).filter(|name| can.contains(name)).collect()
}

fn name(algorithm: Algorithm) -> Signature {
    match algorithm {
        Algorithm::Rs256 => Signature::RS256,
        Algorithm::Rs384 => Signature::RS384,
        Algorithm::Rs512 => Signature::RS512,
        Algorithm::Ps256 => Signature::PS256,
        Algorithm::Ps384 => Signature::PS384,
        Algorithm::Ps512 => Signature::PS512,
        Algorithm::Es256 => Signature::ES256,
        Algorithm::Es384 => Signature::ES384,
        Algorithm::EdDsa => Signature::EdDSA,
        Algorithm::Hs256 => Signature::HS256,
        Algorithm::Hs384 => Signature::HS384,
        Algorithm::Hs512 => Signature::HS512,
    }
}
