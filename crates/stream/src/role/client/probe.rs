//! Asking a silent client whether it is still there (RFC 6120 §4.6).

use std::time::Instant;

use waxwing_jid::Jid;
use waxwing_stanza::{IqType, Kind, Stanza};

use crate::chassis::Chassis;
use crate::event::Tag;
use crate::outbox::MarkKind;
use crate::role::client::management::request;
use crate::role::client::{Open, State};

const PING: &str = "<ping xmlns='urn:xmpp:ping'/>";

impl Open {
    /// A WebSocket Ping, which browsers answer by themselves while the page sleeps. On TCP `<r/>`
    /// where stream management is on, otherwise an XEP-0199 ping: whitespace would be answered by
    /// nobody.
    pub(crate) fn probe(mut self, io: &mut Chassis, now: Instant) -> State {
        if io.is_websocket() {
            io.mark(MarkKind::Ping);
            return State::Open(self);
        }
        if io.acks.is_some() {
            request(io);
            return State::Open(self);
        }
        let number = self.ping.map_or(1, |last| last.wrapping_add(1));
        self.ping = Some(number);
        let domain = Jid::new(self.address.domain()).expect("the domain of an address is one");
        let ping = Stanza::iq(IqType::Get).to(self.address.clone()).from(domain).id(id(number));
        self.send(io, now, &ping.with(PING), Tag(0))
    }

    /// Whether this is the reply to our ping; an error is as much a sign of life as a result.
    pub(crate) fn is_pong(&self, stanza: &Stanza) -> bool {
        let Some(number) = self.ping else { return false };
        matches!(stanza.head.kind, Kind::Iq(IqType::Result | IqType::Error))
            && stanza.head.id.as_deref() == Some(&id(number))
            && stanza.head.to.as_ref().is_none_or(|to| to.as_str() == self.address.domain())
    }
}

fn id(number: u32) -> String {
    format!("waxwing-ping-{number}")
}
