//! The certificate of the first minutes: self-signed, kept in the data folder, renewed in time.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256,
};
use rustls::crypto::CryptoProvider;
use x509_parser::time::ASN1Time;

use super::error::TlsError;
use super::identity::Identity;

/// How long a generated certificate lasts.
const VALID_DAYS: u64 = 365;
/// With fewer days left it is made anew.
pub(super) const RENEW_DAYS: i64 = 30;
const DAY: Duration = Duration::from_secs(86_400);

/// The certificate that stands in for `domain` (an A-label) until one is configured: what lies in
/// `folder`, or a new one when that is missing, unreadable, or near its end.
///
/// Key and certificate share one file, so that a crash never separates them.
pub(crate) fn identity(
    folder: &Path,
    domain: &str,
    provider: &CryptoProvider,
) -> Result<Identity, TlsError> {
    let path = path(folder, domain);
    if let Ok(kept) = Identity::load(&path, &path, provider)
        && kept.days_left() >= RENEW_DAYS
    {
        return Ok(kept);
    }
    let pem = generate(domain)
        .map_err(|error| TlsError::Generate(domain.to_owned(), error.to_string()))?;
    save(&path, &pem).map_err(|error| TlsError::File(path.clone(), error))?;
    tracing::info!(file = %path.display(), domain, "made a self-signed certificate");
    Identity::load(&path, &path, provider)
}

/// Where the generated certificate of a domain lies.
pub(crate) fn path(folder: &Path, domain: &str) -> PathBuf {
    let name: String = domain
        .chars()
        .map(|char| if char.is_ascii_alphanumeric() || ".-".contains(char) { char } else { '_' })
        .collect();
    folder.join(format!("{}.pem", name.trim_start_matches('.')))
}

/// A new ECDSA P-256 key and its certificate, both in PEM.
fn generate(domain: &str) -> Result<String, rcgen::Error> {
    let mut names = vec![domain.trim_matches(['[', ']']).to_owned()];
    for local in ["localhost", "127.0.0.1", "::1"] {
        if domain != local {
            names.push(local.to_owned());
        }
    }
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, domain);
    params.distinguished_name.push(DnType::OrganizationName, "Waxwing, self-signed");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let now = ASN1Time::now().to_datetime();
    // Clients' clocks may be behind.
    params.not_before = now - DAY;
    params.not_after = now + DAY * VALID_DAYS as u32;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let certificate = params.self_signed(&key)?;
    Ok(certificate.pem() + &key.serialize_pem())
}

/// Writes a file that only its owner may read, in one step.
pub(crate) fn save(path: &Path, pem: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let draft = path.with_extension("pem.new");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft)?;
    file.write_all(pem.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, path)
}
