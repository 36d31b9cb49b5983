//! How far the sessions got that nobody resumed in time.

use std::collections::VecDeque;

use parking_lot::Mutex;
use waxwing_jid::BareJid;

/// Sessions remembered; the oldest make room.
const SESSIONS_MAX: usize = 1024;

/// XEP-0198 §5: when a session has timed out, `<failed/>` tells how many stanzas of the client had
/// been handled, so that the client knows which of them to send again.
#[derive(Default)]
pub(crate) struct Lapsed(Mutex<VecDeque<Session>>);

struct Session {
    id: String,
    account: BareJid,
    handled: u32,
}

impl Lapsed {
    /// The time of the session with this resumption id is over.
    pub(crate) fn note(&self, id: String, account: BareJid, handled: u32) {
        let mut sessions = self.0.lock();
        if sessions.len() >= SESSIONS_MAX {
            sessions.pop_front();
        }
        sessions.push_back(Session { id, account, handled });
    }

    /// How many stanzas of a session were handled; for its own account only.
    pub(crate) fn handled(&self, id: &str, account: &BareJid) -> Option<u32> {
        let sessions = self.0.lock();
        let is_asked = |session: &&Session| session.id == id && session.account == *account;
        sessions.iter().rev().find(is_asked).map(|session| session.handled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_make_room_and_nobody_hears_of_others() {
        let lapsed = Lapsed::default();
        let [juliet, romeo] = ["juliet@localhost", "romeo@localhost"]
            .map(|account| BareJid::new(account).expect("an address"));
        for count in 0..=SESSIONS_MAX {
            lapsed.note(count.to_string(), juliet.clone(), count as u32);
        }
        assert_eq!(lapsed.handled("0", &juliet), None);
        assert_eq!(lapsed.handled("1", &juliet), Some(1));
        assert_eq!(lapsed.handled("1024", &juliet), Some(1024));
        assert_eq!(lapsed.handled("1024", &romeo), None);
    }
}
