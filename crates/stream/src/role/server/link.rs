//! What is open on a stream between servers: proven pairs, and stanzas of them.

use std::sync::Arc;
use std::time::Instant;

use waxwing_jid::Jid;
use waxwing_stanza::{Malformed, Stanza, StanzaError};
use waxwing_xml::Element;

use crate::chassis::Chassis;
use crate::error::StreamError;
use crate::event::{Event, Tag};
use crate::role::client::keep;
use crate::role::client::management::schedule_request;
use crate::role::server::features::Announced;
use crate::role::server::{By, Linked, Pair, Unsent, Way};
use crate::{CLIENT, SERVER};

/// The pairs of a stream and its stanzas; both ends have one.
#[derive(Default)]
pub(super) struct Link {
    proven: Vec<Linked>,
    /// What goes one way may go the other (XEP-0288).
    bidi: bool,
    /// Stanzas so far.
    pub(super) received: u64,
    /// What the peer takes (XEP-0478).
    max_bytes: Option<u64>,
}

impl Link {
    pub(super) fn is_proven(&self) -> bool {
        !self.proven.is_empty()
    }

    pub(super) fn is_full(&self, io: &Chassis) -> bool {
        self.proven.iter().filter(|linked| linked.way == Way::In).count()
            >= io.limits().server_pairs
    }

    pub(super) fn has(&self, way: Way, from: &str, to: &str) -> bool {
        let is_it = |linked: &Linked| {
            linked.way == way && &*linked.pair.from == from && &*linked.pair.to == to
        };
        self.proven.iter().any(is_it)
    }

    /// A pair is proven; with bidi the other way as well.
    pub(super) fn prove(&mut self, io: &mut Chassis, now: Instant, linked: Linked, inverse: By) {
        if !self.is_proven() {
            start(io, now);
        }
        let back = self.bidi.then(|| back(&linked, inverse));
        for linked in std::iter::once(linked).chain(back) {
            if !self.has(linked.way, &linked.pair.from, &linked.pair.to) {
                self.proven.push(linked.clone());
                io.events.push_back(Event::Linked(linked));
            }
        }
    }

    /// What the peer takes from now on.
    pub(super) fn mind(&mut self, io: &mut Chassis, limits: Announced) {
        self.max_bytes = limits.max_bytes;
        if let Some(seconds) = limits.idle_seconds {
            io.timers.bear(seconds);
        }
    }

    pub(super) fn is_bidi(&self) -> bool {
        self.bidi
    }

    /// The stream goes both ways from now on, also for what is proven already.
    pub(super) fn turn_bidi(&mut self, io: &mut Chassis) {
        self.bidi = true;
        let backs: Vec<Linked> = self.proven.iter().map(|linked| back(linked, linked.by)).collect();
        for back in backs {
            if !self.has(back.way, &back.pair.from, &back.pair.to) {
                self.proven.push(back.clone());
                io.events.push_back(Event::Linked(back));
            }
        }
    }

    /// One stanza of the peer; it is judged before anything is done with it.
    pub(super) fn stanza(&mut self, io: &mut Chassis, element: Element) -> Result<(), StreamError> {
        if !self.proven.iter().any(|linked| linked.way == Way::In) {
            // RFC 6120 §4.9.3.12: "The entity has attempted to send XML stanzas or other outbound
            // data before the stream has been authenticated".
            let text = "prove who you are before you send stanzas";
            return Err(StreamError::not_authorized().text(text));
        }
        let says_to = element.attribute("to").is_some_and(|to| !to.is_empty());
        let read = Stanza::read(element.in_content(CLIENT));
        let stanza = match &read {
            Ok(stanza) => stanza,
            Err(Malformed::Stanza(report)) => &report.0,
            Err(Malformed::UnknownElement) => return Err(StreamError::unsupported_stanza_type()),
            Err(Malformed::Ignore) => {
                self.count(io);
                settle(io, self.received);
                return Ok(());
            }
        };
        match (&stanza.head.from, &stanza.head.to) {
            (Some(from), Some(to)) => self.check(io, from.domain(), Some(to.domain()))?,
            // A user of the peer has made up an address, and one mistake must not cut off all of
            // that server: the user is told.
            (Some(from), None) if says_to => self.check(io, from.domain(), None)?,
            // §4.9.3.7: "A stanza sent between two servers lacks a 'to' or 'from' attribute, the
            // 'from' or 'to' attribute has no value, or the value violates the rules for XMPP
            // addresses".
            _ => return Err(StreamError::improper_addressing()),
        }
        self.count(io);
        match read {
            Ok(stanza) => io.events.push_back(Event::Stanza(self.received, stanza)),
            Err(Malformed::Stanza(report)) => self.complain(io, *report),
            Err(_) => {}
        }
        Ok(())
    }

    fn count(&mut self, io: &mut Chassis) {
        self.received += 1;
        if let Some(acks) = &mut io.acks {
            acks.received(self.received);
        }
    }

    /// §4.9.3.9: "The data provided in a 'from' attribute does not match an authorized JID or
    /// validated domain as negotiated (1) between two servers using SASL or Server Dialback".
    fn check(&self, io: &Chassis, from: &str, to: Option<&str>) -> Result<(), StreamError> {
        let is_from = |linked: &&Linked| linked.way == Way::In && &*linked.pair.from == from;
        let mut known = self.proven.iter().filter(is_from).peekable();
        if known.peek().is_none() {
            let text = "you have not proven to stand for this sender";
            return Err(StreamError::invalid_from().text(text));
        }
        let Some(to) = to else { return Ok(()) };
        if known.any(|linked| &*linked.pair.to == to) {
            return Ok(());
        }
        io.hosts.border(to, Some(from))?;
        let text = "this sender was not let in for this target";
        Err(StreamError::not_authorized().text(text))
    }

    /// The stream goes one way, so the error takes another. It comes from whom the stanza was for,
    /// or from our domain where nobody can tell who that is.
    fn complain(&self, io: &mut Chassis, report: (Stanza, StanzaError)) {
        settle(io, self.received);
        let Some(mut reply) = report.0.error_reply(&report.1) else { return };
        let sender = reply.head.to.as_ref().map(Jid::domain);
        if reply.head.from.is_none() {
            let is_it = |it: &&Linked| it.way == Way::In && Some(&*it.pair.from) == sender;
            let ours = self.proven.iter().find(is_it);
            reply.head.from = ours.and_then(|linked| Jid::new(&linked.pair.to).ok());
        }
        io.events.push_back(Event::Reply(reply));
    }

    /// Writes a stanza of a proven pair; with stream management on, keeps it until the peer has
    /// acknowledged it.
    pub(super) fn deliver(
        &self,
        io: &mut Chassis,
        now: Instant,
        stanza: &Stanza,
        tag: Tag,
    ) -> Result<IsFull, Unsent> {
        if io.shut {
            return Err(Unsent::Closed);
        }
        let (Some(from), Some(to)) = (&stanza.head.from, &stanza.head.to) else {
            return Err(Unsent::NotProven);
        };
        if !self.has(Way::Out, from.domain(), to.domain()) {
            return Err(Unsent::NotProven);
        }
        let (xmlns, before) = (io.stanza_xmlns(), io.outbox.text.len());
        io.write(|out| stanza.write(out, xmlns));
        if let Some(max_bytes) = self.max_bytes
            && (io.outbox.text.len() - before) as u64 > max_bytes
        {
            io.take_back(before);
            return Err(Unsent::TooLarge { max_bytes });
        }
        let is_full = keep(io, stanza, tag);
        schedule_request(io, now);
        Ok(is_full)
    }
}

/// Too much waits for the peer's acknowledgement.
pub(super) type IsFull = bool;

/// The handshake is over. What proved who the peer is has done its work.
fn start(io: &mut Chassis, now: Instant) {
    let mut dice = [0];
    (io.entropy)(&mut dice);
    io.timers.watch(now, io.hosts.limits(), dice[0]);
    io.enlarge();
    io.calling = false;
    io.security.exporter = None;
    io.security.end_point = None;
    io.security.peer_certificate = None;
    io.security.peer_chain = Vec::new();
    io.security.origin = None;
}

fn back(linked: &Linked, by: By) -> Linked {
    let way = if linked.way == Way::In { Way::Out } else { Way::In };
    Linked { pair: linked.pair.reversed(), way, by }
}

fn settle(io: &mut Chassis, seq: u64) {
    if let Some(acks) = &mut io.acks {
        acks.settle(seq);
    }
}

pub(super) fn is_stanza(element: &Element) -> bool {
    element.namespace() == SERVER && matches!(element.name(), "message" | "presence" | "iq")
}

/// What an element that nothing expects means.
pub(super) fn unexpected(element: &Element) -> StreamError {
    match element.name() {
        "message" | "presence" | "iq" => StreamError::invalid_namespace(),
        _ => StreamError::unsupported_stanza_type(),
    }
}

/// The name of a pair's other side as an address.
pub(super) fn address(domain: &Arc<str>) -> Jid {
    Jid::new(domain).expect("a prepared domain is an address")
}

/// The pair of a stream with whom it was opened.
pub(super) fn linked(from: &Arc<str>, to: &Arc<str>, way: Way, by: By) -> Linked {
    Linked { pair: Pair { from: from.clone(), to: to.clone() }, way, by }
}
