//! What there is to know of accounts.

use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_kernel::clock::stamp_of;
use waxwing_kernel::command::{FieldKind, Grid, Order, Refusal, Said};
use waxwing_store::domains::accounts::{Account as Row, Listing};

use super::forms::{
    CountDisabled, CountUsers, LastSeen, ListDisabled, ListUsers, Most, ShowRoster, ShowUser,
};
use super::{Admin, at, failed};

impl Admin {
    /// §4.8
    pub(super) async fn roster(
        self: Arc<Self>,
        order: Order<ShowRoster>,
    ) -> Result<Said, Refusal> {
        let account = self.account("accountjids", &order.form.jid).await?;
        let roster = account.fact(self.site()?.roster);
        let mut grid = Grid::new(&[
            ("jid", "Address"),
            ("name", "Name"),
            ("subscription", "Subscription"),
            ("groups", "Groups"),
        ]);
        for contact in roster.contacts() {
            grid.row([
                contact.jid.to_string(),
                contact.name.as_deref().unwrap_or_default().to_owned(),
                contact.subscription.name().to_owned(),
                contact.groups.join(", "),
            ]);
        }
        Ok(Said::note(format!("The contacts of {}.", order.form.jid)).table(grid))
    }

    /// §4.9: the time "SHOULD conform to the DateTime profile specified in XEP-0082". Of those
    /// who are online it is when they came, of others when they left.
    pub(super) async fn last_seen(
        self: Arc<Self>,
        order: Order<LastSeen>,
    ) -> Result<Said, Refusal> {
        self.hub.write_notes().await;
        let mut rows = Vec::with_capacity(order.form.jids.len());
        for jid in order.form.jids {
            let row = self.row("accountjids", &jid).await?;
            let came = self.hub.directory().sessions(&jid);
            let came = came.iter().map(|session| session.since_millis).max().map(stamp_of);
            let seen = came.or_else(|| row.last_seen.map(stamp)).unwrap_or_default();
            rows.push([jid.to_string(), seen]);
        }
        if let [[jid, seen]] = rows.as_slice() {
            let said = Said::default().facts(
                "accountjids",
                "Account",
                FieldKind::Jids,
                vec![jid.clone()],
            );
            return Ok(said.fact("lastlogin", "Last seen", seen.clone()));
        }
        let mut grid = Grid::new(&[("accountjids", "Account"), ("lastlogin", "Last seen")]);
        rows.into_iter().for_each(|row| grid.row(row));
        Ok(Said::default().table(grid))
    }

    /// §4.10
    pub(super) async fn show(self: Arc<Self>, order: Order<ShowUser>) -> Result<Said, Refusal> {
        let jid = order.form.jid;
        let account = self.account("accountjid", &jid).await?;
        self.hub.write_notes().await;
        let row = self.row("accountjid", &jid).await?;
        let contacts = account.fact(self.site()?.roster).contacts().len();
        let sessions = self.hub.directory().sessions(&jid);
        let online = sessions.iter().filter_map(|session| session.jid.resource());
        let online: Vec<String> = online.map(str::to_owned).collect();
        let mut said = Said::default()
            .facts("accountjid", "Account", FieldKind::Jid, vec![jid.to_string()])
            .fact("created", "Made", stamp(row.created))
            .fact("rostersize", "Contacts", contacts.to_string())
            .facts("onlineresources", "Sessions", FieldKind::Texts, online);
        if let Some(seen) = row.last_seen {
            said = said.fact("lastseen", "Last seen", stamp(seen));
        }
        if let Some(reason) = row.disabled {
            said = said.fact("disabled", "Disabled", reason);
        }
        Ok(said)
    }

    /// §4.13
    pub(super) async fn count(self: Arc<Self>, _: Order<CountUsers>) -> Result<Said, Refusal> {
        let count = self.accounts().count(self.domain.domain()).await.map_err(failed)?;
        Ok(Said::default().fact("registeredusersnum", "Accounts", count.to_string()))
    }

    /// §4.14
    pub(super) async fn count_disabled(
        self: Arc<Self>,
        _: Order<CountDisabled>,
    ) -> Result<Said, Refusal> {
        let count = self.accounts().count_disabled(self.domain.domain()).await;
        let count = count.map_err(failed)?.to_string();
        Ok(Said::default().fact("disabledusersnum", "Disabled accounts", count))
    }

    /// §4.18
    pub(super) async fn list(self: Arc<Self>, order: Order<ListUsers>) -> Result<Said, Refusal> {
        let ListUsers { max_items, prefix, after, host } = order.form;
        self.check_host("host", host.as_deref())?;
        let (prefix, after) = (prefix.unwrap_or_default(), after.unwrap_or_default());
        let limit = most(max_items);
        let listing = self.listing(&prefix, &after, limit);
        let rows = self.accounts().list(listing).await.map_err(failed)?;
        Ok(page(rows, limit, "registereduserjids", "Accounts"))
    }

    /// §4.19
    pub(super) async fn list_disabled(
        self: Arc<Self>,
        order: Order<ListDisabled>,
    ) -> Result<Said, Refusal> {
        let ListDisabled { max_items, after, host } = order.form;
        self.check_host("host", host.as_deref())?;
        let (after, limit) = (after.unwrap_or_default(), most(max_items));
        let listing = self.listing("", &after, limit);
        let rows = self.accounts().list_disabled(listing).await.map_err(failed)?;
        Ok(page(rows, limit, "disableduserjids", "Disabled accounts"))
    }

    /// One more than `limit`, to know whether there are more.
    fn listing<'a>(&'a self, prefix: &'a str, after: &'a str, limit: u32) -> Listing<'a> {
        Listing { domain: self.domain.domain(), prefix, after, limit: limit + 1 }
    }

    async fn row(&self, field: &'static str, jid: &BareJid) -> Result<Row, Refusal> {
        self.check_address(field, jid)?;
        let row = self.accounts().find(jid.as_str()).await.map_err(failed)?;
        row.ok_or_else(|| at(field, Refusal::not_found(format!("there is no account {jid}"))))
    }
}

fn most(asked: Option<Most>) -> u32 {
    asked.map_or(Most::LIMIT, |most| most.0)
}

fn page(mut rows: Vec<Row>, limit: u32, var: &'static str, label: &'static str) -> Said {
    let has_more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let jids: Vec<String> = rows.into_iter().map(|row| row.jid).collect();
    let note = match jids.last() {
        Some(last) if has_more => format!("There are more; ask for those after {last}."),
        Some(_) => String::new(),
        None => "There is none.".to_owned(),
    };
    Said::note(note).facts(var, label, FieldKind::Jids, jids)
}

/// XEP-0082, from what the store keeps.
fn stamp(millis: i64) -> String {
    stamp_of(millis.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(count: usize) -> Vec<Row> {
        let row = |index| Row {
            jid: format!("user{index}@example.org"),
            created: 0,
            last_seen: None,
            disabled: None,
        };
        (0..count).map(row).collect()
    }

    #[test]
    fn a_full_page_tells_how_to_go_on() {
        let said = page(rows(3), 2, "registereduserjids", "Accounts");
        assert_eq!(said.note, "There are more; ask for those after user1@example.org.");
        assert_eq!(said.facts[0].values.len(), 2);
        assert_eq!(page(rows(2), 2, "registereduserjids", "Accounts").note, "");
        assert_eq!(page(rows(0), 2, "registereduserjids", "Accounts").note, "There is none.");
    }
}
