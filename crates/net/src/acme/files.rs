//! What is kept for each domain: the certificate with its key, and how the last order went.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::Challenge;
use super::schedule::Span;
use crate::tls;

/// A certificate that was got earlier.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) der: CertificateDer<'static>,
    /// In lower case.
    pub(super) names: Vec<String>,
    pub(super) span: Span,
    /// Drawn once for each certificate.
    pub(super) draw: u32,
}

/// How the orders for a domain went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Notes {
    /// Names that the authority could not see, and why.
    pub(super) left_out: BTreeMap<String, String>,
    /// Failures since the last certificate.
    pub(super) failures: u32,
    /// No order before (Unix seconds).
    pub(super) next_at: i64,
    /// Why the last order failed; empty if it did not.
    pub(super) trouble: String,
    /// What worked the last time.
    pub(super) challenge: Option<Challenge>,
}

/// Where the certificate of a domain (an A-label) is kept, with its key.
pub fn certificate_file(folder: &Path, domain: &str) -> PathBuf {
    tls::pem_path(folder, domain)
}

/// Where a certificate is written before it is known to be good.
pub(super) fn fresh_file(folder: &Path, domain: &str) -> PathBuf {
    certificate_file(folder, domain).with_extension("fresh.pem")
}

fn notes_file(folder: &Path, domain: &str) -> PathBuf {
    certificate_file(folder, domain).with_extension("json")
}

/// Writes a file that only its owner may read, in one step, into a folder of the same kind.
pub(super) fn save(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    tls::save(path, text)
}

impl Held {
    /// The certificate of a domain; None if there is none that can be read.
    pub(super) fn read(folder: &Path, domain: &str) -> Option<Self> {
        let mut chain = CertificateDer::pem_file_iter(certificate_file(folder, domain)).ok()?;
        Self::new(chain.next()?.ok()?)
    }

    fn new(der: CertificateDer<'static>) -> Option<Self> {
        let (names, span) = {
            let (_, parsed) = X509Certificate::from_der(&der).ok()?;
            let validity = parsed.validity();
            let (from, until) = (validity.not_before.timestamp(), validity.not_after.timestamp());
            (tls::names(&parsed), Span { from, until })
        };
        let hash = digest::digest(&digest::SHA256, &der);
        let draw = hash.as_ref().first_chunk::<4>().map_or(0, |bytes| u32::from_be_bytes(*bytes));
        Some(Self { der, names, span, draw })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.names.iter().any(|held| held == name)
    }
}

impl Notes {
    /// What was noted; nothing if that cannot be read.
    pub(super) fn read(folder: &Path, domain: &str) -> Self {
        let text = fs::read_to_string(notes_file(folder, domain)).unwrap_or_default();
        let Ok(noted) = serde_json::from_str::<Value>(&text) else { return Self::default() };
        let left_out = noted["left_out"].as_object().into_iter().flatten();
        let left_out =
            left_out.map(|(name, why)| (name.clone(), why.as_str().unwrap_or_default().to_owned()));
        let failures = noted["failures"].as_u64().and_then(|count| u32::try_from(count).ok());
        Self {
            left_out: left_out.collect(),
            failures: failures.unwrap_or_default(),
            next_at: noted["next_at"].as_i64().unwrap_or_default(),
            trouble: noted["trouble"].as_str().unwrap_or_default().to_owned(),
            challenge: noted["challenge"].as_str().and_then(Challenge::from_word),
        }
    }

    /// Notes it for the time after a restart. What cannot be written is only remembered.
    pub(super) fn keep(&self, folder: &Path, domain: &str) {
        let noted = json!({
            "left_out": self.left_out,
            "failures": self.failures,
            "next_at": self.next_at,
            "trouble": self.trouble,
            "challenge": self.challenge.map(Challenge::word),
        });
        let path = notes_file(folder, domain);
        if let Err(error) = save(&path, &format!("{noted:#}\n")) {
            tracing::warn!(%error, file = %path.display(), "how the order went is not kept");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_noted_is_read_again_and_nobody_else_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("acme");
        assert_eq!(Notes::read(&folder, "a.example"), Notes::default());
        let notes = Notes {
            left_out: BTreeMap::from([("rooms.a.example".to_owned(), "no address".to_owned())]),
            failures: 3,
            next_at: 17,
            trouble: "It is \"down\".".to_owned(),
            challenge: Some(Challenge::TlsAlpn01),
        };
        notes.keep(&folder, "a.example");
        assert_eq!(Notes::read(&folder, "a.example"), notes);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&notes_file(&folder, "a.example")), 0o600);
        fs::write(notes_file(&folder, "a.example"), "{").unwrap();
        assert_eq!(Notes::read(&folder, "a.example"), Notes::default());
    }
}
