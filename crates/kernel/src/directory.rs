//! Who is online: the one map that all sessions share. Its locks are held for nanoseconds, one at
//! a time, and never across an await; readers get snapshots.

use std::collections::HashMap;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use parking_lot::RwLock;
use smallvec::SmallVec;
use waxwing_jid::{BareJid, Jid};
use waxwing_stanza::Stanza;

use crate::mailbox::Mailbox;
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
    shards: Vec<RwLock<HashMap<BareJid, Resources, RandomState>>>,
    hasher: RandomState,
}

impl Default for Directory {
    fn default() -> Self {
        let shards = (0..SHARDS).map(|_| RwLock::new(HashMap::default())).collect();
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
        let bare = resource.jid.bare();
        let mut shard = self.shard(bare.as_str()).write();
        let resources = shard.entry(bare).or_default();
        if let Some(same) = resources.iter_mut().find(|held| held.jid == resource.jid) {
            return Ok(Some(std::mem::replace(same, resource)));
        }
        if resources.len() >= room {
            return Err(resources.len());
        }
        resources.push(resource);
        Ok(None)
    }

    /// Removes a session, unless another has taken its place since. Gives what was known of it.
    pub fn unbind(&self, jid: &Jid, mailbox: &Mailbox) -> Option<Resource> {
        let bare = jid.bare_str();
        let mut shard = self.shard(bare).write();
        let resources = shard.get_mut(bare)?;
        let index = resources.iter().position(|held| held.mailbox.is(mailbox))?;
        let gone = resources.remove(index);
        if resources.is_empty() {
            shard.remove(bare);
        }
        Some(gone)
    }

    /// Changes what is known of the session behind `mailbox`; false when it is gone.
    pub fn update(&self, jid: &Jid, mailbox: &Mailbox, change: impl FnOnce(&mut Resource)) -> bool {
        let bare = jid.bare_str();
        let mut shard = self.shard(bare).write();
        let held = shard.get_mut(bare).into_iter().flatten();
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
        let shard = self.shard(account).read();
        let held = shard.get(account).into_iter().flatten();
        held.filter(|resource| wanted(resource)).cloned().collect()
    }

    /// Whether an account has any session at all.
    pub fn is_present(&self, account: &BareJid) -> bool {
        self.shard(account.as_str()).read().contains_key(account)
    }

    /// A snapshot of one session.
    pub fn session(&self, jid: &Jid) -> Option<Resource> {
        let bare = jid.bare_str();
        let shard = self.shard(bare).read();
        shard.get(bare)?.iter().find(|held| held.jid == *jid).cloned()
    }

    /// A snapshot of everybody, for operators and for the end of the server. Not for hot paths.
    pub fn everybody(&self) -> Vec<Resource> {
        let mut all = Vec::new();
        for shard in &self.shards {
            all.extend(shard.read().values().flatten().cloned());
        }
        all
    }

    fn shard(&self, account: &str) -> &RwLock<HashMap<BareJid, Resources, RandomState>> {
        &self.shards[self.hasher.hash_one(account) as usize % SHARDS]
    }
}
