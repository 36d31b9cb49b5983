//! How many of something each of many has at the same time.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;

/// Counts by key; what is not held is not remembered.
pub(super) struct Shares<K>(Mutex<HashMap<K, usize>>);

impl<K> Default for Shares<K> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

/// One of what a key has, until it is dropped.
pub(super) struct Share<K: Eq + Hash>(Arc<Shares<K>>, K);

impl<K: Copy + Eq + Hash> Shares<K> {
    /// One more for `key`, unless it has `most` already.
    pub(super) fn take(self: &Arc<Self>, key: K, most: usize) -> Option<Share<K>> {
        let mut held = self.0.lock();
        let count = held.get(&key).copied().unwrap_or(0);
        if count >= most {
            return None;
        }
        held.insert(key, count + 1);
        Some(Share(Arc::clone(self), key))
    }

    /// Whether `key` has `most` or more.
    pub(super) fn is_full(&self, key: K, most: usize) -> bool {
        self.0.lock().get(&key).is_some_and(|count| *count >= most)
    }
}

impl<K: Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        let mut held = self.0.0.lock();
        if let Some(count) = held.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_own_and_nothing_is_left() {
        let shares = Arc::new(Shares::default());
        let one = shares.take('a', 2);
        let two = shares.take('a', 2);
        assert!(one.is_some() && two.is_some());
        assert!(shares.take('a', 2).is_none() && shares.is_full('a', 2));
        assert!(shares.take('b', 1).is_some() && !shares.is_full('b', 1));
        drop(one);
        assert!(!shares.is_full('a', 2));
        drop(two);
        assert!(shares.0.lock().is_empty());
    }
}
