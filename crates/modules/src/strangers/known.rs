//! What an account knows of those who approach it: whom its owner has written to, and how much
//! strangers have said lately.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use waxwing_jid::BareJid;
use waxwing_kernel::account::Fact;
use waxwing_store::{Db, Statement, StoreError, Table};

use super::judge::Who;

/// People written to who are remembered for one account; the one written to first makes room.
const MET: usize = 1000;
/// Others who were approached without words, such as rooms that were entered, and contacts: for as
/// long as the account is in memory.
const VISITED: usize = 1000;
/// Strangers whose words are counted for one account at a time.
const STRANGERS: usize = 1000;
/// What a stranger said is forgotten after this; then they may try once more.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);
/// In which so many strangers may come.
const HOUR: Duration = Duration::from_secs(3600);

pub(super) const TABLES: [Table; 2] = [
    Table {
        name: "met",
        owner: Some("owner"),
        steps: &["CREATE TABLE met (owner {text} NOT NULL, jid {text} NOT NULL, \
                  at {instant} NOT NULL, PRIMARY KEY (owner, jid))"],
    },
    Table {
        name: "welcomes",
        owner: Some("owner"),
        steps: &["CREATE TABLE welcomes (owner {text} PRIMARY KEY, who {text} NOT NULL)"],
    },
];

const LOAD_MET: &str = "SELECT jid FROM met WHERE owner = ?1 ORDER BY at";
const LOAD_WHO: &str = "SELECT who FROM welcomes WHERE owner = ?1";
const MEET: &str = "INSERT INTO met (owner, jid, at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
const FORGET: &str = "DELETE FROM met WHERE owner = ?1 AND jid = ?2";
const SAY: &str = "INSERT INTO welcomes (owner, who) VALUES (?1, ?2) \
     ON CONFLICT (owner) DO UPDATE SET who = excluded.who";

/// What one account knows.
pub(super) struct Known(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    who: Option<Who>,
    met: HashSet<Box<str>>,
    /// The same in the order of their coming.
    order: VecDeque<Box<str>>,
    visited: HashSet<Box<str>>,
    strangers: HashMap<Box<str>, Tally>,
    arrivals: VecDeque<Instant>,
    requests: VecDeque<Instant>,
}

/// What one stranger has said.
struct Tally {
    said: u32,
    last: Instant,
}

/// How much strangers have done lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lately {
    /// What this one has said, unanswered.
    pub(super) said: u32,
    /// Others that came within the hour.
    pub(super) others: usize,
    /// Requests within the hour.
    pub(super) requests: usize,
}

impl Fact for Known {
    async fn load(db: &Db, owner: &BareJid) -> Result<Self, StoreError> {
        let mut inner = Inner::default();
        for row in db.query(Statement::new(LOAD_MET).with(owner.as_str())).await? {
            inner.meet(row.text(0)?);
        }
        if let Some(row) = db.query_one(Statement::new(LOAD_WHO).with(owner.as_str())).await? {
            inner.who = Who::from_word(row.text(0)?);
        }
        Ok(Self(Mutex::new(inner)))
    }
}

impl Known {
    /// Whom the owner lets write, if that was said.
    pub(super) fn who(&self) -> Option<Who> {
        self.0.lock().who
    }

    /// The owner has said it, and it is durable.
    pub(super) fn say(&self, who: Who) {
        self.0.lock().who = Some(who);
    }

    /// Whether the owner has approached this bare address before.
    pub(super) fn has_met(&self, peer: &str) -> bool {
        let inner = self.0.lock();
        inner.met.contains(peer) || inner.visited.contains(peer)
    }

    /// The owner writes to somebody new. Gives what must be written.
    pub(super) fn meet(&self, owner: &BareJid, peer: &str, now: i64) -> Vec<Statement> {
        let forgotten = self.0.lock().meet(peer);
        let meet = Statement::new(MEET).with(owner.as_str()).with(peer).with(now);
        let forget = |jid: Box<str>| Statement::new(FORGET).with(owner.as_str()).with(&*jid);
        std::iter::once(meet).chain(forgotten.map(forget)).collect()
    }

    /// The owner approaches somebody in another way.
    pub(super) fn visit(&self, peer: &str) {
        let mut inner = self.0.lock();
        if inner.visited.len() >= VISITED {
            inner.visited.clear();
        }
        inner.visited.insert(peer.into());
        inner.strangers.remove(peer);
    }

    /// What has been lately.
    pub(super) fn lately(&self, peer: &str, now: Instant) -> Lately {
        let mut inner = self.0.lock();
        let is_over = |at: &Instant, time| now.saturating_duration_since(*at) >= time;
        if inner.strangers.get(peer).is_some_and(|tally| is_over(&tally.last, PATIENCE)) {
            inner.strangers.remove(peer);
        }
        while inner.arrivals.front().is_some_and(|at| is_over(at, HOUR)) {
            inner.arrivals.pop_front();
        }
        while inner.requests.front().is_some_and(|at| is_over(at, HOUR)) {
            inner.requests.pop_front();
        }
        Lately {
            said: inner.strangers.get(peer).map_or(0, |tally| tally.said),
            others: inner.arrivals.len(),
            requests: inner.requests.len(),
        }
    }

    /// A stranger has said something of this weight, and it passes.
    pub(super) fn hear(&self, peer: &str, weight: u32, now: Instant) {
        let mut inner = self.0.lock();
        if let Some(tally) = inner.strangers.get_mut(peer) {
            tally.said = tally.said.saturating_add(weight);
            tally.last = now;
            return;
        }
        if inner.strangers.len() >= STRANGERS {
            let oldest = inner.strangers.iter().min_by_key(|(_, tally)| tally.last);
            let oldest = oldest.map(|(jid, _)| jid.clone());
            oldest.map(|jid| inner.strangers.remove(&jid));
        }
        inner.strangers.insert(peer.into(), Tally { said: weight, last: now });
        inner.arrivals.push_back(now);
    }

    /// A stranger has asked to see the owner, and it passes.
    pub(super) fn ask(&self, now: Instant) {
        self.0.lock().requests.push_back(now);
    }
}

impl Inner {
    /// Remembers an address. Gives the one that makes room.
    fn meet(&mut self, peer: &str) -> Option<Box<str>> {
        self.strangers.remove(peer);
        if !self.met.insert(peer.into()) {
            return None;
        }
        self.order.push_back(peer.into());
        let oldest = if self.met.len() > MET { self.order.pop_front() } else { None };
        if let Some(jid) = &oldest {
            self.met.remove(jid);
        }
        oldest
    }
}

/// What keeps whom the owner lets write.
pub(super) fn saying(owner: &BareJid, who: Who) -> Statement {
    Statement::new(SAY).with(owner.as_str()).with(who.word())
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test needs some instant to begin at")]
mod tests {
    use super::*;

    fn known() -> (Known, Instant, BareJid) {
        (Known(Mutex::default()), Instant::now(), BareJid::new("romeo@example.net").unwrap())
    }

    #[test]
    fn what_a_stranger_said_is_forgotten_by_an_answer_and_by_time() {
        let (known, now, owner) = known();
        known.hear("nurse@example.org", 4, now);
        known.hear("nurse@example.org", 4, now);
        assert_eq!(known.lately("nurse@example.org", now).said, 8);
        assert_eq!(known.lately("tybalt@example.org", now).said, 0);
        assert_eq!(known.lately("nurse@example.org", now + PATIENCE).said, 0);
        known.hear("nurse@example.org", 4, now);
        assert_eq!(known.meet(&owner, "nurse@example.org", 0).len(), 1);
        assert!(known.has_met("nurse@example.org"));
        assert_eq!(known.lately("nurse@example.org", now).said, 0);
    }

    #[test]
    fn an_hour_counts_those_who_came_in_it() {
        let (known, now, _) = known();
        for number in 0..3 {
            known.hear(&format!("u{number}@example.org"), 4, now);
            known.ask(now);
        }
        let lately = known.lately("x@example.org", now + HOUR - Duration::from_secs(1));
        assert_eq!(lately, Lately { said: 0, others: 3, requests: 3 });
        let lately = known.lately("x@example.org", now + HOUR);
        assert_eq!(lately, Lately { said: 0, others: 0, requests: 0 });
    }

    #[test]
    fn memory_is_bounded() {
        let (known, now, owner) = known();
        let mut forgotten = 0;
        for number in 0..MET + 10 {
            let jid = format!("u{number}@example.org");
            forgotten += known.meet(&owner, &jid, 0).len() - 1;
            known.visit(&jid);
            known.hear(&format!("s{number}@example.org"), 1, now);
        }
        assert_eq!(forgotten, 10);
        let inner = known.0.lock();
        assert_eq!((inner.met.len(), inner.order.len()), (MET, MET));
        assert!(inner.visited.len() <= VISITED && inner.strangers.len() <= STRANGERS);
    }
}
