//! What was found out stays known for a while: answers, and that there is none.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Instant;

use parking_lot::Mutex;

/// Values by key, each until a moment of its own, and no more than a number of them.
pub(super) struct Cache<K, V> {
    kept: Mutex<HashMap<K, (Instant, V)>>,
    most: usize,
}

impl<K: Eq + Hash + Clone, V: Clone> Cache<K, V> {
    pub(super) fn new(most: usize) -> Self {
        Self { kept: Mutex::default(), most }
    }

    /// What is known at `now`.
    pub(super) fn find(&self, key: &K, now: Instant) -> Option<V> {
        let kept = self.kept.lock();
        kept.get(key).filter(|(until, _)| *until > now).map(|(_, value)| value.clone())
    }

    /// Keeps `value` until `until`. When there is no room, what has ended goes, and if nothing has,
    /// what ends first.
    pub(super) fn keep(&self, key: K, value: V, until: Instant, now: Instant) {
        let mut kept = self.kept.lock();
        if kept.len() >= self.most && !kept.contains_key(&key) {
            kept.retain(|_, (until, _)| *until > now);
            if kept.len() >= self.most {
                let first = kept.iter().min_by_key(|(_, (until, _))| *until);
                let Some(first) = first.map(|(key, _)| key.clone()) else { return };
                kept.remove(&first);
            }
        }
        kept.insert(key, (until, value));
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        self.kept.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use waxwing_kernel::clock::Clock;

    use super::*;

    #[test]
    fn nothing_is_known_beyond_its_time_or_beyond_the_bound() {
        let (cache, now) = (Cache::new(2), Clock::simulated(0, 0).now());
        let after = |seconds| now + Duration::from_secs(seconds);
        cache.keep("a", 1, after(10), now);
        assert_eq!(cache.find(&"a", after(9)), Some(1));
        assert_eq!(cache.find(&"a", after(10)), None);
        cache.keep("b", 2, after(20), now);
        cache.keep("c", 3, after(30), now); // no room: a ends first
        let found = ["a", "b", "c"].map(|key| cache.find(&key, now));
        assert_eq!(found, [None, Some(2), Some(3)]);
        cache.keep("d", 4, after(40), after(25)); // b has ended
        let found = ["b", "c", "d"].map(|key| cache.find(&key, after(25)));
        assert_eq!(found, [None, Some(3), Some(4)]);
        cache.keep("c", 5, after(50), after(25));
        assert_eq!(cache.find(&"d", after(25)), Some(4));
        cache.clear();
        assert_eq!(cache.find(&"c", now), None);
    }
}
