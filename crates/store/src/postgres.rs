//! The client-server engine: one writing connection, several reading ones, all on one thread.
//!
//! Nothing here needs the caller's runtime: the thread has its own, so that a caller's paused
//! clock or blocked task does not stop commits.

mod address;
mod dialect;
mod group;
mod link;
mod migration;
mod reader;
mod writer;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinSet;

use self::address::Address;
use self::reader::Reader;
use self::writer::Writer;
use crate::engine::{Door, Engine, Readers};
use crate::queue::{Pulse, Queue};
use crate::{Limits, OpenError, StoreError};

/// What the engine is called.
pub(crate) const NAME: &str = "PostgreSQL";

/// Connects and checks that the server answers.
pub(crate) async fn open(
    url: &str,
    schema: Option<&str>,
    limits: Limits,
) -> Result<Engine, OpenError> {
    let wait = Duration::from_secs(limits.wait_seconds.max(1));
    let address = Arc::new(Address::parse(url, schema, wait)?);
    let (queue, waiting) = Queue::new(limits.queue_batches, limits.queue_bytes);
    let (read_queue, errands) = mpsc::channel(limits.queue_reads.max(1));
    let pulse = Pulse::default();
    let count = limits.readers.max(1);
    let (reply, opened) = oneshot::channel();
    let seen = pulse.clone();
    let serve = async move {
        let link = match address.open().await {
            Ok(link) => link,
            Err(error) => {
                let _ = reply.send(Err(error));
                return;
            }
        };
        let _ = reply.send(Ok(()));
        let mut tasks = JoinSet::new();
        let errands = Arc::new(Mutex::new(errands));
        let connected = Arc::new(AtomicUsize::new(0));
        for _ in 0..count {
            let reader = Reader::new(Arc::clone(&address), Arc::clone(&connected));
            tasks.spawn(reader.run(Arc::clone(&errands)));
        }
        let writer = Writer::new(address, seen, limits.group_batches.max(1));
        tasks.spawn(writer.run(link, waiting));
        while tasks.join_next().await.is_some() {}
    };
    start(serve)?;
    opened.await.map_err(|_| StoreError::Closed)??;
    let readers = Some(Readers { door: Door::Tasks(read_queue), count });
    Ok(Engine { name: NAME, file: None, queue, pulse, readers })
}

fn start(serve: impl Future<Output = ()> + Send + 'static) -> Result<(), OpenError> {
    let fail = |error| StoreError::Other(format!("no thread for the store: {error}"));
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(fail)?;
    thread::Builder::new()
        .name("store-postgres".to_owned())
        .spawn(move || runtime.block_on(serve))
        .map_err(fail)?;
    Ok(())
}

/// Waits that grow from a quarter of a second to ten, each shortened by chance to as little as
/// half, so that many servers do not come back in step.
struct Backoff(Duration);

impl Backoff {
    const FIRST: Duration = Duration::from_millis(250);
    const LAST: Duration = Duration::from_secs(10);

    fn new() -> Self {
        Self(Self::FIRST)
    }

    fn next(&mut self) -> Duration {
        let full = self.0;
        self.0 = (full * 2).min(Self::LAST);
        full / 2 + full.mul_f64(chance() / 2.0)
    }
}

/// A number from 0 to 1, good enough to spread load: the standard library keys its hashers at
/// random.
fn chance() -> f64 {
    use std::hash::{BuildHasher, Hasher};
    let bits = std::hash::RandomState::new().build_hasher().finish() >> 32;
    f64::from(u32::try_from(bits).expect("32 bits are left")) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_in_bounds() {
        let mut backoff = Backoff::new();
        let waits: Vec<_> = (0..20).map(|_| backoff.next()).collect();
        assert!(waits[0] >= Backoff::FIRST / 2 && waits[0] <= Backoff::FIRST, "{waits:?}");
        assert!(waits[19] >= Backoff::LAST / 2, "{waits:?}");
        assert!(waits.iter().all(|wait| *wait <= Backoff::LAST), "{waits:?}");
    }
}
