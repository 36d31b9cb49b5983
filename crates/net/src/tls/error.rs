//! What can be wrong with certificates, said with the file's name and the remedy.

use std::fmt;
use std::path::PathBuf;

/// Why TLS cannot be set up.
#[derive(Debug)]
pub enum TlsError {
    /// A file is missing, unreadable or unwritable.
    File(PathBuf, std::io::Error),
    /// A file holds no PEM of the kind it should.
    Pem(PathBuf, &'static str, rustls_pki_types::pem::Error),
    /// A certificate or key that rustls or the parser refuses.
    Refused(PathBuf, String),
    /// The key belongs to another certificate.
    Mismatch {
        /// The certificate chain.
        chain: PathBuf,
        /// The private key.
        key: PathBuf,
    },
    /// The certificate's time is over, or has not begun.
    Expired {
        /// The certificate chain.
        chain: PathBuf,
        /// From when to when it is valid.
        validity: String,
    },
    /// A self-signed certificate could not be made.
    Generate(String, String),
    /// A listener asks for client certificates, but no authority to check them is configured.
    NoAuthority,
    /// No domain and no certificate was given.
    NoDomain,
}

impl std::error::Error for TlsError {}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, error) => write!(
                f,
                "{}: {error}. Check that the file exists and that the server's user may use it.",
                path.display()
            ),
            Self::Pem(path, what, error) => write!(
                f,
                "{}: no {what} in PEM form found ({error}). The file should hold a block \
                 '-----BEGIN …-----'.",
                path.display()
            ),
            Self::Refused(path, reason) => write!(
                f,
                "{}: {reason}. Have the certificate issued again, with an ECDSA or RSA key.",
                path.display()
            ),
            Self::Mismatch { chain, key } => write!(
                f,
                "The key {} does not belong to the first certificate in {}. Point both settings \
                 at the files of one certificate, the server's own certificate first in the chain.",
                key.display(),
                chain.display()
            ),
            Self::Expired { chain, validity } => write!(
                f,
                "{}: the certificate is valid {validity} only, and not now. Renew it, or check \
                 the machine's clock.",
                chain.display()
            ),
            Self::Generate(domain, reason) => write!(
                f,
                "No self-signed certificate could be made for '{domain}': {reason}. Configure a \
                 certificate for it."
            ),
            Self::NoAuthority => f.write_str(
                "A listener asks for client certificates, but no file with the certificates of \
                 the authorities that issue them is configured.",
            ),
            Self::NoDomain => f.write_str("TLS needs at least one domain."),
        }
    }
}
