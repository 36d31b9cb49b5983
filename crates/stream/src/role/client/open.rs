//! The stream of a bound client: stanzas both ways.

use std::time::Instant;

use waxwing_jid::Jid;
use waxwing_stanza::{Malformed, Stanza, StanzaError};
use waxwing_xml::Element;

use crate::chassis::Chassis;
use crate::error::StreamError;
use crate::event::{Event, Tag};
use crate::role::client::management::schedule_request;
use crate::role::client::{State, is_stanza, unexpected};
use crate::{CSI, SM};

/// The state of a bound client.
pub(crate) struct Open {
    /// The bound address.
    pub(crate) address: Jid,
    /// Stanzas of this session so far.
    pub(crate) received: u64,
    /// `<enable/>` is with the driver; `true` if it asks for resumption.
    pub(crate) enabling: Option<bool>,
    /// Number of our last ping that has had no reply.
    pub(crate) ping: Option<u32>,
}

impl Open {
    pub(crate) fn start(io: &mut Chassis, now: Instant, address: Jid, received: u64) -> State {
        let mut dice = [0];
        (io.entropy)(&mut dice);
        io.timers.watch(now, io.hosts.limits(), dice[0]);
        // What proved who the client is has done its work.
        io.security.exporter = None;
        io.security.end_point = None;
        io.security.peer_certificate = None;
        io.security.origin = None;
        State::Open(Open { address, received, enabling: None, ping: None })
    }

    pub(crate) fn element(self, io: &mut Chassis, now: Instant, element: Element) -> State {
        if is_stanza(&element) {
            return self.stanza(io, now, element);
        }
        match element.namespace() {
            SM => self.management(io, now, &element),
            namespace if understood(io, namespace) => {
                if namespace == CSI {
                    io.timers.inactive(element.name() == "inactive");
                    io.heard(now);
                }
                io.events.push_back(Event::Nonza(element));
                State::Open(self)
            }
            _ => io.fail(unexpected(&element)),
        }
    }

    /// Writes a stanza; with stream management on, keeps it until it is acknowledged. A stream
    /// that is shut keeps it without writing.
    ///
    /// A queue over its limits ends the session: a client that reads nothing for so long gets
    /// its messages from the offline store, and resuming would only replay a flood.
    pub(crate) fn send(self, io: &mut Chassis, now: Instant, stanza: &Stanza, tag: Tag) -> State {
        let full = keep(io, stanza, tag);
        let xmlns = io.stanza_xmlns();
        io.write(|out| stanza.write(out, xmlns));
        if full {
            let text = "too many unacknowledged stanzas";
            return io.fail(StreamError::resource_constraint().text(text));
        }
        schedule_request(io, now);
        State::Open(self)
    }

    fn stanza(mut self, io: &mut Chassis, now: Instant, element: Element) -> State {
        self.received += 1;
        let seq = self.received;
        if self.is_forged(&element) {
            return io.fail(StreamError::invalid_from());
        }
        if let Some(acks) = &mut io.acks {
            acks.received(seq);
        }
        match Stanza::read(element) {
            Ok(stanza) if self.is_pong(&stanza) => {
                self.ping = None;
                settle(io, seq);
                State::Open(self)
            }
            Ok(stanza) => self.accept(io, seq, stanza),
            Err(Malformed::UnknownElement) => io.fail(StreamError::unsupported_stanza_type()),
            Err(Malformed::Ignore) => {
                settle(io, seq);
                State::Open(self)
            }
            Err(Malformed::Stanza(report)) => {
                settle(io, seq);
                self.complain(io, now, &report.0, &report.1)
            }
        }
    }

    /// RFC 6120 §8.1.2.1: "the server MUST add a 'from' attribute to the stanza or override the
    /// 'from' attribute specified by the client, where the value of the 'from' attribute MUST be
    /// the full JID … determined by the server for the connected resource that generated the
    /// stanza". So nobody is deceived, whatever it says. §4.9.3.9 lets us end the stream over it:
    /// we do when it names another account, and not over another resource.
    ///
    /// COMPAT(Converse.js, until it keeps its address): after a reload of its page it resumes its
    /// session and goes on under a resource that it has just made up.
    fn is_forged(&self, element: &Element) -> bool {
        let Some(from) = element.attribute("from") else { return false };
        let own = |bare: &str| bare == self.address.bare_str();
        !own(&from) && !Jid::new(&from).is_ok_and(|from| own(from.bare_str()))
    }

    fn accept(self, io: &mut Chassis, seq: u64, mut stanza: Stanza) -> State {
        stanza.head.from = Some(self.address.clone());
        // §8.1.5: "the client's server SHOULD add an 'xml:lang' attribute whose value is that
        // specified for the client's output stream".
        if stanza.head.lang.is_none() {
            stanza.head.lang = io.lang.clone();
        }
        io.events.push_back(Event::Stanza(seq, stanza));
        State::Open(self)
    }

    fn complain(
        self,
        io: &mut Chassis,
        now: Instant,
        stanza: &Stanza,
        error: &StanzaError,
    ) -> State {
        match stanza.error_reply(error) {
            Some(mut reply) => {
                reply.head.to = Some(self.address.clone());
                self.send(io, now, &reply, Tag(0))
            }
            None => State::Open(self),
        }
    }
}

/// Keeps a stanza for the client to acknowledge; `true` if the queue is full.
pub(crate) fn keep(io: &mut Chassis, stanza: &Stanza, tag: Tag) -> bool {
    io.acks.as_mut().is_some_and(|acks| acks.push(stanza, tag).is_err())
}

fn settle(io: &mut Chassis, seq: u64) {
    if let Some(acks) = &mut io.acks {
        acks.settle(seq);
    }
}

fn understood(io: &Chassis, namespace: &str) -> bool {
    let host = io.host.as_deref();
    host.is_some_and(|host| host.nonzas.iter().any(|known| &**known == namespace))
}
