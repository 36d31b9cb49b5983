//! Stream management (XEP-0198) on an open stream.

use std::time::Instant;

use waxwing_stanza::StanzaError;
use waxwing_xml::{Element, write};

use crate::SM;
use crate::acks::{Acks, TooHigh};
use crate::chassis::{Chassis, write_ack};
use crate::error::StreamError;
use crate::event::{Answer, Event, Question, Tag};
use crate::limits::seconds;
use crate::role::Role;
use crate::role::client::{Open, State, management_failed};

impl Open {
    pub(crate) fn management(mut self, io: &mut Chassis, now: Instant, element: &Element) -> State {
        match element.name() {
            "enable" if io.acks.is_some() => {
                management_failed(io, &StanzaError::unexpected_request(), None);
                // §3: "If a server receives a second <enable/> element it SHOULD respond with a
                // stream error, thus terminating the client connection."
                let text = "stream management is already enabled";
                return io.fail(StreamError::policy_violation().text(text));
            }
            "enable" => self.enable(io, element),
            "r" if io.acks.is_some() => answer_request(io),
            "a" if io.acks.is_some() => return self.acknowledged(io, now, element),
            "r" | "a" | "resume" => {
                management_failed(io, &StanzaError::unexpected_request(), None);
            }
            _ => return io.fail(StreamError::unsupported_stanza_type()),
        }
        State::Open(self)
    }

    pub(crate) fn answer(mut self, io: &mut Chassis, answer: Answer) -> State {
        let Some(wants_resume) = self.enabling.take() else {
            return State::Open(self);
        };
        match answer {
            Answer::Enabled { id, max_seconds } => {
                let mut acks = Acks::new(self.address.clone(), self.received, io.limits());
                let id = id.filter(|_| wants_resume);
                if let Some(id) = &id {
                    acks.grant(id, max_seconds);
                }
                io.write(|out| write_enabled(out, id.as_deref(), max_seconds));
                io.acks = Some(Box::new(acks));
            }
            Answer::NotEnabled(error) => management_failed(io, &error, None),
            _ => management_failed(io, &StanzaError::internal_server_error(), None),
        }
        State::Open(self)
    }

    fn enable(&mut self, io: &mut Chassis, element: &Element) {
        let resume = matches!(element.attribute("resume").as_deref(), Some("true" | "1"));
        let max = element.attribute("max").and_then(|max| max.parse().ok());
        self.enabling = Some(resume);
        io.ask(Question::Enable { resume, max });
    }

    fn acknowledged(self, io: &mut Chassis, now: Instant, element: &Element) -> State {
        let Some(h) = element.attribute("h").and_then(|h| h.parse().ok()) else {
            let text = "an acknowledgement needs a count";
            return io.fail(StreamError::invalid_xml().text(text));
        };
        let acks = io.acks.as_mut().expect("only called with stream management on");
        match acks.confirm(h) {
            Ok(tags) => {
                confirmed(io, tags);
                schedule_request(io, now);
                State::Open(self)
            }
            Err(error) => too_high(io, error),
        }
    }
}

/// §4: "The response SHOULD be sent as soon as possible after receiving the <r/> element, and
/// MUST NOT be withheld for any condition other than a timeout."
pub(crate) fn answer_request(io: &mut Chassis) {
    if let Some(acks) = &mut io.acks {
        let h = acks.asked();
        io.write(|out| write_ack(out, h));
    }
}

/// After a stanza: asks for an acknowledgement at once, or starts the clock for it.
pub(crate) fn schedule_request(io: &mut Chassis, now: Instant) {
    let Some(acks) = io.acks.as_ref().filter(|_| !io.shut) else { return };
    let every = match io.role {
        Role::Client | Role::Component => io.limits().ack_every_stanzas,
        // What another server has not acknowledged is sent again when the stream breaks, and may
        // come twice: it is asked whenever it owes no answer.
        Role::Incoming | Role::Outgoing => 1,
    };
    let after = io.limits().ack_every_seconds;
    // A driver that sees no room waits for the answer.
    let every = if acks.has_room() { every.max(1) } else { 1 };
    if acks.wants_request(every) {
        request(io);
    } else if acks.wants_request(1) {
        io.timers.ack.get_or_insert(now + seconds(after));
    } else {
        io.timers.ack = None;
    }
}

/// Asks now.
pub(crate) fn request(io: &mut Chassis) {
    io.timers.ack = None;
    if let Some(acks) = &mut io.acks {
        acks.requested();
        io.write(|out| out.push_str("<r xmlns='urn:xmpp:sm:3'/>"));
    }
}

/// Sends again, in order, what the client has not handled.
pub(crate) fn replay(io: &mut Chassis, now: Instant, tags: Vec<Tag>) {
    confirmed(io, tags);
    let Some(acks) = io.acks.take() else { return };
    let xmlns = io.stanza_xmlns();
    for (stanza, _) in acks.unacked() {
        io.write(|out| stanza.write(out, xmlns));
    }
    let pending = !acks.is_empty();
    io.acks = Some(acks);
    if pending {
        request(io);
    }
    schedule_request(io, now);
}

pub(crate) fn confirmed(io: &mut Chassis, tags: Vec<Tag>) {
    if !tags.is_empty() {
        io.events.push_back(Event::Confirmed(tags));
    }
}

/// §6: "the local entity SHOULD generate an undefined-condition stream error that includes a
/// <handled-count-too-high/> element, and close the stream".
pub(crate) fn too_high_error(TooHigh { h, sent }: TooHigh) -> StreamError {
    let app = format!("<handled-count-too-high xmlns='{SM}' h='{h}' send-count='{sent}'/>");
    let text = format!("You acknowledged {h} stanzas, but I only sent you {sent} so far.");
    StreamError::undefined_condition().text(text).with(app)
}

/// Says so.
pub(crate) fn too_high(io: &mut Chassis, claim: TooHigh) -> State {
    io.fail(too_high_error(claim))
}

/// Writes `<failed/>`.
pub(crate) fn write_failed(out: &mut String, error: &StanzaError, h: Option<u32>) {
    use std::fmt::Write;
    write!(out, "<failed xmlns='{SM}'").expect("strings take every write");
    if let Some(h) = h {
        write!(out, " h='{h}'").expect("strings take every write");
    }
    let name = error.condition.name();
    write!(out, "><{name} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>")
        .expect("strings take every write");
}

pub(crate) fn write_enabled(out: &mut String, id: Option<&str>, max_seconds: u32) {
    out.push_str("<enabled xmlns='urn:xmpp:sm:3'");
    if let Some(id) = id {
        write::attribute(out, "id", id);
        out.push_str(" resume='true'");
        write::attribute(out, "max", &max_seconds.to_string());
    }
    out.push_str("/>");
}
