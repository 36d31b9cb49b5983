//! Who is online: the one map that all sessions share. Its locks are held for nanoseconds, one at
//! a time, and never across an await; readers get snapshots.

use std::fmt;
use std::hash::BuildHasher;
use std::num::NonZeroU64;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use parking_lot::RwLock;
use smallvec::SmallVec;
use waxwing_jid::{BareJid, Jid};
use waxwing_stanza::Stanza;

use crate::crowd::Mailboxes;
use crate::interests::Interests;
use crate::mailbox::Mailbox;
use crate::site::Site;
use crate::wire::Transport;

const SHARDS: usize = 64;

/// A public yes-or-no of a session, allotted to one module by its site ("wants carbons").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flag(pub(crate) u8);

/// The flags that are up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u32);

impl Flags {
    /// Whether `flag` is up.
    pub fn has(self, flag: Flag) -> bool {
        self.0 & (1 << flag.0) != 0
    }

    /// Puts `flag` up or takes it down.
    pub fn set(&mut self, flag: Flag, up: bool) {
        let bit = 1 << flag.0;
        self.0 = if up { self.0 | bit } else { self.0 & !bit };
    }
}

/// One installation of a client, as the server knows it: a hash of the account and of the
/// identifier that the client tells when it signs in (XEP-0388 §2.3), which nobody else may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientId(NonZeroU64);

impl ClientId {
    /// The client `agent` of `account`.
    pub fn of(site: &Site, account: &BareJid, agent: &str) -> Self {
        let seal = site.host().seal("client", &[account.as_str(), agent]);
        let bytes = seal.first_chunk().copied().unwrap_or_default();
        Self(NonZeroU64::new(u64::from_be_bytes(bytes)).unwrap_or(NonZeroU64::MIN))
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What others may know of a session.
#[derive(Clone)]
pub struct Resource {
    /// Its full address.
    pub jid: Jid,
    /// The way to it.
    pub mailbox: Mailbox,
    /// The presence it last broadcast; none before the first and after `unavailable`.
    pub presence: Option<Stanza>,
    /// The priority of that presence (RFC 6121 §4.7.2.3), -128 to 127.
    pub priority: i8,
    /// What modules noted about it.
    pub flags: Flags,
    /// Whether a client is connected; false while it waits to be resumed.
    pub is_live: bool,
    /// How it came in.
    pub transport: Transport,
    /// When it was bound, in Unix milliseconds.
    pub since_millis: u64,
    /// Which client it is, where that has told.
    pub client: Option<ClientId>,
    /// What it wants to be told of unasked, once that is known; none while it is not available.
    pub interests: Option<Arc<Interests>>,
}

impl Resource {
    /// Whether it has sent initial presence: RFC 6121's "available resource".
    pub fn is_available(&self) -> bool {
        self.presence.is_some()
    }
}

/// The sessions of one account; nearly always one to three.
pub type Resources = SmallVec<[Resource; 1]>;

/// The map from account to sessions.
pub struct Directory {
    shards: Vec<Shard>,
    hasher: RandomState,
}

/// The sessions of an account are an allocation of their own, and their addresses are the key: a
/// table with rows of that size, half empty as tables are, would cost twice as much.
type Shard = RwLock<HashTable<Vec<Resource>>>;

impl Default for Directory {
    fn default() -> Self {
        let shards = (0..SHARDS).map(|_| Shard::default()).collect();
        Self { shards, hasher: RandomState::default() }
    }
}

impl Directory {
    /// Adds a session unless `room` sessions of the account are there already. A session that
    /// holds the same resource is replaced and given back.
    ///
    /// # Errors
    /// The number of sessions, when there is no room.
    pub fn bind(&self, resource: Resource, room: usize) -> Result<Option<Resource>, usize> {
        let hash = self.hash(resource.jid.bare_str());
        let mut shard = self.shard(hash).write();
        let Some(held) = shard.find_mut(hash, of(resource.jid.bare_str())) else {
            if room == 0 {
                return Err(0);
            }
            shard.insert_unique(hash, vec![resource], |held| self.hash(account(held)));
            return Ok(None);
        };
        if let Some(same) = held.iter_mut().find(|held| held.jid == resource.jid) {
            return Ok(Some(std::mem::replace(same, resource)));
        }
        if held.len() >= room {
            return Err(held.len());
        }
        held.reserve_exact(1);
        held.push(resource);
        Ok(None)
    }

    /// Removes a session, unless another has taken its place since. Gives what was known of it.
    pub fn unbind(&self, jid: &Jid, mailbox: &Mailbox) -> Option<Resource> {
        let hash = self.hash(jid.bare_str());
        let mut shard = self.shard(hash).write();
        let mut entry = shard.find_entry(hash, of(jid.bare_str())).ok()?;
        let held = entry.get_mut();
        let index = held.iter().position(|held| held.mailbox.is(mailbox))?;
        let gone = held.remove(index);
        if held.is_empty() {
            entry.remove();
        }
        Some(gone)
    }

    /// Changes what is known of the session behind `mailbox`; false when it is gone. Not its
    /// address.
    pub fn update(&self, jid: &Jid, mailbox: &Mailbox, change: impl FnOnce(&mut Resource)) -> bool {
        let hash = self.hash(jid.bare_str());
        let mut shard = self.shard(hash).write();
        let held = shard.find_mut(hash, of(jid.bare_str())).into_iter().flatten();
        match { held }.find(|held| held.mailbox.is(mailbox)) {
            Some(resource) => {
                change(resource);
                true
            }
            None => false,
        }
    }

    /// A snapshot of an account's sessions.
    pub fn sessions(&self, account: &BareJid) -> Resources {
        self.select(account.as_str(), |_| true)
    }

    /// A snapshot of those sessions of an account, given as prepared text, that are `wanted`.
    pub fn select(&self, account: &str, wanted: impl Fn(&Resource) -> bool) -> Resources {
        let hash = self.hash(account);
        let shard = self.shard(hash).read();
        let held = shard.find(hash, of(account)).into_iter().flatten();
        held.filter(|resource| wanted(resource)).cloned().collect()
    }

    /// The letter boxes of those sessions of an account, given as prepared text, that are `wanted`.
    pub(crate) fn mailboxes(&self, account: &str, wanted: impl Fn(&Resource) -> bool) -> Mailboxes {
        let hash = self.hash(account);
        let shard = self.shard(hash).read();
        let held = shard.find(hash, of(account)).into_iter().flatten();
        held.filter(|session| wanted(session)).map(|session| session.mailbox.clone()).collect()
    }

    /// The same with their addresses.
    pub(crate) fn doors(
        &self,
        account: &str,
        wanted: impl Fn(&Resource) -> bool,
    ) -> SmallVec<[(Jid, Mailbox); 2]> {
        let hash = self.hash(account);
        let shard = self.shard(hash).read();
        let held = shard.find(hash, of(account)).into_iter().flatten();
        let door = |session: &Resource| (session.jid.clone(), session.mailbox.clone());
        held.filter(|session| wanted(session)).map(door).collect()
    }

    /// Whether an account has any session at all.
    pub fn is_present(&self, account: &BareJid) -> bool {
        let hash = self.hash(account.as_str());
        self.shard(hash).read().find(hash, of(account.as_str())).is_some()
    }

    /// A snapshot of one session.
    pub fn session(&self, jid: &Jid) -> Option<Resource> {
        let hash = self.hash(jid.bare_str());
        let shard = self.shard(hash).read();
        shard.find(hash, of(jid.bare_str()))?.iter().find(|held| held.jid == *jid).cloned()
    }

    /// A snapshot of everybody, for operators and for the end of the server. Not for hot paths.
    pub fn everybody(&self) -> Vec<Resource> {
        let mut all = Vec::new();
        for shard in &self.shards {
            all.extend(shard.read().iter().flatten().cloned());
        }
        all
    }

    fn hash(&self, account: &str) -> u64 {
        self.hasher.hash_one(account)
    }

    /// By bits of the hash that the tables do not look at.
    fn shard(&self, hash: u64) -> &Shard {
        &self.shards[(hash >> 40) as usize % SHARDS]
    }
}

/// Whose sessions these are.
fn account(held: &[Resource]) -> &str {
    held.first().map_or("", |resource| resource.jid.bare_str())
}

/// Whether these are the sessions of `wanted`.
fn of(wanted: &str) -> impl Fn(&Vec<Resource>) -> bool {
    move |held| account(held) == wanted
}
