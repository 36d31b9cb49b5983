//! What every state of a stream shares: output, events, questions, timers, the ways to end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use waxwing_xml::Splitter;

use crate::SM;
use crate::acks::Acks;
use crate::error::StreamError;
use crate::event::{Closure, Event, Question, Ticket};
use crate::features::{Features, Phase};
use crate::framing::{self, tcp, websocket};
use crate::held::Held;
use crate::host::{Entropy, Host, Hosts, Security};
use crate::input::Framing;
use crate::limits::Limits;
use crate::outbox::{Mark, MarkKind, Outbox};
use crate::role::Role;
use crate::role::client::State;
use crate::role::server::Trouble;
use crate::timers::Timers;

/// Room for the first output of a turn: most stanzas fit, with what the server adds to them.
const MESSAGE_BYTES: usize = 768;

/// The shared part of a stream.
pub(crate) struct Chassis {
    pub(crate) framing: Framing,
    pub(crate) role: Role,
    /// Our header is out: from now on an error can be said.
    pub(crate) opened: bool,
    /// Our closing tag is out: nothing may follow.
    pub(crate) shut: bool,
    /// The peer's closing tag waits until all its stanzas are handled.
    pub(crate) finishing: bool,
    /// The client was told to connect elsewhere.
    pub(crate) moved: bool,
    /// We have called a server, and it has not let us in yet.
    pub(crate) calling: bool,
    /// Ended in a way that nobody resumes.
    pub(crate) over: bool,
    pub(crate) hosts: Arc<dyn Hosts>,
    pub(crate) entropy: Entropy,
    pub(crate) security: Box<Security>,
    pub(crate) host: Option<Arc<Host>>,
    /// `xml:lang` of the peer's header.
    pub(crate) lang: Option<Arc<str>>,
    /// Which server the other end says it is; of one that we have called, which it should be. Kept
    /// when the stream has ended, for those who ask whose it was.
    pub(crate) server: Option<Arc<str>>,
    /// On TCP.
    pub(crate) splitter: Option<Box<Splitter>>,
    /// White space that comes now still belongs to the stream before.
    pub(crate) trails: bool,
    pub(crate) timers: Timers,
    pub(crate) acks: Option<Box<Acks>>,
    /// The question that stops the input.
    pub(crate) waiting: Option<Ticket>,
    tickets: u32,
    pub(crate) held: Option<Box<Held>>,
    pub(crate) events: VecDeque<Event>,
    pub(crate) outbox: Outbox,
}

impl Chassis {
    pub(crate) fn new(
        (framing, role): (Framing, Role),
        security: Security,
        hosts: Arc<dyn Hosts>,
        entropy: Entropy,
    ) -> Chassis {
        let mut chassis = Chassis {
            framing,
            role,
            opened: false,
            shut: false,
            finishing: false,
            moved: false,
            calling: role == Role::Outgoing,
            over: false,
            hosts,
            entropy,
            security: Box::new(security),
            host: None,
            lang: None,
            server: None,
            splitter: None,
            trails: false,
            timers: Timers::default(),
            acks: None,
            waiting: None,
            tickets: 0,
            held: None,
            events: VecDeque::new(),
            outbox: Outbox::default(),
        };
        chassis.restart(false);
        chassis
    }

    /// Expects a new header, with the limits of before or after authentication.
    pub(crate) fn restart(&mut self, authenticated: bool) {
        self.opened = false;
        self.trails = authenticated;
        if self.framing == Framing::Tcp {
            let limits = self.xml_limits(authenticated);
            self.splitter = Some(Box::new(Splitter::stream(limits, self.role.content())));
        }
    }

    /// Goes on with the limits of after authentication, without a new header (XEP-0388 §2.6.1).
    pub(crate) fn enlarge(&mut self) {
        let limits = self.xml_limits(true);
        if let Some(splitter) = &mut self.splitter {
            splitter.set_limits(limits);
        }
    }

    pub(crate) fn limits(&self) -> &Limits {
        self.hosts.limits()
    }

    pub(crate) fn xml_limits(&self, authenticated: bool) -> waxwing_xml::Limits {
        let limits = self.limits();
        if authenticated { limits.after_auth } else { limits.before_auth }
    }

    pub(crate) fn is_websocket(&self) -> bool {
        self.framing == Framing::WebSocket
    }

    /// The namespace that stanzas must declare themselves.
    pub(crate) fn stanza_xmlns(&self) -> Option<&'static str> {
        self.is_websocket().then_some(self.role.content())
    }

    /// Writes one element (one message on a WebSocket); nothing once the stream is shut.
    pub(crate) fn write(&mut self, element: impl FnOnce(&mut String)) {
        if self.shut {
            return;
        }
        let text = &mut self.outbox.text;
        if text.capacity() == 0 {
            text.reserve(MESSAGE_BYTES);
        }
        element(text);
        if self.is_websocket() {
            self.mark(MarkKind::Text);
        }
    }

    /// Takes back the last element, which began at `start`.
    pub(crate) fn take_back(&mut self, start: usize) {
        self.outbox.text.truncate(start);
        if self.is_websocket() {
            self.outbox.marks.pop();
        }
    }

    pub(crate) fn mark(&mut self, kind: MarkKind) {
        let Outbox { text, marks } = &mut self.outbox;
        marks.push(Mark { end: text.len(), kind });
    }

    /// Writes our header; `from` is the domain that we speak for. Gives the id of the stream.
    pub(crate) fn open(&mut self, from: Option<&str>, to: Option<&str>) -> String {
        let id = self.random_id();
        let (host, role) = (self.host.clone(), self.role);
        let lang = host.as_deref().map_or("en", |host| &host.lang);
        let given = (role != Role::Outgoing).then_some(&*id);
        let header = framing::Header { from, to, id: given, lang };
        match (role, self.framing) {
            (Role::Component, _) => self.write(|out| tcp::open_to_component(&header, out)),
            (Role::Client, Framing::Tcp) => self.write(|out| tcp::open(&header, out)),
            (_, Framing::Tcp) => self.write(|out| tcp::open_to_server(&header, out)),
            (_, Framing::WebSocket) => self.write(|out| websocket::open(role, &header, out)),
        }
        self.opened = true;
        id
    }

    pub(crate) fn features(&mut self, phase: &Phase, host: &Host) {
        let features = Features { host, security: &self.security, limits: self.hosts.limits() };
        let mut text = String::new();
        features.write(phase, self.is_websocket(), &mut text);
        self.write(|out| out.push_str(&text));
    }

    /// What the features of this phase are called by XEP-0509.
    pub(crate) fn version(&self, phase: &Phase) -> Option<String> {
        let (host, limits) = (self.host.as_deref()?, self.hosts.limits());
        Features { host, security: &self.security, limits }.version(phase)
    }

    /// 128 unguessable bits in hexadecimal digits (RFC 6120 §4.7.3).
    pub(crate) fn random_id(&self) -> String {
        let mut bytes = [0; 16];
        (self.entropy)(&mut bytes);
        let digit = |half: u8| char::from_digit(half.into(), 16).expect("four bits are one digit");
        bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
    }

    /// Stops the input until the answer comes.
    pub(crate) fn ask(&mut self, question: Question) {
        let ticket = self.ticket();
        self.events.push_back(Event::Ask(ticket, question));
    }

    pub(crate) fn ticket(&mut self) -> Ticket {
        self.tickets = self.tickets.wrapping_add(1);
        self.waiting = Some(Ticket(self.tickets));
        Ticket(self.tickets)
    }

    /// Writes `<a/>` unless the peer already knows.
    pub(crate) fn tell_handled(&mut self) {
        if let Some(acks) = self.acks.as_mut().filter(|acks| acks.has_news()) {
            let h = acks.tell();
            self.write(|out| write_ack(out, h));
        }
    }

    /// Writes our closing tag, after a last `<a/>`.
    pub(crate) fn shut(&mut self) {
        if self.shut {
            return;
        }
        self.tell_handled();
        if self.opened || self.is_websocket() {
            match self.framing {
                Framing::Tcp => self.write(tcp::close),
                Framing::WebSocket => {
                    let role = self.role;
                    self.write(|out| websocket::close(role, out));
                }
            }
        }
        self.shut = true;
    }

    /// RFC 6120 §4.9.1.1: says the error, closes, and ends. "If the error is triggered by the
    /// initial stream header, the receiving entity MUST still send the opening tag" (§4.9.1.2).
    pub(crate) fn fail(&mut self, error: StreamError) -> State {
        let closure = Closure::Error(error.clone());
        self.fail_as(&error, closure, 1000)
    }

    /// Something arrived.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.timers.heard(now, self.hosts.limits());
    }

    pub(crate) fn fail_as(&mut self, error: &StreamError, closure: Closure, code: u16) -> State {
        if self.shut {
            // We have closed already, and nobody listens to complaints any more.
            return self.finish();
        }
        if !self.opened {
            let host = self.host.clone().or_else(|| self.hosts.default_host());
            let host = host.filter(|_| self.role != Role::Component);
            self.open(host.as_deref().map(|host| &*host.domain), None);
        }
        // Behind the error only the closing tag may come (RFC 6120 §4.9.1.1).
        self.tell_handled();
        let declare = self.is_websocket();
        self.write(|out| error.write(out, declare));
        self.shut();
        self.over |= matches!(closure, Closure::Error(_)) && !error.leaves_session();
        self.end(closure, code)
    }

    /// Both sides have closed. A client that was sent elsewhere may resume there.
    pub(crate) fn finish(&mut self) -> State {
        self.shut();
        if self.moved {
            return self.end(Closure::Lost, 1000);
        }
        self.over = true;
        self.end(Closure::Footer, 1000)
    }

    /// The last event; the transport ends behind the output.
    pub(crate) fn end(&mut self, closure: Closure, code: u16) -> State {
        let closure = if self.calling { refused(closure) } else { closure };
        self.shut = true;
        self.mark(MarkKind::Close(code));
        self.timers = Timers::default();
        self.waiting = None;
        self.held = None;
        self.splitter = None;
        self.events.push_back(Event::Closed(closure));
        State::Closed
    }

    /// Waits for the peer's closing tag for `close_seconds`.
    pub(crate) fn await_footer(&mut self, now: Instant) {
        self.timers = Timers::default();
        self.timers.phase = Some(now + crate::limits::seconds(self.limits().close_seconds));
    }
}

/// What a call ends with that has led to nothing.
fn refused(closure: Closure) -> Closure {
    Closure::Refused(match closure {
        Closure::Refused(trouble) => trouble,
        Closure::Error(error) => Trouble::Broken(error),
        Closure::Lost => Trouble::Lost,
        Closure::Footer => Trouble::Closed,
    })
}

pub(crate) fn write_ack(out: &mut String, h: u32) {
    use std::fmt::Write;
    write!(out, "<a xmlns='{SM}' h='{h}'/>").expect("strings take every write");
}
