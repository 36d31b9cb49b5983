//! Removing nodes, and all items of a node (§8.4, §8.5).

use std::sync::Arc;

use waxwing_kernel::nodes::{NodeNews, Published};
use waxwing_stanza::StanzaError;
use waxwing_store::domains::pubsub::{Items, Nodes, Past};

use super::errors::{not_kept, unstored};
use super::news::News;
use super::node::{Node, State};
use super::rights::Action;
use super::{Answer, Errand, Pubsub, attachments, public};

impl Pubsub {
    /// Removes a node, with everything that hangs on it, and says where to go instead.
    pub(super) async fn delete(&self, on: &Errand, name: &str, redirect: Option<String>) -> Answer {
        public::may_touch(name)?;
        let node = self.node(&on.realm, name).await?;
        let _turn = node.turn(on.hub.db()).await.map_err(unstored)?;
        let state = self.allowed(on, &node, Action::Delete).await?;
        self.delete_there(on, &node, &state, redirect.as_deref()).await?;
        Ok(None)
    }

    /// The same for a node that is there, in its turn.
    pub(super) async fn delete_there(
        &self,
        on: &Errand,
        node: &Arc<Node>,
        state: &State,
        redirect: Option<&str>,
    ) -> Result<(), StanzaError> {
        let audience = self.audience(&on.hub, &on.realm, node, state).await?;
        if let Err(error) = on.hub.db().batch(Nodes::drop(state.id).into()).await {
            node.doubt();
            return Err(unstored(error));
        }
        if !on.realm.is_account() {
            self.cache.counted(-1);
        }
        node.set(None);
        self.cache.stored.look_again(&node.owner, &state.creator);
        let news = News::Deleted { redirect };
        let to = (&on.hub, &on.site);
        self.announce(to, &audience, &state.config, news, Some(&on.from)).await;
        self.tell_modules(on, node, NodeNews::Deleted).await;
        Ok(())
    }

    /// Removes all items of a node.
    pub(super) async fn purge(&self, on: &Errand, name: &str) -> Answer {
        public::may_touch(name)?;
        let node = self.node(&on.realm, name).await?;
        let _turn = node.turn(on.hub.db()).await.map_err(unstored)?;
        let state = self.allowed(on, &node, Action::Purge).await?;
        attachments::may_empty(name)?;
        if !state.config.persists {
            return Err(not_kept());
        }
        let audience = self.audience(&on.hub, &on.realm, &node, &state).await?;
        let batch = vec![Items::purge(state.id), Past::purge(state.id)];
        if let Err(error) = on.hub.db().batch(batch).await {
            node.doubt();
            return Err(unstored(error));
        }
        self.cache.stored.look_again(&node.owner, &state.creator);
        node.set(Some(State { items: 0, last: None, untrimmed: 0, ..(*state).clone() }));
        let to = (&on.hub, &on.site);
        self.announce(to, &audience, &state.config, News::Purged, Some(&on.from)).await;
        self.tell_modules(on, &node, NodeNews::Purged).await;
        Ok(None)
    }

    /// Tells other modules what was done at a node, in its turn; what is attached to items follows.
    pub(super) async fn tell_modules(&self, on: &Errand, node: &Node, news: NodeNews) {
        self.attachments_follow(on, node, &news).await;
        self.list_follows(on, node, &news).await;
        if !on.site.is_heard(&node.name) {
            return;
        }
        let published = Published {
            hub: on.hub.clone(),
            site: Arc::clone(&on.site),
            owner: on.realm.account.clone(),
            node: Arc::clone(&node.name),
            origin: on.origin,
            news,
        };
        on.site.published(published).await;
    }
}
