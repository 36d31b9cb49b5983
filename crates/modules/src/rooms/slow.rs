//! Slow mode (XEP-0500, version 0.1.1).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use waxwing_jid::BareJid;
use waxwing_stanza::{CLIENT, ErrorKind, StanzaError};

use super::letter::{Letter, Now};
use super::role::Affiliation;
use super::room::Room;

/// When each account said something last, in a room where that counts.
#[derive(Debug, Default)]
pub struct Slow {
    said: HashMap<BareJid, Instant>,
    /// So many there were when those were dropped last that may speak again.
    kept: usize,
}

/// From how many on it is looked for those that may speak again.
const MANY: usize = 64;

impl Slow {
    fn note(&mut self, real: BareJid, now: Instant, wait: Duration) {
        self.said.insert(real, now);
        if self.said.len() > (2 * self.kept).max(MANY) {
            self.said.retain(|_, said| now.saturating_duration_since(*said) < wait);
            self.kept = self.said.len();
        }
    }
}

/// Whether a message comes too soon after another one of the same account; if not, it is noted.
///
/// §7: "server MUST NOT accept two consecutive messages from the same user, to the same room, until
/// the slow mode duration has elapsed. Only messages containing at least one '<body/>' element must
/// be taking into account". §9: "the server MUST … apply the same limits to all user's sessions."
///
/// # Errors
/// "'error_type' MUST be 'wait' … 'error_condition' MUST be 'policy-violation'".
pub fn check(room: &mut Room, letter: &Letter, now: &Now<'_>) -> Result<(), StanzaError> {
    let seconds = room.config.slow_seconds;
    if seconds == 0 {
        if !room.slow.said.is_empty() {
            room.slow = Slow::default();
        }
        return Ok(());
    }
    // "Room administrators and owners MUST NOT be rate limited."
    if !letter.stanza.body.has("body", CLIENT) || room.affiliation(letter) >= Affiliation::Admin {
        return Ok(());
    }
    let (real, wait) = (letter.bare(), Duration::from_secs(seconds.into()));
    let said = room.slow.said.get(&real);
    let rest = said.and_then(|said| (*said + wait).checked_duration_since(now.instant));
    if let Some(rest) = rest.filter(|rest| !rest.is_zero()) {
        let rest = rest.as_secs() + u64::from(rest.subsec_nanos() > 0);
        let text = format!(
            "There are {seconds} seconds between two messages of one person in this room; wait \
             {rest} more."
        );
        return Err(StanzaError::policy_violation().kind(ErrorKind::Wait).text(text));
    }
    room.slow.note(real, now.instant, wait);
    Ok(())
}

#[cfg(test)]
mod tests {
    use waxwing_kernel::clock::Clock;

    use super::*;

    #[test]
    fn who_may_speak_again_is_forgotten() {
        let (mut slow, start) = (Slow::default(), Clock::simulated(0, 1).now());
        let wait = Duration::from_secs(10);
        for number in 0..1000 {
            let real = BareJid::new(&format!("p{number}@localhost")).unwrap();
            slow.note(real, start + Duration::from_secs(number), wait);
        }
        assert!(slow.said.len() <= MANY + 1, "{} are remembered", slow.said.len());
    }
}
