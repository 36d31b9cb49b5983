//! One virtual host: its modules, routes and what streams must know of it.

use std::any::Any;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use parking_lot::RwLock;
use waxwing_jid::BareJid;
use waxwing_stream::{BearerOffer, Host, Mechanisms};

use crate::account::{Account, Fact, Facts, Slot};
use crate::config::{Host as HostSettings, Section};
use crate::directory::Flag;
use crate::hub::Hub;
use crate::module::{Mount, StartError};
use crate::nesting::Nested;
use crate::request::Scope;
use crate::roster::Roster;
use crate::router::{Router, Table};

/// One virtual host, complete and frozen.
pub struct Site {
    /// Its domain, as an address.
    pub jid: BareJid,
    /// Who may administer it, as the configuration says.
    pub admins: Vec<BareJid>,
    /// Who may besides, as those have said.
    appointed: Arc<RwLock<Vec<BareJid>>>,
    /// Where its stanzas go.
    pub router: Router,
    /// What its accounts know.
    pub facts: Facts,
    /// The roster of an account.
    pub roster: Slot<Roster>,
    /// Up for sessions that asked for the roster (RFC 6121 §2.1.6: "interested resource").
    pub interested: Flag,
    keeps_passwords: bool,
    /// What components answer in its place.
    pub(crate) nested: Nested,
    session_slots: usize,
    host: OnceLock<Arc<Host>>,
    pub(crate) web: OnceLock<String>,
}

impl Site {
    /// Starts those of `mounts` that are on for the host `jid` with its `settings`.
    ///
    /// # Errors
    /// The first module that refuses, or two that claim the same route.
    pub fn start(
        hub: &Hub,
        jid: &BareJid,
        settings: &HostSettings,
        mounts: &[Mount],
    ) -> Result<Self, StartError> {
        let mut facts = Facts::default();
        let roster = facts.add::<Roster>();
        let mut builder = SiteBuilder {
            hub,
            jid,
            settings,
            facts,
            roster,
            appointed: Arc::default(),
            table: Table::default(),
            flags: 0,
            session_slots: 0,
        };
        let interested = builder.flag();
        for mount in mounts.iter().filter(|mount| settings.is_on(mount.about.name)) {
            (mount.mount)(&mut builder)?;
            mount.check_services(&builder.table.services)?;
        }
        let SiteBuilder { facts, appointed, table, session_slots, .. } = builder;
        let admins = settings.config.admins.clone();
        let (jid, router) = (jid.clone(), table.freeze()?);
        let (host, web) = (OnceLock::new(), OnceLock::new());
        Ok(Self {
            jid,
            admins,
            appointed,
            router,
            facts,
            roster,
            interested,
            keeps_passwords: settings.config.internal_passwords,
            nested: Nested::default(),
            session_slots,
            host,
            web,
        })
    }

    /// Its domain.
    pub fn domain(&self) -> &str {
        self.jid.domain()
    }

    /// What its streams offer; set once by the hub.
    pub fn host(&self) -> Arc<Host> {
        Arc::clone(self.host.get().expect("a site gets its host before it is served"))
    }

    /// Says what streams of this host offer. The first word counts.
    pub fn offer(&self, host: Host) {
        let _ = self.host.set(Arc::new(host));
    }

    /// The stream features of the modules, for [`Host::features`].
    pub fn stream_features(&self) -> Vec<Arc<str>> {
        let features = self.router.0.stream_features.iter();
        features.filter_map(|feature| feature(self)).map(Arc::from).collect()
    }

    /// The same for those who have not signed in, for [`Host::early_features`].
    pub fn early_features(&self) -> Vec<Arc<str>> {
        self.router.0.early_features.clone()
    }

    /// The namespaces of stream-level elements that modules take, for [`Host::nonzas`].
    pub fn nonzas(&self) -> Vec<Arc<str>> {
        self.router.0.nonzas.namespaces().map(Arc::from).collect()
    }

    /// The namespaces of what a session can begin with (XEP-0386), for [`Host::inline`].
    pub fn inline_features(&self) -> Vec<Arc<str>> {
        let mut names: Vec<_> = self.router.0.inlines.namespaces().map(Arc::from).collect();
        names.sort();
        names
    }

    /// Whether clients can sign in with tokens, for [`Host::tokens`].
    pub fn takes_tokens(&self) -> bool {
        self.router.0.tokens.is_some()
    }

    /// What clients are told of tokens that somebody else gives out, for [`Host::bearer`]; none
    /// where such are not taken.
    pub fn bearer(&self) -> Option<BearerOffer> {
        self.router.0.bearer.as_ref().map(|bearer| bearer.offer.clone())
    }

    /// Whether accounts may have passwords that this server keeps.
    pub fn keeps_passwords(&self) -> bool {
        self.keeps_passwords
    }

    /// Whether others are asked about passwords that this server does not keep.
    pub(crate) fn asks_others(&self) -> bool {
        let table = &self.router.0;
        !table.passwords.is_empty() || table.bearer.as_ref().is_some_and(|it| it.is_password)
    }

    /// How passwords are sent, for [`Host::mechanisms`]. Who is asked about a password must see it,
    /// so where others are asked there is PLAIN alone: a client that finds SCRAM tries nothing
    /// else. Tokens that are sent in the place of a password are sent by clients that know what
    /// they do.
    pub fn mechanisms(&self) -> Mechanisms {
        let scram = self.keeps_passwords && self.router.0.passwords.is_empty();
        Mechanisms {
            scram_sha_1: scram,
            scram_sha_256: scram,
            scram_sha_512: scram,
            plain: self.keeps_passwords || self.asks_others(),
            ..Mechanisms::default()
        }
    }

    /// Whether anything is answered before sign-in (XEP-0077).
    pub fn has_early_routes(&self) -> bool {
        self.router.0.iqs.keys().any(|(scope, _)| *scope == Scope::Early)
    }

    /// Whether `jid` administers this host.
    pub fn is_admin(&self, jid: &BareJid) -> bool {
        self.admins.contains(jid) || self.appointed.read().contains(jid)
    }

    /// Everybody who administers this host.
    pub fn administrators(&self) -> Vec<BareJid> {
        let appointed = self.appointed.read();
        self.admins.iter().chain(appointed.iter()).cloned().collect()
    }

    /// Whether `watcher` may see the presence of `account`: it is the owner, or has a subscription
    /// (RFC 6121 §3).
    pub fn may_see(&self, account: &Account, watcher: &BareJid) -> bool {
        account.jid() == watcher || account.fact(self.roster).state(watcher).subscription.shows()
    }

    pub(crate) fn slots(&self) -> Slots {
        Slots((0..self.session_slots).map(|_| None).collect())
    }
}

/// A site while its modules start.
pub struct SiteBuilder<'a> {
    hub: &'a Hub,
    jid: &'a BareJid,
    settings: &'a HostSettings,
    facts: Facts,
    roster: Slot<Roster>,
    appointed: Arc<RwLock<Vec<BareJid>>>,
    table: Table,
    flags: u8,
    session_slots: usize,
}

impl SiteBuilder<'_> {
    /// The server, for what a module does unasked. It is not serving this site yet.
    pub fn hub(&self) -> Hub {
        self.hub.clone()
    }

    /// The host's domain.
    pub fn jid(&self) -> &BareJid {
        self.jid
    }

    /// Whether accounts of this host may have passwords that this server keeps.
    pub fn keeps_passwords(&self) -> bool {
        self.settings.config.internal_passwords
    }

    /// Who administers the host besides those of the configuration; for the module that decides it.
    pub fn appointed(&self) -> Arc<RwLock<Vec<BareJid>>> {
        Arc::clone(&self.appointed)
    }

    /// Gives every account of this host a fact.
    pub fn fact<T: Fact>(&mut self) -> Slot<T> {
        self.facts.add()
    }

    /// The roster of an account, which the kernel keeps.
    pub fn roster(&self) -> Slot<Roster> {
        self.roster
    }

    /// Gives every session a public flag.
    ///
    /// # Panics
    /// When there are more than 32: a programmer's error, found at the first start.
    pub fn flag(&mut self) -> Flag {
        assert!(self.flags < 32, "a session has room for 32 flags");
        self.flags += 1;
        Flag(self.flags - 1)
    }

    /// The flag of sessions that asked for the roster.
    pub fn interested(&self) -> Flag {
        Flag(0)
    }

    /// Gives every session a private pigeon-hole.
    pub fn session_slot<T: Default + Send + 'static>(&mut self) -> SessionSlot<T> {
        self.session_slots += 1;
        SessionSlot { index: self.session_slots - 1, of: PhantomData }
    }

    pub(crate) fn section<S: Section>(&self, module: &str) -> S {
        self.settings.module(module)
    }

    pub(crate) fn table(&mut self) -> &mut Table {
        &mut self.table
    }
}

/// A typed pigeon-hole in every session, handed to one module at start.
pub struct SessionSlot<T> {
    index: usize,
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for SessionSlot<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for SessionSlot<T> {}

/// What modules keep in one session; empty pigeon-holes cost two words.
pub struct Slots(Box<[Option<Box<dyn Any + Send>>]>);

impl Slots {
    /// The content of `slot`, made when it is first asked for.
    pub fn of<T: Default + Send + 'static>(&mut self, slot: SessionSlot<T>) -> &mut T {
        let hole = self.0[slot.index].get_or_insert_with(|| Box::new(T::default()));
        hole.downcast_mut().expect("a slot has one type")
    }

    /// The content of `slot`, if it was ever asked for.
    pub fn peek<T: Default + Send + 'static>(&mut self, slot: SessionSlot<T>) -> Option<&mut T> {
        self.0[slot.index].as_mut().map(|held| held.downcast_mut().expect("a slot has one type"))
    }
}
