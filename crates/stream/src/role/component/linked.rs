//! The stream of a component that is in: stanzas both ways.

use std::time::Instant;

use waxwing_jid::Jid;
use waxwing_stanza::{IqType, Kind, Malformed, Stanza, StanzaError};
use waxwing_xml::Element;

use crate::CLIENT;
use crate::chassis::Chassis;
use crate::error::StreamError;
use crate::event::Event;
use crate::host;
use crate::role::client::State;
use crate::role::component::{Component, is_stanza, unexpected};

const PING: &str = "<ping xmlns='urn:xmpp:ping'/>";

/// The state after the handshake.
pub(crate) struct Linked {
    component: host::Component,
    /// Stanzas so far.
    received: u64,
    /// Number of our last ping that has had no reply.
    ping: Option<u32>,
}

impl Linked {
    pub(super) fn start(io: &mut Chassis, now: Instant, component: host::Component) -> State {
        let mut dice = [0];
        (io.entropy)(&mut dice);
        io.timers.watch(now, io.hosts.limits(), dice[0]);
        io.enlarge();
        // §3: "the receiving application … MUST return an empty <handshake/> element."
        io.write(|out| out.push_str("<handshake/>"));
        Component::Linked(Linked { component, received: 0, ping: None }).into()
    }

    pub(super) fn element(mut self, io: &mut Chassis, element: Element) -> State {
        if !is_stanza(&element) {
            return io.fail(unexpected(&element));
        }
        self.received += 1;
        // "The domain identifier portion of the JID contained in the 'from' attribute MUST match
        // the hostname of the component."
        if !self.is_from_here(&element) {
            return io.fail(StreamError::invalid_from());
        }
        match Stanza::read(element.in_content(CLIENT)) {
            Ok(stanza) if self.is_pong(&stanza) => self.ping = None,
            Ok(stanza) => self.accept(io, stanza),
            Err(Malformed::Stanza(report)) => self.complain(io, report.0, &report.1),
            Err(Malformed::UnknownElement | Malformed::Ignore) => {}
        }
        Component::Linked(self).into()
    }

    fn is_from_here(&self, element: &Element) -> bool {
        let from = element.attribute("from").map(|from| Jid::new(&from));
        from.is_none_or(|from| from.is_ok_and(|from| from.domain() == &*self.component.domain))
    }

    fn accept(&self, io: &mut Chassis, mut stanza: Stanza) {
        self.stamp(&mut stanza);
        // "All stanzas sent to the server MUST possess a 'from' attribute and a 'to' attribute".
        if stanza.head.to.is_none() {
            let error = StanzaError::bad_request().text("a component has to say whom it writes to");
            return self.complain(io, stanza, &error);
        }
        io.events.push_back(Event::Stanza(self.received, stanza));
    }

    /// COMPAT(slixmpp, 2030): its plugins leave `from` out where the component itself speaks.
    fn stamp(&self, stanza: &mut Stanza) {
        if stanza.head.from.is_none() {
            stanza.head.from = Jid::new(&self.component.domain).ok();
        }
    }

    fn complain(&self, io: &mut Chassis, mut stanza: Stanza, error: &StanzaError) {
        self.stamp(&mut stanza);
        if let Some(reply) = stanza.error_reply(error) {
            io.write(|out| reply.write(out, None));
        }
    }

    /// Asks a silent component whether it is still there (XEP-0199).
    pub(super) fn probe(mut self, io: &mut Chassis) -> State {
        let number = self.ping.map_or(1, |last| last.wrapping_add(1));
        self.ping = Some(number);
        let address = |domain| Jid::new(domain).expect("a served domain is an address");
        let ping = Stanza::iq(IqType::Get).id(id(number)).from(address(&self.component.server));
        let ping = ping.to(address(&self.component.domain)).with(PING);
        io.write(|out| ping.write(out, None));
        Component::Linked(self).into()
    }

    /// Whether this is the reply to our ping; an error is as much a sign of life as a result.
    fn is_pong(&self, stanza: &Stanza) -> bool {
        let Some(number) = self.ping else { return false };
        matches!(stanza.head.kind, Kind::Iq(IqType::Result | IqType::Error))
            && stanza.head.id.as_deref() == Some(&id(number))
            && stanza.head.to.as_ref().is_none_or(|to| to.as_str() == &*self.component.server)
    }
}

fn id(number: u32) -> String {
    format!("waxwing-ping-{number}")
}
