//! Stream management (XEP-0198): who has taken responsibility for which stanza.

use std::collections::VecDeque;
use std::sync::Arc;

use waxwing_jid::Jid;
use waxwing_stanza::Stanza;

use crate::event::Tag;
use crate::limits::Limits;

/// What a stanza's head is taken to cost in the queue, in bytes.
const HEAD_BYTES: usize = 256;

/// The state of stream management. It outlives its stream when a session waits to be resumed.
#[derive(Debug)]
pub struct Acks {
    address: Jid,
    id: Option<Arc<str>>,
    max_seconds: u32,
    queue_stanzas: usize,
    queue_bytes: usize,

    /// Inbound stanzas that do not count: those before `<enable/>`, and those of an earlier
    /// stream that were lost with it.
    base: u64,
    received: u64,
    handled: u64,
    /// Numbers above `handled` of stanzas that the stream has answered itself.
    settled: Vec<u64>,
    /// `received` when the peer last asked.
    asked: u64,
    /// `handled` when we last told.
    told: u64,

    /// Outbound stanzas that the peer has handled; `h` is this modulo 2^32.
    confirmed: u64,
    queue: VecDeque<(Stanza, Tag)>,
    bytes: usize,
    /// Stanzas sent since our last `<r/>`.
    unrequested: u32,
    /// Our last `<r/>` has had no `<a/>` yet.
    requested: bool,
}

/// The queue of unacknowledged stanzas is over its limits. The stanza is in the queue all the
/// same, so that nothing is lost when the session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// The peer claims to have handled more than it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooHigh {
    pub(crate) h: u32,
    pub(crate) sent: u32,
}

impl Acks {
    /// Counting starts; `received` stanzas came before and do not count.
    pub(crate) fn new(address: Jid, received: u64, limits: &Limits) -> Acks {
        Acks {
            address,
            id: None,
            max_seconds: 0,
            queue_stanzas: limits.sm_queue_stanzas,
            queue_bytes: limits.sm_queue_bytes,
            base: received,
            received,
            handled: received,
            settled: Vec::new(),
            asked: received,
            told: received,
            confirmed: 0,
            queue: VecDeque::new(),
            bytes: 0,
            unrequested: 0,
            requested: false,
        }
    }

    /// Resumption is granted under this identifier for so many seconds.
    pub(crate) fn grant(&mut self, id: &str, max_seconds: u32) {
        self.id = Some(id.into());
        self.max_seconds = max_seconds;
    }

    /// The peer has agreed to count as well: what it sent before does not count (§4).
    pub(crate) fn begin(&mut self, received: u64) {
        self.settled = Vec::new();
        self.base = received;
        self.received = received;
        self.handled = received;
        self.asked = received;
        self.told = received;
    }

    /// The bound address of the session.
    pub fn address(&self) -> &Jid {
        &self.address
    }

    /// The identifier for resumption, if that was granted.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// For how many seconds the session waits for its client.
    pub fn max_seconds(&self) -> u32 {
        self.max_seconds
    }

    /// Inbound stanzas handled, as the wire counts them (modulo 2^32).
    pub fn h(&self) -> u32 {
        (self.handled - self.base) as u32 // "SHALL be reset from 2^32-1 back to zero" (§4)
    }

    /// How many stanzas wait for the peer's acknowledgement.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether the peer has acknowledged everything.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Bytes that the waiting stanzas take, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The stanzas that wait for the peer's acknowledgement, in order of sending.
    pub fn unacked(&self) -> impl Iterator<Item = (&Stanza, Tag)> {
        self.queue.iter().map(|(stanza, tag)| (stanza, *tag))
    }

    /// Gives the unacknowledged stanzas back when nobody has resumed the session.
    pub fn into_unacked(self) -> impl Iterator<Item = (Stanza, Tag)> {
        self.queue.into_iter()
    }

    /// Whether a driver may send more without coming near the bounds: at most half of what may wait
    /// does.
    pub(crate) fn has_room(&self) -> bool {
        let (stanzas, bytes) = (self.queue.len(), self.bytes);
        self.queue.is_empty() || (stanzas < self.queue_stanzas / 2 && bytes < self.queue_bytes / 2)
    }

    /// Adds a stanza, also while no stream is there; it goes out when the session is resumed.
    ///
    /// # Errors
    /// The queue is over its limits; the stanza has been added nevertheless.
    pub fn push(&mut self, stanza: &Stanza, tag: Tag) -> Result<(), Full> {
        self.bytes += weight(stanza);
        self.queue.push_back((stanza.clone(), tag));
        self.unrequested = self.unrequested.saturating_add(1);
        let full = self.queue.len() > self.queue_stanzas || self.bytes > self.queue_bytes;
        if full { Err(Full) } else { Ok(()) }
    }

    /// Every inbound stanza up to number `seq` is in safe hands. Numbers that were never given
    /// out, or that do not count, change nothing.
    pub fn handled(&mut self, seq: u64) {
        self.handled = self.handled.max(seq.min(self.received));
        self.skip_settled();
    }

    pub(crate) fn received(&mut self, seq: u64) {
        self.received = seq;
    }

    /// The stream has dealt with stanza `seq` itself; nobody else will report it.
    pub(crate) fn settle(&mut self, seq: u64) {
        self.settled.push(seq);
        self.skip_settled();
    }

    fn skip_settled(&mut self) {
        let next = |handled: u64, seq: &u64| (*seq <= handled + 1).then(|| handled.max(*seq));
        let mut done = 0;
        while let Some(handled) = self.settled.get(done).and_then(|seq| next(self.handled, seq)) {
            self.handled = handled;
            done += 1;
        }
        self.settled.drain(..done);
        if self.settled.is_empty() {
            self.settled = Vec::new();
        }
    }

    /// Whether everything received is handled.
    pub(crate) fn is_settled(&self) -> bool {
        self.handled >= self.received
    }

    /// The peer asks: what to say in `<a/>`.
    pub(crate) fn asked(&mut self) -> u32 {
        self.asked = self.received;
        self.tell()
    }

    /// Whether the peer's last request covered stanzas that have been handled since.
    pub(crate) fn owes_answer(&self) -> bool {
        self.told < self.asked && self.handled >= self.asked
    }

    /// Whether the peer does not know yet of all that was handled.
    pub(crate) fn has_news(&self) -> bool {
        self.told < self.handled
    }

    pub(crate) fn tell(&mut self) -> u32 {
        self.told = self.handled;
        self.h()
    }

    /// `<a/>`: the tags of the stanzas acknowledged by it. An older `h` than the last changes
    /// nothing.
    pub(crate) fn confirm(&mut self, h: u32) -> Result<Vec<Tag>, TooHigh> {
        let news = h.wrapping_sub(self.confirmed as u32);
        // What was never sent cannot be old.
        let stale = news > u32::MAX / 2 && u64::from(news.wrapping_neg()) <= self.confirmed;
        if !stale && news as usize > self.queue.len() {
            let sent = (self.confirmed + self.queue.len() as u64) as u32;
            return Err(TooHigh { h, sent });
        }
        self.requested = false;
        if stale {
            return Ok(Vec::new());
        }
        self.confirmed += u64::from(news);
        let mut tags = Vec::new();
        for (stanza, tag) in self.queue.drain(..news as usize) {
            self.bytes -= weight(&stanza);
            if tag != Tag(0) {
                tags.push(tag);
            }
        }
        self.unrequested = self.unrequested.min(self.queue.len() as u32);
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
        Ok(tags)
    }

    /// Whether an `<r/>` is due for stanzas that none has covered; `every` stanzas at least.
    pub(crate) fn wants_request(&self, every: u32) -> bool {
        !self.requested && !self.queue.is_empty() && self.unrequested >= every
    }

    pub(crate) fn requested(&mut self) {
        self.requested = true;
        self.unrequested = 0;
    }

    /// Moves to a new stream. Stanzas that were received but never handled are forgotten: the
    /// client learns from `h` to send them again, and their numbers are not used twice.
    pub(crate) fn resume(&mut self) -> u64 {
        self.settled = Vec::new();
        self.base += self.received - self.handled;
        self.handled = self.received;
        self.asked = self.received;
        self.told = self.received;
        self.requested = false;
        self.received
    }
}

fn weight(stanza: &Stanza) -> usize {
    HEAD_BYTES + stanza.body.len_bytes()
}

#[cfg(test)]
mod tests;
