//! How many notifications for browsers of one account are on their way at a time. Whose browsers
//! answer slowly, or never, waits alone: requests to others are bounded for all together.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// Notifications on their way for one account.
const AT_ONCE: usize = 8;

/// Counts by account; whoever has none on the way is not remembered.
#[derive(Clone, Default)]
pub(super) struct Shares(Arc<Mutex<HashMap<String, usize>>>);

/// One of them, until it is dropped.
pub(super) struct Share(Shares, String);

impl Shares {
    /// One more for `owner`, unless there are too many.
    pub(super) fn take(&self, owner: &str) -> Option<Share> {
        let mut all = self.0.lock();
        let count = all.get(owner).copied().unwrap_or(0);
        if count >= AT_ONCE {
            return None;
        }
        all.insert(owner.to_owned(), count + 1);
        Some(Share(self.clone(), owner.to_owned()))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut all = self.0.0.lock();
        if let Some(count) = all.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_share_and_nothing_is_left() {
        let shares = Shares::default();
        let held: Vec<_> = (0..AT_ONCE).map(|_| shares.take("romeo").expect("room")).collect();
        assert!(shares.take("romeo").is_none());
        assert!(shares.take("juliet").is_some());
        drop(held);
        assert!(shares.take("romeo").is_some());
        assert!(shares.0.lock().is_empty());
    }
}
