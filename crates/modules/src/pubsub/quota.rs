//! How many bytes one person may have stored: what limits of nodes, items and payloads come to
//! together would fill a disk.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use waxwing_jid::BareJid;
use waxwing_stanza::{ErrorKind, StanzaError};
use waxwing_store::domains::pubsub::{Nodes, Past};

use super::configure::kept;
use super::errors::unstored;
use super::node::{Item, State};
use super::{Errand, Pubsub};

/// Bytes that an item counts besides its payload. The store counts likewise.
const ITEM_BYTES: i64 = Nodes::ITEM_BYTES;
/// Bytes that somebody publishes before it is looked how much is there: few publish as much.
const UNSEEN: i64 = 1024 * 1024;
/// Remembered items that make room at a time.
const PAGE: u32 = 500;
/// How long it is not looked again, when there was no room.
const PATIENCE: Duration = Duration::from_secs(5);
/// People of whom it is remembered how much they have stored; beyond it, all are forgotten.
const PEOPLE: usize = 10_000;

/// How much people have stored at most, by whose nodes they are and who made them.
#[derive(Default)]
pub(super) struct Stored(Mutex<HashMap<(BareJid, BareJid), Amount>>);

#[derive(Clone, Copy)]
struct Amount {
    /// What is there is not more.
    bytes: i64,
    /// There was no room, and until then there is none.
    full: Option<Instant>,
}

impl Stored {
    /// Counts `more` if that is no more than `most` then. `unseen` is what is assumed of people of
    /// whom nothing is known.
    fn takes(&self, key: &(BareJid, BareJid), more: i64, (most, unseen): (i64, i64)) -> bool {
        let mut all = self.0.lock();
        if all.len() >= PEOPLE && !all.contains_key(key) {
            all.clear();
        }
        let amount = all.entry(key.clone()).or_insert(Amount { bytes: unseen, full: None });
        let fits = amount.bytes + more <= most;
        if fits {
            amount.bytes += more;
        }
        fits
    }

    fn is_full(&self, key: &(BareJid, BareJid), now: Instant) -> bool {
        self.0.lock().get(key).and_then(|amount| amount.full).is_some_and(|until| until > now)
    }

    fn note(&self, key: &(BareJid, BareJid), amount: Amount) {
        self.0.lock().insert(key.clone(), amount);
    }

    /// Something was removed: it is worth looking again.
    pub(super) fn look_again(&self, owner: &BareJid, creator: &BareJid) {
        if let Some(amount) = self.0.lock().get_mut(&(owner.clone(), creator.clone())) {
            amount.full = None;
        }
    }
}

impl Pubsub {
    /// Whether there is room for items of a node, for whoever made it. Others who publish there may
    /// fill half of it, so that nobody's nodes are closed to themselves by what others write there.
    ///
    /// # Errors
    /// `resource-constraint` when there is no room.
    pub(super) async fn find_bytes(
        &self,
        on: &Errand,
        state: &State,
        items: &[Arc<Item>],
    ) -> Result<(), StanzaError> {
        if kept(&state.config, self.bounds()) == 0 {
            return Ok(());
        }
        let is_ruler = on.asker == self.service || on.site.is_admin(&on.asker);
        if !on.realm.is_account() && is_ruler {
            return Ok(());
        }
        let all = i64::try_from(self.config.stored.0).unwrap_or(i64::MAX);
        let is_own = on.asker == state.creator;
        let most = if is_own { all } else { all / 2 };
        let unseen = all - UNSEEN.min(all / 4);
        let more = items.iter().map(|item| item.payload.len() as i64 + ITEM_BYTES).sum();
        let key = (on.realm.jid.clone(), state.creator.clone());
        let stored = &self.cache.stored;
        if stored.takes(&key, more, (most, unseen)) {
            return Ok(());
        }
        let now = on.hub.clock().now();
        if !stored.is_full(&key, now) {
            let bytes = loop {
                let bytes = self.bytes_now(&key).await?;
                stored.note(&key, Amount { bytes, full: None });
                if stored.takes(&key, more, (most, unseen)) {
                    return Ok(());
                }
                if more > most || !self.forget_some(&key, (state, is_own)).await? {
                    break bytes;
                }
            };
            stored.note(&key, Amount { bytes, full: Some(now + PATIENCE) });
        }
        let text = match is_own {
            true => format!("Your nodes may keep {} together.", self.config.stored),
            false => "The owner of this node has no room for it.".to_owned(),
        };
        Err(StanzaError::resource_constraint().kind(ErrorKind::Wait).text(text))
    }

    async fn bytes_now(&self, (owner, creator): &(BareJid, BareJid)) -> Result<i64, StanzaError> {
        let rows = Nodes::new(self.hub.db().clone());
        rows.bytes_by(owner.as_str(), creator.as_str()).await.map_err(unstored)
    }

    /// What is only remembered makes room; for others, at the node that they publish at. Whether
    /// there was any.
    async fn forget_some(
        &self,
        (owner, creator): &(BareJid, BareJid),
        (state, is_own): (&State, bool),
    ) -> Result<bool, StanzaError> {
        let past = Past::new(self.hub.db().clone());
        let forgotten = match is_own {
            true => past.drop_oldest_by(owner.as_str(), creator.as_str(), PAGE).await,
            false => past.drop_oldest(state.id, PAGE).await,
        };
        forgotten.map(|count| count > 0).map_err(unstored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_counted_and_what_does_not_is_not() {
        let stored = Stored::default();
        let jid = |text: &str| BareJid::new(text).unwrap();
        let key = (jid("pubsub.localhost"), jid("romeo@localhost"));
        assert!(stored.takes(&key, 6, (10, 3)), "3 are assumed");
        assert!(!stored.takes(&key, 2, (10, 3)) && stored.takes(&key, 1, (10, 3)));
        assert!(!stored.takes(&key, 1, (10, 3)));
        stored.note(&key, Amount { bytes: 4, full: None });
        assert!(!stored.takes(&key, 2, (5, 3)), "others have less room");
        assert!(stored.takes(&key, 2, (10, 3)));
    }
}
