//! How people stand to nodes: owners, publishers, members, outcasts.

use crate::{Db, Row, Statement, StoreError, Table};

/// How somebody stands to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Affiliation {
    /// The node.
    pub node: i64,
    /// The bare address of the service or account that the node belongs to.
    pub owner: String,
    /// The bare address of whom it is about.
    pub jid: String,
    /// How, as a number of the caller's; there is no row for none.
    pub affiliation: i64,
}

pub(super) const TABLE: Table = Table {
    name: "pubsub_affiliation",
    owner: Some("owner"),
    steps: &["CREATE TABLE pubsub_affiliation (owner {text} NOT NULL, node {id} NOT NULL, \
                jid {text} NOT NULL, affiliation {int} NOT NULL, PRIMARY KEY (node, jid)); \
              CREATE INDEX pubsub_affiliation_owner ON pubsub_affiliation (owner); \
              CREATE INDEX pubsub_affiliation_jid ON pubsub_affiliation (jid, owner, node); \
              CREATE INDEX pubsub_affiliation_kind ON pubsub_affiliation \
                (node, affiliation, jid)"],
};

const PUT: &str = "INSERT INTO pubsub_affiliation (owner, node, jid, affiliation) \
     VALUES (?1, ?2, ?3, ?4) \
     ON CONFLICT (node, jid) DO UPDATE SET affiliation = excluded.affiliation";
const DROP: &str = "DELETE FROM pubsub_affiliation WHERE node = ?1 AND jid = ?2";
const CLEAR: &str = "DELETE FROM pubsub_affiliation WHERE node = ?1";
const FORGET: &str = "DELETE FROM pubsub_affiliation WHERE jid = ?1";
const FIND: &str = "SELECT affiliation FROM pubsub_affiliation WHERE node = ?1 AND jid = ?2";
const LIST: &str = "SELECT node, owner, jid, affiliation FROM pubsub_affiliation \
     WHERE node = ?1 AND jid > ?2 ORDER BY jid LIMIT ?3";
const OF_KIND: &str = "SELECT node, owner, jid, affiliation FROM pubsub_affiliation \
     WHERE node = ?1 AND affiliation = ?2 ORDER BY jid LIMIT ?3";
const COUNT: &str = "SELECT COUNT(*) FROM pubsub_affiliation WHERE node = ?1";
const OF: &str = "SELECT pubsub_node.name, pubsub_affiliation.affiliation \
     FROM pubsub_affiliation JOIN pubsub_node ON pubsub_node.id = pubsub_affiliation.node \
     WHERE pubsub_affiliation.jid = ?1 AND pubsub_affiliation.owner = ?2 \
     AND pubsub_affiliation.node > ?3 ORDER BY pubsub_affiliation.node LIMIT ?4";

pub(super) const STATEMENTS: &[&str] = &[PUT, DROP, CLEAR, FORGET, FIND, LIST, OF_KIND, COUNT, OF];

/// The affiliations in a database.
#[derive(Clone, Debug)]
pub struct Affiliations(Db);

impl Affiliations {
    /// The affiliations in `db`.
    pub fn new(db: Db) -> Self {
        Self(db)
    }

    /// Writes how somebody stands to a node.
    pub fn put(affiliation: &Affiliation) -> Statement {
        Statement::new(PUT)
            .with(affiliation.owner.as_str())
            .with(affiliation.node)
            .with(affiliation.jid.as_str())
            .with(affiliation.affiliation)
    }

    /// Forgets how `jid` stands to a node.
    pub fn drop(node: i64, jid: &str) -> Statement {
        Statement::new(DROP).with(node).with(jid)
    }

    /// Forgets how anybody stands to a node.
    pub fn clear(node: i64) -> Statement {
        Statement::new(CLEAR).with(node)
    }

    /// Forgets how `jid` stands to any node.
    pub fn forget(jid: &str) -> Statement {
        Statement::new(FORGET).with(jid)
    }

    /// How `jid` stands to a node.
    ///
    /// # Errors
    /// The store's.
    pub async fn find(&self, node: i64, jid: &str) -> Result<Option<i64>, StoreError> {
        let row = self.0.query_one(Statement::new(FIND).with(node).with(jid)).await?;
        row.map(|row| row.int(0)).transpose()
    }

    /// How people stand to a node, by their addresses, from behind `after` on.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(
        &self,
        node: i64,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Affiliation>, StoreError> {
        let rows = self.0.query(Statement::new(LIST).with(node).with(after).with(limit)).await?;
        rows.iter().map(read).collect()
    }

    /// Those who stand so to a node, at most `limit`, by their addresses.
    ///
    /// # Errors
    /// The store's.
    pub async fn of_kind(
        &self,
        node: i64,
        affiliation: i64,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        let ask = Statement::new(OF_KIND).with(node).with(affiliation).with(limit);
        let rows = self.0.query(ask).await?;
        rows.iter().map(|row| read(row).map(|found| found.jid)).collect()
    }

    /// How many stand in some way to a node.
    ///
    /// # Errors
    /// The store's.
    pub async fn count(&self, node: i64) -> Result<i64, StoreError> {
        let row = self.0.query_one(Statement::new(COUNT).with(node)).await?;
        row.map_or(Ok(0), |row| row.int(0))
    }

    /// The names of the nodes of `owner` that `jid` stands to, and how: those with ids behind
    /// `after`.
    ///
    /// # Errors
    /// The store's.
    pub async fn of(
        &self,
        jid: &str,
        owner: &str,
        after: i64,
        limit: u32,
    ) -> Result<Vec<(String, i64)>, StoreError> {
        let ask = Statement::new(OF).with(jid).with(owner).with(after).with(limit);
        let rows = self.0.query(ask).await?;
        rows.iter().map(|row| Ok((row.text(0)?.to_owned(), row.int(1)?))).collect()
    }
}

fn read(row: &Row) -> Result<Affiliation, StoreError> {
    Ok(Affiliation {
        node: row.int(0)?,
        owner: row.text(1)?.to_owned(),
        jid: row.text(2)?.to_owned(),
        affiliation: row.int(3)?,
    })
}
