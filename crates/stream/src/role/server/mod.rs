//! Streams between servers, as both ends: RFC 6120, SASL EXTERNAL (XEP-0178 1.2), Server Dialback
//! (XEP-0220 1.1.1), both directions on one stream (XEP-0288 1.0.1), limits (XEP-0478 0.2.0), and
//! over WebSockets (XEP-0468 0.1.0).
//!
//! ```text
//!  incoming:  Header -> Open -> Upgrading -> Header -> Vouch -> Open -> Header -> Open
//!  outgoing:  Header -> Features -> Proceed -> Upgrading -> Header -> Features -> Success
//!             -> Header -> Features -> Open;  or  … Features -> Result -> Open;  or  … Verify
//! ```
//!
//! A stanza is taken when its two domains are a pair that is proven on this very stream.

mod call;
mod features;
mod incoming;
mod key;
mod link;
mod management;
mod outgoing;
mod pair;
mod receiving;
mod trouble;

use std::sync::Arc;
use std::time::Instant;

use waxwing_stanza::Stanza;
use waxwing_xml::Element;

use crate::chassis::Chassis;
use crate::error::StreamError;
use crate::event::{Answer, Closure, Tag};
use crate::framing::websocket;
use crate::role::client::State;

pub use call::{Border, Call, Demand, Purpose};
use incoming::Incoming;
pub use key::dialback_key;
use link::Link;
use outgoing::Outgoing;
pub use pair::{By, Dialback, Linked, Pair, Unsent, Verdict, Way};
pub use trouble::Trouble;

/// A stream between servers.
pub(crate) enum Server {
    Incoming(Incoming),
    Outgoing(Outgoing),
}

/// How a step ends a stream.
#[derive(Debug)]
enum End {
    /// With an error of ours.
    Error(StreamError),
    /// Because of the peer, which is told no error.
    Refused(Box<Trouble>),
    /// With nothing but the closing tag.
    Closed,
}

type Step = Result<(), End>;

impl From<StreamError> for End {
    fn from(error: StreamError) -> Self {
        End::Error(error)
    }
}

impl From<Trouble> for End {
    fn from(trouble: Trouble) -> Self {
        End::Refused(Box::new(trouble))
    }
}

impl Server {
    pub(crate) fn incoming() -> Box<Server> {
        Box::new(Server::Incoming(Incoming::default()))
    }

    pub(crate) fn outgoing(call: Call) -> Box<Server> {
        Box::new(Server::Outgoing(Outgoing::new(call)))
    }

    /// The first thing that is said on a stream that we open.
    pub(crate) fn begin(self: Box<Self>, io: &mut Chassis) -> State {
        self.run(io, |server, io| match server {
            Server::Incoming(_) => Ok(()),
            Server::Outgoing(outgoing) => {
                io.server = Some(Arc::clone(&outgoing.call.pair.to));
                outgoing.begin(io)
            }
        })
    }

    pub(crate) fn header(self: Box<Self>, io: &mut Chassis, now: Instant, it: &Element) -> State {
        self.run(io, |server, io| match server {
            _ if !server.expects_header() => {
                Err(StreamError::bad_format().text("the stream is already open").into())
            }
            Server::Incoming(incoming) => incoming.header(io, now, it),
            Server::Outgoing(outgoing) => outgoing.header(io, now, it),
        })
    }

    pub(crate) fn element(self: Box<Self>, io: &mut Chassis, now: Instant, it: Element) -> State {
        self.run(io, |server, io| match server {
            _ if server.expects_header() => Err(websocket::not_an_opening(&it, io.role).into()),
            Server::Incoming(incoming) => incoming.element(io, now, it),
            Server::Outgoing(outgoing) => outgoing.element(io, now, it),
        })
    }

    /// The peer's stream error (RFC 6120 §4.9.1.1). Nothing is said to it but goodbye.
    pub(crate) fn told(self: Box<Self>, io: &mut Chassis, error: &Element) -> State {
        let trouble = match self.rejected() {
            Some(trouble) => trouble,
            None => Trouble::Told(StreamError::read(error)),
        };
        self.run(io, |_, _| Err(trouble.into()))
    }

    pub(crate) fn answer(self: Box<Self>, io: &mut Chassis, answer: Answer) -> State {
        self.run(io, |server, io| match server {
            Server::Incoming(incoming) => incoming.answer(io, answer),
            Server::Outgoing(_) => Ok(()),
        })
    }

    pub(crate) fn secured(self: Box<Self>, io: &mut Chassis) -> State {
        self.run(io, |server, io| match server {
            Server::Incoming(incoming) => {
                incoming.secured(io);
                Ok(())
            }
            Server::Outgoing(outgoing) => outgoing.secured(io),
        })
    }

    pub(crate) fn verified(
        self: Box<Self>,
        io: &mut Chassis,
        now: Instant,
        asked: &Dialback,
        verdict: &Verdict,
    ) -> State {
        self.run(io, |server, io| match server {
            Server::Incoming(incoming) => incoming.verified(io, now, asked, verdict),
            Server::Outgoing(_) => Ok(()),
        })
    }

    /// Sends a stanza. Whoever fills the queue of what is unacknowledged ends the stream, and gets
    /// everything back.
    pub(crate) fn deliver(
        self: Box<Self>,
        io: &mut Chassis,
        now: Instant,
        stanza: &Stanza,
        tag: Tag,
    ) -> (State, Result<(), Unsent>) {
        match self.link().deliver(io, now, stanza, tag) {
            Ok(true) => {
                let text = "too many unacknowledged stanzas";
                (io.fail(StreamError::resource_constraint().text(text)), Ok(()))
            }
            Ok(false) => (State::Server(self), Ok(())),
            Err(unsent) => (State::Server(self), Err(unsent)),
        }
    }

    pub(crate) fn probe(self: Box<Self>, io: &mut Chassis, now: Instant) -> State {
        management::probe(io, now);
        State::Server(self)
    }

    pub(crate) fn is_upgrading(&self) -> bool {
        match self {
            Server::Incoming(incoming) => incoming.is_upgrading(),
            Server::Outgoing(outgoing) => outgoing.is_upgrading(),
        }
    }

    pub(crate) fn expects_header(&self) -> bool {
        match self {
            Server::Incoming(incoming) => incoming.expects_header(),
            Server::Outgoing(outgoing) => outgoing.expects_header(),
        }
    }

    pub(crate) fn is_authenticated(&self) -> bool {
        self.link().is_proven()
    }

    pub(crate) fn may_send(&self, from: &str, to: &str) -> bool {
        self.link().has(Way::Out, from, to)
    }

    /// The peer did not accept our certificate, and has ended the stream before dialback could
    /// make up for it.
    pub(crate) fn rejected(&self) -> Option<Trouble> {
        match self {
            Server::Outgoing(outgoing) if !outgoing.link.is_proven() => {
                outgoing.rejected.clone().map(Trouble::CertificateRefused)
            }
            _ => None,
        }
    }

    fn link(&self) -> &Link {
        match self {
            Server::Incoming(incoming) => &incoming.link,
            Server::Outgoing(outgoing) => &outgoing.link,
        }
    }

    fn run(
        mut self: Box<Self>,
        io: &mut Chassis,
        step: impl FnOnce(&mut Server, &mut Chassis) -> Step,
    ) -> State {
        match step(&mut self, io) {
            Ok(()) => State::Server(self),
            Err(End::Error(error)) => io.fail(error),
            Err(End::Refused(trouble)) => {
                io.over = true;
                io.shut();
                io.end(Closure::Refused(*trouble), 1000)
            }
            Err(End::Closed) => io.finish(),
        }
    }
}
