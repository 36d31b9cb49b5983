//! What is known of one domain.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::failure::{Failure, Reason};
use super::way::{Direction, LineData, Proof, Transport, WayData};

/// Happenings that are kept of one domain.
const HISTORY: usize = 16;
/// Refused streams that are kept of those who claimed to be it.
const CLAIMS: usize = 4;

/// What is kept of one domain.
#[derive(Default)]
pub(super) struct Entry {
    pub(super) lines: Vec<Arc<LineData>>,
    pub(super) ways: Vec<Arc<WayData>>,
    /// The last failure, until a link is open again.
    pub(super) failure: Option<(u64, Arc<Failure>)>,
    pub(super) was_proven: bool,
    /// Stanzas on streams that have ended.
    sent: u64,
    received: u64,
    rest_until: u64,
    history: VecDeque<Happened>,
    claims: VecDeque<Happened>,
}

/// How it stands with a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerState {
    /// A stream is open.
    Open,
    /// It is being connected to.
    Dialling,
    /// Nobody dials before this time, after a failure.
    Resting {
        /// In Unix milliseconds.
        until_millis: u64,
    },
    /// The last attempt failed.
    Failed,
    /// Talked with before, and not now.
    Idle,
    /// Somebody said to be it, and could not prove it.
    Claimed,
}

impl PeerState {
    /// A word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Dialling => "connecting",
            Self::Resting { .. } => "resting",
            Self::Failed => "failed",
            Self::Idle => "idle",
            Self::Claimed => "refused",
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happened {
    /// When, the last time, in Unix milliseconds.
    pub millis: u64,
    /// What, in words.
    pub words: Arc<str>,
    /// How many times in a row.
    pub times: u32,
}

/// A domain in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The domain.
    pub domain: Arc<str>,
    /// How it stands.
    pub state: PeerState,
    /// Whether stanzas can go there now.
    pub goes_out: bool,
    /// Whether stanzas can come from there now.
    pub comes_in: bool,
    /// How it proved who it is, on the newest stream.
    pub proof: Option<Proof>,
    /// The version of TLS, on the newest stream.
    pub tls: Option<Arc<str>>,
    /// Stanzas that wait.
    pub queued: usize,
    /// Stanzas sent since the server started, as far as is remembered.
    pub sent: u64,
    /// Stanzas received, likewise.
    pub received: u64,
    /// Why the last attempt failed.
    pub failure: Option<Arc<Failure>>,
}

/// All that is known of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The same as in a list.
    pub summary: Summary,
    /// The streams that are open, the oldest first.
    pub ways: Vec<WayView>,
    /// When the last attempt failed, in Unix milliseconds.
    pub failed_millis: Option<u64>,
    /// What happened, the newest first.
    pub history: Vec<Happened>,
    /// What became of those who claimed to be it and could not prove it, the newest first.
    pub claims: Vec<Happened>,
}

/// A pair on a stream that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayView {
    /// The domain on our side.
    pub ours: Box<str>,
    /// Which way stanzas go.
    pub direction: Direction,
    /// How the other side proved who it is.
    pub proof: Proof,
    /// The version of TLS.
    pub tls: Option<Arc<str>>,
    /// The cipher suite.
    pub cipher: Option<Arc<str>>,
    /// How the bytes travel.
    pub transport: Transport,
    /// Where the other side is.
    pub address: Option<SocketAddr>,
    /// How it was found.
    pub found_by: Option<Arc<str>>,
    /// Whether stanzas are acknowledged.
    pub resumable: bool,
    /// Since when, in Unix milliseconds.
    pub since_millis: u64,
    /// Stanzas sent.
    pub sent: u64,
    /// Stanzas received.
    pub received: u64,
}

impl Entry {
    pub(super) fn is_living(&self) -> bool {
        !self.lines.is_empty() || !self.ways.is_empty()
    }

    pub(super) fn open(&mut self, way: Arc<WayData>, now: u64) {
        self.happened(opening(&way), now);
        self.was_proven = true;
        // Whoever comes here proves nothing about the way there.
        if way.direction != Direction::In {
            (self.failure, self.rest_until) = (None, 0);
        }
        self.ways.push(way);
    }

    pub(super) fn widen(&mut self, old: &Arc<WayData>, way: Arc<WayData>, now: u64) {
        self.ways.retain(|it| !Arc::ptr_eq(it, old));
        if old.direction != way.direction {
            self.happened(format!("The stream goes both ways from now on ({}).", way.ours), now);
        }
        if way.direction != Direction::In {
            (self.failure, self.rest_until) = (None, 0);
        }
        self.ways.push(way);
    }

    /// Forgets a failure that was a rule, which is another now.
    pub(super) fn pardon(&mut self) {
        self.failure.take_if(|(_, failure)| failure.reason == Reason::Policy);
    }

    pub(super) fn end(&mut self, way: &Arc<WayData>, why: Option<&Failure>, now: u64) {
        self.ways.retain(|it| !Arc::ptr_eq(it, way));
        self.sent += way.sent.load(Ordering::Relaxed);
        self.received += way.received.load(Ordering::Relaxed);
        let what = match way.direction {
            Direction::Out => "The way out",
            Direction::In => "The way in",
            Direction::Both => "The stream",
        };
        let ours = &way.ours;
        match why {
            None => self.happened(format!("{what} was closed ({ours})."), now),
            Some(failure) => {
                self.happened(format!("{what} ended ({ours}): {}", failure.words), now);
                if way.direction != Direction::In {
                    self.failure = Some((now, Arc::new(failure.clone())));
                }
            }
        }
    }

    /// An attempt failed; `until` says when the next may be.
    pub(super) fn fail(&mut self, failure: &Failure, until: Option<u64>, now: u64) {
        self.happened(format!("No link: {}", failure.words), now);
        self.failure = Some((now, Arc::new(failure.clone())));
        self.rest_until = until.unwrap_or(0);
    }

    /// Somebody claimed to be it.
    pub(super) fn claim(
        &mut self,
        ours: Option<&str>,
        address: IpAddr,
        failure: Failure,
        now: u64,
    ) {
        let whom = ours.map(|ours| format!(" for {ours}")).unwrap_or_default();
        let words = format!("Refused from {address}{whom}: {}", failure.words);
        push(&mut self.claims, CLAIMS, words, now);
    }

    fn happened(&mut self, words: String, now: u64) {
        push(&mut self.history, HISTORY, words, now);
    }

    pub(super) fn state(&self, now: u64) -> PeerState {
        if !self.ways.is_empty() {
            PeerState::Open
        } else if self.lines.iter().any(|line| line.is_dialling()) {
            PeerState::Dialling
        } else if self.rest_until > now {
            PeerState::Resting { until_millis: self.rest_until }
        } else if self.failure.is_some() {
            PeerState::Failed
        } else if self.was_proven || !self.lines.is_empty() || self.claims.is_empty() {
            PeerState::Idle
        } else {
            PeerState::Claimed
        }
    }

    pub(super) fn summary(&self, domain: &str, now: u64) -> Summary {
        let goes = |not: Direction| self.ways.iter().any(|way| way.direction != not);
        let newest = self.ways.last();
        let count = |of: fn(&WayData) -> u64| self.ways.iter().map(|way| of(way)).sum::<u64>();
        Summary {
            domain: domain.into(),
            state: self.state(now),
            goes_out: goes(Direction::In),
            comes_in: goes(Direction::Out),
            proof: newest.map(|way| way.proof),
            tls: newest.and_then(|way| way.tls.clone()),
            queued: self.lines.iter().map(|line| line.queued()).sum(),
            sent: self.sent + count(|way| way.sent.load(Ordering::Relaxed)),
            received: self.received + count(|way| way.received.load(Ordering::Relaxed)),
            failure: self.failure.as_ref().map(|(_, failure)| Arc::clone(failure)),
        }
    }

    pub(super) fn record(&self, domain: &str, now: u64) -> Record {
        Record {
            summary: self.summary(domain, now),
            ways: self.ways.iter().map(|way| view(way)).collect(),
            failed_millis: self.failure.as_ref().map(|(millis, _)| *millis),
            history: self.history.iter().rev().cloned().collect(),
            claims: self.claims.iter().rev().cloned().collect(),
        }
    }
}

/// Adds what happened; what happens again and again is one.
fn push(ring: &mut VecDeque<Happened>, most: usize, words: String, now: u64) {
    if let Some(last) = ring.back_mut()
        && *last.words == *words
    {
        (last.millis, last.times) = (now, last.times.saturating_add(1));
        return;
    }
    if ring.len() == most {
        ring.pop_front();
    }
    ring.push_back(Happened { millis: now, words: words.into(), times: 1 });
}

fn opening(way: &WayData) -> String {
    let (what, from) = match way.direction {
        Direction::Out => ("The way out", "to"),
        Direction::In => ("The way in", "from"),
        Direction::Both => ("A stream for both ways", "with"),
    };
    let place = way.address.map(|address| format!(" {from} {address}")).unwrap_or_default();
    let tls = way.tls.as_deref().map(|tls| format!(", {tls}")).unwrap_or_default();
    format!("{what} opened ({}){place}: {}{tls}, proven by {}.", way.ours, way.transport, way.proof)
}

fn view(way: &WayData) -> WayView {
    WayView {
        ours: way.ours.clone(),
        direction: way.direction,
        proof: way.proof,
        tls: way.tls.clone(),
        cipher: way.cipher.clone(),
        transport: way.transport,
        address: way.address,
        found_by: way.found_by.clone(),
        resumable: way.resumable,
        since_millis: way.since_millis,
        sent: way.sent.load(Ordering::Relaxed),
        received: way.received.load(Ordering::Relaxed),
    }
}

impl Summary {
    /// Of a domain that nothing is known of.
    pub fn unknown(domain: &str) -> Self {
        Entry::default().summary(domain, 0)
    }

    /// Whether nothing is known of it.
    pub fn is_unknown(&self) -> bool {
        *self == Self::unknown(&self.domain)
    }

    /// Why the last attempt failed, if it did.
    pub fn reason(&self) -> Option<Reason> {
        self.failure.as_ref().map(|failure| failure.reason)
    }
}

impl Record {
    /// Of a domain that nothing is known of.
    pub fn unknown(domain: &str) -> Self {
        Entry::default().record(domain, 0)
    }
}
