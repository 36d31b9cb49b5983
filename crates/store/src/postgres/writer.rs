//! The one task that writes: folds what waits into one transaction.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::address::{Address, Use};
use super::link::Link;
use super::{Backoff, group, migration};
use crate::StoreError;
use crate::queue::{Batch, Order, Pulse, Waiting, Work};

/// The writer. Its connection comes and goes.
pub(super) struct Writer {
    address: Arc<Address>,
    pulse: Pulse,
    group_max: usize,
}

/// How a connection's service ended.
#[derive(PartialEq, Eq)]
enum End {
    Closed,
    Lost,
}

impl Writer {
    pub(super) fn new(address: Arc<Address>, pulse: Pulse, group_max: usize) -> Self {
        Self { address, pulse, group_max }
    }

    /// Serves the queue, in order, until told to close or nobody is left to ask.
    pub(super) async fn run(self, mut link: Link, mut waiting: Waiting) {
        while self.serve(link, &mut waiting).await == End::Lost {
            match self.reconnect(&mut waiting).await {
                Some(again) => link = again,
                None => return,
            }
        }
    }

    async fn serve(&self, mut link: Link, waiting: &mut Waiting) -> End {
        let mut taken = Vec::new();
        let mut batches = Vec::new();
        loop {
            let count = tokio::select! {
                count = waiting.take(&mut taken, self.group_max) => count,
                () = link.ended() => return End::Lost,
            };
            if count == 0 {
                return End::Closed;
            }
            let mut work = taken.drain(..);
            while let Some(piece) = work.next() {
                let order = match piece {
                    Work::Batch(batch) => {
                        batches.push(batch);
                        continue;
                    }
                    Work::Order(order) => order,
                };
                self.commit(&mut link, &mut batches).await;
                match order {
                    Order::Read(read) => {
                        let _ = read.reply.send(link.read_all(&read.statements).await);
                    }
                    Order::Migrate(tables, reply) => {
                        let _ = reply.send(migration::migrate(&mut link, &tables).await);
                    }
                    Order::Close(reply) => {
                        waiting.end(work);
                        let _ = reply.send(Ok(()));
                        return End::Closed;
                    }
                }
            }
            self.commit(&mut link, &mut batches).await;
            if link.is_closed() {
                return End::Lost;
            }
        }
    }

    /// Tries until there is a connection, refusing what is asked meanwhile. `None`: closed.
    async fn reconnect(&self, waiting: &mut Waiting) -> Option<Link> {
        let mut backoff = Backoff::new();
        loop {
            let fault = match self.address.connect(Use::Write).await {
                Ok(link) => {
                    self.pulse.set(None);
                    return Some(link);
                }
                Err(cause) => StoreError::Unreachable(cause),
            };
            self.pulse.set(Some(fault.clone()));
            refuse(waiting, &fault, backoff.next()).await?;
        }
    }

    async fn commit(&self, link: &mut Link, batches: &mut Vec<Batch>) {
        if batches.is_empty() {
            return;
        }
        let outcomes = group::apply(link, batches)
            .await
            .unwrap_or_else(|error| vec![Err(error); batches.len()]);
        self.pulse.observe(&outcomes);
        batches.drain(..).zip(outcomes).for_each(|(batch, outcome)| batch.finish(outcome));
    }
}

/// Refuses what is asked during `time`. `None`: closed meanwhile.
async fn refuse(waiting: &mut Waiting, fault: &StoreError, time: Duration) -> Option<()> {
    let pause = sleep(time);
    tokio::pin!(pause);
    let mut taken = Vec::new();
    loop {
        let count = tokio::select! {
            () = &mut pause => return Some(()),
            count = waiting.take(&mut taken, usize::MAX) => count,
        };
        if count == 0 {
            return None;
        }
        let mut work = taken.drain(..);
        while let Some(piece) = work.next() {
            match piece {
                Work::Batch(batch) => batch.finish(Err(fault.clone())),
                Work::Order(Order::Read(read)) => {
                    let _ = read.reply.send(Err(fault.clone()));
                }
                Work::Order(Order::Migrate(_, reply)) => {
                    let _ = reply.send(Err(fault.clone().into()));
                }
                Work::Order(Order::Close(reply)) => {
                    waiting.end(work);
                    let _ = reply.send(Ok(()));
                    return None;
                }
            }
        }
    }
}
