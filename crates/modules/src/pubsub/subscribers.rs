//! Who is subscribed to a node, in memory for as long as the node is, and no longer than there is
//! room: of a node with more subscribers they are read a page at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use waxwing_jid::{BareJid, Jid};
use waxwing_store::domains::pubsub::Heard;

use super::options::{Ends, Options};
use super::rights::Affiliation;

/// The state of a subscription (§4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Status {
    /// It waits for the approval of an owner.
    Pending,
    /// Its subscriber is to say first what it wants to be told.
    Unconfigured,
    /// Its subscriber is told.
    Subscribed,
}

impl Status {
    const ALL: [Self; 3] = [Self::Pending, Self::Unconfigured, Self::Subscribed];

    /// As it stands on the wire.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Unconfigured => "unconfigured",
            Self::Subscribed => "subscribed",
        }
    }

    /// The one with this name on the wire.
    pub(super) fn read(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    /// As it stands in the store.
    pub(super) fn number(self) -> i64 {
        match self {
            Self::Pending => 1,
            Self::Unconfigured => 2,
            Self::Subscribed => 3,
        }
    }

    /// The one with this number in the store. What is not known is told nothing.
    pub(super) fn of(number: i64) -> Self {
        Self::ALL.into_iter().find(|it| it.number() == number).unwrap_or(Self::Pending)
    }
}

/// One subscription of somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    /// Its id at the node.
    pub(super) subid: Box<str>,
    pub(super) status: Status,
    pub(super) options: Options,
    pub(super) ends: Ends,
}

impl Terms {
    /// From what is stored.
    pub(super) fn of(heard: &Heard) -> Self {
        Self {
            subid: heard.subid.as_str().into(),
            status: Status::of(heard.state),
            options: Options::from_text(heard.options.as_deref()),
            ends: Ends::of(heard.expires),
        }
    }

    /// Whether its time is not over.
    pub(super) fn lasts(&self, now: i64) -> bool {
        !matches!(self.ends, Ends::At(end) if end <= now)
    }

    /// Whether its subscriber wants to be told of what is published.
    pub(super) fn hears(&self, now: i64) -> bool {
        self.status == Status::Subscribed && self.options.delivers && self.lasts(now)
    }
}

/// How many subscriptions are in memory, of all nodes together.
#[derive(Clone, Debug, Default)]
pub(super) struct Held(Arc<AtomicUsize>);

impl Held {
    /// Whether there is room for so many more.
    pub(super) fn has_room(&self, count: usize, most: usize) -> bool {
        self.0.load(Ordering::Relaxed).saturating_add(count) <= most
    }
}

/// Everybody who is subscribed to a node.
#[derive(Debug)]
pub(super) struct Subscribers {
    /// By the addresses that are told; several subscriptions of one address stand together.
    by_jid: BTreeMap<Jid, Vec<Terms>>,
    /// Those whom the owner of the node has given an affiliation, where that decides who is told
    /// without a subscription.
    pub(super) named: BTreeMap<BareJid, Affiliation>,
    count: usize,
    held: Held,
}

impl Subscribers {
    /// Nobody.
    pub(super) fn none(held: &Held) -> Self {
        let (by_jid, named) = (BTreeMap::new(), BTreeMap::new());
        Self { by_jid, named, count: 0, held: held.clone() }
    }

    /// Takes note of affiliations, which have their place in memory too.
    pub(super) fn name(&mut self, named: BTreeMap<BareJid, Affiliation>) {
        self.count += named.len();
        self.held.0.fetch_add(named.len(), Ordering::Relaxed);
        self.named = named;
    }

    /// Adds a subscription, in the place of one with the same id.
    pub(super) fn put(&mut self, jid: &Jid, terms: Terms) {
        let all = self.by_jid.entry(jid.clone()).or_default();
        match all.iter_mut().find(|held| held.subid == terms.subid) {
            Some(held) => *held = terms,
            None => {
                all.push(terms);
                self.count += 1;
                self.held.0.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Removes a subscription.
    pub(super) fn remove(&mut self, jid: &Jid, subid: &str) {
        let Some(all) = self.by_jid.get_mut(jid) else { return };
        let before = all.len();
        all.retain(|held| *held.subid != *subid);
        let gone = before - all.len();
        if all.is_empty() {
            self.by_jid.remove(jid);
        }
        self.count -= gone;
        self.held.0.fetch_sub(gone, Ordering::Relaxed);
    }

    /// All of them, by their addresses.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Jid, &[Terms])> {
        self.by_jid.iter().map(|(jid, all)| (jid, all.as_slice()))
    }
}

impl Clone for Subscribers {
    fn clone(&self) -> Self {
        self.held.0.fetch_add(self.count, Ordering::Relaxed);
        Self {
            by_jid: self.by_jid.clone(),
            named: self.named.clone(),
            count: self.count,
            held: self.held.clone(),
        }
    }
}

impl Drop for Subscribers {
    fn drop(&mut self) {
        self.held.0.fetch_sub(self.count, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(subid: &str, status: Status) -> Terms {
        Terms { subid: subid.into(), status, options: Options::default(), ends: Ends::Never }
    }

    #[test]
    fn what_is_in_memory_is_counted_until_it_is_not() {
        let held = Held::default();
        let jid = Jid::new("romeo@localhost").unwrap();
        let mut all = Subscribers::none(&held);
        all.put(&jid, terms("1", Status::Pending));
        all.put(&jid, terms("1", Status::Subscribed));
        all.put(&jid, terms("2", Status::Subscribed));
        assert!(held.has_room(8, 10) && !held.has_room(9, 10));
        assert_eq!(all.iter().next().unwrap().1.len(), 2);
        let copy = all.clone();
        assert!(!held.has_room(7, 10));
        drop(copy);
        all.remove(&jid, "1");
        all.remove(&jid, "1");
        assert!(held.has_room(9, 10) && all.iter().count() == 1);
        all.name([(jid.bare(), Affiliation::Member)].into());
        assert!(held.has_room(8, 10) && !held.has_room(9, 10));
        drop(all);
        assert!(held.has_room(10, 10));
    }

    #[test]
    fn only_subscriptions_in_force_are_told() {
        let mut one = terms("1", Status::Subscribed);
        assert!(one.hears(5));
        one.ends = Ends::At(5);
        assert!(!one.hears(5) && one.hears(4));
        one.ends = Ends::WithPresence;
        assert!(one.hears(5));
        for status in [Status::Pending, Status::Unconfigured] {
            assert!(!terms("1", status).hears(5));
            assert_eq!(Status::of(status.number()), status);
            assert_eq!(Status::read(status.name()), Some(status));
        }
    }
}
