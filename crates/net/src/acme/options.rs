//! What certificates are got by, as the operator decided.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// The most names in one certificate: what Let's Encrypt takes.
pub const NAMES_MAX: usize = 100;

/// How it is proven that a name leads here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// By a page on port 80 (RFC 8555 §8.3).
    Http01,
    /// By a certificate on port 443 (RFC 8737).
    TlsAlpn01,
}

/// A kind of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
    /// RSA, 2048 bits.
    Rsa2048,
    /// RSA, 4096 bits.
    Rsa4096,
}

/// A certificate that there should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The domain, an A-label.
    pub domain: String,
    /// The names that must be in it, A-labels, the domain first.
    pub names: Vec<String>,
    /// Names that are left out when the authority cannot see them.
    pub services: Vec<String>,
}

/// What certificates are got by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmeOptions {
    /// Whether any is.
    pub is_on: bool,
    /// The address of the authority's directory.
    pub directory: String,
    /// Where it may write to, such as `mailto:admin@example.org`.
    pub contacts: Vec<String>,
    /// Whether the operator agrees to its terms.
    pub terms_agreed: bool,
    /// The name and the key of an account there (RFC 8555 §7.3.4).
    pub external: Option<(String, Vec<u8>)>,
    /// PEM: who vouches for the authority itself; whom this machine trusts if absent.
    pub authorities: Option<PathBuf>,
    /// How names are proven, the way to begin with first; one or two.
    pub challenges: Vec<Challenge>,
    /// The keys of new certificates.
    pub key: KeyKind,
    /// Where accounts, certificates and keys are kept.
    pub folder: PathBuf,
    /// What there should be.
    pub orders: Vec<Wanted>,
    /// How long one order may take.
    pub order_time: Duration,
    /// How long it is waited after the first failure.
    pub retry: Duration,
}

impl Challenge {
    /// As it is called in RFC 8555 and RFC 8737.
    pub fn word(self) -> &'static str {
        match self {
            Self::Http01 => "http-01",
            Self::TlsAlpn01 => "tls-alpn-01",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Self> {
        [Self::Http01, Self::TlsAlpn01].into_iter().find(|challenge| challenge.word() == word)
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
