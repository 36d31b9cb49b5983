//! What an account knows of those who approach it: whom its owner has written to, and how much
//! strangers have said lately.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use hashbrown::HashMap;
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

/// What one account knows. Most are alone with people they know, and cost two words.
pub(super) struct Known {
    /// The place of a choice among all, from 1; 0 when nothing was said.
    who: AtomicU8,
    inner: Mutex<Option<Box<Inner>>>,
}

#[derive(Default)]
struct Inner {
    /// Whom the owner has approached, and whether that is kept.
    met: HashMap<Box<str>, bool>,
    /// Those that are kept, in the order of their coming.
    order: VecDeque<Box<str>>,
    strangers: HashMap<Box<str>, Tally>,
    arrivals: VecDeque<Instant>,
    requests: VecDeque<Instant>,
}

const CHOICES: [Who; 3] = [Who::Everybody, Who::Server, Who::Contacts];

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
        let known = Self { who: AtomicU8::new(0), inner: Mutex::default() };
        let met = db.query(Statement::new(LOAD_MET).with(owner.as_str())).await?;
        for row in &met {
            let peer = row.text(0)?;
            known.with(|inner| inner.meet(peer));
        }
        if let Some(row) = db.query_one(Statement::new(LOAD_WHO).with(owner.as_str())).await?
            && let Some(who) = Who::from_word(row.text(0)?)
        {
            known.say(who);
        }
        Ok(known)
    }
}

impl Known {
    /// Whom the owner lets write, if that was said.
    pub(super) fn who(&self) -> Option<Who> {
        let place = usize::from(self.who.load(Ordering::Relaxed));
        place.checked_sub(1).and_then(|place| CHOICES.get(place)).copied()
    }

    /// The owner has said it, and it is durable.
    pub(super) fn say(&self, who: Who) {
        let place = CHOICES.iter().position(|choice| *choice == who).map_or(0, |place| place + 1);
        self.who.store(u8::try_from(place).unwrap_or(0), Ordering::Relaxed);
    }

    /// Whether the owner has approached this bare address before.
    pub(super) fn has_met(&self, peer: &str) -> bool {
        self.inner.lock().as_ref().is_some_and(|inner| inner.met.contains_key(peer))
    }

    /// The owner writes to somebody new. Gives what should be written.
    pub(super) fn meet(&self, owner: &BareJid, peer: &str, now: i64) -> Vec<Statement> {
        let forgotten = self.with(|inner| inner.meet(peer));
        let meet = Statement::new(MEET).with(owner.as_str()).with(peer).with(now);
        let forget = |jid: Box<str>| Statement::new(FORGET).with(owner.as_str()).with(&*jid);
        std::iter::once(meet).chain(forgotten.map(forget)).collect()
    }

    /// The owner approaches somebody in another way.
    pub(super) fn visit(&self, peer: &str) {
        self.with(|inner| {
            if inner.met.len() - inner.order.len() >= VISITED {
                inner.met.retain(|_, is_kept| *is_kept);
            }
            inner.met.entry(peer.into()).or_insert(false);
            inner.strangers.remove(peer);
        });
    }

    /// What has been lately.
    pub(super) fn lately(&self, peer: &str, now: Instant) -> Lately {
        let is_over = |at: &Instant, time| now.saturating_duration_since(*at) >= time;
        self.with(|inner| {
            if inner.strangers.get(peer).is_some_and(|tally| is_over(&tally.last, PATIENCE)) {
                inner.strangers.remove(peer);
            }
            for queue in [&mut inner.arrivals, &mut inner.requests] {
                while queue.front().is_some_and(|at| is_over(at, HOUR)) {
                    queue.pop_front();
                }
            }
            Lately {
                said: inner.strangers.get(peer).map_or(0, |tally| tally.said),
                others: inner.arrivals.len(),
                requests: inner.requests.len(),
            }
        })
    }

    /// A stranger has said something of this weight, and it passes.
    pub(super) fn hear(&self, peer: &str, weight: u32, now: Instant) {
        self.with(|inner| {
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
        });
    }

    /// A stranger has asked to see the owner, and it passes.
    pub(super) fn ask(&self, now: Instant) {
        self.with(|inner| inner.requests.push_back(now));
    }

    fn with<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        change(self.inner.lock().get_or_insert_default())
    }
}

impl Inner {
    /// Remembers an address for good. Gives the one that makes room.
    fn meet(&mut self, peer: &str) -> Option<Box<str>> {
        self.strangers.remove(peer);
        if self.met.insert(peer.into(), true) == Some(true) {
            return None;
        }
        self.order.push_back(peer.into());
        let oldest = if self.order.len() > MET { self.order.pop_front() } else { None };
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
    use waxwing_store::{Limits, Location};

    use super::*;

    fn known() -> (Known, Instant, BareJid) {
        let known = Known { who: AtomicU8::new(0), inner: Mutex::default() };
        (known, Instant::now(), BareJid::new("romeo@example.net").unwrap())
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
    fn what_the_owner_says_is_what_holds() {
        let (known, ..) = known();
        assert_eq!(known.who(), None);
        for who in CHOICES {
            known.say(who);
            assert_eq!(known.who(), Some(who));
        }
        assert_eq!(CHOICES.len(), Who::WORDS.len());
    }

    #[tokio::test]
    async fn whom_the_owner_wrote_to_is_known_after_a_restart() {
        let db = Db::open(&Location::Memory, Limits::default()).await.unwrap();
        db.migrate(&TABLES.iter().collect::<Vec<_>>()).await.unwrap();
        let (known, _, owner) = known();
        let mut writes = known.meet(&owner, "nurse@example.org", 0);
        writes.push(saying(&owner, Who::Contacts));
        db.batch(writes).await.unwrap();
        let again = Known::load(&db, &owner).await.unwrap();
        assert!(again.has_met("nurse@example.org") && !again.has_met("tybalt@example.org"));
        assert_eq!(again.who(), Some(Who::Contacts));
    }

    #[test]
    fn memory_is_bounded() {
        let (known, now, owner) = known();
        let mut forgotten = 0;
        for number in 0..MET + 10 {
            let jid = format!("u{number}@example.org");
            forgotten += known.meet(&owner, &jid, 0).len() - 1;
            known.visit(&format!("v{number}@example.org"));
            known.hear(&format!("s{number}@example.org"), 1, now);
        }
        assert_eq!(forgotten, 10);
        known.with(|inner| {
            assert_eq!(inner.order.len(), MET);
            assert!(inner.met.len() <= MET + VISITED && inner.strangers.len() <= STRANGERS);
        });
    }
}
