//! Subscriptions: who is told what is published at a node.

use crate::{Db, Row, Statement, StoreError, Table};

/// A subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The node.
    pub node: i64,
    /// The bare address of the service or account that the node belongs to.
    pub owner: String,
    /// The address that is told, as it was subscribed.
    pub jid: String,
    /// That address without its resource.
    pub bare: String,
    /// Its id at the node.
    pub subid: String,
    /// Its state, as a number of the caller's.
    pub state: i64,
    /// Its options as text, if they are not the usual ones.
    pub options: Option<String>,
    /// When it ends, if it does, in milliseconds since 1970.
    pub expires: Option<i64>,
    /// When it was made.
    pub made: i64,
}

pub(super) const TABLE: Table = Table {
    name: "pubsub_subscription",
    owner: Some("owner"),
    steps: &["CREATE TABLE pubsub_subscription (owner {text} NOT NULL, node {id} NOT NULL, \
                jid {text} NOT NULL, bare {text} NOT NULL, subid {text} NOT NULL, \
                state {int} NOT NULL, options {text}, expires {instant}, \
                made {instant} NOT NULL, PRIMARY KEY (node, subid)); \
              CREATE INDEX pubsub_subscription_owner ON pubsub_subscription (owner); \
              CREATE INDEX pubsub_subscription_bare ON pubsub_subscription (bare, owner, node); \
              CREATE INDEX pubsub_subscription_node ON pubsub_subscription (node, bare); \
              CREATE INDEX pubsub_subscription_state ON pubsub_subscription (node, state); \
              CREATE INDEX pubsub_subscription_expires ON pubsub_subscription (expires)"],
};

const PUT: &str = "INSERT INTO pubsub_subscription \
     (owner, node, jid, bare, subid, state, options, expires, made) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) \
     ON CONFLICT (node, subid) DO UPDATE SET jid = excluded.jid, bare = excluded.bare, \
     state = excluded.state, options = excluded.options, expires = excluded.expires";
const DROP: &str = "DELETE FROM pubsub_subscription WHERE node = ?1 AND subid = ?2";
const DROP_OF: &str = "DELETE FROM pubsub_subscription WHERE node = ?1 AND bare = ?2";
const CLEAR: &str = "DELETE FROM pubsub_subscription WHERE node = ?1";
const FORGET: &str = "DELETE FROM pubsub_subscription WHERE bare = ?1";
const OF: &str = "SELECT node, owner, jid, bare, subid, state, options, expires, made \
     FROM pubsub_subscription WHERE node = ?1 AND bare = ?2";
const ANYWHERE: &str = "SELECT node, owner, jid, bare, subid, state, options, expires, made \
     FROM pubsub_subscription WHERE bare = ?1";
const ALL: &str = "SELECT node, owner, jid, bare, subid, state, options, expires, made \
     FROM pubsub_subscription WHERE node = ?1 AND subid > ?2 ORDER BY subid LIMIT ?3";
const COUNT: &str = "SELECT COUNT(*) FROM pubsub_subscription WHERE node = ?1 AND state = ?2";
const EVERYWHERE: &str = "SELECT pubsub_node.name, pubsub_subscription.node, \
     pubsub_subscription.owner, jid, bare, subid, state, options, expires, made \
     FROM pubsub_subscription JOIN pubsub_node ON pubsub_node.id = pubsub_subscription.node \
     WHERE bare = ?1 AND pubsub_subscription.owner = ?2 \
     ORDER BY pubsub_subscription.node LIMIT ?3";

pub(super) const STATEMENTS: &[&str] =
    &[PUT, DROP, DROP_OF, CLEAR, FORGET, OF, ANYWHERE, ALL, COUNT, EVERYWHERE];

/// The subscriptions in a database.
#[derive(Clone, Debug)]
pub struct Subscriptions(Db);

impl Subscriptions {
    /// The subscriptions in `db`.
    pub fn new(db: Db) -> Self {
        Self(db)
    }

    /// Writes a subscription, in the place of one with the same id.
    pub fn put(subscription: &Subscription) -> Statement {
        Statement::new(PUT)
            .with(subscription.owner.as_str())
            .with(subscription.node)
            .with(subscription.jid.as_str())
            .with(subscription.bare.as_str())
            .with(subscription.subid.as_str())
            .with(subscription.state)
            .with(subscription.options.as_deref())
            .with(subscription.expires)
            .with(subscription.made)
    }

    /// Ends a subscription.
    pub fn drop(node: i64, subid: &str) -> Statement {
        Statement::new(DROP).with(node).with(subid)
    }

    /// Ends those of one address at a node.
    pub fn drop_of(node: i64, bare: &str) -> Statement {
        Statement::new(DROP_OF).with(node).with(bare)
    }

    /// Ends all of a node.
    pub fn clear(node: i64) -> Statement {
        Statement::new(CLEAR).with(node)
    }

    /// Ends those of one address at any node.
    pub fn forget(bare: &str) -> Statement {
        Statement::new(FORGET).with(bare)
    }

    /// Those of one address at a node.
    ///
    /// # Errors
    /// The store's.
    pub async fn of(&self, node: i64, bare: &str) -> Result<Vec<Subscription>, StoreError> {
        let rows = self.0.query(Statement::new(OF).with(node).with(bare)).await?;
        rows.iter().map(|row| read(row, 0)).collect()
    }

    /// Those of one address at any node.
    ///
    /// # Errors
    /// The store's.
    pub async fn anywhere(&self, bare: &str) -> Result<Vec<Subscription>, StoreError> {
        let rows = self.0.query(Statement::new(ANYWHERE).with(bare)).await?;
        rows.iter().map(|row| read(row, 0)).collect()
    }

    /// Those of a node, by their ids, from behind `after` on.
    ///
    /// # Errors
    /// The store's.
    pub async fn all(
        &self,
        node: i64,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Subscription>, StoreError> {
        let rows = self.0.query(Statement::new(ALL).with(node).with(after).with(limit)).await?;
        rows.iter().map(|row| read(row, 0)).collect()
    }

    /// How many of a node are in a state.
    ///
    /// # Errors
    /// The store's.
    pub async fn count(&self, node: i64, state: i64) -> Result<i64, StoreError> {
        let row = self.0.query_one(Statement::new(COUNT).with(node).with(state)).await?;
        row.map_or(Ok(0), |row| row.int(0))
    }

    /// Those of one address at all nodes of `owner`, with the names of the nodes.
    ///
    /// # Errors
    /// The store's.
    pub async fn everywhere(
        &self,
        bare: &str,
        owner: &str,
        limit: u32,
    ) -> Result<Vec<(String, Subscription)>, StoreError> {
        let ask = Statement::new(EVERYWHERE).with(bare).with(owner).with(limit);
        let rows = self.0.query(ask).await?;
        rows.iter().map(|row| Ok((row.text(0)?.to_owned(), read(row, 1)?))).collect()
    }
}

fn read(row: &Row, from: usize) -> Result<Subscription, StoreError> {
    Ok(Subscription {
        node: row.int(from)?,
        owner: row.text(from + 1)?.to_owned(),
        jid: row.text(from + 2)?.to_owned(),
        bare: row.text(from + 3)?.to_owned(),
        subid: row.text(from + 4)?.to_owned(),
        state: row.int(from + 5)?,
        options: row.text_or_null(from + 6)?.map(str::to_owned),
        expires: row.int_or_null(from + 7)?,
        made: row.int(from + 8)?,
    })
}
