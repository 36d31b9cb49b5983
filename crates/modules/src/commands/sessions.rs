//! Forms that were shown and have not come back yet.

use std::collections::VecDeque;
use std::time::Instant;

use waxwing_jid::Jid;

use super::wire::Fault;

/// Forms that one requester may have open; the oldest makes room for one more.
const PER_REQUESTER: usize = 8;

/// Forms that all requesters together may have open.
const TOTAL: usize = 1024;

/// Ended sessions that are remembered, so that a late answer is told what happened.
const ENDED: usize = 256;

/// The sessions of one host, oldest first; bounded.
#[derive(Default)]
pub(super) struct Sessions {
    open: VecDeque<Open>,
    ended: VecDeque<String>,
}

struct Open {
    id: String,
    requester: Jid,
    node: &'static str,
    until: Instant,
}

impl Sessions {
    /// Begins a session.
    pub(super) fn open(&mut self, id: String, requester: &Jid, node: &'static str, until: Instant) {
        let own = |open: &&Open| open.requester == *requester;
        if self.open.iter().filter(own).count() >= PER_REQUESTER {
            let oldest = self.open.iter().position(|open| own(&open));
            oldest.into_iter().for_each(|index| self.end(index));
        }
        if self.open.len() >= TOTAL {
            self.end(0);
        }
        self.open.push_back(Open { id, requester: requester.clone(), node, until });
    }

    /// Whether this session goes on. §3.3: it is "valid only between one requester/responder
    /// pair".
    pub(super) fn check(
        &mut self,
        id: &str,
        requester: &Jid,
        node: &str,
        now: Instant,
    ) -> Result<(), Fault> {
        while self.open.front().is_some_and(|oldest| oldest.until <= now) {
            self.end(0);
        }
        let held = self.open.iter().find(|open| open.id == id);
        match held {
            Some(open) if open.requester == *requester && open.node == node => Ok(()),
            None if self.ended.iter().any(|ended| ended == id) => Err(Fault::SessionExpired),
            _ => Err(Fault::BadSession),
        }
    }

    /// Ends a session: its command was run or called off.
    pub(super) fn close(&mut self, id: &str) {
        if let Some(index) = self.open.iter().position(|open| open.id == id) {
            self.end(index);
        }
    }

    fn end(&mut self, index: usize) {
        if let Some(open) = self.open.remove(index) {
            self.ended.push_back(open.id);
        }
        if self.ended.len() > ENDED {
            self.ended.pop_front();
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test needs some instant to begin at")]
mod tests {
    use std::time::Duration;

    use super::*;

    fn romeo() -> Jid {
        Jid::new("romeo@example.net/orchard").unwrap()
    }

    #[test]
    fn a_session_belongs_to_its_requester_and_command_until_it_ends() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let until = now + Duration::from_secs(60);
        sessions.open("1".into(), &romeo(), "add", until);
        assert_eq!(sessions.check("1", &romeo(), "add", now), Ok(()));
        assert_eq!(sessions.check("1", &romeo(), "drop", now), Err(Fault::BadSession));
        let other = Jid::new("romeo@example.net/balcony").unwrap();
        assert_eq!(sessions.check("1", &other, "add", now), Err(Fault::BadSession));
        assert_eq!(sessions.check("2", &romeo(), "add", now), Err(Fault::BadSession));
        sessions.close("1");
        assert_eq!(sessions.check("1", &romeo(), "add", now), Err(Fault::SessionExpired));
    }

    #[test]
    fn a_session_ends_with_its_time() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        sessions.open("1".into(), &romeo(), "add", now + Duration::from_secs(60));
        let late = now + Duration::from_secs(60);
        assert_eq!(sessions.check("1", &romeo(), "add", late), Err(Fault::SessionExpired));
    }

    #[test]
    fn sessions_are_bounded() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let until = now + Duration::from_secs(60);
        for id in 0..=PER_REQUESTER {
            sessions.open(id.to_string(), &romeo(), "add", until);
        }
        assert_eq!(sessions.check("0", &romeo(), "add", now), Err(Fault::SessionExpired));
        assert_eq!(sessions.check("1", &romeo(), "add", now), Ok(()));
        for index in 0..2 * TOTAL {
            let requester = Jid::new(&format!("user{index}@example.net/x")).unwrap();
            sessions.open(format!("x{index}"), &requester, "add", until);
        }
        assert_eq!((sessions.open.len(), sessions.ended.len()), (TOTAL, ENDED));
    }
}
