//! TLS: certificates by name, reloaded when their files change, and what SASL needs to know.

mod accept;
mod binding;
mod error;
mod exporter;
mod generated;
mod identity;
mod session;
mod stand;
mod stream;
#[cfg(test)]
mod tests;
mod unjudged;
mod visitor;

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio::sync::watch;

pub use self::accept::Alpn;
pub(crate) use self::accept::{StartTls, XMPP_SERVER, handshake, of_server};
pub use self::error::TlsError;
pub(crate) use self::generated::{path as pem_path, save};
pub use self::identity::days_left;
use self::identity::{Identity, Stamp};
pub(crate) use self::identity::{certificates, names};
use self::stand::Forge;
pub(crate) use self::stand::{Asks, Manner, Stand};
pub(crate) use self::stream::TlsStream;
pub(crate) use self::unjudged::Unjudged;
use self::visitor::Visitors;
use crate::acme::Proofs;

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
    /// Domains (A-labels) with the files that hold what an authority gave for them, chain and key
    /// in one. A file that is missing or of no use is as if the domain had none.
    pub obtained: Vec<(String, PathBuf)>,
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
    proofs: Arc<Proofs>,
    /// Held while files are read for `store`, so that what is read by old options is not put in
    /// the place of what new ones brought.
    loading: Mutex<()>,
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
    /// Unix seconds of its last moment.
    pub expires_at: i64,
    /// It is self-signed, made by us.
    pub is_generated: bool,
    /// An authority gave it to us.
    pub is_obtained: bool,
    /// SHA-256 of the certificate, in hexadecimal with colons, as clients show it.
    pub fingerprint: String,
}

/// Everything loaded at one time.
pub(crate) struct Store {
    stands: Vec<Arc<Stand>>,
    /// Those of them that an authority gave.
    obtained: Range<usize>,
    /// Lower-case names, some `*.`, to a place in `stands`.
    by_name: HashMap<String, usize>,
    forge: Arc<Forge>,
    stamps: Vec<Stamp>,
}

impl Tls {
    /// Loads every certificate, and generates those that are missing.
    pub fn open(options: TlsOptions) -> Result<Arc<Self>, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let store = RwLock::new(Arc::new(Store::load(&options, &provider)?));
        let options = RwLock::new(options);
        let (loading, complaint, proofs) = Default::default();
        Ok(Arc::new(Self { options, provider, store, proofs, loading, complaint }))
    }

    /// Takes other options, all or nothing: on an error everything stays as it was.
    pub fn configure(&self, options: TlsOptions) -> Result<(), TlsError> {
        let _turn = self.loading.lock();
        let store = Store::load(&options, &self.provider)?;
        *self.options.write() = options;
        *self.store.write() = Arc::new(store);
        Ok(())
    }

    /// Loads the files again if one has changed or a generated certificate nears its end; tells
    /// whether. On an error the certificates in use stay in use.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let _turn = self.loading.lock();
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
        let store = self.store();
        (0..store.stands.len()).map(|place| store.in_use(place)).collect()
    }

    /// The same for each domain that is served.
    pub fn shown(&self) -> Vec<(String, InUse)> {
        let (store, domains) = (self.store(), self.options.read().domains.clone());
        let shown = |domain: String| {
            let place = store.find(&ascii(&domain))?;
            Some((domain, store.in_use(place)))
        };
        domains.into_iter().filter_map(shown).collect()
    }

    /// Whether a certificate that the operator named is for `name`.
    pub(crate) fn is_configured(&self, name: &str) -> bool {
        let store = self.store();
        store.find(&ascii(name)).is_some_and(|place| {
            !store.obtained.contains(&place) && store.stands[place].renew_days == 0
        })
    }

    /// Whether `file`, a chain with its key, could be put in use.
    pub(crate) fn judge(&self, file: &Path) -> Result<(), TlsError> {
        Identity::load(file, file, &self.provider).map(drop)
    }

    /// What authorities are shown that look whether a name leads here.
    pub fn proofs(&self) -> &Arc<Proofs> {
        &self.proofs
    }

    /// Whether client certificates can be judged.
    pub(crate) fn has_authorities(&self) -> bool {
        self.store().visitors().is_some()
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
        let is_13_only = options.is_13_only;
        let forge = Arc::new(Forge { provider: provider.clone(), visitors, is_13_only });
        let (stands, by_name, obtained) = Default::default();
        let mut store = Self { stands, obtained, by_name, forge, stamps };
        for Certificate { chain, key } in &options.certificates {
            store.add(Identity::load(chain, key, provider)?, 0);
        }
        store.add_obtained(&options.obtained);
        for domain in &options.domains {
            let domain = ascii(domain);
            if store.find(&domain).is_none() {
                let is_awaited = options.obtained.iter().any(|(awaited, _)| *awaited == domain);
                if !options.certificates.is_empty() && !is_awaited {
                    tracing::warn!(
                        domain,
                        "no configured certificate names this domain; it gets \
                        a self-signed one, which clients will not trust"
                    );
                }
                let identity = generated::identity(&options.folder, &domain, provider)?;
                store.add(identity, generated::RENEW_DAYS);
                store.stamps.push(Stamp::of(&generated::path(&options.folder, &domain)));
                store.by_name.insert(domain, store.stands.len() - 1);
            }
        }
        store.put_first(options)?;
        Ok(store)
    }

    fn add(&mut self, identity: Identity, renew_days: i64) {
        for name in &identity.names {
            self.by_name.entry(name.clone()).or_insert(self.stands.len());
        }
        self.stands.push(Arc::new(Stand::new(identity, renew_days, self.forge.clone())));
    }

    /// What authorities gave. The server is there without it too, and gets another.
    fn add_obtained(&mut self, obtained: &[(String, PathBuf)]) {
        let first = self.stands.len();
        for (domain, file) in obtained.iter().filter(|(_, file)| file.exists()) {
            match Identity::load(file, file, &self.forge.provider) {
                Ok(identity) => self.add(identity, 0),
                Err(error) => tracing::warn!(domain, "a certificate is of no use: {error}"),
            }
        }
        self.obtained = first..self.stands.len();
    }

    fn in_use(&self, place: usize) -> InUse {
        let Stand { identity, renew_days, .. } = &*self.stands[place];
        InUse {
            names: identity.names.clone(),
            chain: identity.chain_path.clone(),
            days_left: identity.days_left(),
            expires_at: identity.expires_at,
            is_generated: *renew_days > 0,
            is_obtained: self.obtained.contains(&place),
            fingerprint: identity.fingerprint(),
        }
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

    /// The certificate that stands for our domain `name` towards other servers: its own, or, for a
    /// service without one (`rooms.example.org`), that of the nearest domain above it.
    pub(crate) fn stand_for(&self, name: &str) -> &Arc<Stand> {
        let name = ascii(name);
        let mut names =
            std::iter::successors(Some(&name[..]), |name| Some(name.split_once('.')?.1));
        let place = names.find_map(|name| self.find(name));
        place.map_or_else(|| self.stand(None), |place| &self.stands[place])
    }

    /// The certificate for a client that asks for `name` (SNI).
    pub(crate) fn stand(&self, name: Option<&str>) -> &Arc<Stand> {
        let named = name.and_then(|name| self.find(&name.to_ascii_lowercase()));
        let place = named.or_else(|| self.find("")).expect("put_first named the default");
        &self.stands[place]
    }

    pub(crate) fn visitors(&self) -> Option<&Arc<Visitors>> {
        self.forge.visitors.as_ref()
    }

    fn is_current(&self) -> bool {
        let lasting = |stand: &Arc<Stand>| stand.identity.days_left() >= stand.renew_days;
        self.stamps.iter().all(Stamp::is_current) && self.stands.iter().all(lasting)
    }

    /// A word on what expires soon; empty if nothing does. Whoever orders certificates complains
    /// of those itself.
    fn complaint(&self) -> String {
        let stands = self.stands.iter().enumerate();
        let stands = stands.filter(|(place, _)| !self.obtained.contains(place));
        let soon = |stand: &&Arc<Stand>| stand.identity.days_left() < WARN_DAYS;
        stands.map(|(_, stand)| stand).filter(soon).fold(String::new(), |text, stand| {
            let (names, days) = (stand.identity.names.join(", "), stand.identity.days_left());
            text + &format!("The certificate for {names} expires in {days} days. ")
        })
    }
}

/// All files that the options name.
fn paths(options: &TlsOptions) -> impl Iterator<Item = &PathBuf> {
    let pairs = options.certificates.iter().flat_map(|pair| [&pair.chain, &pair.key]);
    let obtained = options.obtained.iter().map(|(_, file)| file);
    pairs.chain(obtained).chain(&options.client_authorities)
}

/// A domain as certificates and SNI spell it.
pub(crate) fn ascii(domain: &str) -> String {
    idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_ascii_lowercase())
}
