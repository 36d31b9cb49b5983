//! A stream between two servers on its connection, whoever opened it: what lives while it is open.

mod events;
mod sending;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use smallvec::SmallVec;
use waxwing_stanza::StanzaError;
use waxwing_stream::{Closing, Closure, Input, Pair, Stream};

use crate::hub::Hub;
use crate::links::arrivals::Guest;
use crate::links::echo::Echo;
use crate::links::ledger::{self, Failure, Line};
use crate::links::setback::Setback;
use crate::links::verify::{Inquiry, Learnt};
use crate::mailbox::{Delivery, Mail, Mailbox};
use crate::metrics::Connected;
use crate::rate::{Bucket, Pace};
use crate::session::{Alarm, Listen, Pending, Woke, expire};
use crate::wire::Wire;

/// Events of one stream before others get their turn.
const TURN: u8 = 16;

/// So many times of what may wait for the socket, a server is behind with reading.
const CLOGGED: usize = 4;

/// Who waits for an answer beside the stream, for one stream at most.
const INQUIRIES: usize = 16;

/// One who holds an open stream to or from another server.
pub(super) struct Lane {
    pub(super) hub: Hub,
    pub(super) stream: Box<Stream>,
    pub(super) wire: Box<dyn Wire>,
    pub(super) mailbox: Mailbox,
    /// What goes first: older than what lies in the mailbox.
    pub(super) backlog: VecDeque<Delivery>,
    /// What this stream did not take, to go another way.
    unsent: VecDeque<Delivery>,
    /// What cannot be sent on any stream, and what its sender is told.
    refused: Vec<(Delivery, StanzaError)>,
    /// Written and not with the operating system yet, where nobody acknowledges.
    written: Vec<Delivery>,
    /// Stanzas of the peer whose commit is under way.
    pending: VecDeque<Pending>,
    pace: Pace,
    /// What all streams of the peer share.
    bucket: Option<Arc<Mutex<Bucket>>>,
    tracks: SmallVec<[Track; 1]>,
    inquiries: Vec<Inquiry>,
    alarm: Alarm,
    /// Rings when nothing has happened for long.
    quiet: Alarm,
    used: Instant,
    idle: Duration,
    /// Since when nothing of what is written was taken, and how much that is.
    stuck: Option<(Instant, usize)>,
    /// Whether anything that was sent has arrived for all that can be known.
    has_progress: bool,
    /// Why it ends, where that is known better than the stream does.
    setback: Option<Setback>,
    /// What is wrong with the certificate of whoever came.
    doubt: Option<Failure>,
    /// Who holds it: the link of a pair, or nobody but itself.
    kind: Kind,
    /// Which rules were in force when it was last compared with them.
    rules: u32,
    turn: u8,
    _connected: Connected,
}

/// Whose stream it is.
pub(super) enum Kind {
    /// We opened it, for a pair; found in these words.
    Link { found_by: Arc<str>, line: Arc<Line> },
    /// The other side opened it.
    Arrival(Guest),
}

/// A pair that was proven on the stream.
struct Track {
    pair: Pair,
    direction: ledger::Direction,
    proof: ledger::Proof,
    way: ledger::Way,
    /// What comes in may repeat what another stream had brought.
    echo: Option<Box<Echo>>,
}

/// What is left of a stream that ended.
pub(super) struct Leftover {
    /// What was sent and nobody has confirmed.
    pub(super) sent: Vec<Delivery>,
    /// What was not sent, and comes behind that.
    pub(super) unsent: VecDeque<Delivery>,
    /// Why it ended, where that was not in peace.
    pub(super) setback: Option<Setback>,
    /// Whether anything has arrived.
    pub(super) has_progress: bool,
    /// Whose it was.
    pub(super) kind: Kind,
}

impl Lane {
    pub(super) fn new(
        hub: &Hub,
        (stream, mut wire): (Box<Stream>, Box<dyn Wire>),
        mailbox: Mailbox,
        kind: Kind,
    ) -> Self {
        if let Kind::Link { .. } = kind {
            wire.trust(hub.limits().stream.after_auth.element_bytes);
        }
        let idle = Duration::from_secs(hub.limits().peers.idle_seconds);
        // Whoever opened a stream ends it first.
        let idle = if let Kind::Arrival(_) = kind { 2 * idle } else { idle };
        Self {
            stream,
            mailbox,
            backlog: VecDeque::new(),
            unsent: VecDeque::new(),
            refused: Vec::new(),
            written: Vec::new(),
            pending: VecDeque::new(),
            pace: Pace::default(),
            bucket: None,
            tracks: SmallVec::new(),
            inquiries: Vec::new(),
            alarm: Alarm::default(),
            quiet: Alarm::default(),
            used: hub.clock().now(),
            idle,
            stuck: None,
            has_progress: false,
            setback: None,
            doubt: None,
            kind,
            rules: hub.policy().version(),
            turn: 0,
            _connected: hub.metrics().connected(wire.transport().name()),
            wire,
            hub: hub.clone(),
        }
    }

    /// Lives until the stream ends. Who has more to send than the letter box holds is asked for it
    /// when that can be sent: then this gives nothing.
    pub(super) async fn run(&mut self, has_more: bool) -> Option<Closure> {
        loop {
            if let Some(closure) = self.recheck() {
                return Some(closure);
            }
            if let Some(closure) = self.work().await {
                return Some(closure);
            }
            self.pay();
            self.drain();
            if let Kind::Link { line, .. } = &self.kind {
                line.queued(self.backlog.len() + self.mailbox.len());
            }
            if has_more && self.backlog.is_empty() && self.has_room() {
                return None;
            }
            if !self.refused.is_empty() {
                let refused = std::mem::take(&mut self.refused);
                Box::pin(turn_back(&self.hub, refused)).await;
            }
            if poll_fn(|cx| self.poll_wake(cx)).await {
                Box::pin(self.settle_decided()).await;
            }
        }
    }

    /// Does what the stream asks for, until it asks for nothing more; gives its end.
    async fn work(&mut self) -> Option<Closure> {
        while let Some(event) = self.stream.next_event() {
            if let Some(closure) = Box::pin(self.on_event(event)).await {
                return Some(closure);
            }
            self.turn = (self.turn + 1) % TURN;
            if self.turn == 0 {
                tokio::task::yield_now().await;
            }
        }
        None
    }

    /// Counts what the peer sent.
    fn pay(&mut self) {
        let (hub, limits) = (&self.hub, self.hub.limits());
        let clock = (hub.clock(), hub.started());
        match &self.bucket {
            Some(bucket) => {
                let shared = (&limits.peers.rate, &**bucket);
                self.pace.pay(clock, &limits.peers.rate, Some(shared));
            }
            None => self.pace.pay(clock, &limits.early_rate, None),
        }
    }

    /// Ready when something has happened, and what can be done about it at once is done; true when
    /// commits are decided.
    fn poll_wake(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if let Poll::Ready(learnt) = self.poll_inquiries(cx) {
            self.learn(learnt);
            return Poll::Ready(false);
        }
        let now = self.hub.clock().now();
        match self.listen().poll(cx) {
            Poll::Ready(woke) => Poll::Ready(self.woken(woke)),
            Poll::Pending => {
                self.watch(now);
                let deadline = self.quiet_deadline();
                std::task::ready!(self.quiet.poll(cx, self.hub.clock(), Some(deadline)));
                self.fall_quiet();
                Poll::Ready(false)
            }
        }
    }

    fn woken(&mut self, woke: Woke) -> bool {
        let now = self.hub.clock().now();
        match woke {
            Woke::Input | Woke::Mail(Mail::Resume(_)) => {}
            Woke::Flushed => {
                self.stream.outbox().clear();
                self.stuck = None;
                self.flushed();
            }
            Woke::Commit => return true,
            Woke::Deadline => expire(&mut self.stream, now, &self.pace),
            Woke::Mail(Mail::Deliver(delivery)) => self.write(delivery),
            Woke::Mail(Mail::Close(closing)) => self.stream.close(now, closing),
        }
        false
    }

    fn listen(&mut self) -> Listen<'_> {
        let (outbox_bytes, pending_commits) = {
            let limits = self.hub.limits();
            (limits.outbox_bytes, limits.pending_commits)
        };
        let Self { hub, stream, wire, mailbox, pending, alarm, pace, backlog, .. } = self;
        let is_drained = stream.outbox().text.len() < outbox_bytes;
        // A server that does not read is not read either; but not before it is far behind, because
        // it may be waiting for us to read as we wait for it, on a stream that goes both ways.
        let is_clogged = stream.outbox().text.len() >= CLOGGED * outbox_bytes;
        let is_heavy = !pending.is_empty() && hub.db().lags();
        Listen {
            reads: !is_clogged && !is_heavy && pending.len() < pending_commits,
            deliveries: is_drained && backlog.is_empty() && stream.has_room(),
            stream,
            wire: &mut **wire,
            alarm,
            clock: hub.clock(),
            mailbox: Some(mailbox),
            pending: pending.front_mut(),
            pace,
        }
    }

    fn poll_inquiries(&mut self, cx: &mut Context<'_>) -> Poll<Learnt> {
        for at in 0..self.inquiries.len() {
            if let Poll::Ready(learnt) = self.inquiries[at].as_mut().poll(cx) {
                drop(self.inquiries.swap_remove(at));
                return Poll::Ready(learnt);
            }
        }
        if self.inquiries.is_empty() {
            self.inquiries = Vec::new();
        }
        Poll::Pending
    }

    /// Notes since when the other side takes nothing.
    fn watch(&mut self, now: Instant) {
        let left = self.stream.outbox().text.len();
        self.stuck = match self.stuck {
            _ if self.stream.outbox().is_empty() => None,
            Some((since, before)) if left >= before => Some((since, before)),
            _ => Some((now, left)),
        };
    }

    fn quiet_deadline(&self) -> Instant {
        let quiet = self.used + self.idle;
        let patience = Duration::from_secs(self.hub.limits().peers.dial_seconds);
        self.stuck.map_or(quiet, |(since, _)| quiet.min(since + patience))
    }

    /// Nothing has happened for long: the stream is of no use, or stuck.
    fn fall_quiet(&mut self) {
        let now = self.hub.clock().now();
        let patience = Duration::from_secs(self.hub.limits().peers.dial_seconds);
        if self.stuck.is_some_and(|(since, _)| since + patience <= now) {
            self.setback = Some(Setback::stuck(self.peer()));
            self.stream.outbox().clear();
            return self.stream.receive(now, Input::End);
        }
        let is_done = self.backlog.is_empty()
            && self.written.is_empty()
            && self.pending.is_empty()
            && self.inquiries.is_empty()
            && self.mailbox.is_empty();
        self.used = now;
        if is_done {
            self.stream.close(now, Closing::Clean);
        }
    }

    /// Who is at the other end, as far as it is known.
    pub(super) fn peer(&self) -> &str {
        self.stream.peer().map_or("the other server", |peer| peer)
    }

    fn address(&self) -> SocketAddr {
        self.wire.peer()
    }

    /// What was under way is finished, and what did not arrive is given back.
    pub(super) async fn end(mut self: Box<Self>, closure: &Closure) -> Leftover {
        for pending in &mut self.pending {
            pending.decide().await;
        }
        self.settle_decided().await;
        let setback = self.setback.take().or_else(|| Setback::closure(closure, self.peer()));
        self.tell_end(closure, setback.as_ref());
        let acks = self.stream.take_acks();
        let unacked = acks.into_iter().flat_map(|acks| acks.into_unacked().collect::<Vec<_>>());
        let unacked = unacked.map(|(stanza, tag)| Delivery { stanza, tag });
        let sent = unacked.chain(self.written.drain(..)).collect();
        let mut unsent = std::mem::take(&mut self.unsent);
        unsent.append(&mut self.backlog);
        turn_back(&self.hub, std::mem::take(&mut self.refused)).await;
        let Self { hub, stream, wire, has_progress, kind, .. } = *self;
        crate::connection::part(&hub, stream, wire);
        Leftover { sent, unsent, setback, has_progress, kind }
    }
}

/// Stanzas that go back, each with its own error.
async fn turn_back(hub: &Hub, refused: Vec<(Delivery, StanzaError)>) {
    for (delivery, error) in refused {
        hub.bounce(vec![delivery], &error).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::links::link::Link;

    fn future_bytes<A, F>(_: impl FnOnce(Box<A>) -> F) -> usize {
        size_of::<F>()
    }

    /// A thousand links may cost 20 KiB each, most of which TLS and the socket take.
    #[test]
    fn an_idle_link_is_small() {
        let (lane, link) = (size_of::<Lane>(), future_bytes(Link::run));
        assert!(lane <= 720, "{lane} bytes");
        assert!(link <= 768, "{link} bytes");
    }
}
