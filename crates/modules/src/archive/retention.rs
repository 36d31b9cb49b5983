//! What goes when it is too old, or too much.

use std::sync::Arc;

use waxwing_kernel::{Hub, Site};
use waxwing_store::StoreError;
use waxwing_store::domains::accounts::{Accounts, Listing};
use waxwing_store::domains::archive::Archive as Rows;

use super::{Archive, filter};

/// Accounts looked at in one commit.
const ACCOUNTS: u32 = 50;

const DAY_MILLIS: u64 = 86_400_000;

impl Archive {
    /// XEP-0313 §3.2: "Any such deleted messages MUST be the oldest in the archive".
    pub(super) async fn sweep(self: Arc<Self>, hub: Hub, site: Arc<Site>) {
        if let Err(error) = self.sweep_all(&hub, site.domain()).await {
            tracing::warn!(%error, "archives keep what is too old for now");
        }
    }

    async fn sweep_all(&self, hub: &Hub, domain: &str) -> Result<(), StoreError> {
        let accounts = Accounts::new(hub.db().clone());
        let mut after = String::new();
        loop {
            let listing = Listing { domain, prefix: "", after: &after, limit: ACCOUNTS };
            let page = accounts.list(listing).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after.clone_from(&last.jid);
            let mut batch = Vec::new();
            for account in &page {
                batch.push(Rows::trim(&account.jid, self.config.messages));
                if self.config.days > 0 {
                    let age = u64::from(self.config.days) * DAY_MILLIS;
                    let before = hub.clock().wall_millis().saturating_sub(age);
                    batch.push(Rows::expire(&account.jid, filter::first_of(before)));
                }
            }
            hub.db().batch(batch).await?;
        }
    }
}
