//! One line on the terminal that tells how far a run is.

use std::io::{IsTerminal, Write, stderr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const EVERY: Duration = Duration::from_millis(200);
const BAR: usize = 30;

/// What is being done, and how much of it has been.
#[derive(Default)]
pub(crate) struct Progress {
    label: Mutex<&'static str>,
    done: AtomicU64,
    total: AtomicU64,
    /// Operations that were counted so far.
    counted: AtomicU64,
}

impl Progress {
    /// Something else begins, which has so many steps.
    pub(crate) fn begin(&self, label: &'static str, total: u64) {
        *self.label.lock().unwrap_or_else(PoisonError::into_inner) = label;
        self.done.store(0, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
    }

    /// One more step.
    pub(crate) fn step(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    /// So many steps are done.
    pub(crate) fn set(&self, done: u64) {
        self.done.store(done, Ordering::Relaxed);
    }

    /// One more operation.
    pub(crate) fn count(&self) {
        self.counted.fetch_add(1, Ordering::Relaxed);
    }

    /// Operations so far, warm-up included.
    pub(crate) fn counted(&self) -> u64 {
        self.counted.load(Ordering::Relaxed)
    }

    /// Draws on the terminal for as long as it is polled; without a terminal, nothing.
    pub(crate) async fn draw(self: Arc<Self>) {
        if !stderr().is_terminal() {
            return std::future::pending().await;
        }
        let _clear = Clear;
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            ticks.tick().await;
            let label = *self.label.lock().unwrap_or_else(PoisonError::into_inner);
            let (done, total) =
                (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed));
            // A terminal that does not listen is no reason to stop.
            let _ = write!(stderr(), "\r{}\x1b[K", line(label, done, total, self.counted()));
        }
    }
}

/// Leaves an empty line behind.
struct Clear;

impl Drop for Clear {
    fn drop(&mut self) {
        let _ = write!(stderr(), "\r\x1b[K");
    }
}

fn line(label: &str, done: u64, total: u64, counted: u64) -> String {
    let part = done.min(total) as f64 / total.max(1) as f64;
    let full = (part * BAR as f64) as usize;
    let bar = format!("{}{}", "█".repeat(full), "░".repeat(BAR - full));
    let counted = if counted > 0 { format!(", {counted} done") } else { String::new() };
    format!("{label:<12} {bar} {:3.0} %{counted}", part * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_fills_and_never_overflows() {
        assert!(line("signing in", 0, 0, 0).ends_with("  0 %"));
        assert_eq!(line("chat", 5, 10, 7).matches('█').count(), BAR / 2);
        assert!(line("chat", 11, 10, 7).ends_with("100 %, 7 done"));
    }
}
