//! What a client reads from the archive need not come from the spool as well (XEP-0386 §4).

use waxwing_kernel::Hub;
use waxwing_kernel::account::Account;
use waxwing_stanza::Stanza;
use waxwing_stanza::payload::sid;
use waxwing_store::StoreError;
use waxwing_store::domains::archive::Archive;
use waxwing_store::domains::offline::{Offline as Rows, Spooled};
use waxwing_stream::Tag;

use super::waiting::{Claimed, Reading};
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
            let named = page.iter().filter_map(|row| Some((row.id, number_of(hub, row, account)?)));
            let named: Vec<(i64, i64)> = named.collect();
            let numbers: Vec<i64> = named.iter().map(|(_, number)| *number).collect();
            if !numbers.is_empty() {
                let archived = archive.have(owner, &numbers).await?;
                let there = named.iter().filter(|(_, number)| archived.contains(number));
                let claimed = Claimed::of(&waiting, there.map(|(id, _)| Tag(id.cast_unsigned())));
                let remove = |tag: &Tag| Rows::remove(tag.0.cast_signed());
                hub.db().batch(claimed.tags().iter().map(remove).collect()).await?;
                claimed.gone();
            }
            match page.last() {
                Some(last) if page.len() == PAGE as usize => after = last.id,
                _ => return Ok(()),
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
