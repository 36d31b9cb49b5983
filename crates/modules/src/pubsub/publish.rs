//! Publishing (§7.1).

use std::collections::HashSet;
use std::sync::Arc;

use waxwing_kernel::Site;
use waxwing_kernel::nodes::NodeNews;
use waxwing_stanza::StanzaError;
use waxwing_stanza::payload::dataform::DataForm;
use waxwing_store::Statement;
use waxwing_store::domains::pubsub::{Items, Nodes};
use waxwing_xml::write;

use super::config::{Config, WhenFull, differs};
use super::configure::{adapt, kept};
use super::errors::{item_required, no_node, unstored, with};
use super::news::News;
use super::node::{Item, Last, Node, State};
use super::rights::{Action, judge};
use super::wire::{Draft, NS, Publish};
use super::{Answer, Errand, Pubsub, attachments, public};

/// Bytes of randomness in the id of an item that nobody named.
const ID_BYTES: usize = 16;

/// What is about to be published at a node.
struct Plan {
    /// The node as it will be.
    state: State,
    is_new: bool,
    /// How it was configured, if that changes along.
    before: Option<Arc<Config>>,
    batch: Vec<Statement>,
    items: Vec<Arc<Item>>,
    /// The ids of items that make room, as far as subscribers are told.
    gone: Vec<Box<str>>,
    /// All of them.
    displaced: Vec<String>,
    /// Others may have gone with the configuration.
    is_trimmed: bool,
}

impl Pubsub {
    pub(super) async fn publish(&self, on: &Errand, mut ask: Publish) -> Answer {
        public::may_touch(&ask.node)?;
        self.attach(on, &mut ask).await?;
        let node = self.node(&on.realm, &ask.node).await?;
        let items = self.publish_at(on, &node, ask.items, ask.options).await?;
        // §7.1.2: "the IQ-result SHOULD include an empty <item/> element that specifies the ItemID
        // of the published item."
        let mut answer = format!("<pubsub xmlns='{NS}'><publish");
        write::attribute(&mut answer, "node", &ask.node);
        answer.push('>');
        for item in &items {
            answer.push_str("<item");
            write::attribute(&mut answer, "id", &item.id);
            answer.push_str("/>");
        }
        Ok(Some(answer + "</publish></pubsub>"))
    }

    /// Publishes `drafts` at a place, where a node is made if there is none.
    pub(super) async fn publish_at(
        &self,
        on: &Errand,
        node: &Arc<Node>,
        drafts: Vec<Draft>,
        options: Option<DataForm>,
    ) -> Result<Vec<Arc<Item>>, StanzaError> {
        let _turn = node.turn(on.hub.db()).await.map_err(unstored)?;
        let mut plan = match node.state() {
            Some(state) => self.plan(on, node, &state, options).await?,
            None => self.plan_new(on, node, options).await?,
        };
        // What a module has to say it says at once.
        let most = if on.origin.is_some() { u32::MAX } else { self.config.batch };
        check(&plan.state.config, &drafts, most)?;
        plan.items = drafts.into_iter().map(|draft| item(on, &plan.state.config, draft)).collect();
        self.find_bytes(on, &plan.state, &plan.items).await?;
        self.file(&on.site, node, &mut plan).await?;
        let mut audience = self.audience(&on.hub, &on.realm, node, &plan.state).await?;
        // A node that keeps nothing costs no commit.
        if !plan.batch.is_empty()
            && let Err(error) = on.hub.db().batch(std::mem::take(&mut plan.batch)).await
        {
            node.doubt();
            return Err(unstored(error));
        }
        self.commit(node, &plan);
        let (to, config) = ((&on.hub, &on.site), &*plan.state.config);
        if let Some(before) = &plan.before {
            let news = News::Configured(config);
            self.announce(to, &audience, config, news, Some(&on.from)).await;
            self.recheck(on, (node, &plan.state), before).await;
            self.attachments_match(on, node, (before, config)).await;
            self.list_matches(on, node, config).await;
            if plan.is_trimmed {
                self.detach_lost(on, node, plan.state.id).await;
            }
            // Who was shut out just now is told nothing of what is published.
            audience = self.audience_now(on, node, &plan.state).await;
        }
        if !plan.gone.is_empty() {
            let news = News::Retracted(&plan.gone);
            self.announce(to, &audience, config, news, Some(&on.from)).await;
        }
        self.announce(to, &audience, config, News::Items(&plan.items), Some(&on.from)).await;
        if !plan.displaced.is_empty() {
            let displaced = NodeNews::Retracted(std::mem::take(&mut plan.displaced));
            self.attachments_follow(on, node, &displaced).await;
        }
        let shown = || plan.items.iter().map(|item| item.shown()).collect();
        self.tell_modules(on, node, NodeNews::Items(shown())).await;
        Ok(plan.items)
    }

    /// At a node that is there: §7.1.5 "it MUST check each precondition field against the node
    /// configuration of the same name".
    async fn plan(
        &self,
        on: &Errand,
        node: &Node,
        state: &State,
        options: Option<DataForm>,
    ) -> Result<Plan, StanzaError> {
        let standing = self.standing(&on.site, &on.realm, (node, state), &on.asker).await?;
        let action = attachments::right(&node.name, Action::Publish);
        judge(action, &state.config, &standing)?;
        let mut plan = Plan::of(state.clone());
        let bounds = self.bounds();
        let wanted = options.map(|options| state.config.met_by(&options, bounds)).transpose()?;
        let Some(wanted) = wanted.flatten() else { return Ok(plan) };
        // What a client asks of a node that its specification describes, as the owner: the node is
        // made so, or the client would be lost that does what the specification says.
        let is_owner = judge(Action::Configure, &state.config, &standing).is_ok();
        let is_known = on.realm.is_account() && on.site.known_node(&node.name).is_some();
        if !(is_owner && (is_known || on.origin.is_some())) {
            return Err(differs(&state.config, &wanted));
        }
        let past = self.remembers(&on.site, node, &wanted);
        plan.batch = adapt(state, &wanted, (bounds, past));
        plan.state.config = Arc::new(wanted);
        plan.batch.insert(0, Nodes::configure(&plan.state.row(node)));
        plan.before = Some(Arc::clone(&state.config));
        Ok(plan)
    }

    /// At a node that is not there: "the service shall auto-create the node with default
    /// configuration in all respects except those specified in the preconditions".
    async fn plan_new(
        &self,
        on: &Errand,
        node: &Arc<Node>,
        options: Option<DataForm>,
    ) -> Result<Plan, StanzaError> {
        self.may_create(on).map_err(|_| no_node())?;
        let mut config = self.usual(&on.site, &on.realm, &node.name);
        if let Some(options) = options
            && let Some(wanted) = config.met_by(&options, self.bounds())?
        {
            config = wanted;
        }
        let (state, batch) = self.draft(on, node, config).await?;
        Ok(Plan { batch, is_new: true, ..Plan::of(state) })
    }

    /// What must be written for the items, and which make room for them.
    async fn file(&self, site: &Site, node: &Node, plan: &mut Plan) -> Result<(), StanzaError> {
        let most = i64::from(kept(&plan.state.config, self.bounds()));
        let Some(last) = plan.items.last().cloned().filter(|_| most > 0) else { return Ok(()) };
        let (id, added) = (plan.state.id, plan.items.len() as i64);
        if !plan.state.config.persists {
            // Only the last is kept, for those who come.
            plan.batch.push(Items::purge(id));
            let before = plan.state.last.take().filter(|before| before.id != last.id);
            plan.displaced.extend(before.map(|before| before.id.into_string()));
            plan.batch.extend(Items::put(&last.row(&node.owner, id)));
            (plan.state.items, plan.state.last) = (1, Some(Last::new(&last)));
            return Ok(());
        }
        if added > most {
            let error = with(StanzaError::not_acceptable(), "max-items-exceeded");
            return Err(error.text(format!("This node keeps {most} items.")));
        }
        let past = self.remembers(site, node, &plan.state.config);
        // With another configuration it is counted again afterwards.
        if plan.before.is_none() {
            let replaced = self.replaced(plan).await?;
            let count = replaced.len() as i64;
            let over = plan.state.items - count + added - most;
            if over > 0 {
                self.make_room(plan, over).await?;
            }
            plan.batch.extend(past.keep(&mut plan.state, &[&*replaced, &plan.displaced].concat()));
            plan.batch.extend(plan.displaced.iter().map(|it| Items::drop(id, it)));
            plan.state.items += added - count - over.max(0);
        } else {
            let ids: Vec<String> = plan.items.iter().map(|item| item.id.to_string()).collect();
            plan.batch.extend(past.keep(&mut plan.state, &ids));
        }
        for item in &plan.items {
            plan.batch.extend(Items::put(&item.row(&node.owner, id)));
        }
        if plan.before.is_some() {
            plan.batch.extend(past.trim(id, most as u32));
            plan.is_trimmed = plan.state.items + added > most;
        }
        plan.state.last = Some(Last::new(&last));
        Ok(())
    }

    /// The ids of those items that stand in the place of one with the same id.
    async fn replaced(&self, plan: &Plan) -> Result<Vec<String>, StanzaError> {
        let State { id, items, last, .. } = &plan.state;
        let (rows, mut replaced) = (Items::new(self.hub.db().clone()), Vec::new());
        for item in plan.items.iter().filter(|_| *items > 0) {
            let is_last = last.as_ref().is_some_and(|last| last.id == item.id);
            let is_there = match is_last {
                true => true,
                // The last is the only one.
                false if *items == 1 => false,
                false => rows.number(*id, &item.id).await.map_err(unstored)?.is_some(),
            };
            replaced.extend(is_there.then(|| item.id.to_string()));
        }
        Ok(replaced)
    }

    /// §7.1.2.5: "the service MUST delete one of the existing items or reject the new item."
    async fn make_room(&self, plan: &mut Plan, over: i64) -> Result<(), StanzaError> {
        let config = &plan.state.config;
        if config.when_full == WhenFull::Reject {
            let error = with(StanzaError::conflict(), "node-full");
            return Err(error.text("The node is full."));
        }
        let rows = Items::new(self.hub.db().clone());
        let limit = u32::try_from(over + plan.items.len() as i64).unwrap_or(u32::MAX);
        let oldest = rows.oldest(plan.state.id, limit).await.map_err(unstored)?;
        let is_other = |id: &String| plan.items.iter().all(|item| *item.id != **id);
        let gone = oldest.into_iter().filter(is_other).take(over as usize);
        let gone: Vec<String> = gone.collect();
        // Where there is one item at most, another in its place says that it is gone.
        if config.when_full == WhenFull::RetractOldest && kept(config, self.bounds()) > 1 {
            plan.gone = gone.iter().map(|id| id.as_str().into()).collect();
        }
        plan.displaced = gone;
        Ok(())
    }

    /// What was planned is committed.
    fn commit(&self, node: &Node, plan: &Plan) {
        match (plan.is_new, plan.before.is_some()) {
            (true, _) => self.made(node, plan.state.clone()),
            // How many items it has, and who is told, is read again when it is needed.
            (false, true) => node.doubt(),
            (false, false) => node.set(Some(plan.state.clone())),
        }
        if plan.state.config.purge_offline {
            // Of those who are not from here it is not heard when they go.
            let is_ours = |item: &&Arc<Item>| self.hub.site(item.publisher.domain()).is_some();
            for item in plan.items.iter().filter(is_ours) {
                self.cache.leavers.note(&item.publisher, (&node.owner, &node.name));
            }
        }
    }
}

impl Plan {
    fn of(state: State) -> Self {
        let (batch, items) = (Vec::new(), Vec::new());
        let (gone, displaced) = (Vec::new(), Vec::new());
        let (is_new, is_trimmed) = (false, false);
        Self { state, is_new, before: None, batch, items, gone, displaced, is_trimmed }
    }
}

fn item(on: &Errand, config: &Config, draft: Draft) -> Arc<Item> {
    let published = on.hub.clock().wall_millis().cast_signed();
    let id = draft.id.unwrap_or_else(|| on.hub.clock().token(ID_BYTES));
    Arc::new(Item {
        number: on.hub.next_id().cast_signed(),
        id: id.into(),
        publisher: on.asker.clone(),
        published,
        expires: config.lifetime_millis().map(|millis| published + millis),
        leaves: config.purge_offline,
        payload: draft.payload.into(),
    })
}

/// Whether the items are such as the node takes (§4.3, §7.1.3.6, §7.1.3.7).
fn check(config: &Config, drafts: &[Draft], most: u32) -> Result<(), StanzaError> {
    let refused = |name: &str, text: String| with(StanzaError::bad_request(), name).text(text);
    if drafts.len() > most as usize {
        let error = with(StanzaError::not_acceptable(), "max-items-exceeded");
        return Err(error.text(format!("At most {most} items are published at a time.")));
    }
    let is_silent = !config.persists && !config.delivers_payloads;
    // "If the event type is notification + transient and the publisher provides an item".
    if is_silent && !drafts.is_empty() {
        return Err(refused("item-forbidden", "This node takes no items.".into()));
    }
    if !is_silent && drafts.is_empty() {
        return Err(item_required("This node takes items."));
    }
    let mut ids = HashSet::new();
    for draft in drafts {
        // "If the event type is payload … and the publisher does not include a payload".
        if config.delivers_payloads && draft.payload.is_empty() {
            return Err(refused("payload-required", "An item of this node has a payload.".into()));
        }
        if draft.payload.len() > config.payload_bytes as usize {
            let error = with(StanzaError::not_acceptable(), "payload-too-big");
            let most = config.payload_bytes;
            return Err(error.text(format!("A payload of this node may have {most} bytes.")));
        }
        if draft.id.as_ref().is_some_and(|id| !ids.insert(id)) {
            let text = "The items of one request have ids of their own.";
            return Err(StanzaError::bad_request().text(text));
        }
    }
    Ok(())
}
