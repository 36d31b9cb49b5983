//! The server's side of a component's stream (XEP-0114 1.6, `jabber:component:accept`).

mod expect_handshake;
mod expect_header;
mod linked;

use std::time::Instant;

use waxwing_stanza::Stanza;
use waxwing_xml::Element;

use crate::COMPONENT;
use crate::chassis::Chassis;
use crate::error::StreamError;
use crate::event::Answer;
use crate::role::client::State;

use expect_handshake::ExpectHandshake;
use linked::Linked;

/// Where a component's stream stands.
#[derive(Default)]
pub(crate) enum Component {
    #[default]
    ExpectHeader,
    ExpectHandshake(ExpectHandshake),
    Linked(Linked),
}

impl Component {
    pub(crate) fn is_authenticated(&self) -> bool {
        matches!(self, Component::Linked(_))
    }

    pub(crate) fn header(self, io: &mut Chassis, header: &Element) -> State {
        match self {
            Component::ExpectHeader => expect_header::header(io, header),
            _ => io.fail(StreamError::bad_format().text("the stream is already open")),
        }
    }

    pub(crate) fn element(self, io: &mut Chassis, element: Element) -> State {
        match self {
            Component::ExpectHeader => io.fail(unexpected(&element)),
            Component::ExpectHandshake(state) => state.element(io, &element),
            Component::Linked(state) => state.element(io, element),
        }
    }

    pub(crate) fn answer(self: Box<Self>, io: &mut Chassis, now: Instant, answer: Answer) -> State {
        match *self {
            Component::ExpectHandshake(state) => state.answer(io, now, answer),
            _ => State::Component(self),
        }
    }

    /// Writes a stanza; before the handshake there is nobody to write to.
    pub(crate) fn send(self: Box<Self>, io: &mut Chassis, stanza: &Stanza) -> State {
        if self.is_authenticated() {
            io.write(|out| stanza.write(out, None));
        }
        State::Component(self)
    }

    pub(crate) fn probe(self: Box<Self>, io: &mut Chassis) -> State {
        match *self {
            Component::Linked(state) => state.probe(io),
            _ => State::Component(self),
        }
    }
}

impl From<Component> for State {
    fn from(state: Component) -> State {
        State::Component(Box::new(state))
    }
}

fn is_stanza(element: &Element) -> bool {
    element.namespace() == COMPONENT && matches!(element.name(), "message" | "presence" | "iq")
}

/// What an element that no state expects means.
fn unexpected(element: &Element) -> StreamError {
    match element.name() {
        _ if is_stanza(element) => StreamError::not_authorized(),
        "message" | "presence" | "iq" => StreamError::invalid_namespace(),
        _ => StreamError::unsupported_stanza_type(),
    }
}
