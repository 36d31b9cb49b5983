//! One certificate with its key: loaded from PEM files, judged, and ready for connections.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use aws_lc_rs::digest;
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

use super::binding;
use super::error::TlsError;

/// Whole days until a certificate in DER expires, negative when it has; none when it is not a
/// certificate.
pub fn days_left(der: &[u8]) -> Option<i64> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(days_until(certificate.validity().not_after.timestamp()))
}

fn days_until(seconds: i64) -> i64 {
    (seconds - ASN1Time::now().timestamp()).div_euclid(86_400)
}

/// A certificate chain and its private key.
pub(crate) struct Identity {
    pub(crate) certified: Arc<CertifiedKey>,
    /// The lower-case names it is for, as the certificate says; some start with `*.`.
    pub(crate) names: Vec<String>,
    /// The `tls-server-end-point` channel binding, where it is defined.
    pub(crate) end_point: Option<Vec<u8>>,
    /// Unix seconds of its last moment.
    pub(crate) expires_at: i64,
    /// Where it came from.
    pub(crate) chain_path: PathBuf,
}

/// When a file was last seen to change; a renewed certificate has another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    path: PathBuf,
    seen: Option<(SystemTime, u64)>,
}

impl Stamp {
    pub(crate) fn of(path: &Path) -> Self {
        let seen =
            fs::metadata(path).ok().and_then(|facts| Some((facts.modified().ok()?, facts.len())));
        Self { path: path.to_owned(), seen }
    }

    pub(crate) fn is_current(&self) -> bool {
        *self == Self::of(&self.path)
    }
}

impl Identity {
    /// Loads a chain (the server's certificate first) and its key, which may be one file.
    pub(crate) fn load(
        chain_path: &Path,
        key_path: &Path,
        provider: &CryptoProvider,
    ) -> Result<Self, TlsError> {
        let chain = certificates(chain_path)?;
        readable(key_path)?;
        let key = PrivateKeyDer::from_pem_file(key_path)
            .map_err(|error| TlsError::Pem(key_path.to_owned(), "private key", error))?;
        let refused = |reason: String| TlsError::Refused(chain_path.to_owned(), reason);
        let (_, leaf) = X509Certificate::from_der(&chain[0])
            .map_err(|error| refused(format!("not a certificate ({error})")))?;
        if !leaf.validity().is_valid() {
            let validity = leaf.validity();
            return Err(TlsError::Expired {
                chain: chain_path.to_owned(),
                validity: format!("from {} to {}", validity.not_before, validity.not_after),
            });
        }
        let (names, expires_at) = (names(&leaf), leaf.validity().not_after.timestamp());
        let end_point = binding::end_point(&leaf, &chain[0]);
        let certified =
            CertifiedKey::from_der(chain.clone(), key, provider).map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => {
                    TlsError::Mismatch { chain: chain_path.to_owned(), key: key_path.to_owned() }
                }
                error => TlsError::Refused(key_path.to_owned(), error.to_string()),
            })?;
        let chain_path = chain_path.to_owned();
        Ok(Self { certified: Arc::new(certified), names, end_point, expires_at, chain_path })
    }

    /// SHA-256 of the certificate: `AB:CD:…`.
    pub(crate) fn fingerprint(&self) -> String {
        let hash = digest::digest(&digest::SHA256, &self.certified.cert[0]);
        let bytes: Vec<_> = hash.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        bytes.join(":")
    }

    /// Days until it expires; negative when it has.
    pub(crate) fn days_left(&self) -> i64 {
        days_until(self.expires_at)
    }
}

/// All certificates in a PEM file, at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    readable(path)?;
    let wrong = |error| TlsError::Pem(path.to_owned(), "certificate", error);
    let chain = CertificateDer::pem_file_iter(path)
        .and_then(|items| items.collect::<Result<Vec<_>, _>>())
        .map_err(wrong)?;
    if chain.is_empty() {
        return Err(wrong(rustls_pki_types::pem::Error::NoItemsFound));
    }
    Ok(chain)
}

/// A file that is not there deserves a better word than a PEM error.
fn readable(path: &Path) -> Result<(), TlsError> {
    fs::File::open(path).map(drop).map_err(|error| TlsError::File(path.to_owned(), error))
}

/// The DNS names and addresses of a certificate, lower case.
pub(crate) fn names(leaf: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(alternatives)) = leaf.subject_alternative_name() else { return Vec::new() };
    let names = alternatives.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    names.collect()
}
