//! How fast a client may send: so much a second, and a burst on top.
//!
//! Nothing is refused for coming too fast. What was read counts, and once that is more than the
//! burst allows, the socket is left alone until the rate has made up for it: the bytes wait in the
//! network, and TCP slows the sender down.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::clock::Clock;

/// A limit on one thing: an average, and how far ahead of it a client may get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// On average, each second; 0 is no limit.
    pub per_second: u64,
    /// At once, after a rest.
    pub burst: u64,
}

/// How much may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Stanzas.
    pub stanzas: Flow,
    /// Bytes, of whatever kind, as the stream sees them.
    pub bytes: Flow,
}

/// What was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) stanzas: u32,
    pub(crate) bytes: u32,
}

/// What is left of a rate, told by when all that was sent will be made up for: nanoseconds since
/// the server started, for stanzas and for bytes. (The generic cell rate algorithm; a bucket of
/// tokens that needs nobody to fill it.)
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    stanzas: u64,
    bytes: u64,
}

const _: () = assert!(size_of::<Bucket>() == 16);

impl Bucket {
    /// Takes `load` out at `now`, counted from the start of the server, also when there is not as
    /// much in it. Gives the time from which on more may be taken; it is past unless the bucket is
    /// overdrawn.
    pub(crate) fn take(&mut self, rate: &Rate, now: Duration, load: Load) -> Duration {
        let now = nanos(now);
        let stanzas = draw(&mut self.stanzas, rate.stanzas, now, load.stanzas);
        let bytes = draw(&mut self.bytes, rate.bytes, now, load.bytes);
        Duration::from_nanos(stanzas.max(bytes))
    }
}

/// Moves `even`, the time when all is made up for, and says when it will be a burst away.
fn draw(even: &mut u64, flow: Flow, now: u64, count: u32) -> u64 {
    if flow.per_second == 0 {
        return 0;
    }
    *even = (*even).max(now).saturating_add(cost(flow, u64::from(count)));
    even.saturating_sub(cost(flow, flow.burst))
}

/// How long the average takes for so many (nanoseconds).
fn cost(flow: Flow, count: u64) -> u64 {
    let nanos = u128::from(count) * 1_000_000_000 / u128::from(flow.per_second);
    u64::try_from(nanos).unwrap_or(u64::MAX)
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// One connection's pace: what it sent, and until when its socket is left alone.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Not yet paid for.
    pub(crate) load: Load,
    bucket: Bucket,
    rest: Option<Instant>,
}

impl Pace {
    /// Pays for what was sent, out of the connection's own bucket and one that it shares.
    pub(crate) fn pay(
        &mut self,
        (clock, started): (&Clock, Instant),
        own: &Rate,
        shared: Option<(&Rate, &Mutex<Bucket>)>,
    ) {
        let load = std::mem::take(&mut self.load);
        if load == Load::default() {
            return;
        }
        let instant = clock.now();
        let now = instant.saturating_duration_since(started);
        let mut open = self.bucket.take(own, now, load);
        if let Some((rate, bucket)) = shared {
            open = open.max(bucket.lock().take(rate, now, load));
        }
        self.rest = open.checked_sub(now).filter(|wait| !wait.is_zero()).map(|wait| instant + wait);
    }

    /// Until when nothing is read, if it is so now.
    pub(crate) fn rest(&mut self, clock: &Clock) -> Option<Instant> {
        self.rest = self.rest.filter(|until| clock.now() < *until);
        self.rest
    }

    /// Whether it has been kept from sending since anything was read.
    pub(crate) fn is_resting(&self) -> bool {
        self.rest.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        stanzas: Flow { per_second: 10, burst: 100 },
        bytes: Flow { per_second: 1000, burst: 5000 },
    };

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn stanzas(stanzas: u32) -> Load {
        Load { stanzas, bytes: 0 }
    }

    #[test]
    fn a_burst_goes_through_and_what_follows_waits_for_the_average() {
        let (mut bucket, start) = (Bucket::default(), at(60_000));
        assert!(bucket.take(&RATE, start, stanzas(100)) <= start);
        assert_eq!(bucket.take(&RATE, start, stanzas(1)), at(60_100));
        assert_eq!(bucket.take(&RATE, start, stanzas(20)), at(62_100));
        // At the moment that was named there is room, and one more overdraws it again.
        assert_eq!(bucket.take(&RATE, at(62_100), Load::default()), at(62_100));
        assert_eq!(bucket.take(&RATE, at(62_100), stanzas(1)), at(62_200));
    }

    #[test]
    fn a_rest_fills_it_and_no_more_than_that() {
        let mut bucket = Bucket::default();
        for start in [at(1_000_000), at(2_000_000), at(9_000_000)] {
            assert!(bucket.take(&RATE, start, stanzas(100)) <= start);
            assert!(bucket.take(&RATE, start, stanzas(1)) > start);
        }
    }

    #[test]
    fn who_keeps_to_the_average_never_waits() {
        let mut bucket = Bucket::default();
        for tenth in 0..10_000 {
            let now = at(tenth * 100);
            assert!(bucket.take(&RATE, now, Load { stanzas: 1, bytes: 100 }) <= now);
        }
    }

    #[test]
    fn the_average_holds_however_much_comes_at_once() {
        let (mut bucket, mut now, mut sent) = (Bucket::default(), Duration::ZERO, 0);
        while now < at(1_000_000) {
            now = now.max(bucket.take(&RATE, now, stanzas(7)));
            sent += 7;
        }
        assert!((10_100..=10_107).contains(&sent), "{sent} in 1000 s");
    }

    #[test]
    fn bytes_and_stanzas_are_limited_each_for_itself() {
        let mut bucket = Bucket::default();
        assert!(bucket.take(&RATE, at(0), Load { stanzas: 1, bytes: 5000 }) <= at(0));
        assert_eq!(bucket.take(&RATE, at(0), Load { stanzas: 1, bytes: 500 }), at(500));
    }

    #[test]
    fn zero_is_no_limit() {
        let none = Flow { per_second: 0, burst: 0 };
        let (mut bucket, rate) = (Bucket::default(), Rate { stanzas: none, bytes: none });
        let load = Load { stanzas: u32::MAX, bytes: u32::MAX };
        assert_eq!(bucket.take(&rate, at(5), load), Duration::ZERO);
    }

    #[test]
    fn a_connection_rests_until_both_its_buckets_have_room() {
        let clock = Clock::simulated(0, 1);
        let started = clock.now();
        let shared = Mutex::new(Bucket::default());
        let wide = Rate { stanzas: Flow { per_second: 1000, burst: 1000 }, ..RATE };
        let mut first = Pace { load: stanzas(100), ..Pace::default() };
        first.pay((&clock, started), &wide, Some((&RATE, &shared)));
        assert_eq!(first.rest(&clock), None);
        // The other session of the account finds its bucket empty.
        let mut second = Pace { load: stanzas(10), ..Pace::default() };
        second.pay((&clock, started), &wide, Some((&RATE, &shared)));
        assert_eq!(second.rest(&clock), Some(started + at(1000)));
        clock.advance(at(999));
        assert!(second.rest(&clock).is_some());
        clock.advance(at(1));
        assert_eq!(second.rest(&clock), None);
        assert!(!second.is_resting());
    }
}
