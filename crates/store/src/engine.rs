//! What every engine looks like from a handle: one queue to a writer, one to its readers.

use std::path::PathBuf;

use tokio::sync::{mpsc, oneshot};

use crate::queue::{Errand, Found, Order, Pulse, Queue, Read};
use crate::sqlite::desk::Counter;
use crate::{OpenError, Statement, StoreError};

/// The handle's side of an engine. The engine itself lives in threads that end when this is
/// dropped.
pub(crate) struct Engine {
    /// For logs.
    pub(crate) name: &'static str,
    /// The file of an embedded database.
    pub(crate) file: Option<PathBuf>,
    pub(crate) queue: Queue,
    pub(crate) pulse: Pulse,
    /// `None` when only the writer has a connection.
    pub(crate) readers: Option<Readers>,
}

/// The way to several readers that share one bounded queue.
pub(crate) struct Readers {
    pub(crate) door: Door,
    pub(crate) count: usize,
}

/// Where readers are asked.
pub(crate) enum Door {
    /// They are threads.
    Threads(Counter),
    /// They are tasks.
    Tasks(mpsc::Sender<Errand>),
}

impl Door {
    /// Asks, unless too many wait.
    fn ask(&self, errand: Errand) -> Result<(), StoreError> {
        match self {
            Self::Threads(counter) => counter.put(errand, false),
            Self::Tasks(queue) => queue.try_send(errand).map_err(|refused| match refused {
                mpsc::error::TrySendError::Full(_) => StoreError::Busy,
                mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
            }),
        }
    }

    /// Asks however many wait. False when nobody is there any more.
    async fn insist(&self, errand: Errand) -> bool {
        match self {
            Self::Threads(counter) => counter.put(errand, true).is_ok(),
            Self::Tasks(queue) => queue.send(errand).await.is_ok(),
        }
    }
}

impl Engine {
    /// What each of `statements` finds, asked for in one go.
    pub(crate) async fn read(&self, statements: Vec<Statement>) -> Found {
        let (reply, answer) = oneshot::channel();
        let read = Read { statements, reply };
        match &self.readers {
            None => self.queue.send(Order::Read(read)).await?,
            Some(readers) => readers.door.ask(Errand::Read(read))?,
        }
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// An error met before the store is in use, with the file that it is about.
    pub(crate) fn placed(&self, error: OpenError) -> OpenError {
        match (error, &self.file) {
            (OpenError::Store(StoreError::Corrupt(what)), Some(file)) => {
                OpenError::Damaged(file.clone(), what)
            }
            (error, _) => error,
        }
    }

    /// Readers first, so that the writer's connection is the last: SQLite empties its log then.
    pub(crate) async fn close(&self) -> Result<(), StoreError> {
        if let Some(readers) = &self.readers {
            for _ in 0..readers.count {
                let (reply, answer) = oneshot::channel();
                if readers.door.insist(Errand::Close(reply)).await {
                    // A reader that is gone already is closed as well.
                    let _ = answer.await;
                }
            }
        }
        let (reply, answer) = oneshot::channel();
        self.queue.send(Order::Close(reply)).await?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}
