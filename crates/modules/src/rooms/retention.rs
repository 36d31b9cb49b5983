//! What goes of rooms when it is too old, or too much.

use std::sync::Arc;
use std::time::Duration;

use waxwing_kernel::{Hub, Site};
use waxwing_store::StoreError;
use waxwing_store::domains::archive::Archive;
use waxwing_store::domains::rooms::Rooms as Rows;

use super::{Rooms, versions};

/// How often it is looked for.
pub const ROUND: Duration = Duration::from_secs(3600);

/// Rooms looked at in one commit.
const ROOMS: u32 = 50;

const DAY_MILLIS: u64 = 86_400_000;

/// Bits of a number that are not the time.
const COUNTER_BITS: u32 = 19;

impl Rooms {
    /// XEP-0313 §3.2: "Any such deleted messages MUST be the oldest in the archive".
    pub(super) async fn expire(self: Arc<Self>, hub: Hub, _: Arc<Site>) {
        if let Err(error) = self.expire_all(&hub).await {
            tracing::warn!(%error, "the archives of rooms keep what is too old for now");
        }
    }

    async fn expire_all(&self, hub: &Hub) -> Result<(), StoreError> {
        let settings = &self.service.settings;
        let before = hub.clock().wall_millis().saturating_sub(versions::KEPT_MILLIS);
        hub.db().batch(Rows::forget_strangers(before.cast_signed()).into()).await?;
        let mut after = String::new();
        loop {
            let page = self.rows.all(self.service.jid.as_str(), &after, ROOMS).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after.clone_from(&last.room);
            let mut batch = Vec::new();
            for row in &page {
                batch.push(Archive::trim(&row.room, settings.archive_messages));
                if settings.archive_days > 0 {
                    let age = u64::from(settings.archive_days) * DAY_MILLIS;
                    let before = hub.clock().wall_millis().saturating_sub(age);
                    batch.push(Archive::expire(&row.room, (before << COUNTER_BITS).cast_signed()));
                }
            }
            hub.db().batch(batch).await?;
        }
    }
}
