//! Certificates that the DNS names (DANE: RFC 6698, RFC 7671, and RFC 7673 for names with SRV
//! records), and those that a domain names over HTTPS (POSH: RFC 7711) or in host-meta (XEP-0487).

use aws_lc_rs::digest::{SHA256, SHA512, digest};
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::identity::Reference;
use super::judge::{Judge, Role, Shown};
use super::reproach::Reproach;
use crate::names::{Fingerprint, Posh, Tlsa};

/// What TLSA records say of a certificate.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Dane {
    /// There is none that could be used: everything is as without DANE.
    Silent,
    /// One vouches for it.
    Proven,
    /// There are some, and none vouches for it.
    Contradicts,
}

/// Asks the records `tlsa`, which DNSSEC proves, about `shown`. `whom` are the domain and the
/// server's host (RFC 7673 §4.2).
pub(crate) fn ask(
    tlsa: &[Tlsa],
    judge: &Judge,
    shown: &Shown<'_>,
    whom: &[Reference],
    (role, now): (Role, UnixTime),
) -> Dane {
    let mut answer = Dane::Silent;
    for record in tlsa.iter().filter(|record| is_usable(record)) {
        let says = match record.usage {
            // RFC 7671 §5.1: with DANE-EE neither names nor the time matter.
            3 => record.matches(&shown.chain()[0]),
            // RFC 7671 §5.2: the authority is in the chain, and everything else is checked.
            2 => shown.chain()[1..].iter().any(|authority| {
                record.matches(authority)
                    && judge.judge_by(authority, shown, whom, (role, now)).is_ok()
            }),
            _ => {
                let found = match record.usage {
                    1 => record.matches(&shown.chain()[0]),
                    _ => shown.chain()[1..].iter().any(|authority| record.matches(authority)),
                };
                let is_valid = judge.judge(shown, whom, (role, now)).is_ok();
                // The authority may be one that the chain ends before. It is valid all the same.
                if record.usage == 0 && is_valid && !found {
                    continue;
                }
                found && is_valid
            }
        };
        if says {
            return Dane::Proven;
        }
        answer = Dane::Contradicts;
    }
    answer
}

/// RFC 7671 §4: what we cannot use is as if it were not there.
fn is_usable(record: &Tlsa) -> bool {
    let is_whole = match record.matching {
        0 => !record.data.is_empty(),
        1 => record.data.len() == 32,
        2 => record.data.len() == 64,
        _ => false,
    };
    record.usage <= 3 && record.selector <= 1 && is_whole
}

impl Tlsa {
    /// Whether the record names this certificate (RFC 6698 §2.1).
    fn matches(&self, certificate: &CertificateDer<'_>) -> bool {
        let key;
        let content: &[u8] = match self.selector {
            0 => certificate,
            _ => match public_key(certificate) {
                Some(found) => {
                    key = found;
                    &key
                }
                None => return false,
            },
        };
        match self.matching {
            0 => content == self.data,
            1 => digest(&SHA256, content).as_ref() == self.data,
            _ => digest(&SHA512, content).as_ref() == self.data,
        }
    }
}

/// Whether a domain's POSH file names the certificate that was shown. The hashes bind it, so
/// neither its names nor its authority matter; its time does.
pub(crate) fn is_announced(
    posh: &Posh,
    shown: &Shown<'_>,
    now: UnixTime,
) -> Result<bool, Reproach> {
    let own = &shown.chain()[0];
    if !posh.fingerprints.iter().any(|one| one.matches(own)) {
        return Ok(false);
    }
    shown.is_timely(now).map(|()| true)
}

/// Whether one of the public keys in the chain is one of `pins` (XEP-0487 §2.3, RFC 7469 §2.6: of
/// the server's or an authority's certificate). The peer has proven only that it has the first
/// key, so only that one counts here.
pub(crate) fn is_pinned(pins: &[[u8; 32]], shown: &Shown<'_>) -> bool {
    let Some(key) = public_key(&shown.chain()[0]) else { return false };
    let hash = digest(&SHA256, &key);
    pins.iter().any(|pin| pin == hash.as_ref())
}

impl Fingerprint {
    fn matches(&self, certificate: &[u8]) -> bool {
        let short = |known: &[u8; 32]| digest(&SHA256, certificate).as_ref() == known;
        let long = |known: &[u8; 64]| digest(&SHA512, certificate).as_ref() == known;
        (self.sha256.is_some() || self.sha512.is_some())
            && self.sha256.as_ref().is_none_or(short)
            && self.sha512.as_ref().is_none_or(long)
    }
}

/// The `SubjectPublicKeyInfo` of a certificate, in DER.
fn public_key(certificate: &[u8]) -> Option<Vec<u8>> {
    let (_, read) = X509Certificate::from_der(certificate).ok()?;
    Some(read.public_key().raw.to_vec())
}
