//! Rosters: contacts, their subscriptions, and requests that wait for an answer (RFC 6121 §2, §3).

use crate::{Db, Row, Statement, StoreError, Table};

/// Rosters by their owner's bare address. Changes are statements, so that an item, the version and
/// a request can share a batch.
#[derive(Clone, Debug)]
pub struct Roster {
    db: Db,
}

/// One contact of one roster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The contact's address.
    pub jid: String,
    /// The name the owner gave it.
    pub name: Option<String>,
    /// `none`, `to`, `from` or `both` (RFC 6121 §2.1.2.5).
    pub subscription: String,
    /// Whether the owner's own request waits for an answer.
    pub ask: bool,
    /// Whether the contact's request is approved beforehand (RFC 6121 §3.4).
    pub approved: bool,
    /// The groups the owner put it in.
    pub groups: Vec<String>,
    /// The roster's version as of the last change of this item.
    pub version: i64,
}

/// A subscription request that waits for the owner's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Who asks.
    pub jid: String,
    /// The presence stanza as text, to be shown at every sign-in (RFC 6121 §3.1.3).
    pub stanza: String,
}

const ROSTER: Table = Table {
    name: "roster",
    owner: Some("owner"),
    steps: &["CREATE TABLE roster (owner {text} NOT NULL, jid {text} NOT NULL, name {text}, \
                subscription {text} NOT NULL, ask {int} NOT NULL, approved {int} NOT NULL, \
                groups {text} NOT NULL, version {int} NOT NULL, PRIMARY KEY (owner, jid))"],
};

const ROSTER_VERSION: Table = Table {
    name: "roster_version",
    owner: Some("owner"),
    steps: &["CREATE TABLE roster_version (owner {text} PRIMARY KEY, version {int} NOT NULL)"],
};

const ROSTER_REQUEST: Table = Table {
    name: "roster_request",
    owner: Some("owner"),
    steps: &["CREATE TABLE roster_request (owner {text} NOT NULL, jid {text} NOT NULL, \
                stanza {text} NOT NULL, PRIMARY KEY (owner, jid))"],
};

const LOAD: &str = "SELECT jid, name, subscription, ask, approved, groups, version FROM roster \
     WHERE owner = ?1 ORDER BY jid";
const PUT: &str = "INSERT INTO roster \
     (owner, jid, name, subscription, ask, approved, groups, version) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (owner, jid) DO UPDATE SET \
     name = excluded.name, subscription = excluded.subscription, ask = excluded.ask, \
     approved = excluded.approved, groups = excluded.groups, version = excluded.version";
const DELETE: &str = "DELETE FROM roster WHERE owner = ?1 AND jid = ?2";
const VERSION: &str = "SELECT version FROM roster_version WHERE owner = ?1";
const ADVANCE: &str = "INSERT INTO roster_version (owner, version) VALUES (?1, ?2) \
     ON CONFLICT (owner) DO UPDATE SET version = excluded.version \
     WHERE roster_version.version < excluded.version";
const REQUESTS: &str = "SELECT jid, stanza FROM roster_request WHERE owner = ?1 ORDER BY jid";
const ASK: &str = "INSERT INTO roster_request (owner, jid, stanza) VALUES (?1, ?2, ?3) \
     ON CONFLICT (owner, jid) DO UPDATE SET stanza = excluded.stanza";
const SETTLE: &str = "DELETE FROM roster_request WHERE owner = ?1 AND jid = ?2";

impl Roster {
    /// The tables to migrate.
    pub const TABLES: &'static [&'static Table] = &[&ROSTER, &ROSTER_VERSION, &ROSTER_REQUEST];

    /// Every statement used here, so that both engines can be asked whether they understand it.
    pub const STATEMENTS: &'static [&'static str] =
        &[LOAD, PUT, DELETE, VERSION, ADVANCE, REQUESTS, ASK, SETTLE];

    /// The rosters in `db`.
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    /// All contacts of `owner`, ordered by address.
    pub async fn load(&self, owner: &str) -> Result<Vec<Item>, StoreError> {
        self.db.query(Statement::new(LOAD).with(owner)).await?.iter().map(read).collect()
    }

    /// The version of `owner`'s roster; 0 before the first change.
    pub async fn version(&self, owner: &str) -> Result<i64, StoreError> {
        let row = self.db.query_one(Statement::new(VERSION).with(owner)).await?;
        row.map_or(Ok(0), |row| row.int(0))
    }

    /// The requests that wait for `owner`'s answer, ordered by address.
    pub async fn requests(&self, owner: &str) -> Result<Vec<Request>, StoreError> {
        let rows = self.db.query(Statement::new(REQUESTS).with(owner)).await?;
        let read = |row: &Row| {
            Ok(Request { jid: row.text(0)?.to_owned(), stanza: row.text(1)?.to_owned() })
        };
        rows.iter().map(read).collect()
    }

    /// Sets the roster's version. Its batch fails with [`StoreError::Conflict`] unless `version`
    /// is higher than the stored one, so versions only ever rise.
    pub fn advance(owner: &str, version: i64) -> Statement {
        Statement::new(ADVANCE).with(owner).with(version).must_change(1)
    }

    /// Adds or replaces a contact.
    pub fn put(owner: &str, item: &Item) -> Statement {
        let groups = serde_json::Value::from(item.groups.clone()).to_string();
        Statement::new(PUT)
            .with(owner)
            .with(item.jid.as_str())
            .with(item.name.as_deref())
            .with(item.subscription.as_str())
            .with(item.ask)
            .with(item.approved)
            .with(groups)
            .with(item.version)
    }

    /// Removes a contact, if it is there.
    pub fn delete(owner: &str, jid: &str) -> Statement {
        Statement::new(DELETE).with(owner).with(jid)
    }

    /// Keeps a subscription request; a newer one from the same address replaces it.
    pub fn ask(owner: &str, request: &Request) -> Statement {
        let Request { jid, stanza } = request;
        Statement::new(ASK).with(owner).with(jid.as_str()).with(stanza.as_str())
    }

    /// Removes a subscription request, if it is there.
    pub fn settle(owner: &str, jid: &str) -> Statement {
        Statement::new(SETTLE).with(owner).with(jid)
    }
}

/// The groups of a contact as they are kept.
pub(super) fn read_groups(text: &str) -> Result<Vec<String>, StoreError> {
    serde_json::from_str(text)
        .map_err(|error| StoreError::Corrupt(format!("the groups of a contact: {error}")))
}

fn read(row: &Row) -> Result<Item, StoreError> {
    let groups = read_groups(row.text(5)?)?;
    Ok(Item {
        jid: row.text(0)?.to_owned(),
        name: row.text_or_null(1)?.map(str::to_owned),
        subscription: row.text(2)?.to_owned(),
        ask: row.flag(3)?,
        approved: row.flag(4)?,
        groups,
        version: row.int(6)?,
    })
}
