//! Admins beside those of the configuration (XEP-0133 §4.29).

use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use waxwing_jid::BareJid;
use waxwing_kernel::command::{Caller, CommandAbout, Grid, Order, Refusal, Said, Values};
use waxwing_kernel::request::Happening;
use waxwing_kernel::stage::Effects;
use waxwing_kernel::{Hub, form};
use waxwing_store::domains::accounts::Accounts;
use waxwing_store::{Statement, StoreError, Table};

use super::{Admin, at, failed};

/// Admins who can be appointed for one domain.
const APPOINTED: usize = 100;
/// How long until it is tried again to read who was appointed.
const PAUSE: Duration = Duration::from_secs(5);

pub(super) const TABLE: Table = Table {
    name: "appointed",
    owner: Some("jid"),
    steps: &["CREATE TABLE appointed (domain {text} NOT NULL, jid {text} NOT NULL, \
              PRIMARY KEY (domain, jid)); \
              CREATE INDEX appointed_jid ON appointed (jid)"],
};

const LOAD: &str = "SELECT jid FROM appointed WHERE domain = ?1 ORDER BY jid";
const CLEAR: &str = "DELETE FROM appointed WHERE domain = ?1";
const DROP: &str = "DELETE FROM appointed WHERE domain = ?1 AND jid = ?2";
const ADD: &str = "INSERT INTO appointed (domain, jid) VALUES (?1, ?2)";

/// Who was appointed, as the host sees it.
pub(super) type Appointed = Arc<RwLock<Vec<BareJid>>>;

/// Who changes that, in the rows and in memory, takes a turn: an account that is erased meanwhile
/// would else be left in one of them, for whoever has its name next.
pub(super) type Appointing = Arc<tokio::sync::Mutex<()>>;

form! {
    /// Edit the list of admins of the domain.
    pub struct EditAdmins {
        /// The addresses of all admins.
        pub jids("adminjids"): Vec<BareJid>,
        /// The domain. The first one if nothing is said.
        pub host: Option<String>,
    }
}
pub(super) static EDIT: CommandAbout = CommandAbout::of::<EditAdmins>(
    "http://jabber.org/protocol/admin#edit-admin",
    &["admin", "edit"],
);

form! {
    /// List the admins of the domain.
    pub struct ListAdmins {}
}
pub(super) static LIST: CommandAbout =
    CommandAbout::of::<ListAdmins>("urn:waxwing:admin#list", &["admin", "list"]).reads();

/// Reads who was appointed, as soon as that can be.
pub(super) fn load_soon(
    hub: Hub,
    domain: BareJid,
    (appointed, appointing): (Appointed, Appointing),
) {
    let reader = hub.clone();
    hub.clock().spawn(async move {
        loop {
            let turn = appointing.lock().await;
            match load(&reader, &domain).await {
                Ok(jids) => return *appointed.write() = jids,
                Err(error) => tracing::error!(%error, host = %domain, "admins cannot be read"),
            }
            drop(turn);
            reader.clock().until(Some(reader.clock().now() + PAUSE)).await;
        }
    });
}

/// Those whose account is there to stay. Where there is none the row goes: whoever has the name
/// next is no admin.
async fn load(hub: &Hub, domain: &BareJid) -> Result<Vec<BareJid>, StoreError> {
    let rows = hub.db().query(Statement::new(LOAD).with(domain.as_str())).await?;
    let jid = |text: &str| {
        BareJid::new(text).map_err(|error| StoreError::Corrupt(format!("an admin: {error}")))
    };
    let accounts = Accounts::new(hub.db().clone());
    let ending = accounts.unfinished("", u32::MAX).await?;
    let mut jids = Vec::new();
    for row in &rows {
        let jid = jid(row.text(0)?)?;
        if accounts.find(jid.as_str()).await?.is_none() {
            tracing::warn!(host = %domain, %jid, "an admin without an account is none any more");
            let row = Statement::new(DROP).with(domain.as_str()).with(jid.as_str());
            hub.db().batch(vec![row]).await?;
        } else if !ending.iter().any(|owner| owner == jid.as_str()) {
            jids.push(jid);
        }
    }
    Ok(jids)
}

impl Admin {
    /// §4.29: "whether there are distinctions between service-level administrators … is a matter
    /// for the implementation". Here those of the configuration appoint others, and cannot be
    /// removed but there.
    pub(super) async fn edit_admins(
        self: Arc<Self>,
        order: Order<EditAdmins>,
    ) -> Result<Said, Refusal> {
        let Order { caller, form: EditAdmins { jids, host } } = order;
        self.check_host("host", host.as_deref())?;
        let site = self.site()?;
        if let Caller::Account(jid) = &caller
            && !site.admins.contains(&jid.bare())
        {
            let text = "only an admin who is named in the configuration may do this";
            return Err(Refusal { text: text.to_owned(), ..Refusal::forbidden() });
        }
        if let Some(missing) = site.admins.iter().find(|jid| !jids.contains(jid)) {
            let text = format!("{missing} is named in the configuration; take that one out there");
            return Err(Refusal::invalid("adminjids", text));
        }
        let mut appointed: Vec<BareJid> =
            jids.into_iter().filter(|jid| !site.admins.contains(jid)).collect();
        // As they are read back; somebody may be named twice.
        appointed.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
        appointed.dedup();
        if appointed.len() > APPOINTED {
            let text = format!("{APPOINTED} can be appointed at most");
            return Err(Refusal::invalid("adminjids", text));
        }
        for jid in &appointed {
            self.account("adminjids", jid).await?;
        }
        let _turn = self.appointing.lock().await;
        self.write(&appointed).await?;
        tracing::info!(by = ?caller, host = %self.domain, ?appointed, "admins appointed");
        let count = appointed.len();
        *self.appointed.write() = appointed;
        Ok(Said::note(format!("Admins beside those of the configuration: {count}.")))
    }

    /// All of them, or none when the account of one has come to its end since it was looked for.
    async fn write(&self, appointed: &[BareJid]) -> Result<(), Refusal> {
        let of = |statement| Statement::new(statement).with(self.domain.as_str());
        let mut write: Vec<_> = appointed.iter().map(|jid| Accounts::stays(jid.as_str())).collect();
        write.push(of(CLEAR));
        write.extend(appointed.iter().map(|jid| of(ADD).with(jid.as_str())));
        match self.hub.db().batch(write).await {
            Ok(_) => Ok(()),
            Err(StoreError::Conflict(_)) => {
                let text = "one of these accounts is being removed; nothing was changed";
                Err(at("adminjids", Refusal::not_found(text)))
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Who makes an account anew under the name of an admin is none. The erasure of the account has
    /// begun, so nobody appoints it after this turn.
    pub(super) async fn dismiss(self: Arc<Self>, happening: Happening) -> Effects {
        let _turn = self.appointing.lock().await;
        self.appointed.write().retain(|jid| jid != happening.account.jid());
        Effects::default()
    }

    pub(super) async fn list_admins(
        self: Arc<Self>,
        _: Order<ListAdmins>,
    ) -> Result<Said, Refusal> {
        let site = self.site()?;
        let mut grid = Grid::new(&[("adminjid", "Admin"), ("by", "Named by")]);
        for jid in &site.admins {
            grid.row([jid.to_string(), "configuration".to_owned()]);
        }
        for jid in self.appointed.read().iter() {
            grid.row([jid.to_string(), "command".to_owned()]);
        }
        Ok(Said::default().table(grid))
    }

    /// The form shows who is an admin.
    pub(super) async fn admins_so_far(self: Arc<Self>, _: Caller) -> Values {
        let mut values = Values::default();
        if let Ok(site) = self.site() {
            site.admins.iter().for_each(|jid| values.push("adminjids", jid.as_str()));
            self.appointed.read().iter().for_each(|jid| values.push("adminjids", jid.as_str()));
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use waxwing_kernel::clock::Clock;
    use waxwing_kernel::metrics::Metrics;
    use waxwing_store::{Db, Limits, Location};

    use super::*;

    #[tokio::test]
    async fn who_was_appointed_is_an_admin_after_a_restart() {
        let db = Db::open(&Location::Memory, Limits::default()).await.unwrap();
        let tables = Accounts::TABLES.iter().copied().chain([&TABLE]);
        db.migrate(&tables.collect::<Vec<_>>()).await.unwrap();
        let accounts = Accounts::new(db.clone());
        for jid in ["romeo@localhost", "tybalt@localhost"] {
            accounts.create(jid, 0, &[]).await.unwrap();
        }
        // One is being erased, and one is not there any more.
        accounts.begin_erasure("tybalt@localhost").await.unwrap();
        let of = |jid: &str| Statement::new(ADD).with("localhost").with(jid);
        let all = ["romeo@localhost", "tybalt@localhost", "mercutio@localhost"];
        db.batch(all.map(of).to_vec()).await.unwrap();
        let metrics = Arc::new(Metrics::new("0", "test"));
        let (clock, limits) = (Clock::simulated(1, 1), waxwing_kernel::Limits::default());
        let hub = Hub::new(db.clone(), clock, limits, metrics);
        let (here, there) = (Appointed::default(), Appointed::default());
        for (domain, appointed) in [("localhost", &here), ("verona.example", &there)] {
            let both = (Arc::clone(appointed), Appointing::default());
            load_soon(hub.clone(), BareJid::new(domain).unwrap(), both);
        }
        while here.read().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(*here.read(), [BareJid::new("romeo@localhost").unwrap()]);
        assert!(there.read().is_empty());
        let left = db.query(Statement::new(LOAD).with("localhost")).await.unwrap();
        assert_eq!(left.len(), 2, "that of an account that is not there went");
    }
}
