//! The bounded way from callers to the one writer.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::{mpsc, oneshot};

use crate::value::Rows;
use crate::{OpenError, Statement, StoreError, Table};

/// How many rows each statement of a batch changed, or why none did.
pub(crate) type Outcome = Result<Vec<u64>, StoreError>;

/// Statements that take effect together.
pub(crate) struct Batch {
    pub(crate) statements: Vec<Statement>,
    weight: usize,
    reply: oneshot::Sender<Outcome>,
}

impl Batch {
    /// Tells the caller. A caller that no longer waits is none of the writer's business.
    pub(crate) fn finish(self, outcome: Outcome) {
        let _ = self.reply.send(outcome);
    }
}

/// Reads that belong together, and where the answer goes.
pub(crate) struct Read {
    pub(crate) statements: Vec<Statement>,
    pub(crate) reply: oneshot::Sender<Found>,
}

/// What each statement of a read found.
pub(crate) type Found = Result<Vec<Rows>, StoreError>;

/// What the writer is asked, in order.
pub(crate) enum Work {
    Batch(Batch),
    Order(Order),
}

/// What the writer does besides batches, between one commit and the next.
pub(crate) enum Order {
    Read(Read),
    Migrate(Vec<Table>, oneshot::Sender<Result<(), OpenError>>),
    Close(oneshot::Sender<Result<(), StoreError>>),
}

/// What a reader is asked.
pub(crate) enum Errand {
    Read(Read),
    Close(oneshot::Sender<()>),
}

/// The submitting end of the writer's queue, bounded in batches and in bytes.
#[derive(Clone)]
pub(crate) struct Queue {
    sender: mpsc::Sender<Work>,
    waiting: Arc<AtomicUsize>,
    groups: Arc<AtomicU64>,
    bytes: usize,
}

impl Queue {
    pub(crate) fn new(batches: usize, bytes: usize) -> (Self, Waiting) {
        let (sender, receiver) = mpsc::channel(batches.max(1));
        let waiting = Arc::new(AtomicUsize::new(0));
        let groups = Arc::default();
        let end = Waiting { receiver, waiting: Arc::clone(&waiting), groups: Arc::clone(&groups) };
        (Self { sender, waiting, groups, bytes }, end)
    }

    /// Queues a batch now, behind everything queued before it.
    pub(crate) fn submit(&self, statements: Vec<Statement>) -> Answer {
        let (reply, answer) = oneshot::channel();
        let weight = statements.iter().map(Statement::weight).sum();
        let batch = Batch { statements, weight, reply };
        // A single batch above the bound may pass when nothing else waits.
        let before = self.waiting.fetch_add(weight, Ordering::Relaxed);
        if before > 0 && before + weight > self.bytes {
            self.waiting.fetch_sub(weight, Ordering::Relaxed);
            batch.finish(Err(StoreError::Busy));
        } else if let Err(refused) = self.sender.try_send(Work::Batch(batch)) {
            self.waiting.fetch_sub(weight, Ordering::Relaxed);
            let (work, error) = match refused {
                mpsc::error::TrySendError::Full(work) => (work, StoreError::Busy),
                mpsc::error::TrySendError::Closed(work) => (work, StoreError::Closed),
            };
            if let Work::Batch(batch) = work {
                batch.finish(Err(error));
            }
        }
        Answer(answer)
    }

    /// Queues anything else, waiting for room.
    pub(crate) async fn send(&self, order: Order) -> Result<(), StoreError> {
        self.sender.send(Work::Order(order)).await.map_err(|_| StoreError::Closed)
    }

    /// Whether the writer has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Whether so much waits that it is time to wait for it: an eighth of the bytes that may, or
    /// half of the batches.
    pub(crate) fn lags(&self) -> bool {
        self.waiting() > self.bytes / 8 || self.sender.capacity() < self.sender.max_capacity() / 2
    }

    /// How often the writer has taken batches to commit together.
    pub(crate) fn groups(&self) -> u64 {
        self.groups.load(Ordering::Relaxed)
    }

    /// Bytes that wait to be written.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

/// The writer's end of the queue.
pub(crate) struct Waiting {
    receiver: mpsc::Receiver<Work>,
    waiting: Arc<AtomicUsize>,
    groups: Arc<AtomicU64>,
}

impl Waiting {
    /// Blocks for work and takes all that waits, at most `limit` pieces. Zero: nobody is left.
    pub(crate) fn take_blocking(&mut self, work: &mut Vec<Work>, limit: usize) -> usize {
        let taken = self.receiver.blocking_recv_many(work, limit);
        self.release(work);
        taken
    }

    /// Like [`take_blocking`](Self::take_blocking), for a task. Loses nothing when dropped early.
    pub(crate) async fn take(&mut self, work: &mut Vec<Work>, limit: usize) -> usize {
        let taken = self.receiver.recv_many(work, limit).await;
        self.release(work);
        taken
    }

    /// Refuses what was left when the store closed: `taken` already, or waiting still.
    pub(crate) fn end(&mut self, taken: impl Iterator<Item = Work>) {
        self.receiver.close();
        let refuse = |work| {
            if let Work::Batch(batch) = work {
                batch.finish(Err(StoreError::Closed));
            }
        };
        taken.for_each(refuse);
        while let Ok(work) = self.receiver.try_recv() {
            refuse(work);
        }
    }

    fn release(&self, work: &[Work]) {
        let weights = work.iter().map(|work| match work {
            Work::Batch(batch) => batch.weight,
            Work::Order(_) => 0,
        });
        self.waiting.fetch_sub(weights.sum(), Ordering::Relaxed);
        if work.iter().any(|work| matches!(work, Work::Batch(_))) {
            self.groups.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The outcome of a batch, on its way.
pub(crate) struct Answer(oneshot::Receiver<Outcome>);

impl Future for Answer {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        // A writer that vanished with the batch in hand leaves its fate open.
        Pin::new(&mut self.0).poll(context).map(|answer| {
            answer.unwrap_or_else(|_| Err(StoreError::Unconfirmed("the writer ended".into())))
        })
    }
}

/// A submitted batch. Resolves when the batch is durable, or failed. Dropping it does not take the
/// batch back.
#[must_use = "a batch is durable only when its commit says so"]
pub struct Commit(pub(crate) Answer);

impl Future for Commit {
    type Output = Result<(), StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|outcome| outcome.map(drop))
    }
}

/// The last thing that went wrong with the engine as a whole, until something goes well again.
#[derive(Clone, Default)]
pub(crate) struct Pulse(Arc<Mutex<Option<StoreError>>>);

impl Pulse {
    pub(crate) fn set(&self, fault: Option<StoreError>) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*held, &fault) {
            (None, Some(fault)) => tracing::error!(%fault, "the store does not accept writes"),
            (Some(_), None) => tracing::info!("the store accepts writes again"),
            _ => {}
        }
        *held = fault;
    }

    /// Draws the conclusion from a group's outcomes.
    pub(crate) fn observe(&self, outcomes: &[Outcome]) {
        let mut errors = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
        self.set(errors.find(|error| error.is_fault()).cloned());
    }

    pub(crate) fn fault(&self) -> Option<StoreError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(bytes: usize) -> Vec<Statement> {
        vec![Statement::new("").with("x".repeat(bytes))]
    }

    #[test]
    fn a_queue_lags_before_it_is_full() {
        let overhead = batch(0)[0].weight();
        for (batches, bytes, size, until) in
            [(8, 1 << 20, 0, 5), (100, 8 * (1000 + overhead), 1000, 2)]
        {
            let (queue, mut waiting) = Queue::new(batches, bytes);
            for number in 1..=until {
                assert!(!queue.lags(), "{number} of {batches}");
                drop(queue.submit(batch(size)));
            }
            assert!(queue.lags(), "{batches}");
            waiting.take_blocking(&mut Vec::new(), batches);
            assert!(!queue.lags(), "{batches}");
        }
    }
}
