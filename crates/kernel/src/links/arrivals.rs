//! Streams that other servers opened to this one: how many there are, and whose.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use smallvec::SmallVec;
use waxwing_stream::Pair;

use crate::hub::Hub;
use crate::mailbox::Mailbox;
use crate::rate::Bucket;

/// Those that are open.
#[derive(Default)]
pub(super) struct Arrivals {
    last: u64,
    /// Of how many nothing is proven.
    unproven: usize,
    streams: HashMap<u64, Arrival>,
    peers: HashMap<Arc<str>, Share>,
}

struct Arrival {
    mailbox: Mailbox,
    /// The domains that have proven themselves on it.
    peers: SmallVec<[Arc<str>; 1]>,
    /// The pairs of which it takes our stanzas as well (XEP-0288).
    open: SmallVec<[Pair; 1]>,
}

/// What the streams of one domain have together.
struct Share {
    streams: usize,
    bucket: Arc<Mutex<Bucket>>,
}

/// One that is counted until this is dropped.
pub(super) struct Guest {
    hub: Hub,
    id: u64,
}

impl Arrivals {
    fn enter(&mut self, mailbox: &Mailbox, most_unproven: usize) -> Option<u64> {
        if self.unproven >= most_unproven {
            return None;
        }
        self.unproven += 1;
        self.last += 1;
        let (peers, open) = (SmallVec::new(), SmallVec::new());
        self.streams.insert(self.last, Arrival { mailbox: mailbox.clone(), peers, open });
        Some(self.last)
    }

    fn prove(&mut self, id: u64, peer: &Arc<str>, most: usize) -> Option<Arc<Mutex<Bucket>>> {
        let arrival = self.streams.get_mut(&id)?;
        let share = self
            .peers
            .entry(Arc::clone(peer))
            .or_insert_with(|| Share { streams: 0, bucket: Arc::default() });
        if !arrival.peers.contains(peer) {
            if share.streams >= most {
                return None;
            }
            if arrival.peers.is_empty() {
                self.unproven -= 1;
            }
            share.streams += 1;
            arrival.peers.push(Arc::clone(peer));
        }
        Some(Arc::clone(&share.bucket))
    }

    fn leave(&mut self, id: u64) -> Option<Arrival> {
        let arrival = self.streams.remove(&id)?;
        if arrival.peers.is_empty() {
            self.unproven -= 1;
        }
        for peer in &arrival.peers {
            if let Some(share) = self.peers.get_mut(peer) {
                share.streams -= 1;
                if share.streams == 0 {
                    self.peers.remove(peer);
                }
            }
        }
        Some(arrival)
    }

    /// The letter boxes of all, and the domains that have proven themselves there.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Mailbox, &[Arc<str>])> {
        self.streams.values().map(|arrival| (&arrival.mailbox, &*arrival.peers))
    }
}

impl Guest {
    /// One more, unless there are too many of which nothing is proven.
    pub(super) fn enter(hub: &Hub, mailbox: &Mailbox) -> Option<Self> {
        let most = hub.limits().peers.arrivals_unproven;
        let id = hub.links().arrivals.lock().enter(mailbox, most)?;
        Some(Self { hub: hub.clone(), id })
    }

    /// A domain has proven itself. Gives what is left of its rate, or nothing when it has too many
    /// streams already.
    pub(super) fn proved(&self, peer: &Arc<str>) -> Option<Arc<Mutex<Bucket>>> {
        let most = self.hub.limits().peers.arrivals_per_peer;
        self.hub.links().arrivals.lock().prove(self.id, peer, most)
    }

    /// It takes our stanzas as well.
    pub(super) fn open(&self, pair: &Pair, mailbox: &Mailbox) {
        let (most, now) = (self.hub.limits().peers.links, self.hub.clock().now());
        let links = self.hub.links();
        if links.pairs.lock().open(pair, mailbox, (most, now)).is_ok()
            && let Some(arrival) = links.arrivals.lock().streams.get_mut(&self.id)
        {
            arrival.open.push(pair.clone());
        }
    }
}

/// Also of one that ends by a panic.
impl Drop for Guest {
    fn drop(&mut self) {
        let links = self.hub.links();
        let Some(arrival) = links.arrivals.lock().leave(self.id) else { return };
        let mut pairs = links.pairs.lock();
        for pair in &arrival.open {
            pairs.forget(pair, &arrival.mailbox);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_proven_nothing_is_bounded_and_who_has_is_so_for_itself() {
        let (mut arrivals, mailbox) = (Arrivals::default(), Mailbox::patient(1, 1));
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let one = arrivals.enter(&mailbox, 2).unwrap();
        let two = arrivals.enter(&mailbox, 2).unwrap();
        assert!(arrivals.enter(&mailbox, 2).is_none());
        let bucket = arrivals.prove(one, &a, 2).unwrap();
        assert!(arrivals.prove(one, &a, 2).is_some(), "the same again counts once");
        assert!(arrivals.prove(one, &b, 2).is_some(), "several may share a stream");
        let three = arrivals.enter(&mailbox, 2).unwrap();
        assert!(Arc::ptr_eq(&arrivals.prove(two, &a, 2).unwrap(), &bucket));
        assert!(arrivals.prove(three, &a, 2).is_none());
        assert!(arrivals.prove(three, &b, 2).is_some());
        for id in [one, two, three, three] {
            arrivals.leave(id);
        }
        assert_eq!((arrivals.unproven, arrivals.peers.len(), arrivals.all().count()), (0, 0, 0));
    }
}
