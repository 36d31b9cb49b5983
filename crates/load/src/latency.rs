//! How long things took.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// The longest time that is told apart, in nanoseconds: ten minutes.
const LONGEST_NANOS: u64 = 600_000_000_000;
/// Digits that are kept of every value.
const DIGITS: u8 = 3;

/// Every latency of a run, with three digits.
pub(crate) struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, LONGEST_NANOS, DIGITS);
        Self(histogram.expect("the bounds are in order"))
    }
}

impl Latencies {
    /// Counts one.
    pub(crate) fn record(&mut self, took: Duration) {
        self.0.saturating_record(took.as_nanos().try_into().unwrap_or(u64::MAX));
    }

    /// Takes in those of another part of the run.
    pub(crate) fn add(&mut self, other: &Self) {
        self.0.add(&other.0).expect("all have the same bounds");
    }

    /// Those of all parts of the run.
    pub(crate) fn all<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut all = Self::default();
        parts.into_iter().for_each(|part| all.add(part));
        all
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// The value that this part of all did not exceed, in microseconds.
    pub(crate) fn micros(&self, part: f64) -> f64 {
        self.0.value_at_quantile(part) as f64 / 1e3
    }

    /// What programs read, in microseconds.
    pub(crate) fn json(&self) -> Value {
        json!({
            "count": self.count(),
            "mean": self.0.mean() / 1e3,
            "p50": self.micros(0.5),
            "p90": self.micros(0.9),
            "p99": self.micros(0.99),
            "p999": self.micros(0.999),
            "max": self.micros(1.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(values: impl IntoIterator<Item = u64>) -> Latencies {
        let mut latencies = Latencies::default();
        values.into_iter().for_each(|value| latencies.record(Duration::from_micros(value)));
        latencies
    }

    #[test]
    fn quantiles_keep_three_digits() {
        let latencies = micros(1..=10_000);
        for (part, expected) in [(0.5, 5_000.0), (0.9, 9_000.0), (0.99, 9_900.0), (1.0, 10_000.0)] {
            let found = latencies.micros(part);
            assert!((found / expected - 1.0).abs() < 0.001, "{part}: {found}");
        }
    }

    #[test]
    fn parts_add_up_and_the_endless_is_cut_off() {
        let mut latencies = micros([10, 20]);
        latencies.add(&micros([30]));
        latencies.record(Duration::from_secs(86_400));
        assert_eq!(latencies.count(), 4);
        assert!(latencies.micros(1.0) < 700e6, "{}", latencies.micros(1.0));
        assert!(latencies.micros(1.0) > 590e6, "{}", latencies.micros(1.0));
    }

    #[test]
    fn nothing_has_no_latency() {
        assert_eq!(Latencies::default().micros(0.99), 0.0);
    }
}
