//! What leaves on a stream between two servers, and what is known to have arrived.

use std::collections::VecDeque;

use waxwing_stanza::StanzaError;
use waxwing_store::domains::outgoing::Outgoing;
use waxwing_stream::{Tag, Unsent};

use crate::links::lane::{Lane, Track};
use crate::mailbox::Delivery;

impl Lane {
    /// Sends what waits, for as long as the other side takes it.
    pub(super) fn drain(&mut self) {
        while self.has_room()
            && let Some(delivery) = self.backlog.pop_front()
        {
            self.send(delivery);
        }
        if self.backlog.is_empty() {
            self.backlog = VecDeque::new();
        }
    }

    pub(super) fn has_room(&mut self) -> bool {
        let room = self.hub.limits().outbox_bytes;
        self.stream.outbox().text.len() < room && self.stream.has_room()
    }

    /// Sends a delivery, and what else lies in the mailbox, so that it leaves in one write.
    pub(super) fn write(&mut self, delivery: Delivery) {
        let mut next = Some(delivery);
        while let Some(delivery) = next {
            self.send(delivery);
            next = self.has_room().then(|| self.mailbox.try_next_delivery()).flatten();
        }
    }

    fn send(&mut self, delivery: Delivery) {
        let now = self.hub.clock().now();
        self.used = now;
        match self.stream.deliver(now, &delivery.stanza, delivery.tag) {
            Ok(()) => {
                self.sent(&delivery);
                if !self.stream.is_managed() {
                    self.written.push(delivery);
                }
            }
            Err(Unsent::TooLarge { max_bytes }) => {
                let error = too_large(self.peer(), max_bytes);
                self.refused.push((delivery, error));
            }
            // It goes out on the next stream.
            Err(Unsent::NotProven | Unsent::Closed) => self.unsent.push_back(delivery),
        }
    }

    fn sent(&self, delivery: &Delivery) {
        let head = &delivery.stanza.head;
        if let (Some(from), Some(to)) = (&head.from, &head.to) {
            let is_it =
                |it: &&Track| &*it.pair.from == from.domain() && &*it.pair.to == to.domain();
            if let Some(track) = self.tracks.iter().find(is_it).or(self.tracks.first()) {
                track.way.sent(head.kind);
            }
        }
    }

    /// Everything written is with the operating system: where nobody acknowledges, that is all
    /// there will ever be to know.
    pub(super) fn flushed(&mut self) {
        if !self.written.is_empty() {
            self.has_progress = true;
            let written = std::mem::take(&mut self.written);
            self.confirm(written.iter().map(|delivery| delivery.tag));
        }
    }

    /// Forgets what the other server has. Nobody waits for it: a row that survives a crash is sent
    /// twice, never lost.
    pub(super) fn confirm(&mut self, tags: impl Iterator<Item = Tag>) {
        let rows =
            tags.filter(|tag| *tag != Tag(0)).map(|tag| Outgoing::remove(tag.0.cast_signed()));
        self.hub.write_aside(rows.collect());
    }
}

/// XEP-0478: the other server has said how large a stanza may be.
fn too_large(peer: &str, max_bytes: u64) -> StanzaError {
    let text =
        format!("{peer} takes stanzas of at most {max_bytes} bytes, and this one is larger.");
    StanzaError::policy_violation().text(text)
}
