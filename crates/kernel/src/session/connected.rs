//! A session with a client at the other end.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::task::{Context, Poll, ready};

use waxwing_stream::{
    Answer, Closing, Closure, Enable, Enabled, Event, Question, Stream, StreamError, Ticket,
};

use crate::mailbox::{Handover, Mail};
use crate::session::line::Line;
use crate::session::{Listen, Session, Woke, expire};

/// Events of one session before others get their turn.
const TURN: u8 = 16;

/// How a connection ended.
pub(super) enum Ended {
    /// Its stream is closed.
    Closed(Closure),
    /// Another connection takes the session over.
    Resumed(Box<Handover>),
}

/// What a wake-up leaves to be waited for.
enum Then {
    Nothing,
    /// Commits are decided.
    Settle,
    /// Another connection takes over.
    Yield(Box<Handover>),
}

impl Line {
    /// Drives the stream until it closes or another connection resumes the session. What this
    /// future keeps while it waits, every idle session keeps.
    pub(super) async fn connected(&mut self) -> Box<Ended> {
        loop {
            loop {
                let ended = match self.work() {
                    None => break,
                    Some(None) => None,
                    Some(Some(work)) => work.await,
                };
                if let Some(ended) = ended {
                    return ended;
                }
                // A client that pours must not keep a thread for itself.
                self.events = (self.events + 1) % TURN;
                if self.events == 0 {
                    tokio::task::yield_now().await;
                }
            }
            let Self { session, stream, .. } = self;
            session.pay();
            if !session.backlog.is_empty() {
                session.drain(stream);
            }
            if session.unread.is_some() {
                Box::pin(session.read_spool(stream)).await;
            }
            match poll_fn(|cx| self.poll_wake(cx)).await {
                Then::Nothing => {}
                Then::Settle => Box::pin(self.session.settle(&mut self.stream)).await,
                Then::Yield(handover) => return Box::pin(self.give_way(handover)).await,
            }
        }
    }

    /// Takes the next event of the stream, if there is one, and gives what has to be waited for.
    /// The event is in the box, and not in the future that waits for it.
    fn work(&mut self) -> Option<Option<impl Future<Output = Option<Box<Ended>>> + Send>> {
        let Self { session, stream, .. } = self;
        let event = stream.next_event()?;
        let event = session.at_once(stream, event);
        Some(event.map(|event| Box::pin(session.on_event(stream, event))))
    }

    /// Ready when something has happened, and what can be done about it at once is done.
    fn poll_wake(&mut self, cx: &mut Context<'_>) -> Poll<Then> {
        let woke = ready!(self.listen().poll(cx));
        let Self { session, stream, .. } = self;
        Poll::Ready(match woke {
            Woke::Input => Then::Nothing,
            Woke::Flushed => {
                stream.outbox().clear();
                session.flushed();
                Then::Nothing
            }
            Woke::Deadline => {
                expire(stream, session.hub.clock().now(), &session.pace);
                Then::Nothing
            }
            Woke::Commit => Then::Settle,
            Woke::Mail(Mail::Deliver(delivery)) => {
                session.leave(stream, delivery);
                session.drain(stream);
                Then::Nothing
            }
            Woke::Mail(Mail::Close(closing)) => {
                stream.close(session.hub.clock().now(), closing);
                Then::Nothing
            }
            Woke::Mail(Mail::Resume(handover)) => Then::Yield(handover),
        })
    }

    fn listen(&mut self) -> Listen<'_> {
        let Self { session, stream, wire, alarm, .. } = self;
        let (outbox_bytes, pending_commits) = {
            let limits = session.hub.limits();
            (limits.outbox_bytes, limits.pending_commits)
        };
        let is_drained = stream.outbox().text.len() < outbox_bytes;
        // When the store falls behind, what it has of this client comes first.
        let is_heavy = !session.pending.is_empty() && session.hub.db().lags();
        Listen {
            reads: is_drained && !is_heavy && session.pending.len() < pending_commits,
            deliveries: is_drained && stream.has_room(),
            stream,
            wire: &mut **wire,
            alarm,
            clock: session.hub.clock(),
            mailbox: Some(&session.mailbox),
            pending: session.pending.front_mut(),
            pace: &mut session.pace,
        }
    }

    async fn give_way(&mut self, handover: Box<Handover>) -> Box<Ended> {
        let Self { session, stream, .. } = self;
        session.settle_all(stream).await;
        // XEP-0198 §5: the server "SHOULD terminate" the older stream, with conflict.
        let conflict = StreamError::conflict().text("Resumed from elsewhere.");
        stream.close(session.hub.clock().now(), Closing::Error(conflict));
        Box::new(Ended::Resumed(handover))
    }
}

impl Session {
    /// Counts what the client sent against the rates of the session and of the account.
    fn pay(&mut self) {
        let (hub, limits) = (&self.hub, self.hub.limits());
        let shared = (&limits.account_rate, self.account.bucket());
        self.pace.pay((hub.clock(), hub.started()), &limits.session_rate, Some(shared));
    }

    /// Takes what waits and what else lies in the mailbox, so that it leaves in one write. False
    /// when something stays there, because the client must read or acknowledge first.
    pub(super) fn drain(&mut self, stream: &mut Stream) -> bool {
        let room = self.hub.limits().outbox_bytes;
        while stream.outbox().text.len() < room && stream.has_room() {
            let kept = self.backlog.pop_front();
            // What lies in the mailbox is younger than what is still to be read.
            let is_read = self.unread.is_none();
            let next = || is_read.then(|| self.mailbox.try_next_delivery()).flatten();
            match kept.or_else(next) {
                Some(delivery) => self.leave(stream, delivery),
                None => {
                    self.backlog = VecDeque::new();
                    return is_read && self.mailbox.is_empty();
                }
            }
        }
        false
    }

    /// Everything written is with the operating system: for a client that does not acknowledge,
    /// that is all there will ever be to know.
    fn flushed(&mut self) {
        if !self.written.is_empty() {
            let written = std::mem::take(&mut self.written);
            self.confirm(written.into_iter().map(|delivery| delivery.tag).collect());
        }
    }

    async fn on_event(&mut self, stream: &mut Stream, event: Event) -> Option<Box<Ended>> {
        match event {
            Event::Stanza(seq, stanza) => {
                self.pace.load.stanzas += 1;
                self.on_stanza(stream, seq, stanza).await;
            }
            Event::Confirmed(tags) => self.confirm(tags),
            Event::Nonza(element) => {
                self.hub.trace_element(&self.jid, &element);
                let site = self.site()?;
                if let Some(handler) = site.router.nonza(element.name(), element.namespace()) {
                    self.write_what(stream, |leaving| handler(leaving));
                }
            }
            Event::Ask(ticket, question) => self.on_question(stream, ticket, question),
            Event::Closed(closure) => {
                self.hub.trace_end(&self.jid, &closure);
                if let Closure::Error(error) = &closure {
                    self.hub.metrics().stream_error(error.condition.name());
                    self.hub.tell_limit(self.jid.domain(), error, || self.jid.to_string());
                }
                Box::pin(self.settle_all(stream)).await;
                return Some(Box::new(Ended::Closed(closure)));
            }
            // These belong to the time before a resource is bound.
            Event::StartTls | Event::Early(..) | Event::Unauthorized(..) => {}
            // These belong to streams between servers.
            Event::Reply(_) | Event::Linked(_) | Event::Dialback(_) | Event::Verdict(_) => {}
        }
        None
    }

    fn on_question(&mut self, stream: &mut Stream, ticket: Ticket, question: Question) {
        let Question::Enable { resume, max } = question else { return };
        let Enabled { id, max_seconds } = self.enable(Enable { resume, max });
        stream.answer(self.hub.clock().now(), ticket, Answer::Enabled { id, max_seconds });
    }
}
