//! The spool: stanzas kept for an account until one of its sessions takes them.

use crate::{Db, Row, Statement, StoreError, Table};

/// Stanzas that wait for their owner. Rows are written and removed with statements, so that they
/// can share a batch with other writes.
#[derive(Clone, Debug)]
pub struct Offline {
    db: Db,
}

/// One stanza in the spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spooled {
    /// Unique in the store and rising with time of arrival; given by the caller.
    pub id: i64,
    /// The bare address of the account it waits for.
    pub owner: String,
    /// When it arrived, in milliseconds since 1970.
    pub stamp: i64,
    /// The stanza as text.
    pub stanza: String,
}

/// What an owner's spool holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Stanzas.
    pub stanzas: u64,
    /// Bytes of their text.
    pub bytes: u64,
}

const OFFLINE: Table = Table {
    name: "offline",
    owner: Some("owner"),
    steps: &["CREATE TABLE offline (id {id} PRIMARY KEY, owner {text} NOT NULL, \
                stamp {instant} NOT NULL, bytes {int} NOT NULL, stanza {text} NOT NULL); \
              CREATE INDEX offline_owner ON offline (owner, id, bytes)"],
};

const APPEND: &str =
    "INSERT INTO offline (id, owner, stamp, bytes, stanza) VALUES (?1, ?2, ?3, ?4, ?5)";
const REMOVE: &str = "DELETE FROM offline WHERE id = ?1";
const CLEAR: &str = "DELETE FROM offline WHERE owner = ?1";
const PRUNE: &str = "DELETE FROM offline WHERE stamp < ?1";
const HELD: &str = "SELECT COUNT(*), CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM offline \
     WHERE owner = ?1";
const PAGE: &str = "SELECT id, owner, stamp, stanza FROM offline WHERE owner = ?1 AND id > ?2 \
     ORDER BY id LIMIT ?3";
const LAST: &str = "SELECT id FROM offline ORDER BY id DESC LIMIT 1";

impl Offline {
    /// The tables to migrate.
    pub const TABLES: &'static [&'static Table] = &[&OFFLINE];

    /// Every statement used here, so that both engines can be asked whether they understand it.
    pub const STATEMENTS: &'static [&'static str] =
        &[APPEND, REMOVE, CLEAR, PRUNE, HELD, PAGE, LAST];

    /// The spool in `db`.
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    /// Keeps a stanza. A second one under the same id fails its batch.
    pub fn append(spooled: Spooled) -> Statement {
        let bytes = i64::try_from(spooled.stanza.len()).unwrap_or(i64::MAX);
        Statement::new(APPEND)
            .with(spooled.id)
            .with(spooled.owner)
            .with(spooled.stamp)
            .with(bytes)
            .with(spooled.stanza)
    }

    /// Removes the stanza `id`, if it is there.
    pub fn remove(id: i64) -> Statement {
        Statement::new(REMOVE).with(id)
    }

    /// Removes all stanzas of `owner`.
    pub fn clear(owner: &str) -> Statement {
        Statement::new(CLEAR).with(owner)
    }

    /// Removes what arrived before `stamp`, in milliseconds since 1970, whoever owns it.
    pub fn prune(stamp: i64) -> Statement {
        Statement::new(PRUNE).with(stamp)
    }

    /// How much waits for `owner`.
    pub async fn held(&self, owner: &str) -> Result<Held, StoreError> {
        let Some(row) = self.db.query_one(Statement::new(HELD).with(owner)).await? else {
            return Ok(Held::default());
        };
        Ok(Held { stanzas: row.int(0)?.unsigned_abs(), bytes: row.int(1)?.unsigned_abs() })
    }

    /// The first `limit` stanzas of `owner` behind the id `after`, in order of id.
    pub async fn page(
        &self,
        owner: &str,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Spooled>, StoreError> {
        let statement = Statement::new(PAGE).with(owner).with(after).with(limit);
        self.db.query(statement).await?.iter().map(read).collect()
    }

    /// The highest id in the spool, so that ids go on rising after a restart; 0 when it is empty.
    pub async fn last_id(&self) -> Result<i64, StoreError> {
        let row = self.db.query_one(Statement::new(LAST)).await?;
        row.map_or(Ok(0), |row| row.int(0))
    }
}

fn read(row: &Row) -> Result<Spooled, StoreError> {
    Ok(Spooled {
        id: row.int(0)?,
        owner: row.text(1)?.to_owned(),
        stamp: row.int(2)?,
        stanza: row.text(3)?.to_owned(),
    })
}
