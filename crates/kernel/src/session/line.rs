//! A session on its connection, and how it gets from one connection to the next.

use waxwing_stream::{Closure, Stream};

use crate::metrics::Connected;
use crate::session::connected::Ended;
use crate::session::{Alarm, Counted, Next, Session, Unacked};
use crate::wire::Wire;

/// A session and the connection of its client.
pub(super) struct Line {
    pub(super) session: Session,
    pub(super) stream: Box<Stream>,
    pub(super) wire: Box<dyn Wire>,
    pub(super) alarm: Alarm,
    /// Events since others had their turn.
    pub(super) events: u8,
    counted: Counted,
    _connected: Connected,
}

impl Line {
    pub(super) fn new(session: Session, stream: Box<Stream>, wire: Box<dyn Wire>) -> Self {
        let counted = Counted::new(&session.hub);
        Self::renew(session, counted, (stream, wire))
    }

    fn renew(
        session: Session,
        counted: Counted,
        (stream, mut wire): (Box<Stream>, Box<dyn Wire>),
    ) -> Self {
        session.show_live(true, wire.transport());
        wire.trust(session.hub.limits().stream.after_auth.element_bytes);
        let connected = session.hub.metrics().connected(wire.transport().name());
        let alarm = Alarm::default();
        Self { session, stream, wire, alarm, events: 0, counted, _connected: connected }
    }

    /// What becomes of a session whose connection has `ended`: the next connection of its client,
    /// or none, and the session is over.
    pub(super) async fn go_on(self, ended: Box<Ended>) -> Option<Self> {
        let Self { mut session, mut stream, wire, counted, _connected, .. } = self;
        drop(_connected);
        Box::pin(session.lose(&mut stream)).await;
        match session.next(*ended, stream, wire).await {
            Ok(next) => Some(Self::renew(session, counted, next)),
            Err(unacked) => {
                Box::pin(session.end(unacked)).await;
                drop(counted);
                None
            }
        }
    }
}

impl Session {
    /// Waits for the next connection, if there may be one.
    async fn next(&mut self, ended: Ended, mut stream: Box<Stream>, wire: Box<dyn Wire>) -> Next {
        let acks = stream.take_acks();
        // The goodbye makes nobody wait.
        crate::connection::part(&self.hub, stream, wire);
        match (ended, acks) {
            (Ended::Resumed(handover), acks) => self.resume(acks, *handover),
            (Ended::Closed(Closure::Lost), Some(acks)) if self.may_hibernate() => {
                Box::pin(self.hibernate(acks)).await
            }
            (_, Some(acks)) => Err(acks.into_unacked().collect()),
            (_, None) => Err(Unacked::new()),
        }
    }
}
