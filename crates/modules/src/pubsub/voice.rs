//! What telling subscribers needs beyond one request and one reload of the settings: in which order
//! nodes have spoken, how much is in memory, and who leaves with a presence.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use waxwing_jid::{BareJid, Jid};

use super::subscribers::Held;

/// Last items are read for so many newcomers at a time; more wait.
const READERS: usize = 8;

/// Kept for as long as the server runs.
pub(super) struct Voice {
    pub(super) fleeting: Fleeting,
    pub(super) held: Held,
    /// Whoever reads last items for a newcomer holds one of these.
    pub(super) readers: Semaphore,
}

impl Default for Voice {
    fn default() -> Self {
        Self {
            fleeting: Fleeting::default(),
            held: Held::default(),
            readers: Semaphore::new(READERS),
        }
    }
}

/// Nodes share so many marks.
const MARKS: usize = 1024;

/// When nodes last spoke, so that nobody is told of an old item behind a newer one.
///
/// Who comes online is told the last items by a task of its own, while others publish. Whoever
/// publishes leaves a mark after the commit and before the first is told; whoever reads last items
/// draws a line before reading, and hands nothing out of a node that has spoken since. There is one
/// for all hosts.
pub(super) struct Order(Box<[Mutex<u64>]>);

impl Default for Order {
    fn default() -> Self {
        Self((0..MARKS).map(|_| Mutex::default()).collect())
    }
}

impl Order {
    /// The node speaks from `now` on, a number that rises with everything that is numbered.
    pub(super) fn mark(&self, now: impl FnOnce() -> u64, owner: &str, node: &str) {
        let mut mark = self.of(owner, node).lock();
        *mark = now();
    }

    /// Does something that takes no time, unless the node has spoken since `line` was drawn;
    /// whether it did it.
    pub(super) fn unless_spoken(
        &self,
        line: u64,
        (owner, node): (&str, &str),
        hand: impl FnOnce(),
    ) -> bool {
        let mark = self.of(owner, node).lock();
        let is_silent = *mark < line;
        if is_silent {
            hand();
        }
        is_silent
    }

    fn of(&self, owner: &str, node: &str) -> &Mutex<u64> {
        let mut hasher = DefaultHasher::new();
        (owner, node).hash(&mut hasher);
        &self.0[hasher.finish() as usize % MARKS]
    }
}

/// A subscription that ends with the presence of its subscriber.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fleet {
    /// Whom the node belongs to.
    pub(super) owner: BareJid,
    pub(super) node: Box<str>,
    pub(super) jid: Jid,
    pub(super) subid: Box<str>,
}

/// Those subscriptions, by the bare addresses of the subscribers. There are no more than an address
/// may have, and only of who is online.
#[derive(Default)]
pub(super) struct Fleeting(Mutex<HashMap<BareJid, Vec<Fleet>>>);

impl Fleeting {
    pub(super) fn add(&self, fleet: Fleet) {
        let mut all = self.0.lock();
        let held = all.entry(fleet.jid.bare()).or_default();
        if !held.contains(&fleet) {
            held.push(fleet);
        }
    }

    /// Forgets one that has ended otherwise.
    pub(super) fn remove(&self, jid: &Jid, owner: &BareJid, subid: &str) {
        let mut all = self.0.lock();
        let bare = jid.bare();
        let Some(held) = all.get_mut(&bare) else { return };
        held.retain(|fleet| fleet.owner != *owner || *fleet.subid != *subid);
        if held.is_empty() {
            all.remove(&bare);
        }
    }

    /// Takes those that end with the session `gone`; with the last session of its account, those
    /// of the account as well.
    pub(super) fn take(&self, gone: &Jid, is_last: bool) -> Vec<Fleet> {
        let mut all = self.0.lock();
        let Some(held) = all.get_mut(&gone.bare()) else { return Vec::new() };
        let ends = |fleet: &Fleet| fleet.jid == *gone || (is_last && fleet.jid.is_bare());
        let (over, left) = std::mem::take(held).into_iter().partition(ends);
        match Vec::is_empty(&left) {
            true => drop(all.remove(&gone.bare())),
            false => *held = left,
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was read before a node spoke is not handed out behind what it said.
    #[test]
    fn an_old_item_never_comes_behind_a_newer_one() {
        let (order, node) = (Order::default(), ("juliet@localhost", "tune"));
        let hand = |line| {
            let mut is_handed = false;
            let is_done = order.unless_spoken(line, node, || is_handed = true);
            assert_eq!(is_done, is_handed);
            is_handed
        };
        assert!(hand(1), "it never spoke");
        order.mark(|| 5, node.0, node.1);
        assert!(!hand(4), "read before");
        assert!(hand(6), "read after");
        let other = (0..).map(|number| format!("n{number}"));
        let other = other
            .into_iter()
            .find(|name| !std::ptr::eq(order.of(node.0, name), order.of(node.0, node.1)));
        order.mark(|| 9, node.0, &other.unwrap());
        assert!(hand(6), "another node spoke");
    }

    #[test]
    fn with_a_session_its_own_subscriptions_end_and_with_the_last_those_of_the_account() {
        let fleet = |jid: &str| Fleet {
            owner: BareJid::new("pubsub.localhost").unwrap(),
            node: "n".into(),
            jid: Jid::new(jid).unwrap(),
            subid: jid.into(),
        };
        let fleeting = Fleeting::default();
        for jid in ["a@b/1", "a@b/2", "a@b", "c@b"] {
            fleeting.add(fleet(jid));
            fleeting.add(fleet(jid));
        }
        let jid = |text: &str| Jid::new(text).unwrap();
        assert_eq!(fleeting.take(&jid("a@b/1"), false), [fleet("a@b/1")]);
        assert!(fleeting.take(&jid("a@b/1"), false).is_empty());
        assert_eq!(fleeting.take(&jid("a@b/2"), true), [fleet("a@b/2"), fleet("a@b")]);
        assert_eq!(fleeting.0.lock().len(), 1);
    }
}
