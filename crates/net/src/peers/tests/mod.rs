//! Certificates made for the test, judged and shown.

mod dialling;
mod judging;

use std::fs;
use std::path::Path;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    OtherNameValue, SanType,
};
use rustls_pki_types::{CertificateDer, UnixTime};
use time::OffsetDateTime;

/// 1 January 2030, the day of the tests that need one.
const TODAY: i64 = 1_893_456_000;
const DAY: i64 = 86_400;

fn today() -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(TODAY as u64))
}

/// An authority.
struct Authority {
    params: CertificateParams,
    key: KeyPair,
    der: CertificateDer<'static>,
}

/// A certificate with its key and those above it.
struct Issued {
    chain: Vec<Vec<u8>>,
    key: KeyPair,
}

fn authority(name: &str, change: impl Fn(&mut CertificateParams)) -> Authority {
    let (params, key) = above(name, change);
    let der = params.self_signed(&key).unwrap().der().clone();
    Authority { params, key, der }
}

fn above(name: &str, change: impl Fn(&mut CertificateParams)) -> (CertificateParams, KeyPair) {
    let mut params = params(&[]);
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    change(&mut params);
    (params, KeyPair::generate().unwrap())
}

/// For servers of `names`, from 2029 to 2031.
fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.not_before = OffsetDateTime::from_unix_timestamp(TODAY - 365 * DAY).unwrap();
    params.not_after = OffsetDateTime::from_unix_timestamp(TODAY + 365 * DAY).unwrap();
    params
}

fn with(names: &[&str], change: impl Fn(&mut CertificateParams)) -> CertificateParams {
    let mut params = params(names);
    change(&mut params);
    params
}

fn used_for(uses: &[ExtendedKeyUsagePurpose]) -> impl Fn(&mut CertificateParams) {
    move |params| params.extended_key_usages = uses.to_vec()
}

/// A name that is no domain: `id-on-xmppAddr` is 5, `id-on-dnsSRV` is 7.
fn other_name(kind: u64, text: &str) -> SanType {
    let oid = vec![1, 3, 6, 1, 5, 5, 7, 8, kind];
    SanType::OtherName((oid, OtherNameValue::Utf8String(text.to_owned())))
}

impl Authority {
    fn issue(&self, params: &CertificateParams) -> Issued {
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = params.signed_by(&key, &issuer).unwrap();
        Issued { chain: vec![certificate.der().to_vec()], key }
    }

    /// An authority below this one, and its certificate.
    fn below(&self, name: &str, change: impl Fn(&mut CertificateParams)) -> Authority {
        let (params, key) = above(name, change);
        let issuer = Issuer::from_params(&self.params, &self.key);
        let der = params.signed_by(&key, &issuer).unwrap().der().clone();
        Authority { params, key, der }
    }
}

impl Issued {
    fn itself(params: &CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { chain: vec![certificate.der().to_vec()], key }
    }

    fn under(mut self, authority: &Authority) -> Self {
        self.chain.push(authority.der.to_vec());
        self
    }

    /// Writes `NAME.crt` and `NAME.key`, in PEM.
    fn save(&self, folder: &Path, name: &str) -> crate::Certificate {
        let (chain, key) = (folder.join(format!("{name}.crt")), folder.join(format!("{name}.key")));
        fs::write(&chain, pem(&self.chain)).unwrap();
        fs::write(&key, self.key.serialize_pem()).unwrap();
        crate::Certificate { chain, key }
    }
}

fn pem(chain: &[Vec<u8>]) -> String {
    use base64::Engine;
    let encode = |der: &Vec<u8>| base64::engine::general_purpose::STANDARD.encode(der);
    let block =
        |text: String| format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
    chain.iter().map(|der| block(encode(der))).collect()
}
