//! The server's side of a client's stream (RFC 6120).

mod expect_bind;
mod expect_header;
mod expect_sasl;
mod expect_tls;
pub(crate) mod management;
mod open;
mod probe;
mod request;
pub(crate) mod tasks;
mod welcome;

use std::sync::Arc;
use std::time::Instant;

use waxwing_stanza::StanzaError;
use waxwing_xml::Element;

use crate::chassis::Chassis;
use crate::error::StreamError;
use crate::event::Answer;
use crate::host::Host;
use crate::role::component::Component;
use crate::role::server::Server;
use crate::{CLIENT, SM, STREAM};

pub(crate) use expect_bind::ExpectBind;
pub(crate) use expect_header::ExpectHeader;
pub(crate) use expect_sasl::ExpectSasl;
pub(crate) use expect_tls::ExpectTls;
use management::write_failed;
pub(crate) use open::{Open, keep};
pub(crate) use tasks::Tasks;
pub(crate) use welcome::Welcome;

/// Where a client's stream stands.
pub(crate) enum State {
    ExpectHeader(Box<ExpectHeader>),
    ExpectTls(Box<ExpectTls>),
    /// `<proceed/>` is out and the TLS handshake runs below us. Whatever was sent in the clear
    /// behind `<starttls/>` is dropped: nobody knows who wrote it.
    Upgrading(Box<ExpectTls>),
    ExpectSasl(Box<ExpectSasl>),
    Tasks(Box<Tasks>),
    Welcome(Box<Welcome>),
    ExpectBind(Box<ExpectBind>),
    Open(Open),
    /// The other end is no client; its states are elsewhere.
    Component(Box<Component>),
    /// The other end is a server.
    Server(Box<Server>),
    Closed,
}

impl State {
    pub(crate) fn is_authenticated(&self) -> bool {
        match self {
            State::ExpectHeader(state) => state.account.is_some(),
            State::Welcome(_) | State::ExpectBind(_) | State::Open(_) => true,
            State::Component(state) => state.is_authenticated(),
            State::Server(state) => state.is_authenticated(),
            _ => false,
        }
    }

    pub(crate) fn header(self, io: &mut Chassis, now: Instant, header: &Element) -> State {
        match self {
            State::ExpectHeader(state) => state.header(io, header),
            State::Component(state) => state.header(io, header),
            State::Server(state) => state.header(io, now, header),
            // RFC 7395 §3.4: one stream per WebSocket, and no restart is due.
            _ => io.fail(StreamError::bad_format().text("the stream is already open")),
        }
    }

    pub(crate) fn element(self, io: &mut Chassis, now: Instant, element: Element) -> State {
        if element.is("error", STREAM) {
            // RFC 6120 §4.9.1.1: a stream error is fatal, also when the peer sends it.
            return match self {
                State::Server(state) => state.told(io, &element),
                _ => io.finish(),
            };
        }
        match self {
            State::ExpectHeader(_) => {
                let error = crate::framing::websocket::not_an_opening(&element, io.role);
                io.fail(error)
            }
            State::ExpectTls(state) => state.element(io, &element),
            State::ExpectSasl(state) => state.element(io, now, element),
            State::Tasks(state) => state.element(io, &element),
            State::Welcome(state) => state.element(io, &element),
            State::ExpectBind(state) => state.element(io, element),
            State::Open(state) => state.element(io, now, element),
            State::Component(state) => state.element(io, element),
            State::Server(state) => state.element(io, now, element),
            State::Upgrading(_) | State::Closed => self,
        }
    }

    pub(crate) fn answer(self, io: &mut Chassis, now: Instant, answer: Answer) -> State {
        match self {
            State::ExpectSasl(state) => state.answer(io, answer),
            State::Tasks(state) => state.answer(io, answer),
            State::Welcome(state) => state.answer(io, now, answer),
            State::ExpectBind(state) => state.answer(io, now, answer),
            State::Open(state) => state.answer(io, answer),
            State::Component(state) => state.answer(io, now, answer),
            State::Server(state) => state.answer(io, answer),
            state => state,
        }
    }

    /// Whether the peer's header comes next.
    pub(crate) fn expects_header(&self) -> bool {
        match self {
            State::ExpectHeader(_) => true,
            State::Server(state) => state.expects_header(),
            _ => false,
        }
    }

    /// Whether the TLS handshake runs below us.
    pub(crate) fn is_upgrading(&self) -> bool {
        match self {
            State::Upgrading(_) => true,
            State::Server(state) => state.is_upgrading(),
            _ => false,
        }
    }
}

fn is_stanza(element: &Element) -> bool {
    element.namespace() == CLIENT && matches!(element.name(), "message" | "presence" | "iq")
}

/// What an element that this state does not expect means.
fn unexpected(element: &Element) -> StreamError {
    match element.name() {
        _ if is_stanza(element) => StreamError::not_authorized(),
        "message" | "presence" | "iq" => StreamError::invalid_namespace(),
        _ => StreamError::unsupported_stanza_type(),
    }
}

/// Elements of XEP-0198 out of order: "The server SHALL enforce this order and return a
/// <failed/> element" (§3).
fn refuse_management(io: &mut Chassis, element: &Element) -> bool {
    let ours =
        element.namespace() == SM && matches!(element.name(), "enable" | "resume" | "r" | "a");
    if ours {
        management_failed(io, &StanzaError::unexpected_request(), None);
    }
    ours
}

/// Says `<failed/>`.
fn management_failed(io: &mut Chassis, error: &StanzaError, h: Option<u32>) {
    io.write(|out| write_failed(out, error, h));
}

fn host(io: &Chassis) -> Arc<Host> {
    io.host.clone().expect("a header with an unknown host ends the stream")
}
