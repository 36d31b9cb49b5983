//! What a stanza leaves in the store, and what waits behind it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use waxwing_stanza::{Head, Stanza};
use waxwing_store::StoreError;

use crate::hub::Hub;
use crate::request::unstored;
use crate::session::{Decision, Pending};
use crate::stage::Effects;

impl Pending {
    /// Gives the store what a stanza with this head leaves there. Its sender is owed nothing.
    pub(crate) fn of(hub: &Hub, head: Head, mut effects: Effects) -> Self {
        let state = store(hub, false, &mut effects);
        let since = hub.clock().now();
        let Effects { deliveries, spooled, receipts, .. } = effects;
        Self { seq: 0, since, state, receipts, head, deliveries, spooled, reads_spool: false }
    }

    /// Whether it is known whether the stanza is durable.
    pub(crate) fn is_decided(&self) -> bool {
        self.receipts.is_empty() && matches!(self.state, Decision::Made(_))
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
/// we owe the sender nothing, unless the store falls behind: nobody writes faster than it.
pub(super) fn store(hub: &Hub, is_owed: bool, effects: &mut Effects) -> Decision {
    hub.write_aside(std::mem::take(&mut effects.asides));
    let mut rows = std::mem::take(&mut effects.appends);
    let is_archive_alone = rows.is_empty();
    rows.append(&mut effects.records);
    if rows.is_empty() {
        return Decision::Made(Ok(()));
    }
    let is_awaited = !is_archive_alone || is_owed || hub.db().lags();
    let mut commit = hub.db().submit(rows);
    effects.tickets.clear();
    if is_awaited {
        return Decision::Waits(commit);
    }
    // What the store did not even take is known at once.
    match Pin::new(&mut commit).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => Decision::Made(outcome),
        Poll::Pending => Decision::Made(Ok(())),
    }
}

/// What the sender of a stanza with this head hears when it could not be stored. An error carries
/// nothing of the stanza's content, so that content was not kept.
pub(super) fn refusal(head: Head, error: &StoreError) -> Option<Stanza> {
    Stanza { head, body: Arc::default() }.error_reply(&unstored(error))
}
