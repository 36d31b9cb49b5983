//! What is known of each other server that this one talks with, or could not: so that an operator
//! sees in one place what works, what does not, why, and what to do.
//!
//! Whoever holds a link or serves an arrival notes here what happens, and nothing that is noted can
//! fail. In memory and bounded: [`Ledger::bound`]. What somebody merely claimed to be, or what was
//! merely tried, never takes the place of a domain that has proven itself.

mod entry;
mod failure;
mod shelf;
mod way;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

pub use self::entry::{Happened, PeerState, Record, Summary, WayView};
pub use self::failure::{Failure, Reason};
pub use self::way::{Direction, Line, Opened, Proof, Transport, Way};

use self::entry::Entry;
use self::shelf::{Class, Shelf};
use self::way::{LineData, WayData};
use crate::clock::Clock;
use crate::metrics::Metrics;

/// Domains that are remembered where nothing else is said, beside those with a link.
const DOMAINS: usize = 4_096;

/// What is known of other servers. Cheap to clone; its lock is held for as long as one note takes.
#[derive(Clone)]
pub struct Ledger(Arc<Core>);

struct Core {
    clock: Clock,
    metrics: Arc<Metrics>,
    book: Mutex<Shelf<Entry>>,
}

/// How many domains are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// With a stream that is open.
    pub open: usize,
    /// Being connected to.
    pub dialling: usize,
    /// Not dialled for a while, after a failure.
    pub resting: usize,
    /// Whose last attempt failed.
    pub failed: usize,
    /// Talked with before, and not now.
    pub idle: usize,
}

impl Ledger {
    /// An empty ledger.
    pub fn new(metrics: Arc<Metrics>, clock: Clock) -> Self {
        Self(Arc::new(Core { clock, metrics, book: Mutex::new(Shelf::new(DOMAINS)) }))
    }

    /// Remembers so many domains, beside those with a link.
    pub fn bound(&self, domains: usize) {
        self.0.book.lock().bound(domains);
    }

    /// Notes that there is a way out for a pair from now on, whether or not a stream is open. It is
    /// gone when the answer is dropped.
    pub fn line(&self, ours: &str, theirs: &str) -> Line {
        let data = Arc::new(LineData::new(ours, theirs));
        self.0.note(theirs, Class::Living, |entry, _| entry.lines.push(Arc::clone(&data)));
        Line::new(self.clone(), data)
    }

    /// Notes that a pair was proven on a stream. It is over when the answer is dropped.
    pub fn opened(&self, opened: Opened<'_>) -> Way {
        let now = self.0.clock.wall_millis();
        let gauge = self.0.metrics.peers().linked(opened.direction.word(), opened.proof.word());
        let data = Arc::new(WayData::new(&opened, now, gauge));
        self.0.note(opened.theirs, Class::Living, |entry, now| {
            entry.open(Arc::clone(&data), now);
            let is_out = opened.direction != Direction::In;
            for line in entry.lines.iter().filter(|line| is_out && *line.ours == *opened.ours) {
                self.0.dialling(line, false);
            }
        });
        tracing::info!(
            peer = opened.theirs,
            ours = opened.ours,
            direction = opened.direction.word(),
            proof = opened.proof.word(),
            tls = opened.tls.as_deref(),
            address = opened.address.map(tracing::field::display),
            "linked"
        );
        Way::new(self.clone(), data)
    }

    /// Notes that the stream of `before` serves the pair in another direction too, or was proven in
    /// another way.
    pub fn widened(&self, before: Way, opened: &Opened<'_>) -> Way {
        let gauge = self.0.metrics.peers().linked(opened.direction.word(), opened.proof.word());
        let old = before.replaced();
        let data = Arc::new(WayData::in_place_of(&old, opened, gauge));
        self.0.note(opened.theirs, Class::Living, |entry, now| {
            entry.widen(&old, Arc::clone(&data), now);
        });
        Way::new(self.clone(), data)
    }

    /// Forgets failures that were only the rules of this server, for the domains that are meant.
    pub fn pardon(&self, is_meant: impl Fn(&str) -> bool) {
        let mut book = self.0.book.lock();
        for (name, entry) in book.iter_mut() {
            if is_meant(name) {
                entry.pardon();
            }
        }
    }

    /// Notes that a stream which somebody opened ended before anything was proven on it, or that a
    /// pair was refused. `theirs` is only what they claimed to be.
    pub fn refused(
        &self,
        theirs: Option<&str>,
        ours: Option<&str>,
        address: IpAddr,
        failure: Failure,
    ) {
        self.0.metrics.peers().failed("in", failure.reason.name());
        tracing::info!(peer = theirs, ours, %address, reason = failure.reason.name(),
            words = %failure.words, "an arrival was refused");
        let Some(theirs) = theirs else { return };
        self.0.note(theirs, Class::Claimed, |entry, now| {
            entry.claim(ours, address, failure, now);
        });
    }

    /// Why it does not work with a domain, if the last attempt failed.
    pub fn last_failure(&self, theirs: &str) -> Option<Arc<Failure>> {
        let book = self.0.book.lock();
        book.get(theirs)?.failure.as_ref().map(|(_, failure)| Arc::clone(failure))
    }

    /// Every domain that something is known of, by name.
    pub fn list(&self) -> Vec<Summary> {
        let now = self.0.clock.wall_millis();
        let mut all: Vec<Summary> = {
            let book = self.0.book.lock();
            book.iter().map(|(name, entry)| entry.summary(name, now)).collect()
        };
        all.sort_unstable_by(|one, other| one.domain.cmp(&other.domain));
        all
    }

    /// All that is known of one domain.
    pub fn show(&self, theirs: &str) -> Option<Record> {
        let now = self.0.clock.wall_millis();
        let book = self.0.book.lock();
        book.get(theirs).map(|entry| entry.record(theirs, now))
    }

    /// The domains that are linked with `ours`, by name, each with the ways that its streams go.
    pub fn links_of(&self, ours: &str) -> Vec<(Arc<str>, Vec<Direction>)> {
        let book = self.0.book.lock();
        let ways = |entry: &Entry| -> Vec<Direction> {
            let own = entry.ways.iter().filter(|way| *way.ours == *ours);
            own.map(|way| way.direction).collect()
        };
        let all = book.iter().map(|(name, entry)| (Arc::clone(name), ways(entry)));
        let mut linked: Vec<_> = all.filter(|(_, ways)| !ways.is_empty()).collect();
        drop(book);
        linked.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        linked
    }

    /// How many domains are in which state.
    pub fn counts(&self) -> Counts {
        let now = self.0.clock.wall_millis();
        let mut counts = Counts::default();
        for (_, entry) in self.0.book.lock().iter() {
            *match entry.state(now) {
                PeerState::Open => &mut counts.open,
                PeerState::Dialling => &mut counts.dialling,
                PeerState::Resting { .. } => &mut counts.resting,
                PeerState::Failed => &mut counts.failed,
                PeerState::Idle | PeerState::Claimed => &mut counts.idle,
            } += 1;
        }
        counts
    }
}

impl Core {
    /// Changes what is known of a domain, which is at least of this class from now on.
    fn note(&self, theirs: &str, class: Class, change: impl FnOnce(&mut Entry, u64)) {
        let now = self.clock.wall_millis();
        let mut book = self.book.lock();
        change(book.at_least(theirs, class), now);
    }

    /// The same, after which the domain may be one without any link.
    fn leave(&self, theirs: &str, change: impl FnOnce(&mut Entry, u64)) {
        let now = self.clock.wall_millis();
        let mut book = self.book.lock();
        let Some(entry) = book.get_mut(theirs) else { return };
        change(entry, now);
        let class = match (entry.is_living(), entry.was_proven) {
            (true, _) => Class::Living,
            (false, true) => Class::Proven,
            (false, false) => Class::Tried,
        };
        book.assign(theirs, class);
    }

    fn dialling(&self, line: &LineData, is_dialling: bool) {
        if line.set_dialling(is_dialling) != is_dialling {
            self.metrics.peers().dialling(if is_dialling { 1 } else { -1 });
        }
    }

    fn failed(&self, line: &LineData, failure: &Failure, retry_in: Option<Duration>) {
        self.dialling(line, false);
        self.metrics.peers().failed("out", failure.reason.name());
        tracing::info!(peer = &*line.theirs, ours = &*line.ours, reason = failure.reason.name(),
            words = %failure.words, "no link");
        let retry = retry_in.map(|pause| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
        self.note(&line.theirs, Class::Living, |entry, now| {
            entry.fail(failure, retry.map(|pause| now.saturating_add(pause)), now);
        });
    }

    fn queued(&self, line: &LineData, stanzas: usize) {
        let now = i64::try_from(stanzas).unwrap_or(i64::MAX);
        self.metrics.peers().queued(now - line.set_queued(now));
    }

    fn dropped(&self, line: &Arc<LineData>) {
        self.dialling(line, false);
        self.queued(line, 0);
        self.leave(&line.theirs, |entry, _| entry.lines.retain(|it| !Arc::ptr_eq(it, line)));
    }

    fn ended(&self, way: &Arc<WayData>, why: Option<&Failure>) {
        if let Some(failure) = why {
            self.metrics.peers().failed(way.direction.word(), failure.reason.name());
        }
        tracing::info!(
            peer = &*way.theirs,
            ours = &*way.ours,
            direction = way.direction.word(),
            why = why.map(|failure| tracing::field::display(&failure.words)),
            "link ended"
        );
        self.leave(&way.theirs, |entry, now| entry.end(way, why, now));
    }
}

#[cfg(test)]
mod tests;
