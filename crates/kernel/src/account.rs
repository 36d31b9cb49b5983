//! One account's facts: what must be known before a stanza is judged, loaded once and shared.
//!
//! A fact belongs to one module and is reached through the [`Slot`] that the module was given at
//! start. Readers take snapshots; a writer takes the account's [`Turn`], makes the change durable,
//! and then publishes it. Two turns are never held by one task, so there is no lock order.

use std::any::Any;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use waxwing_jid::BareJid;
use waxwing_store::{Db, StoreError};

use crate::filing::Underway;
use crate::rate::Bucket;

/// Something worth knowing about an account before judging a stanza: a roster, a block list.
pub trait Fact: Sized + Send + Sync + 'static {
    /// Reads the fact from the database.
    ///
    /// # Errors
    /// Whatever the store says; the stanza at hand is then refused, not guessed about.
    fn load(db: &Db, owner: &BareJid) -> impl Future<Output = Result<Self, StoreError>> + Send;
}

/// A typed pigeon-hole in every account, handed to one module at start.
pub struct Slot<T> {
    index: usize,
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Slot<T> {}

type Erased = Arc<dyn Any + Send + Sync>;
type Loaded<'a> = Pin<Box<dyn Future<Output = Result<Erased, StoreError>> + Send + 'a>>;
type Loader = for<'a> fn(&'a Db, &'a BareJid) -> Loaded<'a>;

/// The facts that accounts of one site have. Filled while modules start, then frozen.
#[derive(Default)]
pub struct Facts(Vec<Loader>);

impl Facts {
    /// Adds a fact and gives the slot that reads it.
    pub fn add<T: Fact>(&mut self) -> Slot<T> {
        self.0.push(|db, owner| {
            Box::pin(async move { T::load(db, owner).await.map(|fact| Arc::new(fact) as Erased) })
        });
        Slot { index: self.0.len() - 1, of: PhantomData }
    }

    /// Loads every fact of one account. A guest's account ends with its session.
    ///
    /// # Errors
    /// The first that cannot be read.
    pub async fn load(&self, db: &Db, jid: BareJid, is_guest: bool) -> Result<Account, StoreError> {
        let mut facts = Vec::with_capacity(self.0.len());
        for loader in &self.0 {
            facts.push(RwLock::new(loader(db, &jid).await?));
        }
        let (facts, turn) = (facts.into(), tokio::sync::Mutex::new(()));
        let (bucket, underway) = (Mutex::default(), Underway::default());
        Ok(Account { jid, is_guest, facts, turn, bucket, underway })
    }
}

/// A registered person or device, with everything that judging a stanza needs.
pub struct Account {
    jid: BareJid,
    is_guest: bool,
    facts: Box<[RwLock<Erased>]>,
    turn: tokio::sync::Mutex<()>,
    bucket: Mutex<Bucket>,
    underway: Underway,
}

impl Account {
    /// The account's address.
    pub fn jid(&self) -> &BareJid {
        &self.jid
    }

    /// Whether it is a nameless guest's (SASL ANONYMOUS), which ends with its session.
    pub fn is_guest(&self) -> bool {
        self.is_guest
    }

    /// What is left of the rate at which its sessions may send.
    pub(crate) fn bucket(&self) -> &Mutex<Bucket> {
        &self.bucket
    }

    /// What is being filed in its archive.
    pub(crate) fn underway(&self) -> &Underway {
        &self.underway
    }

    /// A snapshot of one fact.
    pub fn fact<T: Fact>(&self, slot: Slot<T>) -> Arc<T> {
        let erased = Arc::clone(&self.facts[slot.index].read());
        erased.downcast().expect("a slot has one type")
    }

    /// A look at one fact, which is not changed meanwhile. For what is over at once: it costs less
    /// than a snapshot.
    pub fn look<T: Fact, R>(&self, slot: Slot<T>, at: impl FnOnce(&T) -> R) -> R {
        let erased = self.facts[slot.index].read();
        at(erased.downcast_ref().expect("a slot has one type"))
    }

    /// Waits for the right to change this account's facts. Never hold two.
    pub async fn turn(&self) -> Turn<'_> {
        Turn { account: self, _held: self.turn.lock().await }
    }
}

/// The right to change one account's facts: read, make durable, then [`Turn::publish`].
pub struct Turn<'a> {
    account: &'a Account,
    _held: tokio::sync::MutexGuard<'a, ()>,
}

impl Turn<'_> {
    /// The fact as it stands; nobody else changes it while this turn lasts.
    pub fn fact<T: Fact>(&self, slot: Slot<T>) -> Arc<T> {
        self.account.fact(slot)
    }

    /// Shows the changed fact to everybody. Call it after the commit, never before.
    pub fn publish<T: Fact>(&self, slot: Slot<T>, fact: T) {
        *self.account.facts[slot.index].write() = Arc::new(fact);
    }
}
