//! What only streams between servers have.

use std::sync::Arc;
use std::time::Instant;

use waxwing_stanza::Stanza;

use super::Stream;
use crate::chassis::Chassis;
use crate::event::{Closure, Tag};
use crate::host::{Entropy, Hosts, Security};
use crate::input::Framing;
use crate::role::Role;
use crate::role::client::State;
use crate::role::server::{Call, Dialback, Server, Unsent, Verdict};

impl Stream {
    /// A stream of another server on a transport that has just been accepted.
    pub fn incoming(
        now: Instant,
        framing: Framing,
        security: Security,
        hosts: Arc<dyn Hosts>,
        entropy: Entropy,
    ) -> Stream {
        let io = Chassis::new((framing, Role::Incoming), security, hosts, entropy);
        Self::begin(now, io, State::Server(Server::incoming()))
    }

    /// A stream to another server on a transport that has just been connected, and encrypted where
    /// it is a direct TLS or a WebSocket one. The header is in the outbox.
    pub fn outgoing(
        now: Instant,
        framing: Framing,
        security: Security,
        call: Call,
        hosts: Arc<dyn Hosts>,
        entropy: Entropy,
    ) -> Stream {
        let io = Chassis::new((framing, Role::Outgoing), security, hosts, entropy);
        let mut stream = Self::begin(now, io, State::Closed);
        stream.state = Server::outgoing(call).begin(&mut stream.io);
        stream
    }

    /// What came of [`crate::Event::Dialback`], which is given back as it came. What nobody waits
    /// for any more is ignored.
    pub fn verified(&mut self, now: Instant, asked: &Dialback, verdict: Verdict) {
        self.step(|state, io| match state {
            State::Server(state) => state.verified(io, now, asked, &verdict),
            state => state,
        });
    }

    /// Sends a stanza to another server, and keeps it until it is acknowledged where stream
    /// management is on; then its tag comes back in [`crate::Event::Confirmed`].
    ///
    /// # Errors
    /// When nothing was sent, nor kept: the pair of its domains is not proven, the stanza is larger
    /// than the peer takes, or the stream is closing.
    pub fn deliver(&mut self, now: Instant, stanza: &Stanza, tag: Tag) -> Result<(), Unsent> {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Server(state) => {
                let (state, sent) = state.deliver(&mut self.io, now, stanza, tag);
                self.state = state;
                sent
            }
            state => {
                self.state = state;
                Err(Unsent::Closed)
            }
        }
    }

    /// Whether [`Stream::deliver`] takes stanzas of `from` to `to`, two domains.
    pub fn may_send(&self, from: &str, to: &str) -> bool {
        matches!(&self.state, State::Server(state) if state.may_send(from, to))
    }

    /// Who the other server says it is, proven or not; of a stream that we have opened, whom we
    /// have called.
    pub fn peer(&self) -> Option<&Arc<str>> {
        self.io.server.as_ref()
    }

    /// Whether stanzas are counted (XEP-0198): what was sent is safe when it is confirmed, and not
    /// when it is written.
    pub fn is_managed(&self) -> bool {
        self.io.acks.is_some()
    }

    /// A server that does not accept our certificate may end the stream without another word; then
    /// the certificate is the reason.
    pub(super) fn ends_rejected(&mut self) -> bool {
        let State::Server(state) = &self.state else { return false };
        let Some(trouble) = state.rejected() else { return false };
        self.step(|_, io| {
            io.shut();
            io.end(Closure::Refused(trouble), 1000)
        });
        true
    }
}
