//! What waits although another server was not reached: messages that their senders were told are
//! safe, while nobody is there who could be told otherwise.
//!
//! Somebody who is there gets an error at once. But a machine that begins before its network does,
//! or a phone that sleeps, must not lose what was acknowledged: that is tried again when the rest
//! is over, for two days.

use std::time::{Duration, Instant};

use waxwing_store::domains::outgoing::Outgoing;
use waxwing_stream::{Pair, Tag};

use crate::clock::Ids;
use crate::hub::Hub;
use crate::links::link::Link;
use crate::mailbox::Delivery;
use crate::stage::{Effects, Party};

/// How long such a message is tried. RFC 5321 §4.5.4.1 gives mail four to five days; somebody who
/// talks wants to know sooner.
const PATIENCE: Duration = Duration::from_secs(2 * 24 * 3600);

impl Hub {
    /// Whether a message that another server did not get waits for the next try: its sender was
    /// told that it is safe, and is not there.
    pub(super) fn goes_on_waiting(&self, delivery: &Delivery) -> bool {
        let Some(from) = delivery.stanza.head.from.as_ref() else { return false };
        if delivery.tag == Tag(0) || self.site(from.domain()).is_none() {
            return false;
        }
        let is_there = |session: crate::directory::Resource| {
            session.mailbox.is_open() && !session.mailbox.is_asleep()
        };
        if self.directory().session(from).is_some_and(is_there) {
            return false;
        }
        let age = self.clock().wall_millis().saturating_sub(Ids::millis_of(delivery.tag.0));
        let is_young = u128::from(age) < PATIENCE.as_millis();
        if !is_young {
            let (sender, to) = (from.bare_str(), &delivery.stanza.head.to);
            let peer = to.as_ref().map_or("", |to| to.domain());
            tracing::warn!(sender, peer, "a message was tried for two days and is given up");
        }
        is_young
    }

    /// Calls again for a pair at a time, when nobody has until then.
    pub(super) fn call_later(&self, pair: Pair, at: Instant) {
        let hub = self.clone();
        self.clock().spawn(async move {
            hub.clock().until(Some(at)).await;
            let (mailbox, links) = (hub.link_mailbox(), hub.links());
            let room = (hub.limits().peers.links, hub.clock().now());
            let owed = {
                let mut pairs = links.pairs.lock();
                // Whoever began meanwhile has taken it along.
                if links.is_closing() || !pairs.owes(&pair) {
                    return;
                }
                pairs.begin(&pair, &mailbox, room).ok().flatten()
            };
            hub.start_link(pair, mailbox, (owed.map(|last| (0, last)), None));
        });
    }

    /// Hands over what was on its way to another server whose domain is served here by now.
    pub(super) async fn bring_home(&self, deliveries: Vec<Delivery>) {
        for Delivery { stanza, tag } in deliveries {
            let Some(from) = stanza.head.from.clone() else { continue };
            let mut effects = Effects::default();
            let is_acknowledged = tag != Tag(0);
            let party = Party { is_acknowledged, ..Party::new(from, None) };
            Box::pin(self.arrive(&party, stanza, &mut effects)).await;
            if is_acknowledged {
                // In one commit with the row that keeps it here.
                effects.append(Outgoing::remove(tag.0.cast_signed()));
            }
            Box::pin(self.perform(effects)).await;
        }
    }
}

impl Link {
    /// What another server did not get: it goes back to its senders, but for what waits; gives the
    /// last row of that.
    pub(super) async fn turn_back(
        &self,
        deliveries: Vec<Delivery>,
        (error, may_wait): (&waxwing_stanza::StanzaError, bool),
    ) -> Option<i64> {
        let hub = self.hub();
        if !hub.is_elsewhere(&self.pair().to) {
            hub.bring_home(deliveries).await;
            return None;
        }
        let (wait, back): (Vec<_>, Vec<_>) =
            deliveries.into_iter().partition(|it| may_wait && hub.goes_on_waiting(it));
        hub.bounce(back, error).await;
        wait.iter().map(|delivery| delivery.tag.0.cast_signed()).max()
    }
}
