//! One order: from names to a certificate (RFC 8555 §7.4).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, CertificateIdentifier, ChallengeHandle, ChallengeType, Error,
    Identifier, NewOrder, Order, OrderStatus, RetryPolicy,
};
use rcgen::{
    CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384,
    PKCS_RSA_SHA256, RsaKeySize,
};
use tokio::time::timeout;

use super::proofs::{Proof, Proofs};
use super::trouble::Trouble;
use super::{Challenge, KeyKind};

/// What is ordered, and how.
pub(super) struct Job<'a> {
    pub(super) account: &'a Account,
    /// Where the authority's address is told when it does not answer.
    pub(super) directory: &'a str,
    pub(super) proofs: &'a Arc<Proofs>,
    pub(super) challenge: Challenge,
    /// A-labels, at least one.
    pub(super) names: &'a [String],
    pub(super) key: KeyKind,
    /// The certificate whose place this one takes (RFC 9773 §5).
    pub(super) replaces: Option<CertificateIdentifier<'static>>,
    pub(super) time: Duration,
}

/// Why there is no certificate.
pub(super) struct Failed {
    pub(super) trouble: Trouble,
    /// The names that could not be proven, if it is that.
    pub(super) unproven: BTreeMap<String, Trouble>,
}

impl From<Trouble> for Failed {
    fn from(trouble: Trouble) -> Self {
        Self { trouble, unproven: BTreeMap::new() }
    }
}

/// Gets a certificate: the chain and its key in PEM.
pub(super) async fn obtain(job: &Job<'_>) -> Result<String, Failed> {
    match timeout(job.time, Box::pin(job.run())).await {
        Ok(ended) => ended,
        Err(_) => Err(Trouble::late().into()),
    }
}

impl Job<'_> {
    async fn run(&self) -> Result<String, Failed> {
        let names: Vec<_> = self.names.iter().cloned().map(Identifier::Dns).collect();
        let mut wanted = NewOrder::new(&names);
        if let Some(old) = &self.replaces {
            wanted = wanted.replaces(old.clone());
        }
        let mut order = self.account.new_order(&wanted).await.map_err(|error| self.told(&error))?;
        self.prove(&mut order).await?;
        let (pem, csr) = self.request().await.map_err(|error| {
            Trouble::new(format!("No key could be made: {error}."), "Choose another acme.key.")
        })?;
        order.finalize_csr(&csr).await.map_err(|error| self.told(&error))?;
        let chain = order.poll_certificate(&self.patience()).await;
        let chain = chain.map_err(|error| self.told(&error))?;
        Ok(format!("{}\n{pem}", chain.trim_end()))
    }

    /// Shows what the authority wants to see, and lets it look.
    async fn prove(&self, order: &mut Order) -> Result<(), Failed> {
        // Seen for as long as this waits.
        let _proofs = self.show(order).await?;
        if matches!(order.state().status, OrderStatus::Ready | OrderStatus::Valid) {
            return Ok(());
        }
        let polled = order.poll_ready(&self.patience()).await;
        if let Ok(OrderStatus::Ready) = polled {
            return Ok(());
        }
        let unproven = self.unproven(order).await;
        Err(match (unproven.values().next(), polled) {
            (Some(first), _) => Failed { trouble: first.clone(), unproven },
            (None, Err(error)) => self.told(&error).into(),
            (None, Ok(_)) => Trouble::new("The authority dropped the order.", "").into(),
        })
    }

    /// Puts up a proof for each name that the authority has not seen lately.
    async fn show(&self, order: &mut Order) -> Result<Vec<Proof>, Trouble> {
        let kind = match self.challenge {
            Challenge::Http01 => ChallengeType::Http01,
            Challenge::TlsAlpn01 => ChallengeType::TlsAlpn01,
        };
        let mut proofs = Vec::new();
        let mut authorizations = order.authorizations();
        while let Some(found) = authorizations.next().await {
            let mut found = found.map_err(|error| self.told(&error))?;
            let name = found.identifier().to_string();
            match found.status {
                AuthorizationStatus::Valid => continue,
                AuthorizationStatus::Pending => {}
                _ => return Err(Trouble::unproven(&name, self.challenge, None)),
            }
            let challenge = found.challenge(kind.clone());
            let mut challenge =
                challenge.ok_or_else(|| Trouble::unprovable(&name, self.challenge))?;
            proofs.push(self.put_up(&name, &challenge)?);
            challenge.set_ready().await.map_err(|error| self.told(&error))?;
        }
        Ok(proofs)
    }

    fn put_up(&self, name: &str, challenge: &ChallengeHandle<'_>) -> Result<Proof, Trouble> {
        let key = challenge.key_authorization();
        match self.challenge {
            Challenge::Http01 => Ok(self.proofs.show_page(&challenge.token, key.as_str())),
            Challenge::TlsAlpn01 => {
                let shown = self.proofs.show_certificate(name, key.digest().as_ref());
                shown.map_err(|error| {
                    Trouble::new(format!("No proof could be made for {name}: {error}."), "")
                })
            }
        }
    }

    /// The names that the authority did not find proven, with what it says of each.
    async fn unproven(&self, order: &mut Order) -> BTreeMap<String, Trouble> {
        let mut unproven = BTreeMap::new();
        let mut authorizations = order.authorizations();
        while let Some(Ok(mut found)) = authorizations.next().await {
            let Ok(state) = found.refresh().await else { continue };
            if state.status != AuthorizationStatus::Invalid {
                continue;
            }
            let name = state.identifier().to_string();
            let problem = state.challenges.iter().find_map(|challenge| challenge.error.as_ref());
            let trouble = Trouble::unproven(&name, self.challenge, problem);
            unproven.insert(name, trouble);
        }
        unproven
    }

    /// A key in PEM, and a request for a certificate for it in DER.
    async fn request(&self) -> Result<(String, Vec<u8>), Box<dyn std::error::Error + Send + Sync>> {
        let kind = self.key;
        // Large primes take their time.
        let key = tokio::task::spawn_blocking(move || generate(kind)).await??;
        let mut params = CertificateParams::new(self.names)?;
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(&key)?;
        Ok((key.serialize_pem(), request.der().to_vec()))
    }

    fn patience(&self) -> RetryPolicy {
        // The whole order has its time; asking more seldom than this would only make it late.
        RetryPolicy::new().initial_delay(Duration::from_millis(250)).backoff(1.3).timeout(self.time)
    }

    fn told(&self, error: &Error) -> Trouble {
        Trouble::of(self.directory, error)
    }
}

fn generate(kind: KeyKind) -> Result<KeyPair, rcgen::Error> {
    match kind {
        KeyKind::P256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
        KeyKind::P384 => KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384),
        KeyKind::Rsa2048 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048),
        KeyKind::Rsa4096 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_4096),
    }
}
