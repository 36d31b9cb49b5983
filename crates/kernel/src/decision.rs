//! Whether what was given to the store is durable, for whoever has something behind it.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use waxwing_store::{Commit, Db, Statement, StoreError};

/// What is known of rows that were given to the store.
pub enum Decision {
    /// Nothing so far.
    Waits(Commit),
    /// They are durable, or could not be written; or nobody waits to know.
    Made(Result<(), StoreError>),
}

impl Decision {
    /// Gives `rows` to the store, in one batch. Where nobody `is_owed` that they are durable they
    /// are not waited for, unless the store falls behind: nobody writes faster than it.
    pub fn of(db: &Db, rows: Vec<Statement>, is_owed: bool) -> Self {
        if rows.is_empty() {
            return Self::Made(Ok(()));
        }
        let is_awaited = is_owed || db.lags();
        let mut commit = db.submit(rows);
        if is_awaited {
            return Self::Waits(commit);
        }
        // What the store did not even take is known at once.
        match Pin::new(&mut commit).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => Self::Made(outcome),
            Poll::Pending => Self::Made(Ok(())),
        }
    }

    /// Whether it is known.
    pub fn is_made(&self) -> bool {
        matches!(self, Self::Made(_))
    }

    /// Ready once it is known.
    pub fn poll_made(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Self::Waits(commit) = self {
            let outcome = ready!(Pin::new(commit).poll(cx));
            *self = Self::Made(outcome);
        }
        Poll::Ready(())
    }

    /// Waits until it is known.
    pub async fn made(&mut self) {
        poll_fn(|cx| self.poll_made(cx)).await;
    }
}
