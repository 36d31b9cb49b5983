//! Who we are, to the push services of browsers: VAPID (RFC 8292).

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use waxwing_store::StoreError;
use waxwing_store::domains::secrets::Secrets;

/// How long a token is good (seconds). §2: the expiry "MUST NOT be more than 24 hours from the
/// time of the request"; clocks differ.
const TOKEN_SECONDS: u64 = 12 * 60 * 60;

/// The key pair of a server, made once and kept.
pub(super) struct Vapid {
    key: EcdsaKeyPair,
    /// As browsers want it (§3.2): an uncompressed point, base64url.
    public: String,
}

impl Vapid {
    /// The key of the host called `domain`.
    pub(super) async fn obtain(secrets: &Secrets, domain: &str) -> Result<Self, StoreError> {
        let corrupt = |what: &str| StoreError::Corrupt(format!("the VAPID key {what}"));
        let fresh =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        let fresh = fresh.map_err(|_| corrupt("cannot be made"))?;
        let kept = secrets.obtain(&format!("vapid {domain}"), fresh.as_ref()).await?;
        Self::from_pkcs8(&kept).ok_or_else(|| corrupt("cannot be read"))
    }

    fn from_pkcs8(pkcs8: &[u8]) -> Option<Self> {
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).ok()?;
        let public = URL_SAFE_NO_PAD.encode(key.public_key().as_ref());
        Some(Self { key, public })
    }

    /// The public key: what a browser must be given as `applicationServerKey`.
    pub(super) fn public(&self) -> &str {
        &self.public
    }

    /// §3: the `Authorization` field of a request to `origin` at `now` (Unix seconds), by the
    /// server whose operator is reached at `contact`.
    pub(super) fn authorization(&self, origin: &str, contact: &str, now: u64) -> Option<String> {
        let head = json!({ "typ": "JWT", "alg": "ES256" });
        let claims = json!({ "aud": origin, "exp": now + TOKEN_SECONDS, "sub": contact });
        let encoded = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encoded(head), encoded(claims));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).ok()?;
        let signature = URL_SAFE_NO_PAD.encode(signature.as_ref());
        Some(format!("vapid t={signed}.{signature}, k={}", self.public))
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    /// §2, and §3: "the push service verifies that the token is signed by the key in "k"".
    #[test]
    fn a_token_says_who_we_are_and_for_whom_it_is() {
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
                .unwrap();
        let vapid = Vapid::from_pkcs8(pkcs8.as_ref()).unwrap();
        let field = vapid.authorization("https://push.example.net", "mailto:a@b", 1_000_000);
        let field = field.unwrap();
        let rest = field.strip_prefix("vapid t=").unwrap();
        let (token, key) = rest.split_once(", k=").unwrap();
        assert_eq!(key, vapid.public());
        let key = URL_SAFE_NO_PAD.decode(key).unwrap();
        assert_eq!((key.len(), key[0]), (65, 4));
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let verify = |text: &str| {
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &key)
                .verify(text.as_bytes(), &signature)
        };
        verify(signed).unwrap();
        verify(&format!("{signed}x")).unwrap_err();
        let part = |index| {
            let part = signed.split('.').nth(index).unwrap();
            let json = URL_SAFE_NO_PAD.decode(part).unwrap();
            serde_json::from_slice::<serde_json::Value>(&json).unwrap()
        };
        assert_eq!(part(0), json!({ "typ": "JWT", "alg": "ES256" }));
        let claims = json!({
            "aud": "https://push.example.net", "exp": 1_043_200, "sub": "mailto:a@b"
        });
        assert_eq!(part(1), claims);
    }
}
