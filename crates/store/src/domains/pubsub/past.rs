//! Items that a node no longer keeps, but remembers for its history: another took their place, or
//! there was no room. They have the numbers that they had, so that both together are one order.

use crate::{Db, Statement, StoreError, Table};

pub(super) const TABLE: Table = Table {
    name: "pubsub_past",
    owner: Some("owner"),
    steps: &["CREATE TABLE pubsub_past (number {id} PRIMARY KEY, owner {text} NOT NULL, \
                domain {text} NOT NULL, node {id} NOT NULL, id {text} NOT NULL, \
                publisher {text} NOT NULL, published {instant} NOT NULL, expires {instant}, \
                leaves {int} NOT NULL, payload {text} NOT NULL); \
              CREATE INDEX pubsub_past_node ON pubsub_past (node, number); \
              CREATE INDEX pubsub_past_id ON pubsub_past (node, id, number); \
              CREATE INDEX pubsub_past_publisher ON pubsub_past (node, publisher, number); \
              CREATE INDEX pubsub_past_owner ON pubsub_past (owner); \
              CREATE INDEX pubsub_past_age ON pubsub_past (domain, published); \
              CREATE INDEX pubsub_past_expires ON pubsub_past (expires) \
                WHERE expires IS NOT NULL"],
};

const KEEP: &str = "INSERT INTO pubsub_past \
     (number, owner, domain, node, id, publisher, published, expires, leaves, payload) \
     SELECT number, owner, ?3, node, id, publisher, published, expires, leaves, payload \
     FROM pubsub_item WHERE node = ?1 AND id = ?2 AND leaves = 0";
/// The newest of those that are too many; see `Items::trim`.
const KEEP_SURPLUS: &str = "INSERT INTO pubsub_past \
     (number, owner, domain, node, id, publisher, published, expires, leaves, payload) \
     SELECT number, owner, ?3, node, id, publisher, published, expires, leaves, payload \
     FROM pubsub_item WHERE node = ?1 AND leaves = 0 AND number <= \
     (SELECT number FROM pubsub_item WHERE node = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2) \
     ORDER BY number DESC LIMIT ?4";
const DROP: &str = "DELETE FROM pubsub_past WHERE node = ?1 AND id = ?2";
const PURGE: &str = "DELETE FROM pubsub_past WHERE node = ?1";
const TRIM: &str = "DELETE FROM pubsub_past WHERE node = ?1 AND number <= \
     (SELECT number FROM pubsub_past WHERE node = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)";
const RESCHEDULE: &str = "UPDATE pubsub_past SET expires = published + ?2 WHERE node = ?1";
const STAY: &str = "UPDATE pubsub_past SET expires = NULL WHERE node = ?1 AND expires IS NOT NULL";
const COUNT: &str = "SELECT COUNT(*) FROM pubsub_past WHERE node = ?1";
const PUBLISHER: &str = "SELECT publisher FROM pubsub_past \
     WHERE node = ?1 AND id = ?2 AND (expires IS NULL OR expires > ?3) \
     ORDER BY number DESC LIMIT 1";
const HAS_OLD: &str = "SELECT 1 FROM pubsub_past WHERE domain = ?1 AND published < ?2 LIMIT 1";
const DROP_OLD: &str = "DELETE FROM pubsub_past WHERE number IN (SELECT number FROM pubsub_past \
     WHERE domain = ?1 AND published < ?2 ORDER BY published LIMIT ?3)";
const HAS_DUE: &str = "SELECT 1 FROM pubsub_past WHERE expires <= ?1 LIMIT 1";
const DROP_DUE: &str = "DELETE FROM pubsub_past WHERE number IN (SELECT number FROM pubsub_past \
     WHERE expires <= ?1 ORDER BY expires LIMIT ?2)";
const DROP_OLDEST: &str = "DELETE FROM pubsub_past WHERE number IN \
     (SELECT number FROM pubsub_past WHERE node = ?1 ORDER BY number LIMIT ?2)";
const DROP_OLDEST_BY: &str = "DELETE FROM pubsub_past WHERE number IN \
     (SELECT p.number FROM pubsub_node n JOIN pubsub_past p ON p.node = n.id \
     WHERE n.creator = ?2 AND n.owner = ?1 ORDER BY p.number LIMIT ?3)";

pub(super) const STATEMENTS: &[&str] = &[
    KEEP,
    KEEP_SURPLUS,
    DROP,
    PURGE,
    TRIM,
    RESCHEDULE,
    STAY,
    COUNT,
    PUBLISHER,
    HAS_OLD,
    DROP_OLD,
    HAS_DUE,
    DROP_DUE,
    DROP_OLDEST,
    DROP_OLDEST_BY,
];

/// Past items in a database.
#[derive(Clone, Debug)]
pub struct Past(Db);

impl Past {
    /// The past items in `db`.
    pub fn new(db: Db) -> Self {
        Self(db)
    }

    /// Remembers the item `id` of a node, if there is one; to be followed by what removes it.
    /// `domain` is that of the owner's address. What goes with its publisher is not remembered.
    pub fn keep(node: i64, id: &str, domain: &str) -> Statement {
        Statement::new(KEEP).with(node).with(id).with(domain)
    }

    /// Remembers those items that [`Items::trim`](super::Items::trim) removes next, the newest
    /// `most` of them.
    pub fn keep_surplus(node: i64, keep: u32, domain: &str, most: u32) -> Statement {
        Statement::new(KEEP_SURPLUS).with(node).with(keep).with(domain).with(most)
    }

    /// Forgets everything that had the id `id`.
    pub fn drop(node: i64, id: &str) -> Statement {
        Statement::new(DROP).with(node).with(id)
    }

    /// Forgets everything of a node.
    pub fn purge(node: i64) -> Statement {
        Statement::new(PURGE).with(node)
    }

    /// Forgets the oldest that are more than `keep`. It costs as much as it keeps entries of an
    /// index, so it is not done each time.
    pub fn trim(node: i64, keep: u32) -> Statement {
        Statement::new(TRIM).with(node).with(keep)
    }

    /// Lets them end so many milliseconds after their publication, or never.
    pub fn reschedule(node: i64, after: Option<i64>) -> Statement {
        match after {
            Some(after) => Statement::new(RESCHEDULE).with(node).with(after),
            None => Statement::new(STAY).with(node),
        }
    }

    /// How many a node has.
    ///
    /// # Errors
    /// The store's.
    pub async fn count(&self, node: i64) -> Result<i64, StoreError> {
        let row = self.0.query_one(Statement::new(COUNT).with(node)).await?;
        row.map_or(Ok(0), |row| row.int(0))
    }

    /// Who published what had the id `id` last and has not ended by `now`.
    ///
    /// # Errors
    /// The store's.
    pub async fn publisher(
        &self,
        node: i64,
        id: &str,
        now: i64,
    ) -> Result<Option<String>, StoreError> {
        let ask = Statement::new(PUBLISHER).with(node).with(id).with(now);
        self.0.query_one(ask).await?.map(|row| row.text(0).map(str::to_owned)).transpose()
    }

    /// Forgets what was published before `then` at nodes of owners in a domain, at most `limit`;
    /// how many that were. Nothing is written if there is none.
    ///
    /// # Errors
    /// The store's.
    pub async fn drop_old(&self, domain: &str, then: i64, limit: u32) -> Result<u64, StoreError> {
        let ask = |sql| Statement::new(sql).with(domain).with(then);
        self.drop_some(ask(HAS_OLD), ask(DROP_OLD).with(limit)).await
    }

    /// Forgets what ended by `now`, at most `limit`; how many that were. Nothing is written if
    /// there is none.
    ///
    /// # Errors
    /// The store's.
    pub async fn drop_due(&self, now: i64, limit: u32) -> Result<u64, StoreError> {
        let ask = |sql| Statement::new(sql).with(now);
        self.drop_some(ask(HAS_DUE), ask(DROP_DUE).with(limit)).await
    }

    /// Forgets the oldest `limit` of a node; how many there were.
    ///
    /// # Errors
    /// The store's.
    pub async fn drop_oldest(&self, node: i64, limit: u32) -> Result<u64, StoreError> {
        let drop = Statement::new(DROP_OLDEST).with(node).with(limit);
        Ok(self.0.batch(vec![drop]).await?.into_iter().sum())
    }

    /// Forgets the oldest `limit` of all nodes of `owner` that `creator` made; how many there were.
    /// It costs as much as there are.
    ///
    /// # Errors
    /// The store's.
    pub async fn drop_oldest_by(
        &self,
        owner: &str,
        creator: &str,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let drop = Statement::new(DROP_OLDEST_BY).with(owner).with(creator).with(limit);
        Ok(self.0.batch(vec![drop]).await?.into_iter().sum())
    }

    async fn drop_some(&self, has: Statement, drop: Statement) -> Result<u64, StoreError> {
        if self.0.query_one(has).await?.is_none() {
            return Ok(0);
        }
        Ok(self.0.batch(vec![drop]).await?.into_iter().sum())
    }
}
