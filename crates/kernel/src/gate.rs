//! Who waits for a password to be checked, and who was wrong before.
//!
//! A check costs milliseconds of a processor. So few run at a time, a bounded number waits, and
//! nobody's neighbours fill the queue. Who waits and leaves gives up the place.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Networks whose failures are remembered; the one that was quiet longest makes room.
const NETWORKS: usize = 10_000;
/// Failures of one network that have no consequence: people mistype.
const FREE_FAILURES: u32 = 5;
/// How long the answer to the next one waits. It doubles with each that follows,
const FIRST_DELAY: Duration = Duration::from_millis(250);
/// up to this.
const LONGEST_DELAY: Duration = Duration::from_secs(8);
/// A network that failed no more for so long starts anew.
const FORGIVEN: Duration = Duration::from_secs(15 * 60);

/// How many may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) all: usize,
    pub(crate) network: usize,
}

/// Too many wait already.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Crowded;

pub(crate) struct Gate {
    running: Arc<Semaphore>,
    waiting: Mutex<Waiting>,
    failures: Mutex<HashMap<IpAddr, Failures>>,
}

#[derive(Default)]
struct Waiting {
    all: usize,
    by_network: HashMap<IpAddr, usize>,
}

struct Failures {
    count: u32,
    last: Instant,
}

impl Gate {
    /// Lets `running` checks run at a time.
    pub(crate) fn new(running: usize) -> Self {
        Self {
            running: Arc::new(Semaphore::new(running)),
            waiting: Mutex::default(),
            failures: Mutex::default(),
        }
    }

    /// Waits for leave to check a password, until the permit is dropped. `peer` is who asks, when
    /// that is a stranger.
    ///
    /// # Errors
    /// When there is no room to wait.
    pub(crate) async fn pass(
        &self,
        peer: Option<IpAddr>,
        room: Room,
    ) -> Result<OwnedSemaphorePermit, Crowded> {
        let _place = Place::take(self, peer.map(network), room)?;
        let permit = Arc::clone(&self.running).acquire_owned().await;
        Ok(permit.expect("the semaphore is never closed"))
    }

    /// Somebody at `peer` did not prove who they are; for how long the answer should wait.
    pub(crate) fn failed(&self, peer: IpAddr, now: Instant) -> Duration {
        // Behind a proxy on this machine that does not name its clients everybody comes from here,
        // and one who guesses would make all of them wait.
        if peer.to_canonical().is_loopback() {
            return Duration::ZERO;
        }
        let (network, mut all) = (network(peer), self.failures.lock());
        if all.len() >= NETWORKS && !all.contains_key(&network) {
            let quiet = all.iter().min_by_key(|(_, known)| known.last).map(|(ip, _)| *ip);
            quiet.map(|ip| all.remove(&ip));
        }
        let known = all.entry(network).or_insert(Failures { count: 0, last: now });
        if now.saturating_duration_since(known.last) >= FORGIVEN {
            known.count = 0;
        }
        (known.count, known.last) = (known.count.saturating_add(1), now);
        match known.count.checked_sub(FREE_FAILURES + 1) {
            Some(more) => FIRST_DELAY.saturating_mul(1 << more.min(16)).min(LONGEST_DELAY),
            None => Duration::ZERO,
        }
    }
}

/// A place in the queue, given up when dropped.
struct Place<'a>(&'a Gate, Option<IpAddr>);

impl<'a> Place<'a> {
    fn take(gate: &'a Gate, network: Option<IpAddr>, room: Room) -> Result<Self, Crowded> {
        let mut waiting = gate.waiting.lock();
        let beside = network.and_then(|network| waiting.by_network.get(&network));
        if waiting.all >= room.all || beside.is_some_and(|count| *count >= room.network) {
            return Err(Crowded);
        }
        waiting.all += 1;
        if let Some(network) = network {
            *waiting.by_network.entry(network).or_default() += 1;
        }
        Ok(Self(gate, network))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut waiting = self.0.waiting.lock();
        waiting.all -= 1;
        if let Some(network) = self.1
            && let Some(count) = waiting.by_network.get_mut(&network)
        {
            *count -= 1;
            if *count == 0 {
                waiting.by_network.remove(&network);
            }
        }
    }
}

/// Who shares a limit: one IPv4 address, one IPv6 /64.
pub fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
        ip @ IpAddr::V4(_) => ip,
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::clock::Clock;

    const ROOM: Room = Room { all: 3, network: 2 };

    fn ip(text: &str) -> Option<IpAddr> {
        text.parse().ok()
    }

    #[test]
    fn a_network_cannot_fill_the_queue_and_who_leaves_makes_room() {
        let gate = Gate::new(1);
        let cx = &mut Context::from_waker(Waker::noop());
        let mut running = pin!(gate.pass(ip("192.0.2.1"), ROOM));
        let Poll::Ready(Ok(permit)) = running.as_mut().poll(cx) else { panic!("it may run") };
        let mut first = Box::pin(gate.pass(ip("2001:db8::1"), ROOM));
        let mut second = Box::pin(gate.pass(ip("2001:db8::2"), ROOM));
        assert!(first.as_mut().poll(cx).is_pending() && second.as_mut().poll(cx).is_pending());
        let crowded = |peer| {
            let cx = &mut Context::from_waker(Waker::noop());
            matches!(pin!(gate.pass(peer, ROOM)).poll(cx), Poll::Ready(Err(Crowded)))
        };
        assert!(crowded(ip("2001:db8::3")), "the same /64");
        let mut third = Box::pin(gate.pass(ip("192.0.2.2"), ROOM));
        assert!(third.as_mut().poll(cx).is_pending());
        assert!(crowded(ip("192.0.2.3")) && crowded(None), "three wait");
        drop(first);
        assert!(!crowded(ip("2001:db8::3")));
        drop(permit);
        assert!(second.as_mut().poll(cx).is_ready());
        drop((second, third));
        assert!(gate.waiting.lock().by_network.is_empty());
    }

    #[test]
    fn answers_wait_longer_with_every_failure_and_memory_is_bounded() {
        let (gate, clock) = (Gate::new(1), Clock::simulated(0, 1));
        let peer = ip("192.0.2.1").expect("an address");
        let fail = || gate.failed(peer, clock.now()).as_millis();
        let delays: Vec<_> = (0..13).map(|_| fail()).collect();
        assert_eq!(delays, [0, 0, 0, 0, 0, 250, 500, 1000, 2000, 4000, 8000, 8000, 8000]);
        clock.advance(FORGIVEN);
        assert_eq!(fail(), 0);
        for number in 0..20_000 {
            gate.failed(IpAddr::from(u32::to_be_bytes(number)), clock.now());
        }
        assert_eq!(gate.failures.lock().len(), NETWORKS);
    }
}
