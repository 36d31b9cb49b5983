//! A task that reads on its own connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio::time::{sleep, timeout};

use super::Backoff;
use super::address::{Address, Use};
use super::link::Link;
use crate::StoreError;
use crate::queue::Errand;

/// How long one look at the queue takes while there is no connection.
const LOOK: Duration = Duration::from_millis(100);

/// Reads, shared out among the readers by one queue.
type Errands = Mutex<mpsc::Receiver<Errand>>;

/// One reader.
pub(super) struct Reader {
    address: Arc<Address>,
    /// How many readers have a connection. One that has none leaves the queue to those.
    connected: Arc<AtomicUsize>,
}

impl Reader {
    pub(super) fn new(address: Arc<Address>, connected: Arc<AtomicUsize>) -> Self {
        Self { address, connected }
    }

    /// Serves reads until told to close or nobody is left to ask.
    pub(super) async fn run(self, errands: Arc<Errands>) {
        while let Some(link) = self.connect(&errands).await {
            self.connected.fetch_add(1, Ordering::Relaxed);
            let is_over = serve(link, &errands).await;
            self.connected.fetch_sub(1, Ordering::Relaxed);
            if is_over {
                return;
            }
        }
    }

    /// Tries until there is a connection. `None`: closed meanwhile.
    async fn connect(&self, errands: &Errands) -> Option<Link> {
        let mut backoff = Backoff::new();
        loop {
            let cause = match self.address.connect(Use::Read).await {
                Ok(link) => return Some(link),
                Err(cause) => cause,
            };
            let mut left = backoff.next();
            while !left.is_zero() {
                if self.connected.load(Ordering::Relaxed) == 0 {
                    refuse(errands, &cause, left.min(LOOK)).await?;
                } else {
                    sleep(left.min(LOOK)).await;
                }
                left = left.saturating_sub(LOOK);
            }
        }
    }
}

/// Refuses what is asked during `time`. `None`: closed meanwhile.
async fn refuse(errands: &Errands, cause: &str, time: Duration) -> Option<()> {
    let refusing = async {
        loop {
            match errands.lock().await.recv().await? {
                Errand::Read(read) => {
                    let _ = read.reply.send(Err(StoreError::Unreachable(cause.to_owned())));
                }
                Errand::Close(reply) => {
                    let _ = reply.send(());
                    return None;
                }
            }
        }
    };
    match timeout(time, refusing).await {
        Ok(over) => over,
        Err(_) => Some(()),
    }
}

/// Serves reads while the connection lasts. True: the store is closed.
async fn serve(mut link: Link, errands: &Errands) -> bool {
    loop {
        let next = async { errands.lock().await.recv().await };
        let errand = tokio::select! {
            errand = next => errand,
            () = link.ended() => return false,
        };
        match errand {
            Some(Errand::Read(read)) => {
                let _ = read.reply.send(link.read_all(&read.statements).await);
            }
            Some(Errand::Close(reply)) => {
                let _ = reply.send(());
                return true;
            }
            None => return true,
        }
    }
}
