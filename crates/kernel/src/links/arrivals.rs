//! Streams that other servers opened to this one: how many there are, and whose.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use smallvec::SmallVec;
use waxwing_stream::Pair;

use crate::gate::network;
use crate::hub::Hub;
use crate::mailbox::Mailbox;
use crate::rate::Bucket;

/// The part, one in so many, of what all may have together that those of one network (one IPv4
/// address, one IPv6 /64) may have who have proven nothing.
const SHARE: usize = 8;

/// The same for domains that have proven themselves, of as many as there may be links: whoever has
/// a domain can prove any number of names below it, and each costs memory on every stream.
const NAMES_SHARE: usize = 4;

/// Those that are open.
#[derive(Default)]
pub(super) struct Arrivals {
    last: u64,
    /// Of how many nothing is proven.
    unproven: usize,
    streams: HashMap<u64, Arrival>,
    peers: HashMap<Arc<str>, Share>,
    networks: HashMap<IpAddr, Crowd>,
}

/// Those of one network.
#[derive(Default)]
struct Crowd {
    /// Streams of which nothing is proven.
    unproven: usize,
    /// Keys that are being asked about for them.
    asking: usize,
    /// Domains that have proven themselves, each counted once for every stream.
    names: usize,
}

struct Arrival {
    mailbox: Mailbox,
    network: IpAddr,
    /// The domains that have proven themselves on it.
    peers: SmallVec<[Arc<str>; 1]>,
    /// The domains here that they write to.
    ours: SmallVec<[Arc<str>; 1]>,
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
    network: IpAddr,
}

/// A key that is being asked about, counted until this is dropped.
pub(super) struct Asking {
    hub: Hub,
    network: IpAddr,
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.hub.links().arrivals.lock().answered(self.network);
    }
}

impl Arrivals {
    fn enter(&mut self, mailbox: &Mailbox, network: IpAddr, most: usize) -> Option<u64> {
        let own = self.networks.get(&network).map_or(0, |crowd| crowd.unproven);
        if self.unproven >= most || own >= (most / SHARE).max(1) {
            return None;
        }
        self.unproven += 1;
        self.networks.entry(network).or_default().unproven += 1;
        self.last += 1;
        let (mailbox, peers) = (mailbox.clone(), SmallVec::new());
        let (ours, open) = (SmallVec::new(), SmallVec::new());
        self.streams.insert(self.last, Arrival { mailbox, network, peers, ours, open });
        Some(self.last)
    }

    /// One key more is asked about, unless those of its network ask for too many.
    fn ask(&mut self, network: IpAddr, most: usize) -> bool {
        let crowd = self.networks.entry(network).or_default();
        let is_fair = crowd.asking < (most / SHARE).max(1);
        crowd.asking += usize::from(is_fair);
        self.forget(network);
        is_fair
    }

    fn answered(&mut self, network: IpAddr) {
        if let Some(crowd) = self.networks.get_mut(&network) {
            crowd.asking -= 1;
        }
        self.forget(network);
    }

    fn proven(&mut self, network: IpAddr) {
        self.unproven -= 1;
        if let Some(crowd) = self.networks.get_mut(&network) {
            crowd.unproven -= 1;
        }
    }

    /// Forgets a network that has nothing.
    fn forget(&mut self, network: IpAddr) {
        let is_idle = |crowd: &Crowd| crowd.unproven + crowd.asking + crowd.names == 0;
        if self.networks.get(&network).is_some_and(is_idle) {
            self.networks.remove(&network);
        }
    }

    /// `pair` is ours and theirs.
    fn prove(
        &mut self,
        id: u64,
        pair: &Pair,
        (most, most_names): (usize, usize),
    ) -> Option<Arc<Mutex<Bucket>>> {
        let (arrival, peer) = (self.streams.get_mut(&id)?, &pair.to);
        if !arrival.ours.contains(&pair.from) {
            arrival.ours.push(Arc::clone(&pair.from));
        }
        if arrival.peers.contains(peer) {
            return self.peers.get(peer).map(|share| Arc::clone(&share.bucket));
        }
        let crowd = self.networks.entry(arrival.network).or_default();
        let streams = self.peers.get(peer).map_or(0, |share| share.streams);
        if streams >= most || crowd.names >= most_names {
            return None;
        }
        crowd.names += 1;
        arrival.peers.push(Arc::clone(peer));
        let (is_first, network) = (arrival.peers.len() == 1, arrival.network);
        if is_first {
            self.proven(network);
        }
        let new = || Share { streams: 0, bucket: Arc::default() };
        let share = self.peers.entry(Arc::clone(peer)).or_insert_with(new);
        share.streams += 1;
        Some(Arc::clone(&share.bucket))
    }

    fn leave(&mut self, id: u64) -> Option<Arrival> {
        let arrival = self.streams.remove(&id)?;
        if arrival.peers.is_empty() {
            self.proven(arrival.network);
        }
        if let Some(crowd) = self.networks.get_mut(&arrival.network) {
            crowd.names -= arrival.peers.len();
        }
        self.forget(arrival.network);
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

    /// The letter boxes of all, the domains that have proven themselves there, and those here that
    /// they write to.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Mailbox, &[Arc<str>], &[Arc<str>])> {
        self.streams.values().map(|it| (&it.mailbox, &*it.peers, &*it.ours))
    }
}

impl Guest {
    /// One more, unless there are too many of which nothing is proven.
    pub(super) fn enter(hub: &Hub, mailbox: &Mailbox, ip: IpAddr) -> Option<Self> {
        let (most, network) = (hub.limits().peers.arrivals_unproven, network(ip));
        let id = hub.links().arrivals.lock().enter(mailbox, network, most)?;
        Some(Self { hub: hub.clone(), id, network })
    }

    /// Whether a key may be asked about for it now.
    pub(super) fn ask(&self) -> Option<Asking> {
        let most = self.hub.limits().peers.verifications;
        let is_fair = self.hub.links().arrivals.lock().ask(self.network, most);
        is_fair.then(|| Asking { hub: self.hub.clone(), network: self.network })
    }

    /// A domain has proven itself. Gives what is left of its rate, or nothing when its network has
    /// too many names, or it has too many streams already: servers that do not put several pairs
    /// on a stream come with one for each domain of ours.
    pub(super) fn proved(&self, pair: &Pair) -> Option<Arc<Mutex<Bucket>>> {
        let limits = &self.hub.limits().peers;
        // Who comes from this machine comes by a proxy or a test.
        let names = match self.network.is_loopback() {
            true => usize::MAX,
            false => (limits.links / NAMES_SHARE).max(1),
        };
        let most = (limits.arrivals_per_peer + self.hub.domains(), names);
        self.hub.links().arrivals.lock().prove(self.id, pair, most)
    }

    /// It takes our stanzas as well. That spares a call and is needed for nothing, so it takes no
    /// more than half of the room that there is for links: whoever has many names must not keep
    /// those who are here from writing to others.
    pub(super) fn open(&self, pair: &Pair, mailbox: &Mailbox) {
        let (most, now) = (self.hub.limits().peers.links / 2, self.hub.clock().now());
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
        let (a, b) = (Pair::new("here", "a"), Pair::new("here", "b"));
        let from = |last: u8| IpAddr::from([192, 0, 2, last]);
        let one = arrivals.enter(&mailbox, from(1), 2).unwrap();
        assert!(arrivals.enter(&mailbox, from(1), 2).is_none(), "the same network has its share");
        let two = arrivals.enter(&mailbox, from(2), 2).unwrap();
        assert!(arrivals.enter(&mailbox, from(3), 2).is_none(), "there are two");
        let bucket = arrivals.prove(one, &a, (2, 9)).unwrap();
        assert!(arrivals.prove(one, &a, (2, 9)).is_some(), "the same again counts once");
        assert!(arrivals.prove(one, &b, (2, 9)).is_some(), "several may share a stream");
        let three = arrivals.enter(&mailbox, from(1), 2).unwrap();
        assert!(Arc::ptr_eq(&arrivals.prove(two, &a, (2, 9)).unwrap(), &bucket));
        assert!(arrivals.prove(three, &a, (2, 9)).is_none());
        assert!(arrivals.prove(three, &b, (2, 2)).is_none(), "its network has two names");
        assert!(arrivals.prove(two, &b, (2, 2)).is_some(), "others have their own");
        assert!(arrivals.prove(one, &a, (2, 2)).is_some(), "nobody loses what was proven");
        arrivals.leave(two);
        assert!(arrivals.prove(three, &b, (2, 9)).is_some());
        for id in [one, two, three, three] {
            arrivals.leave(id);
        }
        assert_eq!((arrivals.unproven, arrivals.peers.len(), arrivals.all().count()), (0, 0, 0));
        assert!(arrivals.networks.is_empty());
    }

    #[test]
    fn who_has_many_keys_asked_about_leaves_room_for_others() {
        let mut arrivals = Arrivals::default();
        let from = |last: u8| IpAddr::from([192, 0, 2, last]);
        assert!(arrivals.ask(from(1), 2 * SHARE) && arrivals.ask(from(1), 2 * SHARE));
        assert!(!arrivals.ask(from(1), 2 * SHARE) && arrivals.ask(from(2), 2 * SHARE));
        arrivals.answered(from(1));
        assert!(arrivals.ask(from(1), 2 * SHARE));
        for last in [1, 1, 2] {
            arrivals.answered(from(last));
        }
        assert!(arrivals.networks.is_empty());
    }
}
