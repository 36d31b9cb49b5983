//! The accounts in memory: loaded once, shared by all who ask, forgotten when long unused.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};

use foldhash::fast::RandomState;
use parking_lot::Mutex;
use waxwing_jid::BareJid;
use waxwing_store::domains::accounts::Accounts as Registered;
use waxwing_store::{Db, StoreError};

use crate::account::{Account, Facts};

/// The cache. An account in use is never loaded twice, so its [`crate::account::Turn`] orders all
/// changes to it.
pub(crate) struct Accounts {
    inner: Mutex<Inner>,
    room: usize,
}

#[derive(Default)]
struct Inner {
    known: HashMap<BareJid, Weak<Account>, RandomState>,
    /// The last loaded, kept alive for those who ask again soon.
    recent: VecDeque<Arc<Account>>,
}

impl Accounts {
    /// A cache that keeps `room` accounts beyond those in use.
    pub(crate) fn new(room: usize) -> Self {
        Self { inner: Mutex::default(), room }
    }

    /// The account under this prepared address, if it is in memory.
    pub(crate) fn known(&self, jid: &str) -> Option<Arc<Account>> {
        self.inner.lock().known.get(jid).and_then(Weak::upgrade)
    }

    /// The account, if it exists.
    ///
    /// # Errors
    /// The store's, when it had to be asked.
    pub(crate) async fn load(
        &self,
        db: &Db,
        facts: &Facts,
        jid: &BareJid,
    ) -> Result<Option<Arc<Account>>, StoreError> {
        if let Some(account) = self.inner.lock().known.get(jid).and_then(Weak::upgrade) {
            return Ok(Some(account));
        }
        // Boxed, because every session holds room for the longest wait it may come to.
        Box::pin(self.fetch(db, facts, jid)).await
    }

    async fn fetch(
        &self,
        db: &Db,
        facts: &Facts,
        jid: &BareJid,
    ) -> Result<Option<Arc<Account>>, StoreError> {
        if Registered::new(db.clone()).find(jid.as_str()).await?.is_none() {
            return Ok(None);
        }
        let loaded = Arc::new(facts.load(db, jid.clone(), false).await?);
        Ok(Some(self.keep(loaded)))
    }

    /// An account for a guest: no row says that it exists, only this cache.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn invite(
        &self,
        db: &Db,
        facts: &Facts,
        jid: BareJid,
    ) -> Result<Arc<Account>, StoreError> {
        Ok(self.keep(Arc::new(facts.load(db, jid, true).await?)))
    }

    /// Forgets an account that was erased.
    pub(crate) fn forget(&self, jid: &BareJid) {
        let mut inner = self.inner.lock();
        inner.known.remove(jid);
        inner.recent.retain(|account| account.jid() != jid);
    }

    /// Forgets the accounts of a domain: when it is served again, they may know other things.
    pub(crate) fn forget_host(&self, domain: &str) {
        let mut inner = self.inner.lock();
        inner.known.retain(|jid, _| jid.domain() != domain);
        inner.recent.retain(|account| account.jid().domain() != domain);
    }

    /// Keeps `loaded`, unless somebody else was quicker: there is one per address.
    fn keep(&self, loaded: Arc<Account>) -> Arc<Account> {
        let mut inner = self.inner.lock();
        if let Some(account) = inner.known.get(loaded.jid()).and_then(Weak::upgrade) {
            return account;
        }
        inner.known.insert(loaded.jid().clone(), Arc::downgrade(&loaded));
        inner.recent.push_back(Arc::clone(&loaded));
        if inner.recent.len() > self.room
            && let Some(oldest) = inner.recent.pop_front()
        {
            let jid = oldest.jid().clone();
            drop(oldest);
            if inner.known.get(&jid).is_some_and(|held| held.strong_count() == 0) {
                inner.known.remove(&jid);
            }
        }
        loaded
    }
}
