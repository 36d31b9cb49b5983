//! What people attach to items, such as reactions (XEP-0470): a node for each item, with an item
//! for each person, and a summary of all of them.

mod summary;
mod target;

use std::sync::Arc;

use waxwing_kernel::nodes::NodeNews;
use waxwing_stanza::StanzaError;
use waxwing_store::domains::pubsub::{Items, Nodes, Slice, Walk};

use self::summary::{Summary, check};
use self::target::{Target, before_item};
use super::config::Config;
use super::errors::{no_item, no_node, unstored};
use super::node::Node;
use super::rights::Action;
use super::wire::{Draft, Publish};
use super::{Errand, Pubsub};

/// Namespace of what is attached, and the feature of a service that does all that is asked of it.
pub(super) const NS: &str = "urn:xmpp:pubsub-attachments:1";
/// Namespace of summaries.
const SUMMARY: &str = "urn:xmpp:pubsub-attachments:summary:1";

/// Attachments, or nodes, read at a time.
const PAGE: u32 = 200;

/// The names of all nodes that the service makes for attachments stand between these.
pub(super) const NAMES: (&str, &str) =
    ("urn:xmpp:pubsub-attachments:", "urn:xmpp:pubsub-attachments;");

/// Whether a node keeps what is attached to an item.
fn is_attachments(name: &str) -> bool {
    name.strip_prefix(NS).is_some_and(|rest| rest.starts_with('/'))
}

/// Whether a node keeps summaries.
fn is_summary(name: &str) -> bool {
    name.strip_prefix(SUMMARY).is_some_and(|rest| rest.starts_with('/'))
}

/// What somebody must be allowed at a node who wants this. Who may read an item may say something
/// of it: that is what attachments are for, also where only the owner publishes items.
pub(super) fn right(name: &str, action: Action) -> Action {
    match action {
        Action::Publish | Action::Retract { is_own: true } if is_attachments(name) => {
            Action::Retrieve
        }
        action => action,
    }
}

/// §4.4: "If any user … tries to create manually an attachment node or a summary node, a
/// fully-compliant service MUST reject it by returning a <not-allowed/> error."
pub(super) fn may_make(name: &str) -> Result<(), StanzaError> {
    if is_attachments(name) || is_summary(name) {
        let text = "The service makes this node by itself, and keeps it like that of the item.";
        return Err(StanzaError::not_allowed().text(text));
    }
    Ok(())
}

/// The service keeps summaries by itself, also from their owner.
pub(super) fn may_empty(name: &str) -> Result<(), StanzaError> {
    match is_summary(name) {
        true => Err(StanzaError::forbidden().text("The service keeps summaries by itself.")),
        false => Ok(()),
    }
}

impl Pubsub {
    /// Sees to it that there is the node that somebody wants to attach something at; nothing at
    /// other nodes.
    ///
    /// §4.3: "if the attachment node doesn't exist, the service MUST create automatically the
    /// node …. If the <iq/> stanza of the publishing client includes publishing options …, they are
    /// ignored."
    pub(super) async fn attach(&self, on: &Errand, ask: &mut Publish) -> Result<(), StanzaError> {
        may_empty(&ask.node)?;
        if !is_attachments(&ask.node) {
            return Ok(());
        }
        let target = Target::read(&on.realm.jid, &ask.node).ok_or_else(no_node)?;
        let node = self.node(&on.realm, &target.node).await?;
        let state = self.allowed(on, &node, Action::Retrieve).await?;
        for draft in &ask.items {
            check(draft, &on.asker)?;
        }
        let rows = Items::new(on.hub.db().clone());
        if rows.number(state.id, &target.item).await.map_err(unstored)?.is_none() {
            return Err(no_item());
        }
        ask.options = None;
        self.match_node(on, &ask.node, &state.config).await.map(drop)
    }

    /// A node that lets in those whom the node of the items lets in.
    ///
    /// §4.3: "it MUST apply the same access_model and publish_model as for the target node."
    pub(super) async fn match_node(
        &self,
        on: &Errand,
        name: &str,
        target: &Config,
    ) -> Result<Arc<Node>, StanzaError> {
        let own = Errand::unasked((&on.hub, &on.site), on.realm.clone());
        let node = self.node(&on.realm, name).await?;
        let turn = node.turn(on.hub.db()).await.map_err(unstored)?;
        match node.state() {
            Some(state) => {
                let config = state.config.open_as(target);
                if config != *state.config {
                    Box::pin(self.reconfigure(&own, &node, &state, config)).await?;
                }
            }
            None => {
                let config = Config::of_service(self.bounds()).open_as(target);
                let (state, batch) = self.draft(&own, &node, config).await?;
                if let Err(error) = on.hub.db().batch(batch).await {
                    node.doubt();
                    return Err(unstored(error));
                }
                self.made(&node, state);
            }
        }
        drop(turn);
        Ok(node)
    }

    /// Something was done at a node: summaries follow, and what was attached goes with its item. In
    /// the node's turn; nothing that fails here undoes what was done.
    pub(super) async fn attachments_follow(&self, on: &Errand, node: &Node, news: &NodeNews) {
        let followed = match news {
            _ if is_attachments(&node.name) => self.summarize(on, node).await,
            _ if is_summary(&node.name) => Ok(()),
            NodeNews::Items(_) => Ok(()),
            NodeNews::Retracted(ids) => self.detach(on, &node.name, Some(ids)).await,
            NodeNews::Purged | NodeNews::Deleted => self.detach(on, &node.name, None).await,
        };
        if let Err(error) = followed {
            tracing::warn!(owner = %node.owner, node = %node.name, %error, "attachments");
        }
    }

    /// §4.6: "For each item of the target node which has attachments, the summary node MUST contain
    /// an item which MUST have the same ID."
    async fn summarize(&self, on: &Errand, node: &Node) -> Result<(), StanzaError> {
        let Some(target) = Target::read(&on.realm.jid, &node.name) else { return Ok(()) };
        let (rows, mut summary) = (Items::new(on.hub.db().clone()), Summary::default());
        let now = on.hub.clock().wall_millis().cast_signed();
        let mut above = 0;
        while let Some(state) = node.state() {
            let slice = Slice { node: state.id, above, below: i64::MAX, is_back: false, now };
            let page = rows.slice(slice, PAGE).await.map_err(unstored)?;
            let Some(last) = page.last() else { break };
            above = last.number;
            page.into_iter().for_each(|item| summary.add(&item.payload.into()));
        }
        let own = Errand::unasked((&on.hub, &on.site), on.realm.clone());
        let name = target.summary();
        if summary.is_empty() {
            return self.retract_any(&own, &name, target.item).await;
        }
        let state = self.node(&on.realm, &target.node).await?.there()?;
        let node = self.match_node(on, &name, &state.config).await?;
        let draft = Draft { id: Some(target.item), payload: summary.write() };
        Box::pin(self.publish_at(&own, &node, vec![draft], None)).await.map(drop)
    }

    /// Removes an item that there may be.
    pub(super) async fn retract_any(
        &self,
        own: &Errand,
        name: &str,
        item: String,
    ) -> Result<(), StanzaError> {
        let node = self.node(&own.realm, name).await?;
        let _turn = node.turn(own.hub.db()).await.map_err(unstored)?;
        let Some(state) = node.state() else { return Ok(()) };
        let rows = Items::new(own.hub.db().clone());
        if rows.number(state.id, &item).await.map_err(unstored)?.is_none() {
            return Ok(());
        }
        Box::pin(self.retract_there(own, &node, &state, (vec![item], false))).await
    }

    /// Removes what was attached to items that are gone: these, or all of a node.
    async fn detach(
        &self,
        on: &Errand,
        target: &str,
        ids: Option<&[String]>,
    ) -> Result<(), StanzaError> {
        let summary = format!("{SUMMARY}/{target}");
        // Without one nothing is attached to anything.
        if self.node(&on.realm, &summary).await?.state().is_none() {
            return Ok(());
        }
        let own = Errand::unasked((&on.hub, &on.site), on.realm.clone());
        let named = |item: &String| {
            Target { node: target.to_owned(), item: item.clone() }.name(&on.realm.jid)
        };
        match ids {
            Some(ids) => {
                for id in ids {
                    self.drop_node(&own, &named(id)).await?;
                }
            }
            None => {
                for name in self.attached_to(on, target).await? {
                    self.drop_node(&own, &name).await?;
                }
                self.drop_node(&own, &summary).await?;
            }
        }
        Ok(())
    }

    /// Removes what was attached to items of a node that are not there any more; in its turn.
    pub(super) async fn detach_lost(&self, on: &Errand, node: &Node, id: i64) {
        let detached = async {
            let summary = format!("{SUMMARY}/{}", node.name);
            if self.node(&on.realm, &summary).await?.state().is_none() {
                return Ok(());
            }
            let rows = Items::new(on.hub.db().clone());
            let own = Errand::unasked((&on.hub, &on.site), on.realm.clone());
            for name in self.attached_to(on, &node.name).await? {
                let Some(target) = Target::read(&on.realm.jid, &name) else { continue };
                if rows.number(id, &target.item).await.map_err(unstored)?.is_none() {
                    self.drop_node(&own, &name).await?;
                }
            }
            Ok(())
        };
        if let Err::<(), StanzaError>(error) = detached.await {
            tracing::warn!(owner = %node.owner, node = %node.name, %error, "attachments");
        }
    }

    pub(super) async fn drop_node(&self, own: &Errand, name: &str) -> Result<(), StanzaError> {
        let node = self.node(&own.realm, name).await?;
        let _turn = node.turn(own.hub.db()).await.map_err(unstored)?;
        let Some(state) = node.state() else { return Ok(()) };
        Box::pin(self.delete_there(own, &node, &state, None)).await
    }

    /// The nodes that keep something attached to items of `target`.
    async fn attached_to(&self, on: &Errand, target: &str) -> Result<Vec<String>, StanzaError> {
        let prefix = before_item(&on.realm.jid, target);
        let rows = Nodes::new(on.hub.db().clone());
        let (mut names, mut from) = (Vec::new(), prefix.clone());
        loop {
            let owner = on.realm.jid.as_str();
            let walk = Walk { owner, kind: None, from: Some(&from), is_back: false };
            let page = rows.list(walk, PAGE).await.map_err(unstored)?;
            let Some(last) = page.last() else { return Ok(names) };
            from.clone_from(&last.name);
            let is_over = !last.name.starts_with(&prefix);
            names.extend(
                page.into_iter().map(|node| node.name).filter(|it| it.starts_with(&prefix)),
            );
            if is_over {
                return Ok(names);
            }
        }
    }

    /// §4.3: "If later the target node configuration is updated and either access_model or
    /// pubsub_model are modified, the fully-compliant service MUST also update the attachment node
    /// pubsub_model and access_model accordingly."
    pub(super) async fn attachments_match(
        &self,
        on: &Errand,
        node: &Node,
        (before, now): (&Config, &Config),
    ) {
        let is_same = before.open_as(now) == *before;
        if is_same || is_attachments(&node.name) || is_summary(&node.name) {
            return;
        }
        let matched = async {
            let summary = format!("{SUMMARY}/{}", node.name);
            if self.node(&on.realm, &summary).await?.state().is_none() {
                return Ok(());
            }
            for name in self.attached_to(on, &node.name).await? {
                self.match_node(on, &name, now).await?;
            }
            self.match_node(on, &summary, now).await.map(drop)
        };
        if let Err::<(), StanzaError>(error) = matched.await {
            tracing::error!(node = %node.name, %error, "attachments are as open as before");
        }
    }
}

impl Config {
    /// The same, for those whom another node lets in.
    fn open_as(&self, other: &Self) -> Self {
        Self {
            access: other.access,
            groups: other.groups.clone(),
            publish_model: other.publish_model,
            ..self.clone()
        }
    }
}
