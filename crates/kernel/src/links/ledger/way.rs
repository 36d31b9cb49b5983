//! What is noted while a link is there: the way out, and each pair that was proven on a stream.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use waxwing_stanza::Kind;

use super::Ledger;
use super::failure::{Failure, clipped};
use crate::metrics::Connected;

/// Which way stanzas go on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From here.
    Out,
    /// To here.
    In,
    /// Both ways (XEP-0288), whoever opened it.
    Both,
}

impl Direction {
    /// As it is counted and written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::In => "in",
            Self::Both => "both",
        }
    }
}

/// How the other server proved who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Proof {
    /// By a certificate that an authority vouches for.
    Certificate,
    /// By a certificate that its signed DNS zone names (RFC 7672).
    Dane,
    /// By a certificate that its web server names (RFC 7711).
    Posh,
    /// By Server Dialback (XEP-0220) inside TLS.
    Dialback,
    /// By Server Dialback without TLS.
    DialbackPlain,
}

impl Proof {
    /// As it is counted and written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Dane => "dane",
            Self::Posh => "posh",
            Self::Dialback => "dialback",
            Self::DialbackPlain => "dialback-plain",
        }
    }
}

/// For people.
impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "certificate",
            Self::Dane => "certificate named in DNS (DANE)",
            Self::Posh => "certificate named on its web server (POSH)",
            Self::Dialback => "dialback",
            Self::DialbackPlain => "dialback without TLS",
        })
    }
}

/// How the bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TCP, and TLS by STARTTLS.
    StartTls,
    /// TCP inside TLS from the first byte.
    DirectTls,
    /// A WebSocket inside TLS (XEP-0468).
    WebSocket,
    /// TCP without TLS.
    Plain,
    /// Without a network.
    Memory,
}

/// For people.
impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StartTls => "STARTTLS",
            Self::DirectTls => "direct TLS",
            Self::WebSocket => "WebSocket",
            Self::Plain => "no TLS",
            Self::Memory => "memory",
        })
    }
}

/// A pair that was proven on a stream.
#[derive(Clone, Debug)]
pub struct Opened<'a> {
    /// The domain on our side.
    pub ours: &'a str,
    /// The domain on the other side.
    pub theirs: &'a str,
    /// Which way stanzas go.
    pub direction: Direction,
    /// How the other side proved who it is.
    pub proof: Proof,
    /// The version, such as `TLS 1.3`.
    pub tls: Option<Arc<str>>,
    /// The cipher suite.
    pub cipher: Option<Arc<str>>,
    /// How the bytes travel.
    pub transport: Transport,
    /// Where the other side is.
    pub address: Option<SocketAddr>,
    /// How it was found, in words; not for those who came.
    pub found_by: Option<Arc<str>>,
    /// Whether stanzas are acknowledged on it (XEP-0198).
    pub resumable: bool,
}

/// The way out for a pair, as long as there is one.
pub struct Line {
    ledger: Ledger,
    data: Arc<LineData>,
}

pub(super) struct LineData {
    pub(super) ours: Box<str>,
    pub(super) theirs: Box<str>,
    is_dialling: AtomicBool,
    queued: AtomicI64,
}

impl LineData {
    pub(super) fn new(ours: &str, theirs: &str) -> Self {
        let (is_dialling, queued) = (AtomicBool::new(false), AtomicI64::new(0));
        Self { ours: ours.into(), theirs: theirs.into(), is_dialling, queued }
    }

    pub(super) fn is_dialling(&self) -> bool {
        self.is_dialling.load(Ordering::Relaxed)
    }

    /// Gives what it was before.
    pub(super) fn set_dialling(&self, is_dialling: bool) -> bool {
        self.is_dialling.swap(is_dialling, Ordering::Relaxed)
    }

    pub(super) fn queued(&self) -> usize {
        usize::try_from(self.queued.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// Gives what it was before.
    pub(super) fn set_queued(&self, stanzas: i64) -> i64 {
        self.queued.swap(stanzas, Ordering::Relaxed)
    }
}

impl Line {
    pub(super) fn new(ledger: Ledger, data: Arc<LineData>) -> Self {
        Self { ledger, data }
    }

    /// So many stanzas wait for it now.
    pub fn queued(&self, stanzas: usize) {
        self.ledger.0.queued(&self.data, stanzas);
    }

    /// An attempt to connect begins.
    pub fn dialling(&self) {
        self.ledger.0.dialling(&self.data, true);
    }

    /// The attempt is over, and went well.
    pub fn reached(&self) {
        self.ledger.0.dialling(&self.data, false);
    }

    /// An attempt failed; nobody tries again before `retry_in` is over.
    pub fn failed(&self, failure: &Failure, retry_in: Option<Duration>) {
        self.ledger.0.failed(&self.data, failure, retry_in);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.ledger.0.dropped(&self.data);
    }
}

/// A pair on a stream, as long as it is open.
pub struct Way {
    ledger: Ledger,
    data: Arc<WayData>,
    is_over: bool,
}

pub(super) struct WayData {
    pub(super) ours: Box<str>,
    pub(super) theirs: Box<str>,
    pub(super) direction: Direction,
    pub(super) proof: Proof,
    pub(super) tls: Option<Arc<str>>,
    pub(super) cipher: Option<Arc<str>>,
    pub(super) transport: Transport,
    pub(super) address: Option<SocketAddr>,
    pub(super) found_by: Option<Arc<str>>,
    pub(super) resumable: bool,
    pub(super) since_millis: u64,
    pub(super) sent: AtomicU64,
    pub(super) received: AtomicU64,
    _counted: Connected,
}

impl WayData {
    pub(super) fn new(opened: &Opened<'_>, now: u64, counted: Connected) -> Self {
        let clip = |text: &Option<Arc<str>>| text.as_deref().map(|text| Arc::from(clipped(text)));
        Self {
            ours: opened.ours.into(),
            theirs: opened.theirs.into(),
            direction: opened.direction,
            proof: opened.proof,
            tls: opened.tls.clone(),
            cipher: opened.cipher.clone(),
            transport: opened.transport,
            address: opened.address,
            found_by: clip(&opened.found_by),
            resumable: opened.resumable,
            since_millis: now,
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            _counted: counted,
        }
    }
}

impl WayData {
    /// The same stream, as it goes on.
    pub(super) fn in_place_of(old: &Self, opened: &Opened<'_>, counted: Connected) -> Self {
        let new = Self::new(opened, old.since_millis, counted);
        new.sent.store(old.sent.load(Ordering::Relaxed), Ordering::Relaxed);
        new.received.store(old.received.load(Ordering::Relaxed), Ordering::Relaxed);
        new
    }
}

impl Way {
    pub(super) fn new(ledger: Ledger, data: Arc<WayData>) -> Self {
        Self { ledger, data, is_over: false }
    }

    /// What was noted, of which this is no longer the end.
    pub(super) fn replaced(mut self) -> Arc<WayData> {
        self.is_over = true;
        Arc::clone(&self.data)
    }

    /// A stanza was written to it.
    pub fn sent(&self, kind: Kind) {
        self.data.sent.fetch_add(1, Ordering::Relaxed);
        self.ledger.0.metrics.peers().stanza_out(kind);
    }

    /// A stanza came on it.
    pub fn received(&self, kind: Kind) {
        self.data.received.fetch_add(1, Ordering::Relaxed);
        self.ledger.0.metrics.peers().stanza_in(kind);
    }

    /// It is over: because of a failure, or in peace.
    pub fn end(mut self, why: Option<&Failure>) {
        self.is_over = true;
        self.ledger.0.ended(&self.data, why);
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        if !self.is_over {
            self.ledger.0.ended(&self.data, None);
        }
    }
}
