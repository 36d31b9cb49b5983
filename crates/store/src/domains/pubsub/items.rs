//! Items: what was published at a node and is kept.
//!
//! An item published again under its id gets a new number and stands at the end. So a page is a
//! range of one index, and costs the same however many items there are.

use crate::{Db, Row, Statement, StoreError, Table};

/// An item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Unique in the store, and rising in the order of publication; given by the caller.
    pub number: i64,
    /// The bare address of the service or account that the node belongs to.
    pub owner: String,
    /// The node.
    pub node: i64,
    /// Its id at the node.
    pub id: String,
    /// The bare address of who published it.
    pub publisher: String,
    /// When that was, in milliseconds since 1970.
    pub published: i64,
    /// When it ends, if it does.
    pub expires: Option<i64>,
    /// Whether it goes when its publisher goes offline.
    pub leaves: bool,
    /// What was published: one element that can stand alone, or nothing.
    pub payload: String,
}

/// A part of the items of a node, by their numbers.
#[derive(Clone, Copy, Debug)]
pub struct Slice {
    /// The node.
    pub node: i64,
    /// Only those with greater numbers.
    pub above: i64,
    /// Only those with smaller numbers.
    pub below: i64,
    /// From the last to the first.
    pub is_back: bool,
    /// Those that ended by then are left out.
    pub now: i64,
}

/// An item whose time is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The node.
    pub node: i64,
    /// Its id there.
    pub id: String,
}

pub(super) const TABLE: Table = Table {
    name: "pubsub_item",
    owner: Some("owner"),
    steps: &["CREATE TABLE pubsub_item (number {id} PRIMARY KEY, owner {text} NOT NULL, \
                node {id} NOT NULL, id {text} NOT NULL, publisher {text} NOT NULL, \
                published {instant} NOT NULL, expires {instant}, leaves {int} NOT NULL, \
                payload {text} NOT NULL); \
              CREATE UNIQUE INDEX pubsub_item_id ON pubsub_item (node, id); \
              CREATE INDEX pubsub_item_node ON pubsub_item (node, number); \
              CREATE INDEX pubsub_item_owner ON pubsub_item (owner); \
              CREATE INDEX pubsub_item_publisher ON pubsub_item (node, publisher); \
              CREATE INDEX pubsub_item_expires ON pubsub_item (expires); \
              CREATE INDEX pubsub_item_leaves ON pubsub_item (published) WHERE leaves = 1"],
};

const ADD: &str = "INSERT INTO pubsub_item \
     (number, owner, node, id, publisher, published, expires, leaves, payload) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
const DROP: &str = "DELETE FROM pubsub_item WHERE node = ?1 AND id = ?2";
const PURGE: &str = "DELETE FROM pubsub_item WHERE node = ?1";
/// The subquery finds the youngest that is one too many.
const TRIM: &str = "DELETE FROM pubsub_item WHERE node = ?1 AND number <= \
     (SELECT number FROM pubsub_item WHERE node = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)";
const RESCHEDULE: &str = "UPDATE pubsub_item SET expires = published + ?2 WHERE node = ?1";
const KEEP: &str = "UPDATE pubsub_item SET expires = NULL WHERE node = ?1 AND expires IS NOT NULL";
const COUNT: &str = "SELECT COUNT(*) FROM pubsub_item WHERE node = ?1";
const BEFORE: &str = "SELECT COUNT(*) FROM pubsub_item WHERE node = ?1 AND number < ?2";
const FIND: &str = "SELECT number, owner, node, id, publisher, published, expires, leaves, payload \
     FROM pubsub_item WHERE node = ?1 AND id = ?2 AND (expires IS NULL OR expires > ?3)";
const NUMBER: &str = "SELECT number FROM pubsub_item WHERE node = ?1 AND id = ?2";
const UP: &str = "SELECT number, owner, node, id, publisher, published, expires, leaves, payload \
     FROM pubsub_item WHERE node = ?1 AND number > ?2 AND number < ?3 \
     AND (expires IS NULL OR expires > ?4) ORDER BY number LIMIT ?5";
const DOWN: &str = "SELECT number, owner, node, id, publisher, published, expires, leaves, payload \
     FROM pubsub_item WHERE node = ?1 AND number > ?2 AND number < ?3 \
     AND (expires IS NULL OR expires > ?4) ORDER BY number DESC LIMIT ?5";
const OLDEST: &str = "SELECT id FROM pubsub_item WHERE node = ?1 ORDER BY number LIMIT ?2";
const IDS_OF: &str = "SELECT id FROM pubsub_item WHERE node = ?1 AND publisher = ?2 \
     ORDER BY number LIMIT ?3";
const DUE: &str = "SELECT node, id FROM pubsub_item WHERE expires <= ?1 \
     ORDER BY expires LIMIT ?2 OFFSET ?3";
const LEFT: &str = "SELECT node, id FROM pubsub_item WHERE leaves = 1 AND published < ?1 \
     ORDER BY published LIMIT ?2 OFFSET ?3";
const DROP_DUE: &str = "DELETE FROM pubsub_item WHERE node = ?1 AND id = ?2 AND expires <= ?3";

pub(super) const STATEMENTS: &[&str] = &[
    ADD, DROP, PURGE, TRIM, RESCHEDULE, KEEP, COUNT, BEFORE, FIND, NUMBER, UP, DOWN, OLDEST,
    IDS_OF, DUE, LEFT, DROP_DUE,
];

/// The items in a database.
#[derive(Clone, Debug)]
pub struct Items(Db);

impl Items {
    /// The items in `db`.
    pub fn new(db: Db) -> Self {
        Self(db)
    }

    /// Writes an item in the place of one with the same id: the first statement changes as many
    /// rows as there were such.
    pub fn put(item: &Item) -> [Statement; 2] {
        [
            Self::drop(item.node, &item.id),
            Statement::new(ADD)
                .with(item.number)
                .with(item.owner.as_str())
                .with(item.node)
                .with(item.id.as_str())
                .with(item.publisher.as_str())
                .with(item.published)
                .with(item.expires)
                .with(item.leaves)
                .with(item.payload.as_str()),
        ]
    }

    /// Removes the item `id`, if there is one.
    pub fn drop(node: i64, id: &str) -> Statement {
        Statement::new(DROP).with(node).with(id)
    }

    /// Removes the item `id`, if its time was over at `now`.
    pub fn drop_due(node: i64, id: &str, now: i64) -> Statement {
        Statement::new(DROP_DUE).with(node).with(id).with(now)
    }

    /// Removes all items of a node.
    pub fn purge(node: i64) -> Statement {
        Statement::new(PURGE).with(node)
    }

    /// Removes the oldest that are more than `keep`.
    pub fn trim(node: i64, keep: u32) -> Statement {
        Statement::new(TRIM).with(node).with(keep)
    }

    /// Lets the items of a node end so many milliseconds after their publication, or never.
    pub fn reschedule(node: i64, after: Option<i64>) -> Statement {
        match after {
            Some(after) => Statement::new(RESCHEDULE).with(node).with(after),
            None => Statement::new(KEEP).with(node),
        }
    }

    /// How many items a node has.
    ///
    /// # Errors
    /// The store's.
    pub async fn count(&self, node: i64) -> Result<i64, StoreError> {
        self.number_of(Statement::new(COUNT).with(node)).await
    }

    /// How many of them come before the number `number`.
    ///
    /// # Errors
    /// The store's.
    pub async fn before(&self, node: i64, number: i64) -> Result<i64, StoreError> {
        self.number_of(Statement::new(BEFORE).with(node).with(number)).await
    }

    async fn number_of(&self, statement: Statement) -> Result<i64, StoreError> {
        self.0.query_one(statement).await?.map_or(Ok(0), |row| row.int(0))
    }

    /// The items of these ids that there are and that have not ended by `now`, in the order of the
    /// ids.
    ///
    /// # Errors
    /// The store's.
    pub async fn find(&self, node: i64, ids: &[&str], now: i64) -> Result<Vec<Item>, StoreError> {
        let ask = |id: &&str| Statement::new(FIND).with(node).with(*id).with(now);
        let found = self.0.query_all(ids.iter().map(ask).collect()).await?;
        found.iter().flatten().map(read).collect()
    }

    /// The number of the item `id`.
    ///
    /// # Errors
    /// The store's.
    pub async fn number(&self, node: i64, id: &str) -> Result<Option<i64>, StoreError> {
        let row = self.0.query_one(Statement::new(NUMBER).with(node).with(id)).await?;
        row.map(|row| row.int(0)).transpose()
    }

    /// At most `limit` items of a part, in its order.
    ///
    /// # Errors
    /// The store's.
    pub async fn slice(&self, slice: Slice, limit: u32) -> Result<Vec<Item>, StoreError> {
        let statement = Statement::new(if slice.is_back { DOWN } else { UP })
            .with(slice.node)
            .with(slice.above)
            .with(slice.below)
            .with(slice.now)
            .with(limit);
        let rows = self.0.query(statement).await?;
        rows.iter().map(read).collect()
    }

    /// The ids of the oldest items.
    ///
    /// # Errors
    /// The store's.
    pub async fn oldest(&self, node: i64, limit: u32) -> Result<Vec<String>, StoreError> {
        let rows = self.0.query(Statement::new(OLDEST).with(node).with(limit)).await?;
        rows.iter().map(|row| row.text(0).map(str::to_owned)).collect()
    }

    /// The ids of the items that `publisher` published, at most `limit`.
    ///
    /// # Errors
    /// The store's.
    pub async fn of(
        &self,
        node: i64,
        publisher: &str,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        let ask = Statement::new(IDS_OF).with(node).with(publisher).with(limit);
        let rows = self.0.query(ask).await?;
        rows.iter().map(|row| row.text(0).map(str::to_owned)).collect()
    }

    /// Items of any node whose time was over at `now`, without the first `skip`.
    ///
    /// # Errors
    /// The store's.
    pub async fn due(&self, now: i64, limit: u32, skip: u32) -> Result<Vec<Due>, StoreError> {
        self.pointed_at(Statement::new(DUE).with(now).with(limit).with(skip)).await
    }

    /// Items that go with their publishers and were published before `then`, without the first
    /// `skip`.
    ///
    /// # Errors
    /// The store's.
    pub async fn left(&self, then: i64, limit: u32, skip: u32) -> Result<Vec<Due>, StoreError> {
        self.pointed_at(Statement::new(LEFT).with(then).with(limit).with(skip)).await
    }

    async fn pointed_at(&self, statement: Statement) -> Result<Vec<Due>, StoreError> {
        let rows = self.0.query(statement).await?;
        rows.iter().map(|row| Ok(Due { node: row.int(0)?, id: row.text(1)?.to_owned() })).collect()
    }
}

pub(super) fn read(row: &Row) -> Result<Item, StoreError> {
    Ok(Item {
        number: row.int(0)?,
        owner: row.text(1)?.to_owned(),
        node: row.int(2)?,
        id: row.text(3)?.to_owned(),
        publisher: row.text(4)?.to_owned(),
        published: row.int(5)?,
        expires: row.int_or_null(6)?,
        leaves: row.flag(7)?,
        payload: row.text(8)?.to_owned(),
    })
}
