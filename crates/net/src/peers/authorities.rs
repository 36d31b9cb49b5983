//! Whom this machine believes: the authorities of the system, and those that the operator adds.

use std::path::Path;
use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use tokio::sync::OnceCell;

use super::judge::Judge;
use crate::tls::{TlsError, certificates};

/// The authorities that servers are judged by. The system's are read when they are first needed.
pub struct Authorities {
    added: Vec<CertificateDer<'static>>,
    with_system: bool,
    judge: OnceCell<Arc<Judge>>,
}

impl Authorities {
    /// The system's, and those in the PEM file `added`, which is read now.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(added: Option<&Path>) -> Result<Self, TlsError> {
        let added = added.map(certificates).transpose()?.unwrap_or_default();
        Ok(Self { added, with_system: true, judge: OnceCell::new() })
    }

    /// These and no others.
    #[cfg(test)]
    pub(super) fn only(added: Vec<CertificateDer<'static>>) -> Self {
        Self { added, with_system: false, judge: OnceCell::new() }
    }

    /// Who judges by them.
    pub(super) async fn judge(&self) -> Arc<Judge> {
        self.judge.get_or_init(|| self.make()).await.clone()
    }

    async fn make(&self) -> Arc<Judge> {
        let (added, with_system) = (self.added.clone(), self.with_system);
        let make = move || {
            let system = match with_system {
                true => rustls_native_certs::load_native_certs().certs,
                false => Vec::new(),
            };
            let provider = rustls::crypto::aws_lc_rs::default_provider();
            Arc::new(Judge::new(&system, added, provider.signature_verification_algorithms))
        };
        // A file with hundreds of certificates, or a folder of as many files.
        let made = tokio::task::spawn_blocking(make).await;
        let judge = made.expect("reading certificates does not panic");
        if judge.len() == 0 {
            tracing::warn!(
                "this machine knows no certificate authorities, so no certificate of another \
                 server can be trusted; install its ca-certificates"
            );
        }
        judge
    }
}
