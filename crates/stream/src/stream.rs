//! The stream: what a driver sees.

mod later;
mod server;

use std::sync::Arc;
use std::time::Instant;

use waxwing_jid::Jid;
use waxwing_stanza::Stanza;
use waxwing_xml::Event as Xml;

use crate::acks::Acks;
use crate::chassis::{Chassis, write_ack};
use crate::error::StreamError;
use crate::event::{Answer, Closing, Closure, Event, Tag, Ticket};
use crate::framing::websocket;
use crate::host::{Entropy, Host, Hosts, Security};
use crate::input::{Framing, Input, Violation};
use crate::limits::seconds;
use crate::outbox::Outbox;
use crate::role::Role;
use crate::role::client::management;
use crate::role::client::{ExpectHeader, State};
use crate::role::server::Trouble;
use crate::timers::Silence;

/// How long a client's closing tag may wait for its stanzas to be handled, in seconds. Clients
/// wait about as long for the answer.
const FINISH_SECONDS: u32 = 1;

/// One XML stream of a client, of a component, or with another server.
///
/// After every call take the events ([`Stream::next_event`]), write the [`Stream::outbox`], and
/// call [`Stream::expire`] when the [`Stream::deadline`] has come. [`Event::Closed`] is the last
/// event. While a question is open, input waits inside the stream; a driver that reads nothing
/// more until [`Stream::is_waiting`] is false puts that pressure on the peer instead.
pub struct Stream {
    io: Chassis,
    state: State,
}

const _: () = assert!(size_of::<Stream>() <= 320);

impl Stream {
    /// A stream on a transport that has just been accepted.
    pub fn new(
        now: Instant,
        framing: Framing,
        security: Security,
        hosts: Arc<dyn Hosts>,
        entropy: Entropy,
    ) -> Stream {
        let role = (framing, Role::Client);
        let io = Chassis::new(role, security, hosts, entropy);
        Self::begin(now, io, State::ExpectHeader(Box::default()))
    }

    /// A stream of a component (XEP-0114) on a transport that has just been accepted.
    pub fn component(
        now: Instant,
        security: Security,
        hosts: Arc<dyn Hosts>,
        entropy: Entropy,
    ) -> Stream {
        let role = (Framing::Tcp, Role::Component);
        let io = Chassis::new(role, security, hosts, entropy);
        Self::begin(now, io, State::Component(Box::default()))
    }

    pub(crate) fn begin(now: Instant, mut io: Chassis, state: State) -> Stream {
        io.timers.phase = Some(now + seconds(io.limits().handshake_seconds));
        Stream { io, state }
    }

    /// Takes what arrived.
    pub fn receive(&mut self, now: Instant, input: Input<'_>) {
        if matches!(self.state, State::Closed) {
            return;
        }
        self.io.heard(now);
        match input {
            Input::Bytes(bytes) => self.feed(now, bytes),
            Input::Message(message) => self.message(now, message),
            Input::Alive => {}
            Input::End if self.io.waiting.is_some() => self.held().ended = true,
            Input::End => self.lost(),
            Input::Violation(violation) => self.violation(violation),
        }
    }

    /// Takes the answer to a question. An answer to any but the open question is ignored.
    pub fn answer(&mut self, now: Instant, ticket: Ticket, answer: Answer) {
        if self.io.waiting != Some(ticket) {
            return;
        }
        self.io.waiting = None;
        self.step(|state, io| state.answer(io, now, answer));
        if self.io.waiting.is_none()
            && let Some(held) = self.io.held.take()
        {
            self.release(now, *held);
        }
    }

    /// The TLS handshake that [`Event::StartTls`] asked for is done.
    pub fn secured(&mut self, _now: Instant, security: Security) {
        self.step(|state, io| match state {
            State::Server(state) if state.is_upgrading() => {
                *io.security = security;
                state.secured(io)
            }
            State::Upgrading(state) => {
                *io.security = security;
                io.restart(false);
                let next = ExpectHeader { account: None, failures: state.failures };
                State::ExpectHeader(Box::new(next))
            }
            state => state,
        });
    }

    /// Sends a stanza to the bound client, and keeps it until it is acknowledged where stream
    /// management is on; then its tag comes back in [`Event::Confirmed`]. Before binding nothing
    /// can be sent. On a closed stream with stream management the stanza joins those that
    /// [`Stream::take_acks`] gives back.
    pub fn send(&mut self, now: Instant, stanza: &Stanza, tag: Tag) {
        self.step(|state, io| match state {
            State::Open(open) => open.send(io, now, stanza, tag),
            State::Component(state) => state.send(io, stanza),
            State::Server(state) => state.deliver(io, now, stanza, tag).0,
            state => {
                crate::role::client::keep(io, stanza, tag);
                state
            }
        });
    }

    /// Sends one element that is not a stanza and not counted; it declares its own namespace.
    pub fn nonza(&mut self, xml: &str) {
        if matches!(self.state, State::Open(_)) {
            self.io.write(|out| out.push_str(xml));
        }
    }

    /// Every inbound stanza up to number `seq` is in safe hands: it counts in `<a h=''/>`.
    pub fn handled(&mut self, _now: Instant, seq: u64) {
        let Some(acks) = &mut self.io.acks else { return };
        acks.handled(seq);
        if acks.owes_answer() {
            let h = acks.tell();
            self.io.write(|out| write_ack(out, h));
        }
        self.finish_if_settled();
    }

    /// Closes the stream.
    pub fn close(&mut self, now: Instant, reason: Closing) {
        let upgrading = self.state.is_upgrading();
        self.step(|state, io| match (state, reason) {
            (State::Closed, _) => State::Closed,
            // Nothing can be said during a TLS handshake, nor before a header without an error.
            (_, Closing::Error(error)) if upgrading => io.end(Closure::Error(error), 1000),
            (_, Closing::Error(error)) => io.fail(error),
            (_, _) if upgrading || (!io.opened && io.framing == Framing::Tcp) => {
                io.end(Closure::Footer, 1000)
            }
            (_, _) if io.finishing => io.finish(),
            (_, Closing::SeeOther(place)) if io.framing == Framing::Tcp => {
                io.fail(StreamError::see_other(place))
            }
            (state, _) if io.shut => state,
            (state, Closing::SeeOther(uri)) => {
                io.tell_handled();
                io.write(|out| websocket::redirect(&uri, out));
                (io.shut, io.moved) = (true, true);
                io.await_footer(now);
                state
            }
            (state, Closing::Clean) => {
                io.shut();
                io.await_footer(now);
                state
            }
        });
    }

    /// Does what is due by `now`.
    pub fn expire(&mut self, now: Instant) {
        if self.io.timers.phase.is_some_and(|at| at <= now) {
            return self.step(|_, io| match io.shut || io.finishing {
                true => io.finish(),
                false => timed_out(io, "the handshake took too long"),
            });
        }
        if self.io.timers.ack.is_some_and(|at| at <= now) {
            management::request(&mut self.io);
        }
        match self.io.timers.silence(now, self.io.hosts.limits()) {
            Some(Silence::Dead) => self.step(|_, io| timed_out(io, "no sign of life")),
            Some(Silence::Probe) => self.step(|state, io| match state {
                State::Open(open) => open.probe(io, now),
                State::Component(state) => state.probe(io),
                State::Server(state) => state.probe(io, now),
                state => state,
            }),
            None => {}
        }
    }

    /// When [`Stream::expire`] has to be called.
    pub fn deadline(&self) -> Option<Instant> {
        self.io.timers.deadline()
    }

    /// The next thing that happened.
    pub fn next_event(&mut self) -> Option<Event> {
        let event = self.io.events.pop_front();
        if self.io.events.is_empty() {
            self.io.events = Default::default(); // an idle stream holds no buffer
        }
        event
    }

    /// What has to be written; the driver empties it.
    pub fn outbox(&mut self) -> &mut Outbox {
        &mut self.io.outbox
    }

    /// The state of stream management, for the stream that resumes the session, or to give the
    /// unacknowledged stanzas back.
    pub fn take_acks(&mut self) -> Option<Box<Acks>> {
        self.io.acks.take()
    }

    /// Whether the session may be resumed on another stream: resumption was granted, and nobody
    /// has closed the session.
    pub fn is_resumable(&self) -> bool {
        !self.io.over && self.io.acks.as_ref().is_some_and(|acks| acks.id().is_some())
    }

    /// Whether more can be sent without waiting for the client's acknowledgement. A driver that
    /// waits while this is false never fills the queue of what is unacknowledged, so that a burst
    /// of stanzas does not end the session. A stream that is closing has none, unless what is sent
    /// is kept for the client to acknowledge: the rest would be lost.
    pub fn has_room(&self) -> bool {
        self.io.acks.as_ref().map_or(!self.io.shut, |acks| acks.has_room())
    }

    /// Whether a question is open and further input only piles up.
    pub fn is_waiting(&self) -> bool {
        self.io.waiting.is_some()
    }

    /// The bound address.
    pub fn address(&self) -> Option<&Jid> {
        match &self.state {
            State::Open(open) => Some(&open.address),
            _ => None,
        }
    }

    /// The virtual host, once the client has named it.
    pub fn host(&self) -> Option<&Arc<Host>> {
        self.io.host.as_ref()
    }

    /// The language of the peer's header.
    pub fn language(&self) -> Option<&str> {
        self.io.lang.as_deref()
    }

    /// How the stream is framed.
    pub fn framing(&self) -> Framing {
        self.io.framing
    }

    /// What protects the transport. Bindings and certificates are dropped once a resource is
    /// bound.
    pub fn security(&self) -> &Security {
        &self.io.security
    }

    fn step(&mut self, next: impl FnOnce(State, &mut Chassis) -> State) {
        let state = std::mem::replace(&mut self.state, State::Closed);
        self.state = next(state, &mut self.io);
    }

    /// Whether input is looked at at all now.
    fn is_deaf(&self) -> bool {
        self.io.finishing || self.state.is_upgrading() || matches!(self.state, State::Closed)
    }

    fn feed(&mut self, now: Instant, mut input: &[u8]) {
        while !self.is_deaf() && !input.is_empty() {
            if self.io.waiting.is_some() {
                return self.hold(input, false);
            }
            if self.io.trails {
                // COMPAT(go-xmpp, 2030): a line break behind `<auth/>` ends the stream that
                // `<success/>` replaced; before an XML declaration it would be an error.
                input = input.trim_ascii_start();
                self.io.trails = input.is_empty();
                continue;
            }
            let Some(splitter) = &mut self.io.splitter else { return };
            match splitter.next(&mut input) {
                Ok(Some(event)) => self.xml(now, event),
                Ok(None) => return,
                Err(error) => self.step(|_, io| io.fail(error.into())),
            }
        }
    }

    fn message(&mut self, now: Instant, message: &[u8]) {
        if self.is_deaf() {
            return;
        }
        if self.io.waiting.is_some() {
            return self.hold(message, true);
        }
        let limits = self.io.xml_limits(self.state.is_authenticated());
        let opening = self.state.expects_header();
        match websocket::read(message, &limits, self.io.role, opening) {
            Ok(event) => self.xml(now, event),
            Err(error) => self.step(|_, io| io.fail(error.into())),
        }
    }

    fn xml(&mut self, now: Instant, event: Xml) {
        match event {
            Xml::Header(header) => self.step(|state, io| state.header(io, now, &header)),
            Xml::Element(element) => self.step(|state, io| state.element(io, now, element)),
            Xml::Footer => self.footer(now),
            Xml::Whitespace => {}
        }
        self.finish_if_settled();
    }

    /// RFC 6120 §4.4, RFC 7395 §3.6. With stream management the answer waits a moment for the
    /// last stanzas, so that the `<a/>` before our tag can cover them.
    fn footer(&mut self, now: Instant) {
        if self.ends_rejected() {
            return;
        }
        let settled = self.io.acks.as_ref().is_none_or(|acks| acks.is_settled());
        if settled || self.io.shut {
            return self.step(|_, io| io.finish());
        }
        self.io.finishing = true;
        self.io.timers.phase = Some(now + seconds(FINISH_SECONDS));
    }

    fn finish_if_settled(&mut self) {
        let settled = self.io.acks.as_ref().is_none_or(|acks| acks.is_settled());
        if self.io.finishing && settled && !matches!(self.state, State::Closed) {
            self.step(|_, io| io.finish());
        }
    }

    fn lost(&mut self) {
        if self.ends_rejected() {
            return;
        }
        self.step(|_, io| match io.shut || io.finishing {
            true => io.finish(),
            false => io.end(Closure::Lost, 1000),
        });
    }

    fn violation(&mut self, violation: Violation) {
        let (error, code) = violation.verdict();
        self.step(|_, io| match error {
            Some(error) => io.fail_as(&error, Closure::Error(error.clone()), code),
            None => io.end(Closure::Error(StreamError::bad_format()), code),
        });
    }
}

/// Tells the peer, in case it can still hear; the session stays resumable.
fn timed_out(io: &mut Chassis, text: &'static str) -> State {
    let error = StreamError::connection_timeout().text(text);
    let closure = if io.calling { Closure::Refused(Trouble::Silent) } else { Closure::Lost };
    io.fail_as(&error, closure, 1000)
}
