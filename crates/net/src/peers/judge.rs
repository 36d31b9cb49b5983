//! Whether a chain of certificates leads to a known authority and stands for a domain
//! (RFC 5280, RFC 9525, RFC 6120 §13.7).

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{
    EndEntityCert, Error, ExtendedKeyUsageValidator, KeyPurposeId, KeyPurposeIdIter, KeyUsage,
    RequiredEkuNotFoundContext, VerifiedPath, anchor_from_trusted_cert,
};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::x509::{X509Name, X509Version};

use super::identity::{Match, Names, Reference};
use super::reproach::Reproach;

/// More certificates than that no honest chain has; the rest is not looked at.
const CHAIN_MAX: usize = 16;
/// `id-kp-serverAuth`, `id-kp-clientAuth`, `anyExtendedKeyUsage` (RFC 5280 §4.2.1.12).
const SERVER_AUTH: &[u8] = &[43, 6, 1, 5, 5, 7, 3, 1];
const CLIENT_AUTH: &[u8] = &[43, 6, 1, 5, 5, 7, 3, 2];
const ANY_USE: &[u8] = &[85, 29, 37, 0];

/// Judges certificates by the authorities that it knows.
pub(crate) struct Judge {
    anchors: Vec<TrustAnchor<'static>>,
    /// Certificates that the operator has added. They are believed also as a server's own.
    added: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// A chain that somebody showed, its first certificate read.
pub(crate) struct Shown<'a> {
    chain: Vec<CertificateDer<'a>>,
    names: Names,
    not_before: i64,
    not_after: i64,
    is_self_issued: bool,
    issuer: String,
}

/// At which end of the connection the certificate was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// By the server that we called.
    Server,
    /// By the server that called us, in the client's place. Public authorities have ceased to
    /// issue certificates for clients, so those for servers are as good (RFC 6120 §13.7.1 asks
    /// for neither).
    Caller,
}

impl Judge {
    /// Knows the authorities of the system, and certificates that the operator has added; those
    /// that cannot be read are left out. An added certificate that is no authority's stands for
    /// its own server only: what is signed with its key proves nothing.
    pub(crate) fn new(
        system: &[CertificateDer<'_>],
        added: Vec<CertificateDer<'static>>,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Self {
        let known = system.iter().chain(added.iter().filter(|one| is_authority(one)));
        let anchors = known.filter_map(|one| Some(anchor_from_trusted_cert(one).ok()?.to_owned()));
        Self { anchors: anchors.collect(), added, algorithms }
    }

    /// How many authorities it knows.
    pub(crate) fn len(&self) -> usize {
        self.anchors.len()
    }

    /// Whether an authority vouches that `shown` stands for one of `whom` now.
    pub(crate) fn judge(
        &self,
        shown: &Shown<'_>,
        whom: &[Reference],
        (role, now): (Role, UnixTime),
    ) -> Result<(), Reproach> {
        if self.added.contains(&shown.chain[0]) {
            shown.is_timely(now)?;
            return shown.is_for(whom, || false);
        }
        self.judge_under(&self.anchors, shown, whom, (role, now))
    }

    /// As [`Judge::judge`], with `authority` as the only one (DANE-TA, RFC 7671 §5.2).
    pub(crate) fn judge_by(
        &self,
        authority: &CertificateDer<'_>,
        shown: &Shown<'_>,
        whom: &[Reference],
        (role, now): (Role, UnixTime),
    ) -> Result<(), Reproach> {
        let anchor = anchor_from_trusted_cert(authority).map_err(|error| unreadable(&error))?;
        self.judge_under(&[anchor.to_owned()], shown, whom, (role, now))
    }

    fn judge_under(
        &self,
        anchors: &[TrustAnchor<'static>],
        shown: &Shown<'_>,
        whom: &[Reference],
        (role, now): (Role, UnixTime),
    ) -> Result<(), Reproach> {
        shown.is_timely(now)?;
        let leaf = EndEntityCert::try_from(&shown.chain[0]).map_err(|error| unreadable(&error))?;
        let path = leaf
            .verify_for_usage(
                self.algorithms.all,
                anchors,
                &shown.chain[1..],
                now,
                Uses(role),
                None,
                None,
            )
            .map_err(|error| shown.reproach(error))?;
        shown.is_for(whom, || is_constrained(&path))
    }
}

impl<'a> Shown<'a> {
    /// Reads a chain in DER, the peer's own certificate first.
    pub(crate) fn read(chain: &'a [Vec<u8>]) -> Result<Self, Reproach> {
        let own = chain.first().ok_or(Reproach::Missing)?;
        let (_, leaf) = X509Certificate::from_der(own)
            .map_err(|error| Reproach::Unreadable(error.to_string()))?;
        let validity = leaf.validity();
        Ok(Self {
            names: Names::of(&leaf),
            not_before: validity.not_before.timestamp(),
            not_after: validity.not_after.timestamp(),
            is_self_issued: leaf.subject().as_raw() == leaf.issuer().as_raw(),
            issuer: name(leaf.issuer()),
            chain: chain.iter().take(CHAIN_MAX).map(|der| der.as_slice().into()).collect(),
        })
    }

    /// The certificates, the peer's own first.
    pub(crate) fn chain(&self) -> &[CertificateDer<'a>] {
        &self.chain
    }

    /// Whether the certificate's time is now.
    pub(crate) fn is_timely(&self, now: UnixTime) -> Result<(), Reproach> {
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        if now > self.not_after {
            return Err(Reproach::Expired(self.not_after));
        }
        if now < self.not_before {
            return Err(Reproach::NotYet(self.not_before));
        }
        Ok(())
    }

    /// Whether the certificate names one of `whom`. Names that are no domains count unless an
    /// authority on the way may speak for some domains only: its constraints could not be held
    /// against them.
    fn is_for(
        &self,
        whom: &[Reference],
        is_constrained: impl FnOnce() -> bool,
    ) -> Result<(), Reproach> {
        let mut covers = whom.iter().filter_map(|who| self.names.cover(who));
        if covers.clone().any(|by| by == Match::Plain) {
            return Ok(());
        }
        if covers.next().is_some() && !is_constrained() {
            return Ok(());
        }
        match self.names.told() {
            names if names.is_empty() => Err(Reproach::NoName),
            names => Err(Reproach::OtherName(names)),
        }
    }

    fn reproach(&self, error: Error) -> Reproach {
        match error {
            // The end of the certificate itself has been looked at.
            Error::CertExpired { .. } | Error::CertNotValidYet { .. } => Reproach::AuthorityExpired,
            Error::UnknownIssuer if self.is_self_issued => Reproach::SelfSigned,
            Error::CaUsedAsEndEntity if self.is_self_issued => Reproach::SelfSigned,
            Error::UnknownIssuer => Reproach::UnknownAuthority(self.issuer.clone()),
            Error::RequiredEkuNotFoundContext(_) => Reproach::WrongUse,
            error => Reproach::Broken(error.to_string()),
        }
    }
}

/// What certificates may be for.
struct Uses(Role);

impl ExtendedKeyUsageValidator for Uses {
    fn validate(&self, uses: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        let known = |bytes| KeyPurposeId::new(bytes);
        let mut present = Vec::new();
        for purpose in uses {
            let purpose = purpose?;
            let is_caller = self.0 == Role::Caller && purpose == known(CLIENT_AUTH);
            if is_caller || purpose == known(SERVER_AUTH) || purpose == known(ANY_USE) {
                return Ok(());
            }
            present.push(purpose.to_decoded_oid());
        }
        match present.is_empty() {
            // The extension is not there.
            true => Ok(()),
            false => Err(Error::RequiredEkuNotFoundContext(RequiredEkuNotFoundContext {
                required: KeyUsage::server_auth(),
                present,
            })),
        }
    }
}

/// RFC 5280 §4.2.1.9: "If the basic constraints extension is not present in a version 3 public key
/// certificate, or the extension is present but the cA boolean is not asserted, then the certified
/// public key MUST NOT be used to verify certificate signatures."
fn is_authority(certificate: &CertificateDer<'_>) -> bool {
    let read = X509Certificate::from_der(certificate);
    read.is_ok_and(|(_, one)| match one.basic_constraints() {
        Ok(Some(constraints)) => constraints.value.ca,
        // Old authorities are of version 1, which has no extensions.
        Ok(None) => one.version() == X509Version::V1,
        Err(_) => false,
    })
}

/// Whether an authority on the way may speak for certain names only.
fn is_constrained(path: &VerifiedPath<'_>) -> bool {
    let constrains = |der: CertificateDer<'_>| {
        let read = X509Certificate::from_der(&der);
        read.map_or(true, |(_, one)| !matches!(one.name_constraints(), Ok(None)))
    };
    path.anchor().name_constraints.is_some()
        || path.intermediate_certificates().any(|one| constrains(one.der()))
}

/// The name of an authority as a person would look for it.
fn name(name: &X509Name<'_>) -> String {
    let common = name.iter_common_name().chain(name.iter_organization());
    let text = common.filter_map(|part| part.as_str().ok()).next().unwrap_or_default();
    text.chars().filter(|char| !char.is_control()).take(100).collect()
}

fn unreadable(error: &Error) -> Reproach {
    Reproach::Unreadable(error.to_string())
}
