//! TLS: certificates by name, reloaded when their files change, and what SASL needs to know.

mod accept;
mod binding;
mod error;
mod exporter;
mod generated;
mod identity;
mod session;
mod stream;
mod visitor;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::SingleCertAndKey;
use tokio::sync::watch;

pub use self::accept::Alpn;
pub(crate) use self::accept::{StartTls, handshake};
pub use self::error::TlsError;
pub use self::identity::days_left;
use self::identity::{Identity, Stamp};
pub(crate) use self::stream::TlsStream;
use self::visitor::Visitors;

/// With fewer days left, a configured certificate is complained about.
const WARN_DAYS: i64 = 14;

/// A certificate from files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// PEM: the server's certificate first, then those that lead to its authority.
    pub chain: PathBuf,
    /// PEM: its private key. May be the same file.
    pub key: PathBuf,
}

/// What TLS is set up from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// The domains served, the default first. One that no certificate names gets a generated one.
    pub domains: Vec<String>,
    /// Certificates from files. Which names they serve is read from them.
    pub certificates: Vec<Certificate>,
    /// Where generated certificates are kept.
    pub folder: PathBuf,
    /// PEM: the authorities whose client certificates are trusted for SASL EXTERNAL.
    pub client_authorities: Option<PathBuf>,
    /// TLS 1.2 is refused.
    pub is_13_only: bool,
}

/// The certificates in use.
pub struct Tls {
    options: RwLock<TlsOptions>,
    provider: Arc<CryptoProvider>,
    store: RwLock<Arc<Store>>,
    /// The last complaint of the periodic check, not to be repeated each time.
    complaint: Mutex<String>,
}

/// One certificate in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InUse {
    /// The DNS names it is for.
    pub names: Vec<String>,
    /// The file it came from.
    pub chain: PathBuf,
    /// Whole days until it expires; negative when it has.
    pub days_left: i64,
    /// It is self-signed, made by us.
    pub is_generated: bool,
    /// SHA-256 of the certificate, in hexadecimal with colons, as clients show it.
    pub fingerprint: String,
}

/// Everything loaded at one time.
pub(crate) struct Store {
    stands: Vec<Arc<Stand>>,
    /// Lower-case names, some `*.`, to a place in `stands`.
    by_name: HashMap<String, usize>,
    visitors: Option<Arc<Visitors>>,
    stamps: Vec<Stamp>,
}

/// A certificate with the configurations that present it.
pub(crate) struct Stand {
    identity: Identity,
    /// With fewer days left, the files are read (and a generated certificate is made) again.
    renew_days: i64,
    /// By [`Manner::index`]; those that ask for client certificates exist with authorities only.
    configs: [Option<Arc<ServerConfig>>; 4],
}

/// What kind of handshake a listener wants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// ALPN is offered: not under STARTTLS, where the protocol is settled.
    pub(crate) has_alpn: bool,
    /// A client certificate is asked for.
    pub(crate) asks_certificate: bool,
}

impl Manner {
    fn index(self) -> usize {
        usize::from(self.has_alpn) * 2 + usize::from(self.asks_certificate)
    }
}

impl Tls {
    /// Loads every certificate, and generates those that are missing.
    pub fn open(options: TlsOptions) -> Result<Arc<Self>, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let store = RwLock::new(Arc::new(Store::load(&options, &provider)?));
        let options = RwLock::new(options);
        Ok(Arc::new(Self { options, provider, store, complaint: Mutex::default() }))
    }

    /// Takes other options, all or nothing: on an error everything stays as it was.
    pub fn configure(&self, options: TlsOptions) -> Result<(), TlsError> {
        let store = Store::load(&options, &self.provider)?;
        *self.options.write() = options;
        *self.store.write() = Arc::new(store);
        Ok(())
    }

    /// Loads the files again if one has changed or a generated certificate nears its end; tells
    /// whether. On an error the certificates in use stay in use.
    pub fn reload(&self) -> Result<bool, TlsError> {
        if self.store().is_current() {
            return Ok(false);
        }
        let options = self.options.read().clone();
        *self.store.write() = Arc::new(Store::load(&options, &self.provider)?);
        Ok(true)
    }

    /// Calls [`Tls::reload`] after every `period()` until `stop` changes, and logs what comes of
    /// it.
    pub async fn watch(
        self: Arc<Self>,
        period: impl Fn() -> Duration,
        mut stop: watch::Receiver<bool>,
    ) {
        loop {
            tokio::select! {
                _ = stop.changed() => return,
                () = tokio::time::sleep(period()) => {}
            }
            let tls = self.clone();
            // Reading files is quick, but not always.
            let checked = tokio::task::spawn_blocking(move || tls.check()).await;
            if let Err(error) = checked {
                tracing::error!(%error, "the check of the certificates failed");
            }
        }
    }

    fn check(&self) {
        let complaint = match self.reload() {
            Ok(true) => {
                tracing::info!("loaded changed certificates");
                self.store().complaint()
            }
            Ok(false) => self.store().complaint(),
            Err(error) => format!("The certificates in use stay in use: {error}"),
        };
        let mut last = self.complaint.lock();
        if *last != complaint && !complaint.is_empty() {
            tracing::warn!("{complaint}");
        }
        *last = complaint;
    }

    /// The certificates in use, for the operator's eyes.
    pub fn in_use(&self) -> Vec<InUse> {
        let in_use = |stand: &Arc<Stand>| InUse {
            names: stand.identity.names.clone(),
            chain: stand.identity.chain_path.clone(),
            days_left: stand.identity.days_left(),
            is_generated: stand.renew_days > 0,
            fingerprint: stand.identity.fingerprint(),
        };
        self.store().stands.iter().map(in_use).collect()
    }

    /// Whether client certificates can be judged.
    pub(crate) fn has_authorities(&self) -> bool {
        self.store().visitors.is_some()
    }

    pub(crate) fn store(&self) -> Arc<Store> {
        self.store.read().clone()
    }
}

impl Store {
    fn load(options: &TlsOptions, provider: &Arc<CryptoProvider>) -> Result<Self, TlsError> {
        let visitors = match &options.client_authorities {
            Some(path) => Some(Arc::new(Visitors::trusting(path, provider)?)),
            None => None,
        };
        let stamps = paths(options).map(|path| Stamp::of(path)).collect();
        let mut store = Self { stands: Vec::new(), by_name: HashMap::new(), visitors, stamps };
        for Certificate { chain, key } in &options.certificates {
            store.add(Identity::load(chain, key, provider)?, 0, options, provider);
        }
        for domain in &options.domains {
            let domain = ascii(domain);
            if store.find(&domain).is_none() {
                if !options.certificates.is_empty() {
                    tracing::warn!(
                        domain,
                        "no configured certificate names this domain; it gets \
                        a self-signed one, which clients will not trust"
                    );
                }
                let identity = generated::identity(&options.folder, &domain, provider)?;
                store.add(identity, generated::RENEW_DAYS, options, provider);
                store.stamps.push(Stamp::of(&generated::path(&options.folder, &domain)));
                store.by_name.insert(domain, store.stands.len() - 1);
            }
        }
        store.put_first(options)?;
        Ok(store)
    }

    fn add(
        &mut self,
        identity: Identity,
        renew_days: i64,
        options: &TlsOptions,
        provider: &Arc<CryptoProvider>,
    ) {
        for name in &identity.names {
            self.by_name.entry(name.clone()).or_insert(self.stands.len());
        }
        let mut configs = [const { None }; 4];
        for has_alpn in [false, true] {
            for asks_certificate in [false, true] {
                if asks_certificate && self.visitors.is_none() {
                    continue;
                }
                let manner = Manner { has_alpn, asks_certificate };
                let visitors = self.visitors.as_ref().filter(|_| asks_certificate);
                let config = configure(&identity, manner, visitors, options.is_13_only, provider);
                configs[manner.index()] = Some(Arc::new(config));
            }
        }
        self.stands.push(Arc::new(Stand { identity, renew_days, configs }));
    }

    /// Who names nobody is shown the certificate of the first domain.
    fn put_first(&mut self, options: &TlsOptions) -> Result<(), TlsError> {
        let default = options.domains.first().and_then(|domain| self.find(&ascii(domain)));
        let default = default.unwrap_or(0);
        if self.stands.is_empty() {
            return Err(TlsError::NoDomain);
        }
        self.by_name.insert(String::new(), default);
        Ok(())
    }

    /// The place of the certificate for `name`, an A-label in lower case.
    fn find(&self, name: &str) -> Option<usize> {
        let wildcard = || {
            let (_, parent) = name.split_once('.')?;
            self.by_name.get(&format!("*.{parent}"))
        };
        self.by_name.get(name).or_else(wildcard).copied()
    }

    /// The certificate for a client that asks for `name` (SNI).
    pub(crate) fn stand(&self, name: Option<&str>) -> &Arc<Stand> {
        let named = name.and_then(|name| self.find(&name.to_ascii_lowercase()));
        let place = named.or_else(|| self.find("")).expect("put_first named the default");
        &self.stands[place]
    }

    pub(crate) fn visitors(&self) -> Option<&Arc<Visitors>> {
        self.visitors.as_ref()
    }

    fn is_current(&self) -> bool {
        let lasting = |stand: &Arc<Stand>| stand.identity.days_left() >= stand.renew_days;
        self.stamps.iter().all(Stamp::is_current) && self.stands.iter().all(lasting)
    }

    /// A word on what expires soon; empty if nothing does.
    fn complaint(&self) -> String {
        let soon = |stand: &&Arc<Stand>| stand.identity.days_left() < WARN_DAYS;
        self.stands.iter().filter(soon).fold(String::new(), |text, stand| {
            let (names, days) = (stand.identity.names.join(", "), stand.identity.days_left());
            text + &format!("The certificate for {names} expires in {days} days. ")
        })
    }
}

impl Stand {
    pub(crate) fn config(&self, manner: Manner) -> Option<Arc<ServerConfig>> {
        self.configs[manner.index()].clone()
    }

    pub(crate) fn end_point(&self) -> Option<Vec<u8>> {
        self.identity.end_point.clone()
    }
}

/// All files that the options name.
fn paths(options: &TlsOptions) -> impl Iterator<Item = &PathBuf> {
    let pairs = options.certificates.iter().flat_map(|pair| [&pair.chain, &pair.key]);
    pairs.chain(&options.client_authorities)
}

/// A domain as certificates and SNI spell it.
fn ascii(domain: &str) -> String {
    idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_ascii_lowercase())
}

fn configure(
    identity: &Identity,
    manner: Manner,
    visitors: Option<&Arc<Visitors>>,
    is_13_only: bool,
    provider: &Arc<CryptoProvider>,
) -> ServerConfig {
    let versions = [&rustls::version::TLS13, &rustls::version::TLS12];
    let versions = if is_13_only { &versions[..1] } else { &versions[..] };
    let verifier: Arc<dyn rustls::server::danger::ClientCertVerifier> = match visitors {
        Some(visitors) => visitors.clone(),
        None => WebPkiClientVerifier::no_client_auth(),
    };
    let key = identity.certified.clone();
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .expect("the provider has suites for both versions")
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    // RFC 9266 §4.2: under TLS 1.2 the exporter binds the channel with this extension only.
    config.require_ems = true;
    config.key_log = Arc::new(exporter::Ear);
    // One is enough: a client that resumes gets another.
    config.send_tls13_tickets = 1;
    if manner.has_alpn {
        config.alpn_protocols = Alpn::offered();
    }
    config
}
