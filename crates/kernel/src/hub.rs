//! The running server: what every session, module and listener shares.

mod border;
mod restore;

use std::collections::HashMap;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;
use tokio::sync::watch;
use waxwing_jid::{BareJid, Jid};
use waxwing_store::{Db, StoreError};
use waxwing_stream::Entropy;

use crate::account::Account;
use crate::accounts::Accounts;
use crate::clock::{Clock, Ids};
use crate::component::Components;
use crate::directory::Directory;
use crate::ending::Orders;
use crate::events::Events;
use crate::gate::Gate;
use crate::inquiry::Inquiries;
use crate::lapsed::Lapsed;
use crate::lasting::Lasting;
use crate::limits::Limits;
use crate::links::Links;
use crate::mailbox::Mailbox;
use crate::metrics::Metrics;
use crate::names::Names;
use crate::notes::Notes;
use crate::outside::Outside;
use crate::outsiders::Outsiders;
use crate::site::Site;
use crate::sites::Sites;
use crate::steward::Stewardship;
use crate::trace::Tracer;

/// A handle on the running server. Cheap to clone.
#[derive(Clone)]
pub struct Hub(Arc<Core>);

struct Core {
    db: Db,
    folder: OnceLock<PathBuf>,
    outside: Outside,
    stewardship: Stewardship,
    clock: Clock,
    entropy: Entropy,
    started: Instant,
    ids: Ids,
    names: OnceLock<Names>,
    limits: ArcSwap<Limits>,
    directory: Directory,
    accounts: Accounts,
    sites: ArcSwap<Sites>,
    components: Components,
    links: Links,
    resumable: Mutex<HashMap<String, (BareJid, Mailbox)>>,
    lapsed: Lapsed,
    lasting: Lasting,
    inquiries: Inquiries,
    outsiders: Outsiders,
    gate: Gate,
    locked: AtomicU64,
    notes: Notes,
    events: Events,
    metrics: Arc<Metrics>,
    tracer: Tracer,
    orders: Orders,
    is_draining: watch::Sender<bool>,
    elsewhere: Mutex<Option<Arc<str>>>,
    sessions: AtomicUsize,
    strangers: AtomicUsize,
}

/// A connection without a session, counted until this is dropped.
pub(crate) struct Stranger(Hub);

impl Drop for Stranger {
    fn drop(&mut self) {
        self.0.0.strangers.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Hub {
    /// A server without sites on an open database.
    pub fn new(db: Db, clock: Clock, limits: Limits, metrics: Arc<Metrics>) -> Self {
        let dice = clock.clone();
        let links = Links::new(&metrics, &clock, &limits.peers);
        Self(Arc::new(Core {
            db,
            folder: OnceLock::new(),
            outside: Outside::default(),
            stewardship: Stewardship::default(),
            started: clock.now(),
            entropy: Arc::new(move |bytes| dice.random(bytes)),
            clock,
            ids: Ids::default(),
            names: OnceLock::new(),
            directory: Directory::default(),
            accounts: Accounts::new(limits.accounts_cached),
            sites: ArcSwap::default(),
            components: Components::default(),
            links,
            resumable: Mutex::default(),
            lapsed: Lapsed::default(),
            lasting: Lasting::default(),
            inquiries: Inquiries::default(),
            outsiders: Outsiders::default(),
            gate: Gate::new(limits.password_checks),
            locked: AtomicU64::new(0),
            notes: Notes::default(),
            events: Events::default(),
            limits: ArcSwap::from_pointee(limits),
            metrics,
            tracer: Tracer::default(),
            orders: Orders::default(),
            is_draining: watch::Sender::new(false),
            elsewhere: Mutex::new(None),
            sessions: AtomicUsize::new(0),
            strangers: AtomicUsize::new(0),
        }))
    }

    /// Serves `sites` from now on; sessions that are open go on under the new rules, and those of
    /// a domain that is served no more end.
    pub fn serve(&self, sites: Sites) {
        let sites = Arc::new(sites);
        let before = self.0.sites.swap(Arc::clone(&sites));
        for site in sites.iter() {
            self.start_rounds(site);
        }
        for domain in before.iter().map(|site| site.domain()) {
            if sites.find(domain).is_none() {
                self.0.accounts.forget_host(domain);
                self.close_host(domain);
            }
        }
        self.enforce_policy();
    }

    /// The virtual hosts.
    pub fn sites(&self) -> Arc<Sites> {
        self.0.sites.load_full()
    }

    /// The same for a moment; not to be held across an await.
    pub(crate) fn guard_sites(&self) -> Guard<Arc<Sites>> {
        self.0.sites.load()
    }

    /// The virtual host of `domain`.
    pub fn site(&self, domain: &str) -> Option<Arc<Site>> {
        self.0.sites.load().find(domain).cloned()
    }

    /// The site and the module whose service has this address.
    pub(crate) fn service(&self, address: &str) -> Option<(Arc<Site>, &'static str)> {
        self.0.sites.load().service(address).cloned()
    }

    /// Says where files are kept that are no rows. The first word counts.
    pub fn keep_files_in(&self, folder: PathBuf) {
        let _ = self.0.folder.set(folder);
    }

    /// Where files are kept; None for a server that lives in memory.
    pub fn folder(&self) -> Option<&Path> {
        self.0.folder.get().map(PathBuf::as_path)
    }

    /// The ways to machines outside.
    pub(crate) fn outside(&self) -> &Outside {
        &self.0.outside
    }

    /// Who looks after the domains.
    pub(crate) fn stewardship(&self) -> &Stewardship {
        &self.0.stewardship
    }

    /// The database.
    pub fn db(&self) -> &Db {
        &self.0.db
    }

    /// Time and randomness.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// When the server started.
    pub(crate) fn started(&self) -> Instant {
        self.0.started
    }

    /// How long the server has been running.
    pub fn uptime(&self) -> Duration {
        self.0.clock.now().saturating_duration_since(self.0.started)
    }

    /// A new identifier, greater than all before it.
    pub fn next_id(&self) -> u64 {
        self.0.ids.next(&self.0.clock)
    }

    /// The bounds as they are now. Not to be held across an await.
    pub fn limits(&self) -> impl Deref<Target = Arc<Limits>> {
        self.0.limits.load()
    }

    /// Changes the bounds. Streams that are open keep theirs, and so do the cache of accounts and
    /// the number of passwords checked at a time.
    pub fn set_limits(&self, limits: Limits) {
        self.ledger().bound(limits.peers.ledger);
        self.0.limits.store(Arc::new(limits));
    }

    /// The services in programs of their own.
    pub fn components(&self) -> &Components {
        &self.0.components
    }

    /// Who is online.
    pub fn directory(&self) -> &Directory {
        &self.0.directory
    }

    /// What is counted.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.0.metrics
    }

    /// Who watches which session.
    pub(crate) fn tracer(&self) -> &Tracer {
        &self.0.tracer
    }

    /// The local account with this address, if there is one.
    ///
    /// # Errors
    /// The store's, when it had to be asked.
    pub async fn account(&self, jid: &BareJid) -> Result<Option<Arc<Account>>, StoreError> {
        let Some(site) = self.site(jid.domain()) else { return Ok(None) };
        if jid.is_domain() {
            return Ok(None);
        }
        self.0.accounts.load(&self.0.db, &site.facts, jid).await
    }

    /// The local account behind an address with or without a resource, as [`Hub::account`].
    ///
    /// # Errors
    /// The store's, when it had to be asked.
    pub(crate) async fn account_of(&self, jid: &Jid) -> Result<Option<Arc<Account>>, StoreError> {
        match self.known(jid) {
            Some(account) => Ok(Some(account)),
            None => Box::pin(self.account(&jid.bare())).await,
        }
    }

    /// The same, if it is in memory.
    pub(crate) fn known(&self, jid: &Jid) -> Option<Arc<Account>> {
        self.0.accounts.known(jid.bare_str())
    }

    /// An account for a nameless guest of `site` (SASL ANONYMOUS, RFC 4505).
    pub(crate) async fn guest(&self, site: &Site) -> Result<Arc<Account>, StoreError> {
        let name = self.0.clock.token(12);
        let jid = BareJid::from_parts(Some(&name), site.domain())
            .expect("letters and digits at a served domain are an address");
        self.0.accounts.invite(&self.0.db, &site.facts, jid).await
    }

    /// Drops what is remembered of an account that was erased.
    pub fn forget(&self, jid: &BareJid) {
        self.0.accounts.forget(jid);
    }

    /// Randomness for streams.
    pub fn entropy(&self) -> Entropy {
        Arc::clone(&self.0.entropy)
    }

    /// Where those wait whose password is to be checked.
    pub(crate) fn gate(&self) -> &Gate {
        &self.0.gate
    }

    /// How many accounts were disabled or erased so far. One that was found open to its owner after
    /// this was asked is still, if the answer is still the same.
    pub(crate) fn locked(&self) -> u64 {
        self.0.locked.load(Ordering::SeqCst)
    }

    /// An account was disabled, or is being erased: its row says so already.
    pub(crate) fn lock_out(&self) {
        self.0.locked.fetch_add(1, Ordering::SeqCst);
    }

    /// What is noted and not written yet.
    pub(crate) fn notes(&self) -> &Notes {
        &self.0.notes
    }

    /// What is told to those who watch.
    pub(crate) fn events(&self) -> &Events {
        &self.0.events
    }

    /// Makes a session findable by the id that its client will resume it with.
    pub(crate) fn remember(&self, id: String, account: BareJid, mailbox: Mailbox) {
        self.0.resumable.lock().insert(id, (account, mailbox));
    }

    pub(crate) fn unremember(&self, id: &str) {
        self.0.resumable.lock().remove(id);
    }

    /// The session with this resumption id, for its own account only.
    pub(crate) fn resumable(&self, id: &str, account: &BareJid) -> Option<Mailbox> {
        let resumable = self.0.resumable.lock();
        resumable.get(id).filter(|(owner, _)| owner == account).map(|(_, mailbox)| mailbox.clone())
    }

    /// The sessions that nobody resumed in time.
    pub(crate) fn lapsed(&self) -> &Lapsed {
        &self.0.lapsed
    }

    /// What lasts while the settings change.
    pub(crate) fn kept(&self) -> &Lasting {
        &self.0.lasting
    }

    /// What the server and its services asked and got no answer to so far.
    pub(crate) fn inquiries(&self) -> &Inquiries {
        &self.0.inquiries
    }

    /// Sessions that have not ended completely, hibernating ones among them.
    pub fn sessions(&self) -> usize {
        self.0.sessions.load(Ordering::Acquire)
    }

    pub(crate) fn session_begins(&self) {
        self.0.sessions.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn session_is_over(&self) {
        self.0.sessions.fetch_sub(1, Ordering::AcqRel);
    }

    /// Counts a connection that has no session, not yet or not any more.
    pub(crate) fn stranger(&self) -> Stranger {
        self.0.strangers.fetch_add(1, Ordering::AcqRel);
        Stranger(self.clone())
    }

    /// Whether anybody is connected, or waits to be.
    pub(crate) fn is_deserted(&self) -> bool {
        self.sessions() == 0 && self.0.strangers.load(Ordering::Acquire) == 0
    }

    /// What was ordered about the end of the server.
    pub(crate) fn orders(&self) -> &Orders {
        &self.0.orders
    }

    /// Whether the server is about to end.
    pub fn is_draining(&self) -> bool {
        *self.0.is_draining.borrow()
    }

    /// Resolves when the server is about to end.
    pub(crate) async fn draining(&self) {
        // The sender lives as long as this hub.
        let _ = self.0.is_draining.subscribe().wait_for(|is_draining| *is_draining).await;
    }

    /// Where clients are sent while the server ends, if there is such a place.
    pub(crate) fn elsewhere(&self) -> Option<Arc<str>> {
        self.0.elsewhere.lock().clone()
    }

    pub(crate) fn start_draining(&self, elsewhere: Option<&str>) {
        *self.0.elsewhere.lock() = elsewhere.map(Arc::from);
        self.0.is_draining.send_replace(true);
        self.0.events.end();
    }
}
