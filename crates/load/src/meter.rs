//! Processor time and memory between two moments, of the server and of this process.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::clock::now;
use crate::{Outcome, process};

/// The first moment.
pub(crate) struct Meter {
    pid: Option<u32>,
    start: Instant,
    server: Option<Duration>,
    own: Duration,
}

/// What was used until the second.
#[derive(Clone, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) seconds: f64,
    /// Processor seconds and resident KiB of the server, where its process is known.
    pub(crate) server: Option<(f64, u64)>,
    /// Processor seconds of this process.
    pub(crate) own: f64,
}

impl Meter {
    /// Reads for the first time.
    pub(crate) fn start(pid: Option<u32>) -> Outcome<Self> {
        let server = pid.map(process::cpu).transpose()?;
        Ok(Self { pid, start: now(), server, own: process::cpu(std::process::id())? })
    }

    /// Reads for the second time.
    pub(crate) fn stop(self) -> Outcome<Usage> {
        let own = process::cpu(std::process::id())?.saturating_sub(self.own).as_secs_f64();
        let server = match self.pid.zip(self.server) {
            Some((pid, before)) => {
                let spent = process::cpu(pid)?.saturating_sub(before).as_secs_f64();
                Some((spent, process::resident(pid)?))
            }
            None => None,
        };
        Ok(Usage { seconds: self.start.elapsed().as_secs_f64(), server, own })
    }
}

impl Usage {
    /// Processor time of the server for each operation, in microseconds.
    pub(crate) fn cpu_micros(&self, operations: u64) -> Option<f64> {
        self.server.filter(|_| operations > 0).map(|(cpu, _)| cpu * 1e6 / operations as f64)
    }

    /// Processors that this process kept busy.
    pub(crate) fn own_share(&self) -> f64 {
        self.own / self.seconds.max(f64::MIN_POSITIVE)
    }

    /// Says so when this process may have been what was slow.
    pub(crate) fn warning(&self, processors: usize) -> Option<String> {
        let (own, all) = (self.own_share(), processors as f64);
        let server = self.server.map_or(0.0, |(cpu, _)| cpu / self.seconds);
        let is_alone = own >= 0.85 * all;
        let is_crowded = own + server >= 0.9 * all && own > server;
        (is_alone || is_crowded).then(|| {
            format!(
                "the generator itself kept {own:.1} of {processors} processors busy: rates and \
                 latencies are bound by it, while processor time and memory of the server hold; \
                 run it on another machine, or with fewer clients"
            )
        })
    }

    /// What programs read.
    pub(crate) fn json(&self, operations: u64) -> Value {
        json!({
            "server": self.server.map(|(cpu, resident)| json!({
                "cpu_seconds": cpu,
                "cpu_micros": self.cpu_micros(operations),
                "cpu_share": cpu / self.seconds,
                "resident_kib": resident,
            })),
            "generator": { "cpu_seconds": self.own, "cpu_share": self.own_share() },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generator_that_is_the_bottleneck_says_so() {
        let usage = |own, server| Usage { seconds: 10.0, server: Some((server, 0)), own };
        assert!(usage(18.0, 1.0).warning(2).is_some());
        assert!(usage(11.0, 8.0).warning(2).is_some());
        assert!(usage(8.0, 11.0).warning(2).is_none());
        assert!(usage(2.0, 1.0).warning(2).is_none());
        assert_eq!(usage(2.0, 1.0).cpu_micros(100_000), Some(10.0));
        assert_eq!(usage(2.0, 1.0).cpu_micros(0), None);
    }
}
