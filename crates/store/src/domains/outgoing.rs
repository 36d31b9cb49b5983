//! The spool of what is on its way to other servers: messages that were acknowledged to their
//! senders, until the other server has them.

use crate::{Db, Row, Statement, StoreError, Table};

/// Messages for other servers. Rows are written and removed with statements, so that they can
/// share a batch with other writes.
#[derive(Clone, Debug)]
pub struct Outgoing {
    db: Db,
}

/// One message on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Unique in the store and rising with time; given by the caller.
    pub id: i64,
    /// The bare address of its sender.
    pub sender: String,
    /// The domain of ours that it comes from.
    pub ours: String,
    /// The domain of the other server.
    pub peer: String,
    /// When it was sent, in milliseconds since 1970.
    pub stamp: i64,
    /// The stanza as text.
    pub stanza: String,
}

const OUTGOING: Table = Table {
    name: "outgoing",
    owner: Some("sender"),
    steps: &["CREATE TABLE outgoing (id {id} PRIMARY KEY, sender {text} NOT NULL, \
                ours {text} NOT NULL, peer {text} NOT NULL, stamp {instant} NOT NULL, \
                stanza {text} NOT NULL); \
              CREATE INDEX outgoing_peer ON outgoing (peer, id)"],
};

const APPEND: &str =
    "INSERT INTO outgoing (id, sender, ours, peer, stamp, stanza) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
const REMOVE: &str = "DELETE FROM outgoing WHERE id = ?1";
const PAIRS: &str = "SELECT DISTINCT ours, peer FROM outgoing ORDER BY peer, ours";
const PAGE: &str = "SELECT id, sender, ours, peer, stamp, stanza FROM outgoing \
     WHERE peer = ?1 AND ours = ?2 AND id > ?3 AND id <= ?4 ORDER BY id LIMIT ?5";
const LAST: &str = "SELECT id FROM outgoing ORDER BY id DESC LIMIT 1";

impl Outgoing {
    /// The tables to migrate.
    pub const TABLES: &'static [&'static Table] = &[&OUTGOING];

    /// Every statement used here, so that both engines can be asked whether they understand it.
    pub const STATEMENTS: &'static [&'static str] = &[APPEND, REMOVE, PAIRS, PAGE, LAST];

    /// The spool in `db`.
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    /// Keeps a message. A second one under the same id fails its batch.
    pub fn append(sent: Sent) -> Statement {
        Statement::new(APPEND)
            .with(sent.id)
            .with(sent.sender)
            .with(sent.ours)
            .with(sent.peer)
            .with(sent.stamp)
            .with(sent.stanza)
    }

    /// Removes the message `id`, if it is there.
    pub fn remove(id: i64) -> Statement {
        Statement::new(REMOVE).with(id)
    }

    /// Between which domains something is on its way: one of ours, and the other server's.
    ///
    /// # Errors
    /// The store's.
    pub async fn pairs(&self) -> Result<Vec<(String, String)>, StoreError> {
        let rows = self.db.query(Statement::new(PAIRS)).await?;
        rows.iter().map(|row| Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned()))).collect()
    }

    /// The first `limit` messages from `ours` to `peer` behind the id `after`, up to the id `last`,
    /// in order of id.
    ///
    /// # Errors
    /// The store's.
    pub async fn page(
        &self,
        (ours, peer): (&str, &str),
        (after, last): (i64, i64),
        limit: u32,
    ) -> Result<Vec<Sent>, StoreError> {
        let statement = Statement::new(PAGE).with(peer).with(ours).with(after).with(last);
        self.db.query(statement.with(limit)).await?.iter().map(read).collect()
    }

    /// The highest id in the spool; 0 when it is empty.
    ///
    /// # Errors
    /// The store's.
    pub async fn last_id(&self) -> Result<i64, StoreError> {
        let row = self.db.query_one(Statement::new(LAST)).await?;
        row.map_or(Ok(0), |row| row.int(0))
    }
}

fn read(row: &Row) -> Result<Sent, StoreError> {
    Ok(Sent {
        id: row.int(0)?,
        sender: row.text(1)?.to_owned(),
        ours: row.text(2)?.to_owned(),
        peer: row.text(3)?.to_owned(),
        stamp: row.int(4)?,
        stanza: row.text(5)?.to_owned(),
    })
}
