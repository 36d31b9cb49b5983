//! Configuring nodes (§8.2, §8.3).

use std::sync::Arc;

use waxwing_stanza::payload::dataform::DataForm;
use waxwing_stanza::{StanzaError, to_xml};
use waxwing_store::Statement;
use waxwing_store::domains::pubsub::{Items, Nodes, Slice};
use waxwing_xml::write;

use super::config::{Bounds, Config, SendLast, submitted};
use super::errors::unstored;
use super::news::News;
use super::node::{Item, Last, Node, State};
use super::past::{self, Remembers};
use super::rights::Action;
use super::wire::OWNER;
use super::{Answer, Errand, Pubsub, attachments, public};

impl Pubsub {
    /// The form with the configuration of a node.
    pub(super) async fn show_config(&self, on: &Errand, name: &str) -> Answer {
        let node = self.node(&on.realm, name).await?;
        let state = self.allowed(on, &node, Action::Configure).await?;
        let groups = match self.person(&on.realm, &state).await? {
            Some(person) => {
                let roster = person.fact(self.roster);
                let groups = roster.contacts().flat_map(|contact| contact.groups.iter());
                let mut groups: Vec<String> = groups.map(|group| group.to_string()).collect();
                groups.sort();
                groups.dedup();
                groups
            }
            None => Vec::new(),
        };
        let mut answer = format!("<pubsub xmlns='{OWNER}'><configure");
        write::attribute(&mut answer, "node", name);
        answer.push('>');
        answer.push_str(&to_xml(&state.config.form(&groups)));
        Ok(Some(answer + "</configure></pubsub>"))
    }

    /// The form with the configuration that a new node has (§8.3).
    pub(super) fn show_default(&self, on: &Errand) -> String {
        let config = self.usual(&on.site, &on.realm, "");
        let form = to_xml(&config.form(&[]));
        format!("<pubsub xmlns='{OWNER}'><default>{form}</default></pubsub>")
    }

    /// Takes a form that was filled in.
    pub(super) async fn configure(&self, on: &Errand, name: &str, form: DataForm) -> Answer {
        let node = self.node(&on.realm, name).await?;
        let _turn = node.turn(on.hub.db()).await.map_err(unstored)?;
        let state = self.allowed(on, &node, Action::Configure).await?;
        // §8.2.4: "the owner MAY cancel the configuration process, in which case the existing
        // configuration MUST be applied."
        let Some(form) = submitted(&form)? else { return Ok(None) };
        attachments::may_make(name)?;
        public::may_touch(name)?;
        let config = state.config.with(form, self.bounds())?;
        if config != *state.config {
            self.reconfigure(on, &node, &state, config).await?;
        }
        Ok(None)
    }

    /// Gives a node another configuration, and tells those who want to know; in its turn.
    pub(super) async fn reconfigure(
        &self,
        on: &Errand,
        node: &Arc<Node>,
        state: &State,
        config: Config,
    ) -> Result<(), StanzaError> {
        let mut next = State { config: Arc::new(config), ..state.clone() };
        let audience = self.audience(&on.hub, &on.realm, node, state).await?;
        let mut batch = vec![Nodes::configure(&next.row(node))];
        let past = self.remembers(&on.site, node, &next.config);
        batch.extend(adapt(state, &next.config, (self.bounds(), past)));
        let has_fewer = batch.len() > 1;
        if let Err(error) = on.hub.db().batch(batch).await {
            node.doubt();
            return Err(unstored(error));
        }
        if has_fewer && self.recount(&mut next).await.is_err() {
            // It is committed; what it comes to is read when it is needed.
            node.doubt();
        } else {
            next.untrimmed = if has_fewer { u32::MAX } else { next.untrimmed };
            node.set(Some(next.clone()));
        }
        // Who is told without a subscription depends on it.
        if state.config.access != next.config.access || state.config.groups != next.config.groups {
            node.forget_subscribers();
        }
        let (hub, config) = (&on.hub, &next.config);
        let news = News::Configured(config);
        self.announce((hub, &on.site), &audience, config, news, Some(&on.from)).await;
        self.recheck(on, (node, &next), &state.config).await;
        self.attachments_match(on, node, (&state.config, &next.config)).await;
        self.list_matches(on, node, &next.config).await;
        if has_fewer {
            self.detach_lost(on, node, state.id).await;
        }
        Ok(())
    }

    /// Reads how many items a node has left, and the last.
    pub(super) async fn recount(&self, state: &mut State) -> Result<(), StanzaError> {
        let items = Items::new(self.hub.db().clone());
        let all = Slice { node: state.id, above: 0, below: i64::MAX, is_back: true, now: i64::MIN };
        let last = items.slice(all, 1).await.map_err(unstored)?.pop();
        state.items = match last {
            Some(_) => items.count(state.id).await.map_err(unstored)?,
            None => 0,
        };
        let last = last.map(Item::of).transpose().map_err(unstored)?.map(Arc::new);
        state.last = last.as_ref().map(Last::new);
        Ok(())
    }
}

/// What a new configuration means for the items that are there.
pub(super) fn adapt(
    state: &State,
    config: &Config,
    (bounds, past): (Bounds, Remembers<'_>),
) -> Vec<Statement> {
    let mut batch: Vec<Statement> = past::adapt(state, config).into_iter().collect();
    if state.items == 0 {
        return batch;
    }
    if state.config.lifetime_millis() != config.lifetime_millis() {
        batch.push(Items::reschedule(state.id, config.lifetime_millis()));
    }
    let most = kept(config, bounds);
    if state.items > i64::from(most) {
        batch.extend(past.trim(state.id, most));
    }
    batch
}

/// How many items a node keeps that is configured so. One that keeps none keeps the last, where
/// that is sent to those who come.
pub(super) fn kept(config: &Config, bounds: Bounds) -> u32 {
    match (config.persists, config.send_last) {
        (true, _) => config.items_max(bounds),
        (false, SendLast::Never) => 0,
        (false, _) => 1,
    }
}
