//! The machine's clock: what is measured here is real time.

use std::time::Instant;

use tokio::task::JoinHandle;

/// The monotonic time.
#[expect(clippy::disallowed_methods, reason = "this is the place that may")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Starts a task that ends with the program at the latest.
#[expect(clippy::disallowed_methods, reason = "this is the place that may")]
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(task)
}
