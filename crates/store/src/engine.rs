//! What every engine looks like from a handle: one queue to a writer, one to its readers.

use std::path::PathBuf;

use tokio::sync::{mpsc, oneshot};

use crate::queue::{Errand, Order, Pulse, Queue, Read};
use crate::value::Rows;
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
    pub(crate) queue: mpsc::Sender<Errand>,
    pub(crate) count: usize,
}

impl Engine {
    pub(crate) async fn read(&self, statement: Statement) -> Result<Rows, StoreError> {
        let (reply, answer) = oneshot::channel();
        let read = Read { statement, reply };
        match &self.readers {
            None => self.queue.send(Order::Read(read)).await?,
            Some(readers) => {
                readers.queue.try_send(Errand::Read(read)).map_err(|refused| match refused {
                    mpsc::error::TrySendError::Full(_) => StoreError::Busy,
                    mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
                })?;
            }
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
                if readers.queue.send(Errand::Close(reply)).await.is_ok() {
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
