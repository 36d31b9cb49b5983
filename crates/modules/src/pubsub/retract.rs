//! Removing items (§7.2).

use std::sync::Arc;

use waxwing_kernel::nodes::NodeNews;
use waxwing_stanza::StanzaError;
use waxwing_store::domains::pubsub::{Items, Past};

use super::errors::{no_item, not_kept, unstored, with};
use super::news::News;
use super::node::{Node, State};
use super::rights::{Action, judge};
use super::{Answer, Errand, Pubsub, attachments, public};

impl Pubsub {
    pub(super) async fn retract(
        &self,
        on: &Errand,
        name: &str,
        ids: Vec<String>,
        is_loud: bool,
    ) -> Answer {
        public::may_touch(name)?;
        let node = self.node(&on.realm, name).await?;
        let _turn = node.turn(on.hub.db()).await.map_err(unstored)?;
        let state = node.there()?;
        attachments::may_empty(name)?;
        self.may_retract(on, &node, &state, &ids).await?;
        self.retract_there(on, &node, &state, (ids, is_loud)).await?;
        Ok(None)
    }

    /// Whether all these items are there, and whoever asks may remove them.
    async fn may_retract(
        &self,
        on: &Errand,
        node: &Node,
        state: &State,
        ids: &[String],
    ) -> Result<(), StanzaError> {
        let most = self.config.batch as usize;
        if ids.len() > most {
            let error = with(StanzaError::not_acceptable(), "max-items-exceeded");
            return Err(error.text(format!("At most {most} items are retracted at a time.")));
        }
        let standing = self.standing(&on.site, &on.realm, (node, state), &on.asker).await?;
        // Who may not even remove what is their own learns nothing of what there is.
        let right = |is_own| attachments::right(&node.name, Action::Retract { is_own });
        judge(right(true), &state.config, &standing)?;
        if !state.config.persists {
            return Err(not_kept());
        }
        let mut ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        ids.sort_unstable();
        ids.dedup();
        let now = on.hub.clock().wall_millis().cast_signed();
        let rows = Items::new(on.hub.db().clone());
        let items = rows.find(state.id, &ids, now).await.map_err(unstored)?;
        for item in &items {
            let is_own = item.publisher == on.asker.as_str();
            judge(right(is_own), &state.config, &standing)?;
        }
        // What is only remembered is taken back all the same.
        let past = Past::new(on.hub.db().clone());
        for id in ids.into_iter().filter(|id| items.iter().all(|item| item.id != **id)) {
            // §7.2.3.2: "If the node or item does not exist, the service MUST return an
            // <item-not-found/> error."
            let found = past.publisher(state.id, id, now).await.map_err(unstored)?;
            let is_own = found.ok_or_else(no_item)? == on.asker.as_str();
            judge(right(is_own), &state.config, &standing)?;
        }
        Ok(())
    }

    /// Removes items of a node that is there, in its turn, and tells those who want to know; if
    /// `is_loud`, also at a node that does not tell it by itself.
    pub(super) async fn retract_there(
        &self,
        on: &Errand,
        node: &Arc<Node>,
        state: &State,
        (ids, is_loud): (Vec<String>, bool),
    ) -> Result<(), StanzaError> {
        let audience = self.audience(&on.hub, &on.realm, node, state).await?;
        // Who takes something back means also how it was before.
        let present = ids.iter().map(|id| Items::drop(state.id, id));
        let batch = present.chain(ids.iter().map(|id| Past::drop(state.id, id))).collect();
        let dropped = match on.hub.db().batch(batch).await {
            Ok(changed) => changed.into_iter().take(ids.len()).sum::<u64>(),
            Err(error) => {
                node.doubt();
                return Err(unstored(error));
            }
        };
        self.dropped(node, state, &ids, dropped).await;
        let gone: Vec<Box<str>> = ids.iter().map(|id| id.as_str().into()).collect();
        let news = match is_loud {
            true => News::RetractedLoud(&gone),
            false => News::Retracted(&gone),
        };
        let to = (&on.hub, &on.site);
        self.announce(to, &audience, &state.config, news, Some(&on.from)).await;
        self.tell_modules(on, node, NodeNews::Retracted(ids)).await;
        Ok(())
    }

    /// So many of these items were removed from a node.
    pub(super) async fn dropped(&self, node: &Node, state: &State, ids: &[String], count: u64) {
        self.cache.stored.look_again(&node.owner, &state.creator);
        let mut next = state.clone();
        next.items -= count.cast_signed();
        let last = state.last.as_ref();
        let is_last_gone = last.is_some_and(|last| ids.iter().any(|id| **id == *last.id));
        if is_last_gone && self.recount(&mut next).await.is_err() {
            // It is committed; what is left is read when it is needed.
            return node.doubt();
        }
        node.set(Some(next));
    }
}
