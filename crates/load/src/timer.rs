//! Moments to the microsecond: the runtime's own timer counts in milliseconds.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;

use crate::Outcome;
use crate::clock::now;

/// The system's timer with a descriptor of its own (timerfd_create(2)).
pub(crate) struct Timer {
    file: AsyncFd<OwnedFd>,
    /// What it is set to.
    due: Option<Instant>,
}

impl Timer {
    #[expect(deprecated, reason = "the descriptor is owned and stays; what replaces it is unsafe")]
    pub(crate) fn new() -> Outcome<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let file = timerfd_create(TimerfdClockId::Monotonic, flags);
        let file = file.map_err(|error| format!("no timer: {error}"))?;
        let file = AsyncFd::new(file).map_err(|error| format!("no timer: {error}"))?;
        Ok(Self { file, due: None })
    }

    /// Waits for the moment. May be given up and called again.
    pub(crate) async fn until(&mut self, moment: Instant) -> Outcome<()> {
        let left = moment.saturating_duration_since(now());
        if left.is_zero() {
            return Ok(());
        }
        if self.due != Some(moment) {
            let failed = |error| format!("the timer fails: {error}");
            let spec =
                Itimerspec { it_interval: timespec(Duration::ZERO), it_value: timespec(left) };
            timerfd_settime(self.file.get_ref(), TimerfdTimerFlags::empty(), &spec)
                .map_err(failed)?;
            self.due = Some(moment);
        }
        while now() < moment {
            let ready = self.file.readable().await;
            ready.map_err(|error| format!("the timer fails: {error}"))?.clear_ready();
        }
        Ok(())
    }
}

fn timespec(duration: Duration) -> Timespec {
    let seconds = duration.as_secs().try_into().expect("no run takes an age");
    Timespec { tv_sec: seconds, tv_nsec: duration.subsec_nanos().into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_moment_is_not_missed_and_not_early() {
        let mut timer = Timer::new().expect("a timer");
        for micros in [0, 50, 300, 2_000] {
            let moment = now() + Duration::from_micros(micros);
            timer.until(moment).await.expect("it rings");
            assert!(now() >= moment);
        }
    }
}
