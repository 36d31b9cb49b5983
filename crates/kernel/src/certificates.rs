//! The certificates that the server shows. Files, keys and authorities belong to the network layer;
//! here are the words that both sides speak.

use std::sync::Arc;

use crate::hub::Hub;
use crate::request::Answer;

/// Whoever keeps the certificates of the server.
pub trait CertificateKeeper: Send + Sync {
    /// What is shown for each domain that is served, in the order of the configuration.
    fn list(&self) -> Vec<ShownCertificate>;
    /// Orders a new certificate for a domain now, whatever the old one is like. Answers when it is
    /// in use, in words, or says why there is none.
    fn renew(&self, domain: &str) -> Answer<'static, Result<String, String>>;
}

/// Where a certificate comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateSource {
    /// From files that the operator named.
    File,
    /// From an authority that speaks ACME.
    Authority,
    /// Self-signed, until there is another.
    Own,
}

impl CertificateSource {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Authority => "acme",
            Self::Own => "self-signed",
        }
    }
}

/// What is shown for one domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownCertificate {
    /// The domain.
    pub domain: String,
    /// The names in the certificate.
    pub names: Vec<String>,
    /// Where it comes from.
    pub source: CertificateSource,
    /// Its last moment (milliseconds of Unix time).
    pub until_millis: u64,
    /// When a new one is ordered (milliseconds of Unix time), if anybody does.
    pub renewal_millis: Option<u64>,
    /// SHA-256 of it, as clients show it.
    pub fingerprint: String,
    /// What went wrong the last time that one was ordered, and what to do; empty if all is well.
    pub trouble: String,
}

impl Hub {
    /// Says who keeps the certificates. The first word counts.
    pub fn keep_certificates_with(&self, keeper: Arc<dyn CertificateKeeper>) {
        let _ = self.outside().keeper.set(keeper);
    }

    /// Who keeps the certificates, if anybody does.
    pub fn certificates(&self) -> Option<&Arc<dyn CertificateKeeper>> {
        self.outside().keeper.get()
    }
}
