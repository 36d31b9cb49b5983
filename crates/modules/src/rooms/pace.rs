//! How fast people talk. Nothing is refused for coming too fast: whoever sends more than its share
//! is read later, and nobody else waits for that.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use waxwing_jid::Jid;

use super::letter::Now;
use super::occupants::Occupant;
use super::room::Room;

/// Messages that may come at once after a rest, as so many seconds of the average.
const BURST_SECONDS: u32 = 4;

/// When all that came will be made up for: of the room, and of each session in it.
#[derive(Debug, Default)]
pub struct Paces {
    room: Option<Instant>,
    sessions: HashMap<Jid, Instant>,
}

impl Paces {
    /// Forgets somebody who leaves.
    pub fn forget(&mut self, occupant: &Occupant) {
        for sitting in &occupant.sittings {
            self.sessions.remove(sitting.seat.jid());
        }
    }
}

impl Room {
    /// Counts a message of a session. Gives the time before which nothing more of it should be
    /// read, if there is one.
    pub fn pace(&mut self, session: &Jid, now: &Now<'_>) -> Option<Instant> {
        let settings = &self.service.settings;
        let (own, all) = (settings.messages_per_second, settings.room_messages_per_second);
        let room = step(self.paces.room.unwrap_or(now.instant), all, now.instant);
        self.paces.room = Some(room.0);
        let entry = self.paces.sessions.entry(session.clone()).or_insert(now.instant);
        let session = step(*entry, own, now.instant);
        *entry = session.0;
        room.1.max(session.1)
    }
}

/// Moves the time when all is made up for, and says when that is a burst away, if it is later.
fn step(even: Instant, per_second: u32, now: Instant) -> (Instant, Option<Instant>) {
    let cost = Duration::from_secs(1) / per_second.max(1);
    let even = even.max(now) + cost;
    let open = even.checked_sub(Duration::from_secs(BURST_SECONDS.into()));
    (even, open.filter(|open| *open > now))
}

#[cfg(test)]
mod tests {
    use waxwing_kernel::clock::Clock;

    use super::*;

    #[test]
    fn a_burst_is_free_and_the_rest_is_paid_for() {
        let now = Clock::simulated(0, 1).now() + Duration::from_secs(60);
        let mut even = now;
        for _ in 0..40 {
            let (next, open) = step(even, 10, now);
            assert_eq!(open, None);
            even = next;
        }
        let (_, open) = step(even, 10, now);
        assert_eq!(open, Some(now + Duration::from_millis(100)));
        let later = now + Duration::from_secs(5);
        assert_eq!(step(even, 10, later).1, None);
    }
}
