//! Tokens, good and forged.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256,
    RsaPublicKeyComponents,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::*;

const NOW: i64 = 1_769_860_800;
const SECRET: &[u8] = b"what light through yonder window breaks";

fn encode(data: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(data)
}

fn token(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let text = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
    let signature = encode(sign(text.as_bytes()));
    format!("{text}.{signature}")
}

fn by_secret(secret: &[u8]) -> impl Fn(&[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    move |text| hmac::sign(&key, text).as_ref().to_vec()
}

fn by_rsa(key: &RsaKeyPair) -> impl Fn(&[u8]) -> Vec<u8> {
    move |text| {
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature).unwrap();
        signature
    }
}

fn by_curve(key: &EcdsaKeyPair) -> impl Fn(&[u8]) -> Vec<u8> {
    move |text| key.sign(&SystemRandom::new(), text).unwrap().as_ref().to_vec()
}

fn jwk_of_rsa(key: &RsaKeyPair, id: &str) -> Value {
    let parts = RsaPublicKeyComponents::<Vec<u8>>::from(key.public_key());
    json!({ "kty": "RSA", "kid": id, "use": "sig", "n": encode(parts.n), "e": encode(parts.e) })
}

fn jwk_of_curve(key: &EcdsaKeyPair, id: &str) -> Value {
    let point = key.public_key().as_ref();
    let (x, y) = point[1..].split_at(32);
    let (x, y) = (encode(x), encode(y));
    json!({ "kty": "EC", "kid": id, "alg": "ES256", "crv": "P-256", "x": x, "y": y })
}

fn curve() -> EcdsaKeyPair {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()
}

fn romeo() -> Value {
    json!({ "sub": "romeo", "exp": NOW + 60 })
}

/// Judges a token as the module does, with these keys.
fn judge(config: &JwtConfig, keys: &Keys, token: &str) -> Result<String, Denied> {
    let header = decode_header(token).map_err(|_| Denied::Malformed)?;
    let keys = keys.fitting(&header);
    let owner = Rules::new(config, "localhost").judge(token, &header, &keys, NOW)?;
    Ok(owner.to_string())
}

fn secret_keys() -> Keys {
    Keys::one(Key::of_secret(SECRET, &[Algorithm::Hs256]).unwrap())
}

/// The same for claims that are signed as they should be.
fn judge_claims(config: &JwtConfig, claims: &Value) -> Result<String, Denied> {
    let token = token(&json!({ "alg": "HS256" }), claims, by_secret(SECRET));
    judge(config, &secret_keys(), &token)
}

#[test]
fn a_token_counts_between_its_times_and_a_little_beyond() {
    let config = JwtConfig { leeway_seconds: 10, ..JwtConfig::default() };
    let at = |exp: Value, nbf: Value| {
        judge_claims(&config, &json!({ "sub": "romeo", "exp": exp, "nbf": nbf }))
    };
    let fine = Ok("romeo@localhost".to_owned());
    assert_eq!(at(json!(NOW + 1), json!(NOW)), fine);
    assert_eq!(at(json!(NOW as f64 - 8.5), json!(NOW + 10)), fine);
    assert_eq!(at(json!(NOW - 10), json!(0)), Err(Denied::Expired));
    assert_eq!(at(json!(NOW + 60), json!(NOW + 11)), Err(Denied::Early));
    assert_eq!(at(json!(NOW + 60), json!("soon")), Err(Denied::Early));
    for wrong in [json!("tomorrow"), json!(-1), json!(null)] {
        at(wrong, json!(0)).unwrap_err();
    }
    judge_claims(&config, &json!({ "sub": "romeo" })).unwrap_err();
}

#[test]
fn who_gave_it_out_and_for_whom_must_be_as_configured() {
    let config = JwtConfig {
        issuer: Some("https://id.example".into()),
        audience: vec!["chat".into()],
        scope: Some("xmpp:client:normal".into()),
        ..JwtConfig::default()
    };
    let whole = json!({
        "sub": "romeo", "exp": NOW + 60, "iss": "https://id.example", "aud": ["mail", "chat"],
        "scope": "openid xmpp:client:normal"
    });
    assert_eq!(judge_claims(&config, &whole), Ok("romeo@localhost".into()));
    for (claim, value, why) in [
        ("iss", json!("https://id.example/"), Denied::Issuer),
        ("iss", json!(["https://id.example"]), Denied::Issuer),
        ("iss", json!(null), Denied::Issuer),
        ("aud", json!("mail"), Denied::Audience),
        ("aud", json!([]), Denied::Audience),
        ("aud", json!(null), Denied::Audience),
        ("scope", json!("openid"), Denied::Scope),
        ("scope", json!("xmpp:client:normal2"), Denied::Scope),
        ("scope", json!(null), Denied::Scope),
    ] {
        let mut claims = whole.clone();
        claims[claim] = value;
        assert_eq!(judge_claims(&config, &claims), Err(why), "{claims}");
    }
    // Nobody said that this server is anybody in particular.
    let claims = json!({ "sub": "romeo", "exp": NOW + 60, "aud": "chat" });
    assert_eq!(judge_claims(&JwtConfig::default(), &claims), Err(Denied::Audience));
}

#[test]
fn claims_name_an_account_of_this_domain_or_none() {
    let with = |template: &str, claim: &str, value: Value| {
        let account = Template::new(template).unwrap();
        let mut claims = json!({ "exp": NOW + 60 });
        claims[claim] = value;
        judge_claims(&JwtConfig { account, ..JwtConfig::default() }, &claims)
    };
    assert_eq!(with("{sub}", "sub", json!("Romeo")), Ok("romeo@localhost".into()));
    assert_eq!(with("{email}", "email", json!("romeo@LOCALHOST")), Ok("romeo@localhost".into()));
    assert_eq!(with("x-{n}", "n", json!("7")), Ok("x-7@localhost".into()));
    for (claim, value) in [
        ("sub", json!("romeo@elsewhere.example")),
        ("sub", json!("romeo@localhost@localhost")),
        ("sub", json!("romeo@a@localhost")),
        ("sub", json!("")),
        ("sub", json!("@localhost")),
        ("sub", json!("ro/meo")),
        ("sub", json!("ro meo")),
        ("sub", json!(7)),
        ("name", json!("romeo")),
    ] {
        assert_eq!(with("{sub}", claim, value.clone()), Err(Denied::Nameless), "{value}");
    }
}

#[test]
fn an_address_that_nobody_has_verified_names_nobody() {
    let with = |template: &str, verified: Value| {
        let config =
            JwtConfig { account: Template::new(template).unwrap(), ..JwtConfig::default() };
        let mut claims = json!({ "exp": NOW + 60, "sub": "romeo", "email": "romeo@localhost" });
        claims["email_verified"] = verified;
        judge_claims(&config, &claims)
    };
    let fine = Ok("romeo@localhost".to_owned());
    assert_eq!(with("{email}", json!(true)), fine);
    assert_eq!(with("{email}", json!("true")), fine);
    for wrong in [json!(false), json!("false"), json!(null), json!(1)] {
        assert_eq!(with("{email}", wrong.clone()), Err(Denied::Nameless), "{wrong}");
        assert_eq!(with("{sub}", wrong), fine);
    }
}

#[test]
fn rsa_and_curves_from_a_set() {
    let (rsa, ec) = (RsaKeyPair::generate(KeySize::Rsa2048).unwrap(), curve());
    let pinned = JwtConfig::default().pinned();
    let set = json!({ "keys": [
        { "kty": "oct", "kid": "o", "k": encode(SECRET) },
        { "kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA" },
        { "nonsense": true },
        { "kty": "RSA", "kid": "enc", "use": "enc", "n": "AQAB", "e": "AQAB" },
        jwk_of_rsa(&rsa, "r"),
        jwk_of_curve(&ec, "e"),
    ]});
    let keys = Keys::read(set.to_string().as_bytes(), &pinned).unwrap();
    let (config, fine) = (JwtConfig::default(), Ok("romeo@localhost".to_owned()));
    let of = |header: Value, sign: &dyn Fn(&[u8]) -> Vec<u8>| {
        judge(&config, &keys, &token(&header, &romeo(), sign))
    };
    assert_eq!(of(json!({ "alg": "RS256", "kid": "r" }), &by_rsa(&rsa)), fine);
    assert_eq!(of(json!({ "alg": "ES256", "kid": "e" }), &by_curve(&ec)), fine);
    // Without a name every key that can is tried.
    assert_eq!(of(json!({ "alg": "ES256" }), &by_curve(&ec)), fine);
    // The name of another key, of a kind that signs otherwise, or of none.
    for header in [
        json!({ "alg": "RS256", "kid": "e" }),
        json!({ "alg": "RS256", "kid": "x" }),
        json!({ "alg": "PS256", "kid": "r" }),
        json!({ "alg": "HS256", "kid": "o" }),
    ] {
        assert_eq!(of(header.clone(), &by_rsa(&rsa)), Err(Denied::Unsigned), "{header}");
    }
    let secret = of(json!({ "alg": "HS256", "kid": "o" }), &by_secret(SECRET));
    assert_eq!(secret, Err(Denied::Unsigned), "a secret that is published is none");
    let other = of(json!({ "alg": "ES256", "kid": "e" }), &by_curve(&curve()));
    assert_eq!(other, Err(Denied::Unsigned));
    for wrong in
        ["", "{}", r#"{"keys":[]}"#, r#"{"keys":{}}"#, r#"{"keys":[{"kty":"oct","k":""}]}"#]
    {
        assert!(Keys::read(wrong.as_bytes(), &pinned).is_err(), "{wrong}");
    }
}

/// The oldest tricks: a token that says that it needs no signature, and one that is signed with the
/// public key as if that were a secret.
#[test]
fn a_token_does_not_choose_how_it_is_checked() {
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der = rsa.public_key().as_der().unwrap();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        STANDARD.encode(der.as_ref())
    );
    let (config, pinned) = (JwtConfig::default(), JwtConfig::default().pinned());
    let keys = Keys::one(Key::of_pem(pem.as_bytes(), &pinned).unwrap());
    let good = token(&json!({ "alg": "RS256" }), &romeo(), by_rsa(&rsa));
    assert_eq!(judge(&config, &keys, &good), Ok("romeo@localhost".into()));
    for name in ["none", "None", "NONE", "nOnE", ""] {
        let unsigned = token(&json!({ "alg": name }), &romeo(), |_| Vec::new());
        assert_eq!(judge(&config, &keys, &unsigned), Err(Denied::Malformed), "{name}");
    }
    for secret in [pem.as_bytes(), pem.trim_end().as_bytes(), der.as_ref()] {
        let confused = token(&json!({ "alg": "HS256" }), &romeo(), by_secret(secret));
        assert_eq!(judge(&config, &keys, &confused), Err(Denied::Unsigned));
    }
    // A key in the token's own header is nobody's.
    let ec = curve();
    let own = json!({ "alg": "ES256", "jwk": jwk_of_curve(&ec, "own") });
    assert!(judge(&config, &keys, &token(&own, &romeo(), by_curve(&ec))).is_err());
    let stripped = format!("{}.", good.rsplit_once('.').unwrap().0);
    assert_eq!(judge(&config, &keys, &stripped), Err(Denied::Unsigned));
    for broken in ["", ".", "..", "a.b.c", "eyJ", &good[1..], &format!("{good}.x")] {
        assert!(judge(&config, &keys, broken).is_err(), "{broken}");
    }
}

#[test]
fn keys_that_are_none_are_refused_at_the_start() {
    let pinned = [Algorithm::Hs256];
    assert!(Key::of_secret(b"short", &pinned).is_err());
    assert!(Key::of_pem(b"nothing", &JwtConfig::default().pinned()).is_err());
    let private = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let refused = Key::of_pem(private.as_bytes(), &JwtConfig::default().pinned());
    assert!(refused.is_err_and(|why| why.contains("private")));
}

#[test]
fn settings_that_confuse_keys_are_refused() {
    let url = || Some(Uri::new("https://id.example/keys").unwrap());
    let fine = JwtConfig { keys_url: url(), ..JwtConfig::default() };
    assert!(fine.check().is_ok() && JwtConfig::default().check().is_ok());
    let secret = || Some("s".repeat(32));
    for (key, wrong) in [
        ("secret", JwtConfig { secret: secret(), ..fine.clone() }),
        ("algorithms", JwtConfig { algorithms: vec![Algorithm::Hs256], ..fine.clone() }),
        (
            "algorithms",
            JwtConfig {
                secret: secret(),
                algorithms: vec![Algorithm::Hs256, Algorithm::Rs256],
                ..JwtConfig::default()
            },
        ),
        ("account", JwtConfig { account: Template::new("all").unwrap(), ..fine.clone() }),
        ("keys_url", JwtConfig { keys_url: Uri::new("http://id.example").ok(), ..fine.clone() }),
    ] {
        assert_eq!(wrong.check().unwrap_err().key, key);
    }
}
