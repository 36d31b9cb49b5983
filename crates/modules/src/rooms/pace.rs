//! How fast people talk. Nothing is refused for coming too fast: whoever sends more than its share
//! is read later, and nobody else waits for that.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use waxwing_jid::Jid;

use super::letter::Now;
use super::room::Room;

/// Messages that may come at once after a rest, as so many seconds of the average.
const BURST_SECONDS: u32 = 4;

/// Sessions that are remembered besides those that are there.
const SPARE: usize = 100;

/// When all that came will be made up for: of the room, and of each session in it.
#[derive(Debug, Default)]
pub struct Paces {
    room: Option<Instant>,
    sessions: HashMap<Jid, Instant>,
}

impl Paces {
    /// Forgets those whose time has come. Nobody is forgotten for leaving: who comes back at once
    /// has not rested.
    fn tidy(&mut self, there: usize, now: Instant) {
        if self.sessions.len() > 2 * there + SPARE {
            self.sessions.retain(|_, even| *even > now);
        }
    }
}

impl Room {
    /// Counts a message or presence of a session. Gives the time before which nothing more of it
    /// should be read, if there is one.
    pub fn pace(&mut self, session: &Jid, now: &Now<'_>) -> Option<Instant> {
        self.paces.tidy(self.occupants.len(), now.instant);
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

    /// What one session makes everybody hear costs it its own time, whatever it is, and nobody
    /// else's; to go and come again is no rest.
    #[tokio::test]
    async fn presence_counts_as_messages_do() {
        use super::super::tests::Stage;

        let mut stage = Stage::open().await;
        let burst = stage.room.service.settings.messages_per_second * BURST_SECONDS;
        let (to, romeo) = ("garden@rooms.localhost/Romeo", "romeo@localhost/r");
        let join =
            format!("<presence to='{to}'><x xmlns='http://jabber.org/protocol/muc'/></presence>");
        let away = format!("<presence to='{to}'><show>away</show></presence>");
        let bye = format!("<presence to='{to}' type='unavailable'/>");
        for xml in [&join, &away] {
            stage.enter(romeo, "Romeo");
            let held = (0..=burst).filter_map(|_| stage.outcome(romeo, xml).hold_until);
            assert!(held.count() > 0, "{xml}");
            stage.send(romeo, &bye);
            assert!(stage.outcome(romeo, &join).hold_until.is_some(), "{xml}");
            let own = "<presence to='garden@rooms.localhost/Owner'/>";
            assert_eq!(stage.outcome("owner@localhost/o", own).hold_until, None);
            stage.hub.clock().advance(Duration::from_secs(60));
            assert_eq!(stage.outcome(romeo, &join).hold_until, None);
        }
    }

    /// A message with many invitations is many messages.
    #[tokio::test]
    async fn each_invitation_counts() {
        use super::super::tests::Stage;

        let mut stage = Stage::open().await;
        let most = stage.room.service.settings.changes;
        let invites: String =
            (0..most).map(|number| format!("<invite to='p{number}@localhost'/>")).collect();
        let message = format!(
            "<message to='garden@rooms.localhost'>\
             <x xmlns='http://jabber.org/protocol/muc#user'>{invites}</x></message>"
        );
        let messages = stage.room.service.settings.messages_per_second * BURST_SECONDS / most + 1;
        let held = (0..messages).map(|_| stage.outcome("owner@localhost/o", &message).hold_until);
        assert!(held.last().unwrap().is_some());
    }

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
