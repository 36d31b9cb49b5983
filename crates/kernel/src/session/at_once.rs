//! The short way: a stanza that nothing has to be waited for is done with in one call, without a
//! future. That is nearly every message.

use waxwing_stanza::{Head, Kind};
use waxwing_stream::{Event, Stream, Tag};

use crate::decision::Decision;
use crate::mailbox::{Delivery, Mail, Mailbox};
use crate::session::pending::store;
use crate::session::{Pending, Session};
use crate::stage::Effects;

impl Session {
    /// Does what `event` asks for, or gives it back because that takes a wait.
    pub(super) fn at_once(&mut self, stream: &mut Stream, event: Event) -> Option<Event> {
        let Event::Stanza(seq, stanza) = event else { return Some(event) };
        let is_plain = matches!(stanza.head.kind, Kind::Message(_)) && !self.hub.is_traced();
        let Some(site) = self.site().filter(|_| is_plain) else {
            return Some(Event::Stanza(seq, stanza));
        };
        let (from, head) = (self.party(), stanza.head.clone());
        let mut effects = Effects::default();
        match self.hub.route_at_once(&site, &from, stanza, None, &mut effects) {
            Ok(()) => {
                self.pace.load.stanzas += 1;
                self.hub.metrics().stanza_in(head.kind);
                self.conclude(stream, (seq, head), effects);
                None
            }
            Err(stanza) => Some(Event::Stanza(seq, stanza)),
        }
    }

    /// A stanza was judged: it is done with now, or counts when its commit is decided.
    pub(super) fn conclude(
        &mut self,
        stream: &mut Stream,
        (seq, head): (u64, Head),
        mut effects: Effects,
    ) {
        let state = store(&self.hub, self.is_acknowledged, &mut effects);
        let Effects { mut deliveries, spooled, reads_spool, receipts, .. } = effects;
        let is_decided = matches!(state, Decision::Made(Ok(()))) && receipts.is_empty();
        if is_decided && self.pending.is_empty() && spooled.is_empty() {
            deliveries = self.hand_out(stream, deliveries);
            if deliveries.is_empty() {
                self.begin_reading(reads_spool);
                return stream.handled(self.hub.clock().now(), seq);
            }
            // What somebody did not take finds another way when this is settled.
        }
        let since = self.hub.clock().now();
        let pending =
            Pending { seq, since, state, receipts, head, deliveries, spooled, reads_spool };
        self.pending.push_back(pending);
    }

    /// Puts deliveries into mailboxes; those for this very session need no detour while its client
    /// keeps up. Gives back what a mailbox did not take.
    pub(super) fn hand_out(
        &mut self,
        stream: &mut Stream,
        deliveries: Vec<(Mailbox, Delivery)>,
    ) -> Vec<(Mailbox, Delivery)> {
        let mut others = Vec::new();
        for (mailbox, delivery) in deliveries {
            // What came by mail before must leave before.
            if mailbox.is(&self.mailbox) && self.drain(stream) {
                self.leave(stream, delivery);
            } else if mailbox.is(&self.mailbox) && delivery.tag != Tag(0) {
                self.backlog.push_back(delivery);
            } else if let Err(Mail::Deliver(delivery)) = mailbox.send(Mail::Deliver(delivery)) {
                others.push((mailbox, delivery));
            }
        }
        others
    }
}
