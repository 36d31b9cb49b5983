//! A connection before it is a session: negotiation, sign-in, binding or resuming.
//!
//! This task ends when a resource is bound (the session's own, smaller task goes on), when the
//! connection is handed to the session that it resumes, or when a component is in.

mod handover;
mod refusal;

use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use waxwing_jid::BareJid;
use waxwing_stanza::Stanza;
use waxwing_stream::{
    Answer, AuthFailure, Begun, Closure, Event, Framing, Inline, Input, Installation, Question,
    Security, Stream, Ticket,
};

use crate::hub::Hub;
use crate::rate::Pace;
use crate::request::Pass;
use crate::session::{Alarm, Listen, Session, Woke, expire, size};
use crate::wire::{Transport, Wire};

/// Takes a new connection in; returns at once.
pub fn accept(hub: &Hub, wire: Box<dyn Wire>, security: Security) {
    if wire.transport() == Transport::Component {
        return accept_component(hub, wire, security);
    }
    let framing = if wire.transport().is_framed() { Framing::WebSocket } else { Framing::Tcp };
    accept_framed(hub, wire, security, framing);
}

/// The same with the framing said aloud, for wires in memory.
pub fn accept_framed(hub: &Hub, wire: Box<dyn Wire>, security: Security, framing: Framing) {
    let hosts = Arc::new(hub.door(wire.peer().ip()));
    let stream = Stream::new(hub.clock().now(), framing, security, hosts, hub.entropy());
    negotiate(hub, Box::new(stream), wire);
}

/// The same for a component (XEP-0114).
pub fn accept_component(hub: &Hub, wire: Box<dyn Wire>, security: Security) {
    let hosts = Arc::new(hub.door(wire.peer().ip()));
    let stream = Stream::component(hub.clock().now(), security, hosts, hub.entropy());
    negotiate(hub, Box::new(stream), wire);
}

/// Goes on negotiating on a task of its own.
pub(crate) fn negotiate(hub: &Hub, stream: Box<Stream>, wire: Box<dyn Wire>) {
    let counted = hub.stranger();
    let (hub, pace, pass) = (hub.clone(), Pace::default(), Pass::default());
    let connection =
        Connection { hub: hub.clone(), stream, wire, is_told: false, open_at: None, pace, pass };
    hub.clock().spawn(async move {
        connection.run().await;
        drop(counted);
    });
}

/// Sends what is left to say and closes the wire, within the time limit, on a task of its own.
pub(crate) fn part(hub: &Hub, mut stream: Box<Stream>, mut wire: Box<dyn Wire>) {
    let limit = hub.clock().now() + Duration::from_secs(hub.limits().close_seconds);
    let clock = hub.clock().clone();
    let counted = hub.stranger();
    hub.clock().spawn(async move {
        let _counted = counted;
        let goodbye = poll_fn(|cx| {
            if !stream.outbox().is_empty() {
                match wire.poll_write(cx, stream.outbox()) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
            wire.poll_close(cx)
        });
        tokio::select! {
            () = goodbye => {}
            () = clock.until(Some(limit)) => {}
        }
    });
}

/// Bytes taken from a client that waits for an answer; the rest waits in the network.
const HELD_BYTES: u32 = 16 * 1024;

struct Connection {
    hub: Hub,
    stream: Box<Stream>,
    wire: Box<dyn Wire>,
    /// Whether it was told that the server is about to end.
    is_told: bool,
    /// What [`Hub::locked`] gave before the account was last found open to its owner.
    open_at: Option<u64>,
    pace: Pace,
    /// What its client has shown to be let in.
    pass: Pass,
}

impl Connection {
    async fn run(mut self) {
        let mut alarm = Alarm::default();
        let mut _counted = self.hub.metrics().connected(self.wire.transport().name());
        loop {
            while let Some(event) = self.stream.next_event() {
                match event {
                    Event::Ask(ticket, question @ (Question::Bind { .. } | Question::Begin(_))) => {
                        if let Some(session) = Box::pin(self.seat(ticket, question)).await {
                            let session = session.run(self.stream, self.wire);
                            return self.hub.clock().spawn(Box::pin(session));
                        }
                    }
                    Event::Ask(ticket, Question::Resume { account, previd, h: _ }) => {
                        match self.resume(ticket, &previd, &account) {
                            Some(refused) => self = refused,
                            None => return,
                        }
                    }
                    Event::Ask(ticket, Question::Attach { domain }) => {
                        match self.attach(ticket, &domain) {
                            Some(refused) => self = refused,
                            None => return,
                        }
                    }
                    Event::Ask(ticket, question) => match Box::pin(self.identify(question)).await {
                        Some(answer) => self.answer(ticket, answer),
                        None => return self.give_up(),
                    },
                    Event::StartTls => match self.upgrade().await {
                        Some(upgraded) => {
                            self = upgraded;
                            let transport = self.wire.transport().name();
                            _counted = self.hub.metrics().connected(transport);
                        }
                        None => return,
                    },
                    Event::Early(ticket, stanza) => {
                        let visitor = (self.wire.peer().ip(), self.pass.clone());
                        let early = early(self.hub.clone(), stanza, visitor);
                        match self.attend(early).await {
                            Some(reply) => self.answer(ticket, Answer::Reply(reply)),
                            None => return self.give_up(),
                        }
                    }
                    Event::Unauthorized(account, failure) => {
                        if self.punish(account, &failure).await.is_none() {
                            return self.give_up();
                        }
                    }
                    Event::Closed(closure) => return self.over(&closure),
                    Event::Stanza(..) | Event::Nonza(_) | Event::Confirmed(_) => {}
                    Event::Reply(_) | Event::Linked(_) | Event::Dialback(_) | Event::Verdict(_) => {
                    }
                }
            }
            let clock = (self.hub.clock(), self.hub.started());
            self.pace.pay(clock, &self.hub.limits().early_rate, None);
            self.listen(&mut alarm).await;
        }
    }

    /// Until something happens on the wire, a time is over, or the server is about to end.
    async fn listen(&mut self, alarm: &mut Alarm) {
        let (hub, is_told) = (self.hub.clone(), self.is_told);
        tokio::select! {
            woke = self.wait(alarm) => if let Woke::Deadline = woke {
                expire(&mut self.stream, hub.clock().now(), &self.pace);
            },
            () = hub.draining(), if !is_told => {
                let closing = hub.goodbye(self.wire.transport());
                self.stream.close(hub.clock().now(), closing);
                self.is_told = true;
            }
        }
    }

    /// Answers a question about who the client is. None as of [`Connection::attend`].
    async fn identify(&mut self, question: Question) -> Option<Answer> {
        if let Question::Anonymous = question {
            return Some(self.welcome_guest().await);
        }
        // These look at the account itself.
        let looks = matches!(
            question,
            Question::Credentials { .. }
                | Question::Plain { .. }
                | Question::Bearer { .. }
                | Question::External { .. }
        );
        self.open_at = looks.then(|| self.hub.locked());
        let (hub, peer) = (self.hub.clone(), self.wire.peer().ip());
        self.attend(crate::auth::answer(&hub, question, peer)).await
    }

    /// SASL ANONYMOUS: an account that ends with its session.
    async fn welcome_guest(&mut self) -> Answer {
        let site = self.stream.host().and_then(|host| self.hub.site(&host.domain));
        let Some(site) = site else {
            return Answer::Verdict(Err(AuthFailure::NotAuthorized));
        };
        match self.hub.guest(&site).await {
            Ok(account) => Answer::Account(account.jid().clone()),
            Err(error) => {
                tracing::error!(%error, "a guest could not be let in");
                Answer::Verdict(Err(AuthFailure::Temporary(None)))
            }
        }
    }

    /// Waits for `answer` for as long as the client does. None when it is gone, or its time to
    /// sign in is over.
    async fn attend<T>(&mut self, answer: impl Future<Output = T>) -> Option<T> {
        let Self { hub, stream, wire, pace, .. } = self;
        let (deadline, mut taken, mut is_gone) = (stream.deadline(), 0, false);
        let gone = poll_fn(|cx| {
            while taken < HELD_BYTES && !is_gone {
                let now = hub.clock().now();
                ready!(wire.poll_read(cx, &mut |input| {
                    taken += size(&input);
                    is_gone |= matches!(input, Input::End);
                    stream.receive(now, input);
                }));
            }
            if is_gone { Poll::Ready(()) } else { Poll::Pending }
        });
        let answer = tokio::select! {
            biased;
            answer = answer => Some(answer),
            () = gone => None,
            () = hub.clock().until(deadline) => None,
        };
        pace.load.bytes = pace.load.bytes.saturating_add(taken);
        answer
    }

    /// The stream was closed before there was a session.
    fn over(self, closure: &Closure) {
        if let Closure::Error(error) = closure {
            self.hub.metrics().stream_error(error.condition.name());
            if let Some(host) = self.stream.host() {
                self.hub.tell_limit(&host.domain, error, || self.wire.peer().ip().to_string());
            }
        }
        tracing::debug!(peer = %self.wire.peer(), ?closure, "no session");
        part(&self.hub, self.stream, self.wire);
    }

    /// Ends the connection of a client that did not wait, or did so for too long.
    fn give_up(mut self) {
        self.stream.expire(self.hub.clock().now());
        part(&self.hub, self.stream, self.wire);
    }

    async fn wait(&mut self, alarm: &mut Alarm) -> Woke {
        let (stream, wire) = (&mut *self.stream, &mut *self.wire);
        let clock = self.hub.clock();
        let mut listen = Listen {
            stream,
            wire,
            alarm,
            clock,
            mailbox: None,
            deliveries: false,
            pending: None,
            reads: true,
            pace: &mut self.pace,
        };
        poll_fn(|cx| listen.poll(cx)).await
    }

    fn answer(&mut self, ticket: Ticket, answer: Answer) {
        self.stream.answer(self.hub.clock().now(), ticket, answer);
    }

    /// A session for the client, by either way.
    async fn seat(&mut self, ticket: Ticket, question: Question) -> Option<Session> {
        match question {
            Question::Bind { account, resource, by } => {
                self.bind(ticket, account, (resource, &by)).await
            }
            Question::Begin(inline) => self.begin(ticket, &inline).await,
            _ => None,
        }
    }

    /// RFC 6120 §7: gives the client a resource and its place in the directory.
    async fn bind(
        &mut self,
        ticket: Ticket,
        account: BareJid,
        how: (Option<String>, &Installation),
    ) -> Option<Session> {
        let (wish, how) = (how, (self.wire.transport(), self.open_at));
        match crate::bind::bind(&self.hub, account, wish, how).await {
            Ok(session) => {
                tracing::info!(jid = %session.jid(), peer = %self.wire.peer(), "session bound");
                self.answer(ticket, Answer::Bound(Ok(session.jid().clone())));
                Some(session)
            }
            Err(error) => {
                self.answer(ticket, Answer::Bound(Err(error)));
                None
            }
        }
    }

    /// XEP-0386: the same along with the authentication, and with stream management.
    async fn begin(&mut self, ticket: Ticket, inline: &Inline) -> Option<Session> {
        let how = (self.wire.transport(), self.open_at);
        match crate::bind::begin(&self.hub, inline, how).await {
            Ok(mut session) => {
                tracing::info!(jid = %session.jid(), peer = %self.wire.peer(), "session begun");
                let enabled = inline.enable.map(|wish| session.enable(wish));
                let bound = crate::admission::bound(&self.hub, &inline.account).await;
                let address = session.jid().clone();
                self.answer(ticket, Answer::Begun(Ok(Box::new(Begun { address, enabled, bound }))));
                Some(session)
            }
            Err(error) => {
                self.answer(ticket, Answer::Begun(Err(error)));
                None
            }
        }
    }

    /// Flushes `<proceed/>` and puts TLS under the stream, within the handshake's time.
    async fn upgrade(self) -> Option<Self> {
        let Self { hub, mut stream, mut wire, is_told, open_at, pace, .. } = self;
        let (clock, deadline) = (hub.clock().clone(), stream.deadline());
        let upgraded = async {
            poll_fn(|cx| wire.poll_write(cx, stream.outbox())).await?;
            wire.upgrade().await
        };
        let outcome = tokio::select! {
            outcome = upgraded => outcome,
            () = clock.until(deadline) => return None,
        };
        match outcome {
            Ok((wire, security)) => {
                stream.secured(hub.clock().now(), security);
                Some(Self { hub, stream, wire, is_told, open_at, pace, pass: Pass::default() })
            }
            Err(error) => {
                tracing::debug!(%error, "TLS handshake failed");
                None
            }
        }
    }
}

/// RFC 6120 §10.3: before sign-in everything is for the server; `to` may name which.
async fn early(hub: Hub, stanza: Stanza, visitor: (IpAddr, Pass)) -> Option<Stanza> {
    let site = hub.site(stanza.head.to.as_ref()?.domain())?;
    hub.ask_early(&site, stanza, visitor).await
}
