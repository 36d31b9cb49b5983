//! What a node remembers of items that it no longer keeps: its history (XEP-0442 §3 "A PubSub
//! service offering MAM SHOULD store each of the items published to each node").

use waxwing_kernel::{Hub, Site};
use waxwing_store::Statement;
use waxwing_store::domains::pubsub::{Items, Past};

use super::config::Config;
use super::node::{Node, State};
use super::{Pubsub, attachments, public};

/// Past items that are removed at a time.
const PAGE: u32 = 500;
/// Milliseconds of a day.
const DAY: i64 = 24 * 60 * 60 * 1000;

impl Config {
    /// Whether a node that is configured so may have a history. One that keeps no items has none;
    /// and what goes with its publisher shall not stay behind.
    fn has_past(&self) -> bool {
        self.persists && !self.purge_offline
    }
}

/// What becomes of items of a node that others take the place of.
#[derive(Clone, Copy)]
pub(super) struct Remembers<'a> {
    /// How many are remembered.
    most: u32,
    /// The domain of the owner's address.
    domain: &'a str,
}

impl Remembers<'_> {
    /// Remembers these, before they are removed; how many are remembered is looked at now and then,
    /// because that costs as much as there are.
    pub(super) fn keep(self, state: &mut State, ids: &[String]) -> Vec<Statement> {
        if self.most == 0 || ids.is_empty() {
            return Vec::new();
        }
        let keep = |id: &String| Past::keep(state.id, id, self.domain);
        let mut batch: Vec<Statement> = ids.iter().map(keep).collect();
        state.untrimmed = state.untrimmed.saturating_add(ids.len() as u32);
        if state.untrimmed > self.most / 8 {
            batch.push(Past::trim(state.id, self.most));
            state.untrimmed = 0;
        }
        batch
    }

    /// Removes the oldest items that are more than `keep`, and remembers what it may of them.
    pub(super) fn trim(self, node: i64, keep: u32) -> Vec<Statement> {
        let trim = Items::trim(node, keep);
        match self.most {
            0 => vec![trim],
            most => vec![Past::keep_surplus(node, keep, self.domain, most), trim],
        }
    }
}

/// What another configuration means for what a node remembers.
pub(super) fn adapt(state: &State, config: &Config) -> Option<Statement> {
    if state.config.has_past() && !config.has_past() {
        return Some(Past::purge(state.id));
    }
    let (before, now) = (state.config.lifetime_millis(), config.lifetime_millis());
    (before != now).then(|| Past::reschedule(state.id, now))
}

impl Pubsub {
    /// What a node remembers that is configured so. At accounts the nodes that this server knows
    /// hold what is true now, such as keys, pictures and bookmarks: nobody asks what was. Nor does
    /// anybody of each state of a sum.
    pub(super) fn remembers<'a>(
        &self,
        site: &Site,
        node: &'a Node,
        config: &Config,
    ) -> Remembers<'a> {
        let (is_account, name) = (node.owner != self.service, &node.name);
        let is_state = (is_account && site.known_node(name).is_some())
            || attachments::may_make(name).is_err()
            || public::may_touch(name).is_err();
        let most = match is_account {
            _ if is_state || !config.has_past() => 0,
            true => self.config.history_accounts,
            false => self.config.history,
        };
        Remembers { most, domain: node.owner.domain() }
    }

    /// Forgets what is too old, or has ended.
    pub(super) async fn sweep_past(&self, hub: &Hub, site: &str, now: i64) {
        let rows = Past::new(hub.db().clone());
        let days = self.config.history_days;
        let oldest = match days {
            0 => 0,
            days => now - i64::from(days) * DAY,
        };
        // Where nothing is remembered any more, everything is too old.
        let since = |most: u32| if most == 0 { i64::MAX } else { oldest };
        let (service, accounts) = (since(self.config.history), since(self.config.history_accounts));
        let forgotten = async {
            while rows.drop_due(now, PAGE).await? == u64::from(PAGE) {}
            for (domain, then) in [(self.service.domain(), service), (site, accounts)] {
                while rows.drop_old(domain, then, PAGE).await? == u64::from(PAGE) {}
            }
            Ok::<(), waxwing_store::StoreError>(())
        };
        if let Err(error) = forgotten.await {
            tracing::error!(%error, "the history of nodes has to wait");
        }
    }
}
