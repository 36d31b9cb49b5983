//! The machine's clock: what is measured here is real time.

use std::time::Instant;

/// The monotonic time.
#[expect(clippy::disallowed_methods, reason = "this is the place that may")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
