//! When somebody says the next thing.

use std::time::{Duration, Instant};

use tokio::time::{Interval, MissedTickBehavior};

use crate::Outcome;
use crate::timer::Timer;

/// Time between the last sign-in and the first word in open loop.
pub(super) const BREATH: Duration = Duration::from_millis(50);
/// How often somebody who hears nothing looks at the clock.
const TICK: Duration = Duration::from_millis(100);

/// When the speaker speaks.
pub(super) enum Rhythm {
    /// When fewer than so many messages are on their way.
    Closed { window: u64 },
    /// At fixed moments.
    Open { first: Instant, interval: Duration, timer: Box<Timer> },
}

impl Rhythm {
    /// From `first` on, with so much between two messages.
    pub(super) fn open(first: Instant, interval: Duration) -> Outcome<Self> {
        Ok(Self::Open { first, interval, timer: Box::new(Timer::new()?) })
    }

    /// That of the speaker with this number of so many, who say `rate` things a second together,
    /// one after the other.
    pub(super) fn turn(
        start: Instant,
        rate: u64,
        (number, speakers): (usize, u64),
    ) -> Outcome<Self> {
        let interval = Duration::from_secs(speakers).div_f64(rate as f64);
        let offset = interval.mul_f64(number as f64 / speakers as f64);
        Self::open(start + offset, interval)
    }

    /// When this message is due, where that was fixed.
    pub(super) fn due(&self, number: u64) -> Option<Instant> {
        match self {
            Self::Closed { .. } => None,
            Self::Open { first, interval, .. } => Some(*first + interval.mul_f64(number as f64)),
        }
    }

    /// Waits until it is.
    pub(super) async fn wait(&mut self, number: u64) -> Outcome<()> {
        let due = self.due(number);
        match (self, due) {
            (Self::Open { timer, .. }, Some(due)) => timer.until(due).await,
            _ => std::future::pending().await,
        }
    }
}

/// Looks at the clock, which show what is overdue.
pub(super) fn ticks() -> Interval {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now;

    #[tokio::test]
    async fn in_open_loop_the_schedule_does_not_wait_for_the_server() {
        let first = now();
        let rhythm = Rhythm::open(first, Duration::from_millis(2)).expect("a timer");
        assert_eq!(rhythm.due(0), Some(first));
        assert_eq!(rhythm.due(500), Some(first + Duration::from_secs(1)));
    }

    #[tokio::test]
    async fn who_speaks_in_turns_speaks_evenly() {
        let start = now();
        let due = |number| Rhythm::turn(start, 100, (number, 4)).expect("a timer").due(1);
        assert_eq!(due(0), Some(start + Duration::from_millis(40)));
        assert_eq!(due(3), Some(start + Duration::from_millis(70)));
    }
}
