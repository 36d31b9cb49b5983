//! When a stream has to act although nothing arrives.

use std::time::Instant;

use crate::limits::{Limits, seconds};

/// A peer that bears less silence than this is not humoured.
const LEAST_SECONDS: u32 = 5;

/// The clocks of one stream.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    /// The end of the handshake, or of the closing handshake.
    pub(crate) phase: Option<Instant>,
    /// When the silence of the peer becomes suspicious, or (probing) deadly.
    idle: Option<Instant>,
    /// When an `<r/>` is due.
    pub(crate) ack: Option<Instant>,
    probing: bool,
    inactive: bool,
    /// Seconds by which this stream is asked earlier.
    jitter: u8,
    /// Seconds that the peer bears silence (XEP-0478); 0 where it does not say.
    borne: u16,
}

/// What a silence asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    Probe,
    Dead,
}

impl Timers {
    pub(crate) fn deadline(&self) -> Option<Instant> {
        [self.phase, self.idle, self.ack].into_iter().flatten().min()
    }

    /// Starts to watch for silence: the handshake is over.
    pub(crate) fn watch(&mut self, now: Instant, limits: &Limits, dice: u8) {
        self.phase = None;
        let most = u16::from(limits.idle_jitter_seconds);
        self.jitter = (u16::from(dice) * (most + 1) / 256) as u8; // at most `most`
        self.idle = Some(self.patience(now, limits));
    }

    /// Something arrived.
    pub(crate) fn heard(&mut self, now: Instant, limits: &Limits) {
        if self.idle.is_some() {
            self.probing = false;
            self.idle = Some(self.patience(now, limits));
        }
    }

    /// The peer says how long it bears silence; we speak up a quarter earlier. Nobody is asked more
    /// often than every few seconds.
    pub(crate) fn bear(&mut self, seconds: u32) {
        let seconds = (seconds - seconds / 4).max(LEAST_SECONDS);
        self.borne = u16::try_from(seconds).unwrap_or(0);
    }

    /// XEP-0352: an inactive client may sleep longer.
    pub(crate) fn inactive(&mut self, inactive: bool) {
        self.inactive = inactive;
    }

    pub(crate) fn silence(&mut self, now: Instant, limits: &Limits) -> Option<Silence> {
        if self.idle.is_none_or(|at| at > now) {
            return None;
        }
        if self.probing {
            return Some(Silence::Dead);
        }
        self.probing = true;
        self.idle = Some(now + seconds(self.scaled(limits.ping_wait_seconds, limits)));
        Some(Silence::Probe)
    }

    fn patience(&self, now: Instant, limits: &Limits) -> Instant {
        let patience = self.scaled(limits.idle_seconds, limits).saturating_sub(self.jitter.into());
        let borne = if self.borne == 0 { u32::MAX } else { self.borne.into() };
        now + seconds(patience.min(borne))
    }

    fn scaled(&self, value: u32, limits: &Limits) -> u32 {
        let factor = if self.inactive { limits.inactive_factor.max(1) } else { 1 };
        value.saturating_mul(factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "an instant can be had in no other way")]
    fn chance_spreads_the_probes() {
        let (now, limits) = (Instant::now(), Limits::default());
        let after = |dice| {
            let mut timers = Timers::default();
            timers.watch(now, &limits, dice);
            timers.deadline().map(|at| at - now)
        };
        assert_eq!(after(0), Some(seconds(60)));
        assert_eq!(after(128), Some(seconds(57)));
        assert_eq!(after(255), Some(seconds(55)));
    }
}
