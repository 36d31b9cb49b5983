//! What a client reads from the archive need not come from the spool as well (XEP-0386 §4).

use waxwing_kernel::Hub;
use waxwing_kernel::account::Account;
use waxwing_kernel::router::Spool;
use waxwing_stanza::Stanza;
use waxwing_stanza::payload::sid;
use waxwing_store::StoreError;
use waxwing_store::domains::archive::Archive;
use waxwing_store::domains::offline::{Offline as Rows, Spooled};
use waxwing_stream::Tag;

use super::waiting::Reading;
use super::{Offline, PAGE};

impl Offline {
    /// XEP-0386 §4: "Clear the offline messages for this user, if any, without sending them (as
    /// they will be provided by MAM)." Those that the archive does not have would be lost by that:
    /// they wait for presence as ever, and so does what another session has and did not confirm.
    pub(super) async fn clear_archived(
        &self,
        hub: &Hub,
        account: &Account,
    ) -> Result<(), StoreError> {
        let waiting = account.fact(self.waiting);
        if waiting.is_empty() {
            return Ok(());
        }
        let _reading = Reading::begin(&waiting);
        let (rows, archive) = (Rows::new(hub.db().clone()), Archive::new(hub.db().clone()));
        let (owner, mut after) = (account.jid().as_str(), 0);
        loop {
            let page = rows.page(owner, after, PAGE).await?;
            let is_last = page.len() < PAGE as usize;
            let mut tags = Vec::new();
            for row in page {
                after = row.id;
                let Some(number) = number_of(hub, &row, account) else { continue };
                let tag = Tag(row.id.cast_unsigned());
                if archive.has(owner, number).await? && waiting.claim_row(tag) {
                    tags.push(tag);
                }
            }
            let forgotten = hub.db().batch(self.confirm(account, &tags)).await;
            waiting.forgotten(&tags);
            forgotten?;
            if is_last {
                return Ok(());
            }
        }
    }
}

/// The number of a kept message in its owner's archive, by its stanza id (XEP-0359).
fn number_of(hub: &Hub, row: &Spooled, account: &Account) -> Option<i64> {
    let stanza = Stanza::parse(&row.stanza).ok()?;
    let id = sid::find(&stanza.body, account.jid())?;
    hub.names().number(&id).map(u64::cast_signed)
}
