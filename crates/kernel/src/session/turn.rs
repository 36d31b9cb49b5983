//! One wait of a connection: for bytes, letters, a commit, or the clock. It decides nothing.

use std::task::{Context, Poll};
use std::time::Instant;

use waxwing_stream::{Input, Stream};

use crate::clock::{Clock, Wait};
use crate::mailbox::{Mail, Mailbox};
use crate::rate::Pace;
use crate::session::Pending;
use crate::wire::Wire;

/// Why a wait ended.
pub(crate) enum Woke {
    /// The stream may have events: input came, or the end of the connection.
    Input,
    /// A letter.
    Mail(Mail),
    /// The oldest commit is decided.
    Commit,
    /// A deadline passed.
    Deadline,
    /// Everything written so far is with the operating system.
    Flushed,
}

/// What one wait listens to.
pub(crate) struct Listen<'a> {
    pub(crate) stream: &'a mut Stream,
    pub(crate) wire: &'a mut dyn Wire,
    pub(crate) alarm: &'a mut Alarm,
    pub(crate) clock: &'a Clock,
    /// Letters.
    pub(crate) mailbox: Option<&'a Mailbox>,
    /// Whether deliveries are welcome now: not while the client must read first.
    pub(crate) deliveries: bool,
    /// The oldest stanza whose commit is under way.
    pub(crate) pending: Option<&'a mut Pending>,
    /// Whether input is welcome now.
    pub(crate) reads: bool,
    /// What the client has sent, and until when it is not read.
    pub(crate) pace: &'a mut Pace,
}

impl Listen<'_> {
    /// Polls everything once, in an order that drains before it fills.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Woke> {
        if !self.stream.outbox().is_empty() {
            match self.wire.poll_write(cx, self.stream.outbox()) {
                Poll::Ready(Ok(())) => return Poll::Ready(Woke::Flushed),
                Poll::Ready(Err(_)) => {
                    self.stream.outbox().clear();
                    self.stream.receive(self.clock.now(), Input::End);
                    return Poll::Ready(Woke::Input);
                }
                Poll::Pending => {}
            }
        }
        if let Some(pending) = &mut self.pending
            && pending.poll_decided(cx).is_ready()
        {
            return Poll::Ready(Woke::Commit);
        }
        if let Some(mailbox) = self.mailbox
            && let Poll::Ready(mail) = mailbox.poll_next(cx, self.deliveries)
        {
            return Poll::Ready(Woke::Mail(mail));
        }
        let rest = self.pace.rest(self.clock);
        if self.reads && rest.is_none() {
            let (stream, now) = (&mut *self.stream, self.clock.now());
            let sent = &mut self.pace.load.bytes;
            let mut take = |input: Input<'_>| {
                *sent = sent.saturating_add(size(&input));
                stream.receive(now, input);
            };
            if self.wire.poll_read(cx, &mut take).is_ready() {
                return Poll::Ready(Woke::Input);
            }
        }
        let deadline = self.stream.deadline();
        let deadline = rest.map_or(deadline, |rest| Some(deadline.map_or(rest, |at| at.min(rest))));
        if self.alarm.poll(cx, self.clock, deadline).is_ready() {
            return Poll::Ready(Woke::Deadline);
        }
        Poll::Pending
    }
}

/// What an input counts for: its bytes; a WebSocket Ping is a few.
pub(crate) fn size(input: &Input<'_>) -> u32 {
    let (Input::Bytes(bytes) | Input::Message(bytes)) = input else { return PING_BYTES };
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

const PING_BYTES: u32 = 16;

/// A deadline has passed. A client that was not read cannot be blamed for its silence.
pub(crate) fn expire(stream: &mut Stream, now: Instant, pace: &Pace) {
    if pace.is_resting() {
        stream.receive(now, Input::Alive);
    }
    stream.expire(now);
}

/// A timer that is armed anew only when the deadline comes nearer or it has rung: deadlines mostly
/// move away with every stanza, and re-arming costs more than ringing once too often.
#[derive(Default)]
pub(crate) struct Alarm {
    armed: Option<(Instant, Wait)>,
}

impl Alarm {
    /// Ready once `deadline` has passed.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        clock: &Clock,
        deadline: Option<Instant>,
    ) -> Poll<()> {
        let Some(deadline) = deadline else {
            self.armed = None;
            return Poll::Pending;
        };
        loop {
            if self.armed.as_ref().is_none_or(|(at, _)| *at > deadline) {
                self.armed = Some((deadline, clock.wait(deadline)));
            }
            let (_, wait) = self.armed.as_mut().expect("it was armed just now");
            std::task::ready!(wait.as_mut().poll(cx));
            self.armed = None;
            if clock.now() >= deadline {
                return Poll::Ready(());
            }
        }
    }
}
