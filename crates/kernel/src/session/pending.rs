//! What a stanza leaves in the store, and what waits behind it.

use std::future::poll_fn;
use std::sync::Arc;

use waxwing_stanza::{Head, Stanza};
use waxwing_store::StoreError;

use crate::decision::Decision;
use crate::hub::Hub;
use crate::request::unstored;
use crate::session::Pending;
use crate::stage::Effects;

impl Pending {
    /// Gives the store what a stanza with this head leaves there. Its sender is owed nothing.
    pub(crate) fn of(hub: &Hub, head: Head, effects: Effects) -> Self {
        Self::owed(hub, (0, head), false, effects)
    }

    /// The same for a stanza with this number, whose sender may be owed that it is durable.
    pub(crate) fn owed(
        hub: &Hub,
        (seq, head): (u64, Head),
        is_owed: bool,
        mut effects: Effects,
    ) -> Self {
        let state = store(hub, is_owed, &mut effects);
        let since = hub.clock().now();
        let Effects { deliveries, spooled, receipts, .. } = effects;
        Self { seq, since, state, receipts, head, deliveries, spooled, reads_spool: false }
    }

    /// The stanza's number on its stream.
    pub(crate) fn seq(&self) -> u64 {
        self.seq
    }

    /// Whether it is known whether the stanza is durable.
    pub(crate) fn is_decided(&self) -> bool {
        self.receipts.is_empty() && self.state.is_made()
    }

    /// Waits until it is known.
    pub(crate) async fn decide(&mut self) {
        poll_fn(|cx| self.poll_decided(cx)).await;
    }

    /// Delivers what waited for the decision. Gives what the sender hears when the stanza could not
    /// be stored.
    pub(crate) async fn conclude(self, hub: &Hub) -> Option<Stanza> {
        let Decision::Made(outcome) = self.state else { return None };
        hub.metrics().committed(hub.clock().now() - self.since);
        match outcome {
            Ok(()) => {
                hub.hand_over(self.deliveries).await;
                hub.look_again(self.spooled).await;
                None
            }
            Err(error) => {
                hub.abandon(&self.deliveries, &self.spooled).await;
                refusal(self.head, &error)
            }
        }
    }
}

/// Gives the store what a stanza leaves there, in one batch. Archives alone are not waited for when
/// we owe the sender nothing.
pub(super) fn store(hub: &Hub, is_owed: bool, effects: &mut Effects) -> Decision {
    hub.write_aside(std::mem::take(&mut effects.asides));
    let mut rows = std::mem::take(&mut effects.appends);
    let is_archive_alone = rows.is_empty();
    rows.append(&mut effects.records);
    let decision = Decision::of(hub.db(), rows, !is_archive_alone || is_owed);
    effects.tickets.clear();
    decision
}

/// What the sender of a stanza with this head hears when it could not be stored. An error carries
/// nothing of the stanza's content, so that content was not kept.
pub(super) fn refusal(head: Head, error: &StoreError) -> Option<Stanza> {
    Stanza { head, body: Arc::default() }.error_reply(&unstored(error))
}
