//! Client certificates: asked for, not demanded, and judged without ending the handshake.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::error::TlsError;
use super::identity::certificates;

/// Lets every client in that holds the key of its certificate; whether an authority vouches for
/// it is asked afterwards. Someone whose browser sends a wrong certificate can still log in with
/// a password.
#[derive(Debug)]
pub(crate) struct Visitors(Arc<dyn ClientCertVerifier>);

impl Visitors {
    /// Certificates issued by the authorities in the PEM file `path` are trusted.
    pub(crate) fn trusting(path: &Path, provider: &Arc<CryptoProvider>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        let refused = |error: String| TlsError::Refused(path.to_owned(), error);
        for authority in certificates(path)? {
            roots.add(authority).map_err(|error| refused(error.to_string()))?;
        }
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .allow_unauthenticated()
            .build()
            .map(Self)
            .map_err(|error| refused(error.to_string()))
    }

    /// Whether a trusted authority issued `chain`, the client's own certificate first.
    pub(crate) fn vouch(&self, chain: &[CertificateDer<'_>]) -> bool {
        let Some((leaf, others)) = chain.split_first() else { return false };
        self.0.verify_client_cert(leaf, others, UnixTime::now()).is_ok()
    }
}

impl ClientCertVerifier for Visitors {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
