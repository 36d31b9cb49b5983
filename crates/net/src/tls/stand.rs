//! A certificate with the configurations that present it, each made when it is first needed.

use std::sync::{Arc, OnceLock};

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, ServerConfig, SupportedProtocolVersion};

use super::accept::Alpn;
use super::exporter;
use super::identity::Identity;
use super::unjudged::Unjudged;
use super::visitor::Visitors;

/// A certificate with the configurations that present it.
pub(crate) struct Stand {
    pub(super) identity: Identity,
    /// With fewer days left, the files are read (and a generated certificate is made) again.
    pub(super) renew_days: i64,
    forge: Arc<Forge>,
    /// By [`Manner::index`].
    incoming: [OnceLock<Arc<ServerConfig>>; 6],
    outgoing: OnceLock<Arc<ClientConfig>>,
}

/// What all configurations are made from.
pub(super) struct Forge {
    pub(super) provider: Arc<CryptoProvider>,
    pub(super) visitors: Option<Arc<Visitors>>,
    /// TLS 1.2 is refused.
    pub(super) is_13_only: bool,
}

/// What kind of handshake a listener wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    /// ALPN is offered: not under STARTTLS, where the protocol is settled.
    pub(crate) has_alpn: bool,
    /// Who is asked for a certificate.
    pub(crate) asks: Asks,
}

/// Who is asked for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    /// Nobody.
    Nobody,
    /// Clients: the authorities that the operator named are trusted.
    Clients,
    /// Other servers, whose certificates are judged later.
    Servers,
}

impl Manner {
    fn index(self) -> usize {
        usize::from(self.has_alpn) * 3 + self.asks as usize
    }
}

impl Stand {
    pub(super) fn new(identity: Identity, renew_days: i64, forge: Arc<Forge>) -> Self {
        let incoming = [const { OnceLock::new() }; 6];
        Self { identity, renew_days, forge, incoming, outgoing: OnceLock::new() }
    }

    /// The configuration for those who come in; none when clients are to be asked for
    /// certificates and no authority is known.
    pub(crate) fn config(&self, manner: Manner) -> Option<Arc<ServerConfig>> {
        if manner.asks == Asks::Clients && self.forge.visitors.is_none() {
            return None;
        }
        let made = || Arc::new(self.forge.incoming(&self.identity, manner));
        Some(self.incoming[manner.index()].get_or_init(made).clone())
    }

    /// The configuration to call other servers with: they are shown this certificate if they ask.
    pub(crate) fn outgoing(&self) -> Arc<ClientConfig> {
        self.outgoing.get_or_init(|| Arc::new(self.forge.outgoing(&self.identity))).clone()
    }

    pub(crate) fn end_point(&self) -> Option<Vec<u8>> {
        self.identity.end_point.clone()
    }
}

impl Forge {
    fn versions(&self) -> &'static [&'static SupportedProtocolVersion] {
        const VERSIONS: &[&SupportedProtocolVersion] =
            &[&rustls::version::TLS13, &rustls::version::TLS12];
        if self.is_13_only { &VERSIONS[..1] } else { VERSIONS }
    }

    fn incoming(&self, identity: &Identity, manner: Manner) -> ServerConfig {
        let verifier: Arc<dyn ClientCertVerifier> = match (manner.asks, &self.visitors) {
            (Asks::Clients, Some(visitors)) => visitors.clone(),
            (Asks::Servers, _) => Arc::new(Unjudged::new(&self.provider)),
            _ => WebPkiClientVerifier::no_client_auth(),
        };
        let key = identity.certified.clone();
        let mut config = ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(self.versions())
            .expect("the provider has suites for both versions")
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
        if manner.asks == Asks::Servers {
            // Connections of servers last for hours, so there is nothing to save by resuming.
            config.send_tls13_tickets = 0;
            config.session_storage = Arc::new(NoServerSessionStorage {});
        } else {
            // RFC 9266 §4.2: under TLS 1.2 the exporter binds the channel with this extension
            // only.
            config.require_ems = true;
            config.key_log = Arc::new(exporter::Ear);
            // One is enough: a client that resumes gets another.
            config.send_tls13_tickets = 1;
        }
        if manner.has_alpn {
            config.alpn_protocols = Alpn::offered();
        }
        config
    }

    fn outgoing(&self, identity: &Identity) -> ClientConfig {
        let key = identity.certified.clone();
        let mut config = ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(self.versions())
            .expect("the provider has suites for both versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Unjudged::new(&self.provider)))
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
        config.resumption = Resumption::disabled();
        config
    }
}
