//! Which push services an account has enabled (§5).

use std::sync::Arc;

use waxwing_jid::{BareJid, Jid};
use waxwing_kernel::Hub;
use waxwing_kernel::account::Fact;
use waxwing_kernel::directory::Resource;
use waxwing_store::{Db, Row, Statement, StoreError, Table};

use super::pulse::Pulse;

pub(super) const TABLE: Table = Table {
    name: "push",
    owner: Some("owner"),
    steps: &["CREATE TABLE push (owner {text} NOT NULL, service {text} NOT NULL, \
              node {text} NOT NULL, options {text}, resource {text} NOT NULL, \
              made {instant} NOT NULL, PRIMARY KEY (owner, service, node))"],
};

const LOAD: &str =
    "SELECT service, node, options, resource FROM push WHERE owner = ?1 ORDER BY made";
const ENABLE: &str = "INSERT INTO push (owner, service, node, options, resource, made) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (owner, service, node) \
     DO UPDATE SET options = excluded.options, resource = excluded.resource, made = excluded.made";
const DISABLE: &str = "DELETE FROM push WHERE owner = ?1 AND service = ?2 AND node = ?3";

/// The services that one account has enabled, the oldest first.
#[derive(Clone, Default)]
pub(super) struct Registrations(pub(super) Vec<Arc<Registration>>);

/// One of them.
pub(super) struct Registration {
    /// The service.
    pub(super) service: Jid,
    /// The node at it; empty when the client named none.
    pub(super) node: String,
    /// The form of publish-options, as XML.
    pub(super) options: Option<String>,
    /// The resource of the session that enabled it.
    pub(super) resource: String,
    /// What it was told, and is to be told.
    pub(super) pulse: Arc<Pulse>,
}

impl Registration {
    /// Whether it stands for the same target as `service` and `node`.
    pub(super) fn is_for(&self, service: &Jid, node: &str) -> bool {
        self.service == *service && self.node == node
    }

    /// Whether it is the same in all that the client says.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.is_for(&other.service, &other.node)
            && self.options == other.options
            && self.resource == other.resource
    }

    /// Whether `session` is that of its client.
    pub(super) fn is_of(&self, session: &Resource) -> bool {
        session.jid.resource() == Some(&self.resource)
    }

    /// Whether its client is connected.
    pub(super) fn is_live(&self, hub: &Hub, owner: &BareJid) -> bool {
        let is_it = |session: &Resource| session.is_live && self.is_of(session);
        !hub.directory().select(owner.as_str(), is_it).is_empty()
    }

    /// Writes it down.
    pub(super) fn enable(&self, owner: &BareJid, now: i64) -> Statement {
        Statement::new(ENABLE)
            .with(owner.as_str())
            .with(self.service.as_str())
            .with(self.node.as_str())
            .with(self.options.as_deref())
            .with(self.resource.as_str())
            .with(now)
    }

    /// Removes it.
    pub(super) fn disable(&self, owner: &BareJid) -> Statement {
        Statement::new(DISABLE)
            .with(owner.as_str())
            .with(self.service.as_str())
            .with(self.node.as_str())
    }
}

impl Fact for Registrations {
    async fn load(db: &Db, owner: &BareJid) -> Result<Self, StoreError> {
        let rows = db.query(Statement::new(LOAD).with(owner.as_str())).await?;
        rows.iter().map(read).collect::<Result<_, _>>().map(Self)
    }
}

fn read(row: &Row) -> Result<Arc<Registration>, StoreError> {
    let service = Jid::new(row.text(0)?);
    let corrupt = |error| StoreError::Corrupt(format!("the address of a push service: {error}"));
    Ok(Arc::new(Registration {
        service: service.map_err(corrupt)?,
        node: row.text(1)?.to_owned(),
        options: row.text_or_null(2)?.map(str::to_owned),
        resource: row.text(3)?.to_owned(),
        pulse: Arc::default(),
    }))
}
