//! The connection of a component: one task that ends with its socket.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::Arc;

use waxwing_stanza::Stanza;
use waxwing_stream::{Closure, Event, Stream, StreamError, Tag};

use crate::component::{Component, Link, Occasion};
use crate::hub::Hub;
use crate::mailbox::{Delivery, Mail, Mailbox};
use crate::metrics::Attached;
use crate::rate::Pace;
use crate::session::{Alarm, Listen, Pending, Woke, expire};
use crate::stage::{Effects, Party};
use crate::wire::Wire;

/// Stanzas of one component before others get their turn.
const TURN: u8 = 16;

/// Stanzas that go back to their senders at a time.
const BOUNCE: usize = 64;

/// A component that is connected.
pub(crate) struct Attachment {
    hub: Hub,
    component: Arc<Component>,
    mailbox: Mailbox,
    pace: Pace,
    /// Its stanzas whose commit is under way.
    pending: VecDeque<Pending>,
    /// What is written and not with the operating system yet.
    written: Vec<Delivery>,
    _attached: Attached,
}

impl Attachment {
    /// Notes that the component of `domain` is connected.
    ///
    /// # Errors
    /// What its stream is told instead.
    pub(crate) fn new(hub: &Hub, domain: &str, peer: IpAddr) -> Result<Self, StreamError> {
        if hub.is_draining() {
            return Err(StreamError::system_shutdown());
        }
        let mailbox = Mailbox::new(hub.limits().mailbox_stanzas);
        let since_millis = hub.clock().wall_millis();
        let link = Link { mailbox: mailbox.clone(), peer, since_millis };
        let component = hub.components().link(domain, link)?;
        tracing::info!(%peer, domain, "component connected");
        let (pace, pending, written) = (Pace::default(), VecDeque::new(), Vec::new());
        let (hub, attached) = (hub.clone(), hub.metrics().component_attached());
        Ok(Self { hub, component, mailbox, pace, pending, written, _attached: attached })
    }

    /// Lives until the connection ends.
    pub(crate) async fn run(mut self, mut stream: Box<Stream>, mut wire: Box<dyn Wire>) {
        let mut alarm = Alarm::default();
        let _connected = self.hub.metrics().connected(wire.transport().name());
        wire.trust(self.hub.limits().stream.after_auth.element_bytes);
        Box::pin(self.hub.greet(&self.component, Occasion::Connected)).await;
        let closure = loop {
            if let Some(closure) = self.work(&mut stream).await {
                break closure;
            }
            self.pay();
            match poll_fn(|cx| self.listen(&mut stream, &mut *wire, &mut alarm).poll(cx)).await {
                Woke::Input => {}
                Woke::Flushed => {
                    stream.outbox().clear();
                    self.written = Vec::new();
                }
                Woke::Commit => self.settle_decided().await,
                Woke::Deadline => expire(&mut stream, self.hub.clock().now(), &self.pace),
                Woke::Mail(Mail::Deliver(delivery)) => self.write(&mut stream, delivery),
                Woke::Mail(Mail::Close(closing)) => stream.close(self.hub.clock().now(), closing),
                Woke::Mail(Mail::Resume(_)) => {}
            }
        };
        crate::connection::part(&self.hub, stream, wire);
        self.end(&closure).await;
    }

    /// Does what the stream asks for, until it asks for nothing more; gives its end.
    async fn work(&mut self, stream: &mut Stream) -> Option<Closure> {
        let mut turn = 0;
        while let Some(event) = stream.next_event() {
            match event {
                Event::Stanza(_, stanza) => self.on_stanza(stanza).await,
                Event::Closed(closure) => return Some(closure),
                // The rest belongs to clients, and to the time before the handshake.
                _ => {}
            }
            turn = (turn + 1) % TURN;
            if turn == 0 {
                tokio::task::yield_now().await;
            }
        }
        None
    }

    /// A component counts as an account, whose sessions send together.
    fn pay(&mut self) {
        let clock = (self.hub.clock(), self.hub.started());
        self.pace.pay(clock, &self.hub.limits().account_rate, None);
    }

    fn listen<'a>(
        &'a mut self,
        stream: &'a mut Stream,
        wire: &'a mut dyn Wire,
        alarm: &'a mut Alarm,
    ) -> Listen<'a> {
        let Self { hub, mailbox, pace, pending, .. } = self;
        let (outbox_bytes, pending_commits) = {
            let limits = hub.limits();
            (limits.outbox_bytes, limits.pending_commits)
        };
        // A component that does not read is not read either, and what waits for it is bounded by
        // its mailbox.
        let is_drained = stream.outbox().text.len() < outbox_bytes;
        let is_heavy = !pending.is_empty() && hub.db().lags();
        Listen {
            reads: is_drained && !is_heavy && pending.len() < pending_commits,
            deliveries: is_drained && stream.has_room(),
            stream,
            wire,
            alarm,
            clock: hub.clock(),
            mailbox: Some(mailbox),
            pending: pending.front_mut(),
            pace,
        }
    }

    /// One stanza of the component. Its `from` is an address of its domain.
    async fn on_stanza(&mut self, stanza: Stanza) {
        self.pace.load.stanzas += 1;
        self.hub.metrics().component_in(stanza.head.kind);
        let Some(from) = stanza.head.from.clone() else { return };
        let head = stanza.head.clone();
        let from = Party { mailbox: Some(self.mailbox.clone()), ..Party::new(from, None) };
        let mut effects = Effects::default();
        Box::pin(self.hub.arrive(&from, stanza, &mut effects)).await;
        self.pending.push_back(Pending::of(&self.hub, head, effects));
        self.settle_decided().await;
    }

    /// Delivers what is durable, in order.
    async fn settle_decided(&mut self) {
        while self.pending.front().is_some_and(Pending::is_decided) {
            let Some(pending) = self.pending.pop_front() else { return };
            self.conclude(pending).await;
        }
    }

    async fn conclude(&self, pending: Pending) {
        if let Some(refusal) = pending.conclude(&self.hub).await {
            self.hub.hand_over(vec![(self.mailbox.clone(), Delivery::new(refusal))]).await;
        }
    }

    /// Writes a delivery, and what else lies in the mailbox, so that it leaves in one write.
    fn write(&mut self, stream: &mut Stream, delivery: Delivery) {
        let room = self.hub.limits().outbox_bytes;
        let mut next = Some(delivery);
        while let Some(delivery) = next {
            self.hub.metrics().component_out(delivery.stanza.head.kind);
            stream.send(self.hub.clock().now(), &delivery.stanza, Tag(0));
            self.written.push(delivery);
            let is_drained = stream.outbox().text.len() < room;
            next = is_drained.then(|| self.mailbox.try_next_delivery()).flatten();
        }
    }

    /// What was under way is finished, and what was not written goes back.
    async fn end(mut self, closure: &Closure) {
        let domain = self.component.domain().to_owned();
        if let Closure::Error(error) = closure {
            self.hub.metrics().stream_error(error.condition.name());
        }
        tracing::info!(domain, ?closure, "component gone");
        self.hub.components().unlink(&domain, &self.mailbox);
        for mut pending in std::mem::take(&mut self.pending) {
            pending.decide().await;
            self.conclude(pending).await;
        }
        let letters = self.mailbox.close().into_iter().filter_map(|letter| match letter {
            Mail::Deliver(delivery) => Some(delivery),
            Mail::Resume(_) | Mail::Close(_) => None,
        });
        let mut letters: VecDeque<Delivery> = self.written.drain(..).chain(letters).collect();
        while !letters.is_empty() {
            let some = letters.drain(..letters.len().min(BOUNCE)).collect();
            self.hub.redeliver(some, &self.mailbox).await;
            // Whoever wrote most of it needs time to take it back.
            tokio::task::yield_now().await;
        }
    }
}

/// One that ends by a panic must make room for the next.
impl Drop for Attachment {
    fn drop(&mut self) {
        self.hub.components().unlink(self.component.domain(), &self.mailbox);
        self.mailbox.close();
    }
}
