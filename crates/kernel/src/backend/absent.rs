//! Addresses of which somebody else said lately that there is no such account.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use waxwing_jid::BareJid;

/// How many are remembered; the oldest makes room.
const NAMES: usize = 10_000;
/// For how long.
const FRESH: Duration = Duration::from_secs(60);

/// A bounded memory.
#[derive(Default)]
pub(crate) struct Absent(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    known: HashMap<BareJid, Instant>,
    order: VecDeque<(BareJid, Instant)>,
}

impl Absent {
    /// Whether somebody has said so within a minute.
    pub(crate) fn contains(&self, jid: &BareJid, now: Instant) -> bool {
        let is_fresh = |at: &Instant| now.saturating_duration_since(*at) < FRESH;
        self.0.lock().known.get(jid).is_some_and(is_fresh)
    }

    /// Somebody says so now.
    pub(crate) fn insert(&self, jid: &BareJid, now: Instant) {
        let mut inner = self.0.lock();
        while inner.order.len() >= NAMES
            && let Some((oldest, at)) = inner.order.pop_front()
        {
            // It may have been said again since.
            if inner.known.get(&oldest) == Some(&at) {
                inner.known.remove(&oldest);
            }
        }
        inner.known.insert(jid.clone(), now);
        inner.order.push_back((jid.clone(), now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn absence_is_forgotten_and_memory_is_bounded() {
        let (absent, clock) = (Absent::default(), Clock::simulated(0, 1));
        let jid = |name: &str| BareJid::from_parts(Some(name), "example.org").expect("an address");
        absent.insert(&jid("nobody"), clock.now());
        assert!(absent.contains(&jid("nobody"), clock.now()));
        clock.advance(FRESH);
        assert!(!absent.contains(&jid("nobody"), clock.now()));
        for number in 0..2 * NAMES {
            absent.insert(&jid(&format!("n{}", number % (NAMES + 10))), clock.now());
        }
        let inner = absent.0.lock();
        assert!(inner.known.len() <= NAMES && inner.order.len() <= NAMES);
    }
}
