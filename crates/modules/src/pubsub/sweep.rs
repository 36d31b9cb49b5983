//! Items whose time is over, and those that go with their publishers.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use waxwing_jid::BareJid;
use waxwing_kernel::nodes::NodeNews;
use waxwing_kernel::request::Happening;
use waxwing_kernel::stage::Effects;
use waxwing_kernel::{Hub, Site};
use waxwing_stanza::StanzaError;
use waxwing_store::domains::pubsub::{Due, Items, Nodes};

use super::errors::unstored;
use super::node::{Node, Realm};
use super::{Errand, Pubsub};

/// Items that are removed at a time.
const PAGE: u32 = 500;
/// Nodes that are remembered of one publisher who goes offline some day.
const NODES: usize = 1000;

/// Nodes, by their owners and names.
type Places = HashSet<(BareJid, Arc<str>)>;

/// Who published what goes when they go offline, since the server started.
#[derive(Default)]
pub(super) struct Leavers {
    nodes: Mutex<HashMap<BareJid, Places>>,
    /// What was left from the last run is gone.
    is_tidy: AtomicBool,
}

impl Leavers {
    /// Somebody published at a node what goes with them.
    pub(super) fn note(&self, publisher: &BareJid, (owner, node): (&BareJid, &Arc<str>)) {
        let mut all = self.nodes.lock();
        let nodes = all.entry(publisher.clone()).or_default();
        if nodes.len() < NODES {
            nodes.insert((owner.clone(), Arc::clone(node)));
        }
    }

    fn take(&self, publisher: &BareJid) -> Places {
        self.nodes.lock().remove(publisher).unwrap_or_default()
    }
}

impl Pubsub {
    /// Removes items whose time is over. Who was told that they last no longer need not be told.
    pub(super) async fn sweep(self: Arc<Self>, hub: Hub, site: Arc<Site>) {
        let now = hub.clock().wall_millis().cast_signed();
        let rows = Items::new(hub.db().clone());
        // Of several hosts each sees to its own, and passes over the rest.
        let mut passed = 0;
        loop {
            let due = match rows.due(now, PAGE, passed).await {
                Ok(due) => due,
                Err(error) => return tracing::error!(%error, "old items have to wait"),
            };
            let count = due.len() as u32;
            let removed = self.remove_due((&hub, &site), due, now).await;
            passed += count.saturating_sub(u32::try_from(removed).unwrap_or(count));
            if count < PAGE {
                break;
            }
        }
        self.sweep_past(&hub, site.domain(), now).await;
        if !self.cache.leavers.is_tidy.swap(true, Ordering::Relaxed) {
            self.tidy(&hub, &site, now).await;
        }
    }

    /// Removes these items where their time is over; how many there were.
    async fn remove_due(&self, (hub, site): (&Hub, &Arc<Site>), due: Vec<Due>, now: i64) -> u64 {
        let mut count = 0;
        for (id, ids) in by_node(due) {
            let ended = async {
                let Some((realm, node)) = self.by_id(site, id).await? else { return Ok(0) };
                let _turn = node.turn(self.hub.db()).await.map_err(unstored)?;
                let Some(state) = node.state().filter(|state| state.id == id) else {
                    return Ok(0);
                };
                let batch = ids.iter().map(|item| Items::drop_due(id, item, now)).collect();
                let changed = self.hub.db().batch(batch).await.map_err(|error| {
                    node.doubt();
                    unstored(error)
                })?;
                let dropped = changed.into_iter().sum();
                self.dropped(&node, &state, &ids, dropped).await;
                let on = Errand::unasked((hub, site), realm);
                if dropped == ids.len() as u64 {
                    self.attachments_follow(&on, &node, &NodeNews::Retracted(ids)).await;
                } else {
                    // Some were published anew.
                    self.detach_lost(&on, &node, id).await;
                }
                Ok::<u64, StanzaError>(dropped)
            };
            match ended.await {
                Ok(ended) => count += ended,
                Err(error) => tracing::error!(%error, "old items have to wait"),
            }
        }
        count
    }

    /// The node with this id, if it belongs to this host.
    pub(super) async fn by_id(
        &self,
        site: &Site,
        id: i64,
    ) -> Result<Option<(Realm, Arc<Node>)>, StanzaError> {
        let found = Nodes::new(self.hub.db().clone()).name(id).await.map_err(unstored)?;
        let Some((owner, name)) = found else { return Ok(None) };
        let Ok(owner) = BareJid::new(&owner) else { return Ok(None) };
        let account = match owner == self.service {
            true => None,
            false if owner.domain() != site.domain() => return Ok(None),
            false => match self.hub.account(&owner).await.map_err(unstored)? {
                Some(account) => Some(account),
                None => return Ok(None),
            },
        };
        let realm = self.realm(account);
        let node = self.node(&realm, &name).await?;
        Ok(Some((realm, node)))
    }

    /// Who was online when the last run ended is not any more.
    async fn tidy(&self, hub: &Hub, site: &Arc<Site>, now: i64) {
        let started = now - i64::try_from(hub.uptime().as_millis()).unwrap_or(0);
        let rows = Items::new(hub.db().clone());
        let mut passed = 0;
        loop {
            let left = match rows.left(started, PAGE, passed).await {
                Ok(left) => left,
                Err(error) => return tracing::error!(%error, "items of the last run stay"),
            };
            let is_last = left.len() < PAGE as usize;
            for (id, ids) in by_node(left) {
                let count = ids.len() as u32;
                let gone = async {
                    let found = self.by_id(site, id).await?;
                    let Some((realm, node)) = found else { return Ok(false) };
                    self.take_away(hub, site, realm, (&node, ids)).await.map(|()| true)
                };
                match gone.await {
                    Ok(true) => {}
                    Ok(false) => passed += count,
                    Err(error) => {
                        return tracing::error!(%error, "items of the last run stay");
                    }
                }
            }
            if is_last {
                break;
            }
        }
    }

    /// `pubsub#purge_offline`: "Whether to purge all items when the relevant publisher goes
    /// offline".
    pub(super) async fn went_offline(self: Arc<Self>, happening: Happening) -> Effects {
        let jid = happening.account.jid();
        let sessions = happening.hub.directory().sessions(jid);
        let gone = &happening.party.jid;
        if sessions.iter().any(|session| session.is_available() && session.jid != *gone) {
            return Effects::default();
        }
        for (owner, name) in self.cache.leavers.take(jid) {
            if let Err(error) = self.leave(&happening, &owner, &name).await {
                tracing::error!(%error, "items of somebody who went offline stay");
            }
        }
        Effects::default()
    }

    async fn leave(
        &self,
        happening: &Happening,
        owner: &BareJid,
        name: &str,
    ) -> Result<(), StanzaError> {
        let (hub, site) = (&happening.hub, &happening.site);
        let account = match *owner == self.service {
            true => None,
            false => hub.account(owner).await.map_err(unstored)?,
        };
        if account.is_none() && *owner != self.service {
            return Ok(());
        }
        let realm = self.realm(account);
        let node = self.node(&realm, name).await?;
        let Some(state) = node.state() else { return Ok(()) };
        let rows = Items::new(hub.db().clone());
        let publisher = happening.account.jid().as_str();
        let ids = rows.of(state.id, publisher, PAGE).await.map_err(unstored)?;
        if ids.is_empty() {
            return Ok(());
        }
        self.take_away(hub, site, realm, (&node, ids)).await
    }

    /// Removes items and tells that they are gone.
    async fn take_away(
        &self,
        hub: &Hub,
        site: &Arc<Site>,
        realm: Realm,
        (node, ids): (&Arc<Node>, Vec<String>),
    ) -> Result<(), StanzaError> {
        let _turn = node.turn(hub.db()).await.map_err(unstored)?;
        let Some(state) = node.state() else { return Ok(()) };
        let on = Errand::unasked((hub, site), realm);
        self.retract_there(&on, node, &state, (ids, false)).await
    }
}

fn by_node(due: Vec<Due>) -> HashMap<i64, Vec<String>> {
    let mut nodes: HashMap<i64, Vec<String>> = HashMap::new();
    for Due { node, id } in due {
        nodes.entry(node).or_default().push(id);
    }
    nodes
}
