//! Nodes in memory: one value for each, loaded when it is touched.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use parking_lot::{Mutex, RwLock};
use waxwing_jid::BareJid;
use waxwing_kernel::account::Account;
use waxwing_kernel::nodes::NodeItem;
use waxwing_stanza::StanzaError;
use waxwing_store::domains::pubsub::{self as rows, Items, Nodes, Slice};
use waxwing_store::{Db, StoreError};

use super::config::Config;
use super::errors::no_node;
use super::rights::Affiliation;
use super::subscribers::Subscribers;

/// Bytes of a payload that is kept in memory with its node.
const SMALL_BYTES: usize = 4096;
/// Affiliations that are remembered of one node; beyond it, all are forgotten and read again.
const AFFILIATIONS: usize = 256;

/// Where nodes are: an account, or the service.
#[derive(Clone)]
pub(super) struct Realm {
    /// Its address.
    pub(super) jid: BareJid,
    /// The account; none for the service.
    pub(super) account: Option<Arc<Account>>,
}

impl Realm {
    /// Whether the nodes are an account's (XEP-0163).
    pub(super) fn is_account(&self) -> bool {
        self.account.is_some()
    }
}

/// A place for a node: its name in a realm, whether or not there is such a node.
pub(super) struct Node {
    pub(super) owner: BareJid,
    pub(super) name: Arc<str>,
    turn: tokio::sync::Mutex<()>,
    loading: tokio::sync::Mutex<()>,
    state: RwLock<Known>,
    affiliations: Mutex<Remembered>,
    /// Who is told, once it was read.
    pub(super) subscribers: Mutex<Option<Arc<Subscribers>>>,
    /// Somebody asked for it since it was last looked at.
    pub(super) is_recent: AtomicBool,
}

/// Affiliations that were read.
#[derive(Default)]
struct Remembered {
    known: HashMap<BareJid, Affiliation>,
    /// How often some were forgotten: what was read before that is not remembered.
    changes: u64,
}

impl Remembered {
    fn forget(&mut self, jid: Option<&BareJid>) {
        self.changes += 1;
        match jid {
            Some(jid) => drop(self.known.remove(jid)),
            None => self.known.clear(),
        }
    }
}

/// What is known of a node.
enum Known {
    /// Nothing so far.
    Nothing,
    /// There is none.
    Absent,
    There(Arc<State>),
}

/// A node that there is.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// Its id in the store.
    pub(super) id: i64,
    pub(super) config: Arc<Config>,
    /// Who made it.
    pub(super) creator: BareJid,
    /// When, in milliseconds since 1970.
    pub(super) created: i64,
    /// How many items it has; some of them may have ended.
    pub(super) items: i64,
    /// The item that was published last, where one is kept.
    pub(super) last: Option<Last>,
    /// Items remembered since those beyond the limit were removed: any number at first.
    pub(super) untrimmed: u32,
}

/// The item that was published last at a node.
#[derive(Clone, Debug)]
pub(super) struct Last {
    pub(super) id: Box<str>,
    /// The item, unless it is large: thousands of nodes are in memory.
    item: Option<Arc<Item>>,
}

impl Last {
    pub(super) fn new(item: &Arc<Item>) -> Self {
        let is_small = item.payload.len() <= SMALL_BYTES;
        Self { id: item.id.clone(), item: is_small.then(|| Arc::clone(item)) }
    }
}

/// An item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// Rises with everything that is published.
    pub(super) number: i64,
    pub(super) id: Box<str>,
    /// Who published it.
    pub(super) publisher: BareJid,
    /// When, in milliseconds since 1970.
    pub(super) published: i64,
    /// When it ends, if it does.
    pub(super) expires: Option<i64>,
    /// It goes when its publisher goes offline.
    pub(super) leaves: bool,
    /// One element that can stand alone, or nothing.
    pub(super) payload: Arc<str>,
}

impl Item {
    pub(super) fn of(row: rows::Item) -> Result<Self, StoreError> {
        let corrupt = |error| StoreError::Corrupt(format!("a publisher: {error}"));
        Ok(Self {
            number: row.number,
            id: row.id.into(),
            publisher: BareJid::new(&row.publisher).map_err(corrupt)?,
            published: row.published,
            expires: row.expires,
            leaves: row.leaves,
            payload: row.payload.into(),
        })
    }

    pub(super) fn row(&self, owner: &BareJid, node: i64) -> rows::Item {
        rows::Item {
            number: self.number,
            owner: owner.as_str().to_owned(),
            node,
            id: self.id.to_string(),
            publisher: self.publisher.as_str().to_owned(),
            published: self.published,
            expires: self.expires,
            leaves: self.leaves,
            payload: self.payload.to_string(),
        }
    }

    /// As other modules see it.
    pub(super) fn shown(&self) -> NodeItem {
        NodeItem {
            id: self.id.to_string(),
            publisher: self.publisher.clone(),
            payload: Arc::clone(&self.payload),
            number: self.number,
            published: self.published,
        }
    }

    /// Whether its time is over at `now`.
    pub(super) fn is_over(&self, now: i64) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }
}

/// The right to change a node: check, commit, [`Node::set`], tell. They are told in the order of
/// the changes, because the turn ends when they have been.
pub(super) type Turn<'a> = tokio::sync::MutexGuard<'a, ()>;

impl Node {
    /// A place about which nothing is known so far.
    pub(super) fn new(owner: &BareJid, name: &str) -> Self {
        Self {
            owner: owner.clone(),
            name: name.into(),
            turn: tokio::sync::Mutex::default(),
            loading: tokio::sync::Mutex::default(),
            state: RwLock::new(Known::Nothing),
            affiliations: Mutex::default(),
            subscribers: Mutex::default(),
            is_recent: AtomicBool::new(true),
        }
    }

    fn is_known(&self) -> bool {
        !matches!(*self.state.read(), Known::Nothing)
    }

    /// Waits for the right to change the node, or to make or remove it. Never hold two.
    ///
    /// # Errors
    /// The store's, when the node has to be read again because nobody knows what became of the last
    /// change.
    pub(super) async fn turn(&self, db: &Db) -> Result<Turn<'_>, StoreError> {
        let turn = self.turn.lock().await;
        self.load(db).await?;
        Ok(turn)
    }

    /// The node, if there is one.
    pub(super) fn state(&self) -> Option<Arc<State>> {
        match &*self.state.read() {
            Known::There(state) => Some(Arc::clone(state)),
            Known::Nothing | Known::Absent => None,
        }
    }

    /// The node.
    ///
    /// # Errors
    /// `item-not-found` when there is none.
    pub(super) fn there(&self) -> Result<Arc<State>, StanzaError> {
        self.state().ok_or_else(no_node)
    }

    /// Shows a change that was committed, to be called in a turn. Without a node nobody stands to
    /// it in any way.
    pub(super) fn set(&self, state: Option<State>) {
        if state.is_none() {
            self.affiliations.lock().forget(None);
            *self.subscribers.lock() = None;
        }
        *self.state.write() = state.map_or(Known::Absent, |state| Known::There(Arc::new(state)));
    }

    /// Forgets everything, so that it is read again: a commit failed, and nobody knows how far.
    pub(super) fn doubt(&self) {
        self.affiliations.lock().forget(None);
        *self.subscribers.lock() = None;
        *self.state.write() = Known::Nothing;
    }

    /// Forgets how somebody stands to the node, since it was changed.
    pub(super) fn forget_affiliation(&self, jid: &BareJid) {
        self.affiliations.lock().forget(Some(jid));
    }

    /// Forgets who is told, since that was changed.
    pub(super) fn forget_subscribers(&self) {
        *self.subscribers.lock() = None;
    }

    /// How somebody stands to the node; the rows alone decide.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn affiliation(
        &self,
        db: &Db,
        id: i64,
        jid: &BareJid,
    ) -> Result<Affiliation, StoreError> {
        let changes = {
            let held = self.affiliations.lock();
            if let Some(known) = held.known.get(jid) {
                return Ok(*known);
            }
            held.changes
        };
        let found = rows::Affiliations::new(db.clone()).find(id, jid.as_str()).await?;
        let affiliation = found.map_or(Affiliation::None, Affiliation::of);
        let mut held = self.affiliations.lock();
        if held.known.len() >= AFFILIATIONS {
            held.known.clear();
        }
        if held.changes == changes {
            held.known.insert(jid.clone(), affiliation);
        }
        Ok(affiliation)
    }

    /// Reads the node, if nothing is known of it.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn load(&self, db: &Db) -> Result<(), StoreError> {
        if self.is_known() {
            return Ok(());
        }
        let _loading = self.loading.lock().await;
        if self.is_known() {
            return Ok(());
        }
        let found = Nodes::new(db.clone()).find(self.owner.as_str(), &self.name).await?;
        let known = match found {
            None => Known::Absent,
            Some(row) => Known::There(Arc::new(State::read(db, row).await?)),
        };
        let mut state = self.state.write();
        if matches!(*state, Known::Nothing) {
            *state = known;
        }
        Ok(())
    }
}

impl State {
    async fn read(db: &Db, row: rows::Node) -> Result<Self, StoreError> {
        let items = Items::new(db.clone());
        let all = Slice { node: row.id, above: 0, below: i64::MAX, is_back: true, now: i64::MIN };
        let last = items.slice(all, 1).await?.pop();
        let corrupt = |error| StoreError::Corrupt(format!("a creator: {error}"));
        Ok(Self {
            id: row.id,
            config: Config::from_text(&row.config),
            creator: BareJid::new(&row.creator).map_err(corrupt)?,
            created: row.created,
            items: if last.is_some() { items.count(row.id).await? } else { 0 },
            last: last.map(Item::of).transpose()?.map(|item| Last::new(&Arc::new(item))),
            untrimmed: u32::MAX,
        })
    }

    /// The item that was published last, read if it is not in memory.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn last_item(&self, db: &Db) -> Result<Option<Arc<Item>>, StoreError> {
        match &self.last {
            None => Ok(None),
            Some(Last { item: Some(item), .. }) => Ok(Some(Arc::clone(item))),
            Some(Last { id, item: None }) => {
                let found = Items::new(db.clone()).find(self.id, &[&**id], i64::MIN).await?;
                found.into_iter().next().map(|row| Item::of(row).map(Arc::new)).transpose()
            }
        }
    }

    /// As it is stored.
    pub(super) fn row(&self, node: &Node) -> rows::Node {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        rows::Node {
            id: self.id,
            owner: node.owner.as_str().to_owned(),
            name: node.name.to_string(),
            creator: self.creator.as_str().to_owned(),
            created: self.created,
            access: self.config.access.number(),
            title: some(&self.config.title),
            kind: some(&self.config.kind),
            config: self.config.to_text(),
        }
    }
}
