//! Time, randomness and tasks: the only place in the kernel that asks the machine for them.
//!
//! Tests hand in a simulated clock: it stands still until it is advanced, so a scenario about a
//! five-minute timeout takes no time and never races.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// A day in milliseconds, as the store counts time.
pub const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// Where time and randomness come from. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<Simulated>>);

/// A wait that is under way.
pub(crate) type Wait = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A clock that only moves when told to.
#[derive(Debug)]
pub struct Simulated {
    start: Instant,
    start_millis: u64,
    elapsed: Mutex<Duration>,
    moved: Notify,
    seed: AtomicU64,
}

impl Clock {
    /// The machine's own clock and randomness.
    pub fn system() -> Self {
        Self(None)
    }

    /// A clock that stands still at `wall_millis` (Unix time), with a reproducible random source.
    pub fn simulated(wall_millis: u64, seed: u64) -> Self {
        Self(Some(Arc::new(Simulated {
            start: machine_instant(),
            start_millis: wall_millis,
            elapsed: Mutex::new(Duration::ZERO),
            moved: Notify::new(),
            seed: AtomicU64::new(seed),
        })))
    }

    /// The monotonic time.
    pub fn now(&self) -> Instant {
        match &self.0 {
            None => machine_instant(),
            Some(simulated) => simulated.start + *simulated.elapsed.lock(),
        }
    }

    /// Milliseconds since the Unix epoch.
    pub fn wall_millis(&self) -> u64 {
        match &self.0 {
            None => machine_millis(),
            Some(simulated) => simulated.start_millis + simulated.elapsed.lock().as_millis() as u64,
        }
    }

    /// The wall clock as XEP-0082 writes it: `2026-01-31T12:00:00.000Z`.
    pub fn stamp(&self) -> String {
        stamp_of(self.wall_millis())
    }

    /// Waits until `deadline`; for ever when there is none.
    pub async fn until(&self, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return std::future::pending().await };
        match &self.0 {
            None => tokio::time::sleep_until(deadline.into()).await,
            Some(simulated) => loop {
                let moved = simulated.moved.notified();
                if self.now() >= deadline {
                    return;
                }
                moved.await;
            },
        }
    }

    /// [`Clock::until`] `deadline` as a value of its own, as small as it can be: every connection
    /// keeps one.
    pub(crate) fn wait(&self, deadline: Instant) -> Wait {
        if self.0.is_none() {
            return Box::pin(tokio::time::sleep_until(deadline.into()));
        }
        let clock = self.clone();
        Box::pin(async move { clock.until(Some(deadline)).await })
    }

    /// Moves a simulated clock forward and wakes whoever waits for the new time. Does nothing to
    /// the machine's clock.
    pub fn advance(&self, by: Duration) {
        if let Some(simulated) = &self.0 {
            *simulated.elapsed.lock() += by;
            simulated.moved.notify_waiters();
        }
    }

    /// Fills `bytes` with randomness: the operating system's, or the simulation's.
    pub fn random(&self, bytes: &mut [u8]) {
        match &self.0 {
            None => machine_random(bytes),
            Some(simulated) => {
                for chunk in bytes.chunks_mut(8) {
                    let next = splitmix(simulated.seed.fetch_add(SPLITMIX_STEP, Ordering::Relaxed));
                    chunk.copy_from_slice(&next.to_le_bytes()[..chunk.len()]);
                }
            }
        }
    }

    /// A random token of `bytes` bytes, in lower-case hexadecimal.
    pub fn token(&self, bytes: usize) -> String {
        let mut text = String::with_capacity(2 * bytes);
        self.write_token(&mut text, bytes);
        text
    }

    /// Appends such a token.
    pub fn write_token(&self, out: &mut String, bytes: usize) {
        let (mut raw, mut digits) = ([0; TOKEN_BYTES], [0; 2 * TOKEN_BYTES]);
        let mut left = bytes;
        while left > 0 {
            let count = left.min(TOKEN_BYTES);
            self.random(&mut raw[..count]);
            for (two, byte) in digits.chunks_exact_mut(2).zip(&raw[..count]) {
                two[0] = HEX[usize::from(byte >> 4)];
                two[1] = HEX[usize::from(byte & 15)];
            }
            let text = std::str::from_utf8(&digits[..2 * count]);
            out.push_str(text.expect("hexadecimal digits are ASCII"));
            left -= count;
        }
    }

    /// Starts a task that nobody waits for.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        #[allow(clippy::disallowed_methods, reason = "this is the place that may")]
        tokio::spawn(task);
    }
}

/// Bytes of a token made at a time.
const TOKEN_BYTES: usize = 16;

const HEX: &[u8; 16] = b"0123456789abcdef";

const SPLITMIX_STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// SplitMix64 (Steele, Lea, Flood 2014): good enough to tell test runs apart.
fn splitmix(state: u64) -> u64 {
    let mut z = state.wrapping_add(SPLITMIX_STEP);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Writes Unix milliseconds as XEP-0082 §3.2 DateTime in UTC.
pub fn stamp_of(millis: u64) -> String {
    let time = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000)
        .unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        time.year(),
        u8::from(time.month()),
        time.day(),
        time.hour(),
        time.minute(),
        time.second(),
        time.millisecond()
    )
}

/// Bytes of randomness made at a time: asking for few costs as much as asking for many.
const RANDOM_BYTES: usize = 512;

thread_local! {
    /// Randomness that nobody has been given yet, and how much of it is left, at its end.
    static RANDOM: RefCell<([u8; RANDOM_BYTES], usize)> = const { RefCell::new(([0; _], 0)) };
}

fn machine_random(bytes: &mut [u8]) {
    let fill = |bytes: &mut [u8]| {
        aws_lc_rs::rand::fill(bytes).expect("the operating system has randomness");
    };
    if bytes.len() > RANDOM_BYTES / 4 {
        return fill(bytes);
    }
    RANDOM.with_borrow_mut(|(stock, left)| {
        if *left < bytes.len() {
            fill(stock);
            *left = RANDOM_BYTES;
        }
        let given = &mut stock[*left - bytes.len()..*left];
        bytes.copy_from_slice(given);
        given.fill(0); // what was a secret is nobody else's
        *left -= bytes.len();
    });
}

#[allow(clippy::disallowed_methods, reason = "this is the place that may")]
fn machine_instant() -> Instant {
    Instant::now()
}

#[allow(clippy::disallowed_methods, reason = "this is the place that may")]
fn machine_millis() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// Hands out identifiers that grow with time and are unique on this node: 44 bits of milliseconds
/// and 19 bits of counter, so they sort by age and fit a signed 64-bit column.
#[derive(Debug, Default)]
pub struct Ids(AtomicU64);

impl Ids {
    /// When an identifier was given, in milliseconds since 1970.
    pub(crate) fn millis_of(id: u64) -> u64 {
        id >> 19
    }

    /// Makes every identifier from now on greater than `last`.
    pub fn start_after(&self, last: u64) {
        self.0.fetch_max(last, Ordering::Relaxed);
    }

    /// The next identifier. Never zero, never the same twice, also when the wall clock steps back.
    pub fn next(&self, clock: &Clock) -> u64 {
        let now = clock.wall_millis() << 19;
        let mut last = self.0.load(Ordering::Relaxed);
        loop {
            let next = now.max(last + 1);
            match self.0.compare_exchange_weak(last, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return next,
                Err(seen) => last = seen,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// XEP-0082 §3.2.
    #[test]
    fn stamps_are_written_as_xep_0082_asks() {
        assert_eq!(stamp_of(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(stamp_of(1_795_249_680_007), "2026-11-21T08:28:00.007Z");
    }

    #[test]
    fn no_randomness_is_given_twice() {
        let clock = Clock::system();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..1000 {
            let mut bytes = [0; 24];
            clock.random(&mut bytes);
            assert!(seen.insert(bytes));
        }
        assert_eq!(clock.token(100).len(), 200);
    }

    #[test]
    fn ids_grow_while_the_clock_stands() {
        let (ids, clock) = (Ids::default(), Clock::simulated(1_000, 1));
        let first = ids.next(&clock);
        assert!(ids.next(&clock) > first && first > 0);
        clock.advance(Duration::from_millis(1));
        assert_eq!(ids.next(&clock), 1_001 << 19);
    }
}
