//! Places for what is under way at the same time. Memory is held for each, so there are only so
//! many; and no owner has so many of them that others find none.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use waxwing_kernel::clock::Clock;

/// How long somebody waits for a place, before it is told to come again.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// What is told then (seconds).
pub(super) const AGAIN_SECONDS: &str = "30";
/// One owner has so many of all places: a quarter, and one at least.
const OWNERS: usize = 4;

pub(super) struct Places {
    clock: Clock,
    all: Arc<Semaphore>,
    share: usize,
    /// Of those who have a place or wait for one.
    shares: Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// Given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _all: OwnedSemaphorePermit,
    _own: Option<OwnedSemaphorePermit>,
}

impl Places {
    pub(super) fn new(count: usize, clock: Clock) -> Self {
        let share = (count / OWNERS).max(1);
        Self { clock, all: Arc::new(Semaphore::new(count)), share, shares: Mutex::default() }
    }

    /// A place of the share of `owner`, or of all if nobody is named: `ErrorKind::ResourceBusy`
    /// when there is none in time. Who has its share waits behind itself and before nobody.
    pub(super) async fn take(&self, owner: Option<&str>) -> io::Result<Place> {
        let deadline = self.clock.now() + PATIENCE;
        let taken = async {
            let own = match owner.map(|owner| self.share_of(owner)) {
                Some(share) => Some(share.acquire_owned().await?),
                None => None,
            };
            let all = Arc::clone(&self.all).acquire_owned().await?;
            Ok::<_, AcquireError>(Place { _all: all, _own: own })
        };
        tokio::select! {
            biased;
            taken = taken => taken.map_err(io::Error::other),
            () = self.clock.until(Some(deadline)) => Err(ErrorKind::ResourceBusy.into()),
        }
    }

    fn share_of(&self, owner: &str) -> Arc<Semaphore> {
        let mut shares = self.shares.lock();
        shares.retain(|_, share| share.strong_count() > 0);
        if let Some(share) = shares.get(owner).and_then(Weak::upgrade) {
            return share;
        }
        let share = Arc::new(Semaphore::new(self.share));
        shares.insert(owner.to_owned(), Arc::downgrade(&share));
        share
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    const ROMEO: Option<&str> = Some("romeo@localhost");
    const JULIET: Option<&str> = Some("juliet@localhost");

    /// Whether it is not there at once.
    async fn waits<T>(wanted: &mut (impl Future<Output = T> + Unpin)) -> bool {
        tokio::select! {
            biased;
            _ = wanted => false,
            () = std::future::ready(()) => true,
        }
    }

    #[tokio::test]
    async fn who_has_its_share_waits_for_itself_and_others_do_not() {
        let clock = Clock::simulated(0, 1);
        let places = Places::new(8, clock.clone());
        let first = places.take(ROMEO).await.unwrap();
        let _second = places.take(ROMEO).await.unwrap();
        let mut third = pin!(places.take(ROMEO));
        assert!(waits(&mut third).await);
        let _others = (places.take(JULIET).await.unwrap(), places.take(JULIET).await.unwrap());
        drop(first);
        let _third = third.await.unwrap();
        let mut fourth = pin!(places.take(ROMEO));
        assert!(waits(&mut fourth).await);
        clock.advance(PATIENCE);
        assert_eq!(fourth.await.unwrap_err().kind(), ErrorKind::ResourceBusy);
        // Those who waited in vain have left nothing behind.
        assert_eq!(places.all.available_permits(), 4);
    }

    #[tokio::test]
    async fn there_are_no_more_than_all_and_nobody_is_remembered() {
        let clock = Clock::simulated(0, 1);
        let places = Places::new(2, clock.clone());
        let held = (places.take(ROMEO).await.unwrap(), places.take(None).await.unwrap());
        for owner in [JULIET, None] {
            let mut more = pin!(places.take(owner));
            assert!(waits(&mut more).await);
            clock.advance(PATIENCE);
            assert_eq!(more.await.unwrap_err().kind(), ErrorKind::ResourceBusy);
        }
        drop(held);
        let _juliet = places.take(JULIET).await.unwrap();
        assert_eq!(places.shares.lock().keys().collect::<Vec<_>>(), ["juliet@localhost"]);
    }
}
