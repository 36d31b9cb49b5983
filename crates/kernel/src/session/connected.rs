//! A session with a client at the other end.

use std::collections::VecDeque;
use std::future::poll_fn;

use waxwing_stream::{Answer, Closure, Event, Question, Stream, StreamError, Ticket};

use crate::mailbox::{Handover, Mail};
use crate::request::Leaving;
use crate::session::{Alarm, Listen, Session, Woke, expire};
use crate::wire::Wire;

/// Events of one session before others get their turn.
const TURN: u8 = 16;

/// How a connection ended.
pub(super) enum Ended {
    /// Its stream is closed.
    Closed(Closure),
    /// Another connection takes the session over.
    Resumed(Box<Handover>),
}

impl Session {
    /// Drives the stream until it closes or another connection resumes the session.
    pub(super) async fn connected(&mut self, stream: &mut Stream, wire: &mut dyn Wire) -> Ended {
        let mut alarm = Alarm::default();
        let mut turn = 0;
        let _counted = self.hub.metrics().connected(wire.transport().name());
        loop {
            while let Some(event) = stream.next_event() {
                if let Event::Closed(closure) = event {
                    self.hub.trace_end(&self.jid, &closure);
                    if let Closure::Error(error) = &closure {
                        self.hub.metrics().stream_error(error.condition.name());
                    }
                    Box::pin(self.settle_all(stream)).await;
                    return Ended::Closed(closure);
                }
                // Boxed like everything that is waited for now and then: a session is idle nearly
                // always, and its task should not hold room for what it does otherwise.
                Box::pin(self.on_event(stream, event)).await;
                // A client that pours must not keep a thread for itself.
                turn = (turn + 1) % TURN;
                if turn == 0 {
                    tokio::task::yield_now().await;
                }
            }
            self.pay();
            if !self.backlog.is_empty() {
                self.drain(stream);
            }
            if self.unread.is_some() {
                Box::pin(self.read_spool(stream)).await;
            }
            match self.wait(stream, wire, &mut alarm).await {
                Woke::Input => {}
                Woke::Flushed => {
                    stream.outbox().clear();
                    self.flushed();
                }
                Woke::Deadline => expire(stream, self.hub.clock().now(), &self.pace),
                Woke::Commit => Box::pin(self.settle(stream)).await,
                Woke::Mail(Mail::Deliver(delivery)) => {
                    self.leave(stream, delivery);
                    self.drain(stream);
                }
                Woke::Mail(Mail::Close(closing)) => {
                    stream.close(self.hub.clock().now(), closing);
                }
                Woke::Mail(Mail::Resume(handover)) => {
                    Box::pin(self.settle_all(stream)).await;
                    // XEP-0198 §5: the server "SHOULD terminate" the older stream, with conflict.
                    let conflict = StreamError::conflict().text("Resumed from elsewhere.");
                    stream.close(self.hub.clock().now(), waxwing_stream::Closing::Error(conflict));
                    return Ended::Resumed(handover);
                }
            }
        }
    }

    async fn wait(&mut self, stream: &mut Stream, wire: &mut dyn Wire, alarm: &mut Alarm) -> Woke {
        let (outbox_bytes, pending_commits) = {
            let limits = self.hub.limits();
            (limits.outbox_bytes, limits.pending_commits)
        };
        let is_drained = stream.outbox().text.len() < outbox_bytes;
        let reads = is_drained && self.pending.len() < pending_commits;
        let (mailbox, deliveries) = (Some(&self.mailbox), is_drained && stream.has_room());
        let clock = self.hub.clock();
        let pending = self.pending.front_mut();
        let pace = &mut self.pace;
        let mut listen =
            Listen { stream, wire, alarm, clock, mailbox, deliveries, pending, reads, pace };
        poll_fn(|cx| listen.poll(cx)).await
    }

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

    async fn on_event(&mut self, stream: &mut Stream, event: Event) {
        match event {
            Event::Stanza(seq, stanza) => {
                self.pace.load.stanzas += 1;
                self.on_stanza(stream, seq, stanza).await;
            }
            Event::Confirmed(tags) => self.confirm(tags),
            Event::Nonza(element) => {
                self.hub.trace_element(&self.jid, &element);
                let Some(site) = self.site() else { return };
                if let Some(handler) = site.router.nonza(element.name(), element.namespace()) {
                    let mut out = Vec::new();
                    handler(&mut Leaving { slots: &mut self.slots, out: &mut out });
                    for delivery in out {
                        self.write(stream, &delivery);
                    }
                }
            }
            Event::Ask(ticket, question) => self.on_question(stream, ticket, question),
            // These belong to the time before a resource is bound.
            Event::StartTls | Event::Early(..) | Event::Unauthorized(..) | Event::Closed(_) => {}
        }
    }

    fn on_question(&mut self, stream: &mut Stream, ticket: Ticket, question: Question) {
        let Question::Enable { resume, max } = question else { return };
        self.is_acknowledged = true;
        let longest = self.hub.limits().stream.sm_resume_seconds;
        let max_seconds = max.unwrap_or(longest).min(longest);
        let id = resume.then(|| self.hub.clock().token(16));
        if let Some(id) = &id {
            self.hub.remember(id.clone(), self.account.jid().clone(), self.mailbox.clone());
            self.resumption = Some(id.clone());
            self.resume_seconds = max_seconds;
        }
        stream.answer(self.hub.clock().now(), ticket, Answer::Enabled { id, max_seconds });
    }
}
