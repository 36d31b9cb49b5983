//! Filing in archives, so that a reader finds no gap that fills up later.
//!
//! A message gets its number when it is judged, and its row some time after that. A client that has
//! read an archive up to number 6 asks later for what came after 6; number 5 must not appear then.
//! So numbers are given out one at a time per account, and who reads draws a line first: it waits
//! until what has a number below the line is with the store and decided, and reads only that.

use std::sync::Arc;

use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::sync::Notify;
use waxwing_store::StoreError;
use waxwing_store::domains::archive::Archive;

use crate::account::Account;
use crate::hub::Hub;

/// What an archive has made of a stanza.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Filed {
    /// Nobody keeps an archive.
    #[default]
    Unasked,
    /// It is not kept.
    Left,
    /// It is kept under this number.
    Kept(u64),
}

/// The numbers of one account that have no row yet.
#[derive(Default)]
pub(crate) struct Underway {
    numbers: Mutex<SmallVec<[u64; 2]>>,
    fewer: Notify,
}

/// A number whose row is not with the store yet. It is when this is dropped, or never will be.
pub(crate) struct Ticket {
    account: Arc<Account>,
    number: u64,
}

impl Ticket {
    /// The next number in the archive of `account`.
    pub(crate) fn draw(account: &Arc<Account>, hub: &Hub) -> Self {
        let mut numbers = account.underway().numbers.lock();
        let number = hub.next_id();
        numbers.push(number);
        Self { account: Arc::clone(account), number }
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let underway = self.account.underway();
        underway.numbers.lock().retain(|number| *number != self.number);
        underway.fewer.notify_waiters();
    }
}

impl Hub {
    /// A line through the archive of `account`: whatever has a lower number has its row by now, or
    /// never will.
    ///
    /// # Errors
    /// The store's.
    pub async fn line(&self, account: &Account) -> Result<u64, StoreError> {
        let underway = account.underway();
        let line = {
            let _numbers = underway.numbers.lock();
            self.next_id()
        };
        loop {
            let fewer = underway.fewer.notified();
            if underway.numbers.lock().iter().all(|number| *number > line) {
                break;
            }
            fewer.await;
        }
        Archive::new(self.db().clone()).catch_up().await?;
        Ok(line)
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use waxwing_jid::BareJid;
    use waxwing_store::{Db, Limits, Location};

    use super::*;
    use crate::account::Facts;
    use crate::clock::Clock;
    use crate::metrics::Metrics;

    #[tokio::test]
    async fn a_line_waits_for_what_has_a_lower_number_and_no_row_yet() {
        let db = Db::open(&Location::Memory, Limits::default()).await.unwrap();
        let metrics = Arc::new(Metrics::new("0", "test"));
        let hub = Hub::new(db, Clock::simulated(1, 1), crate::Limits::default(), metrics);
        let account = async |jid: &str| {
            let loaded = Facts::default().load(hub.db(), BareJid::new(jid).unwrap(), false).await;
            Arc::new(loaded.unwrap())
        };
        let (romeo, juliet) = (account("romeo@localhost").await, account("juliet@localhost").await);
        let (first, second) = (Ticket::draw(&romeo, &hub), Ticket::draw(&romeo, &hub));
        let last = second.number();
        // Another's archive is another's.
        assert!(hub.line(&juliet).await.unwrap() > last);
        let mut line = pin!(hub.line(&romeo));
        let mut waits = || {
            let cx = &mut Context::from_waker(Waker::noop());
            line.as_mut().poll(cx).is_pending()
        };
        assert!(waits());
        drop(second);
        assert!(waits());
        // What comes later is above the line, and not waited for.
        let third = Ticket::draw(&romeo, &hub);
        drop(first);
        let drawn = line.await.unwrap();
        assert!(last < drawn && drawn < third.number());
    }
}
