//! Nodes and their configuration.

use crate::{Db, Row, Statement, StoreError, Table};

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Unique in the store; given by the caller.
    pub id: i64,
    /// The bare address of the service or account that it belongs to.
    pub owner: String,
    /// Its name there.
    pub name: String,
    /// The bare address of who made it.
    pub creator: String,
    /// When that was, in milliseconds since 1970.
    pub created: i64,
    /// Who may read it, as a number of the caller's.
    pub access: i64,
    /// What it is called for people.
    pub title: Option<String>,
    /// What kind of data it holds.
    pub kind: Option<String>,
    /// Its configuration as text.
    pub config: String,
}

/// A node in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// What it is called for people.
    pub title: Option<String>,
    /// What kind of data it holds.
    pub kind: Option<String>,
    /// Who may read it.
    pub access: i64,
    /// Who made it.
    pub creator: String,
    /// When that was.
    pub created: i64,
}

/// Which nodes of an owner are listed, and from where.
#[derive(Clone, Copy, Debug)]
pub struct Walk<'a> {
    /// Whose.
    pub owner: &'a str,
    /// Only those of this kind.
    pub kind: Option<&'a str>,
    /// Only those behind this name; those before it, from there backwards, if `is_back`.
    pub from: Option<&'a str>,
    /// From the last name to the first.
    pub is_back: bool,
}

pub(super) const TABLE: Table = Table {
    name: "pubsub_node",
    owner: Some("owner"),
    steps: &["CREATE TABLE pubsub_node (id {id} PRIMARY KEY, owner {text} NOT NULL, \
                name {text} NOT NULL, creator {text} NOT NULL, created {instant} NOT NULL, \
                access {int} NOT NULL, title {text}, kind {text}, config {text} NOT NULL); \
              CREATE UNIQUE INDEX pubsub_node_name ON pubsub_node (owner, name); \
              CREATE INDEX pubsub_node_kind ON pubsub_node (owner, kind, name); \
              CREATE INDEX pubsub_node_creator ON pubsub_node (creator, owner)"],
};

const ADD: &str = "INSERT INTO pubsub_node \
     (id, owner, name, creator, created, access, title, kind, config) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
const FIND: &str = "SELECT id, owner, name, creator, created, access, title, kind, config \
     FROM pubsub_node WHERE owner = ?1 AND name = ?2";
const BY_ID: &str = "SELECT owner, name FROM pubsub_node WHERE id = ?1";
const CONFIGURE: &str =
    "UPDATE pubsub_node SET access = ?2, title = ?3, kind = ?4, config = ?5 WHERE id = ?1";
const DROP: &str = "DELETE FROM pubsub_node WHERE id = ?1";
const COUNT: &str = "SELECT COUNT(*) FROM pubsub_node WHERE owner = ?1";
const COUNT_BY: &str = "SELECT COUNT(*) FROM pubsub_node WHERE creator = ?2 AND owner = ?1";
const COUNT_WITHIN: &str =
    "SELECT COUNT(*) FROM pubsub_node WHERE owner = ?1 AND name > ?2 AND name < ?3";
/// What they keep.
const BYTES_KEPT: &str = "SELECT COALESCE(SUM(octet_length(i.payload)), 0) + 256 * COUNT(*) \
     FROM pubsub_node n JOIN pubsub_item i ON i.node = n.id WHERE n.creator = ?2 AND n.owner = ?1";
/// What they remember.
const BYTES_PAST: &str = "SELECT COALESCE(SUM(octet_length(p.payload)), 0) + 256 * COUNT(*) \
     FROM pubsub_node n JOIN pubsub_past p ON p.node = n.id WHERE n.creator = ?2 AND n.owner = ?1";
const FORWARD: &str = "SELECT id, name, title, access, creator, created, kind FROM pubsub_node \
     WHERE owner = ?1 AND name > ?2 ORDER BY name LIMIT ?3";
const BACK: &str = "SELECT id, name, title, access, creator, created, kind FROM pubsub_node \
     WHERE owner = ?1 AND name < ?2 ORDER BY name DESC LIMIT ?3";
const END: &str = "SELECT id, name, title, access, creator, created, kind FROM pubsub_node \
     WHERE owner = ?1 ORDER BY name DESC LIMIT ?2";
const KIND_FORWARD: &str = "SELECT id, name, title, access, creator, created, kind \
     FROM pubsub_node WHERE owner = ?1 AND kind = ?4 AND name > ?2 ORDER BY name LIMIT ?3";
const KIND_BACK: &str = "SELECT id, name, title, access, creator, created, kind FROM pubsub_node \
     WHERE owner = ?1 AND kind = ?4 AND name < ?2 ORDER BY name DESC LIMIT ?3";
const KIND_END: &str = "SELECT id, name, title, access, creator, created, kind FROM pubsub_node \
     WHERE owner = ?1 AND kind = ?3 ORDER BY name DESC LIMIT ?2";

pub(super) const STATEMENTS: &[&str] = &[
    ADD,
    FIND,
    BY_ID,
    CONFIGURE,
    DROP,
    COUNT,
    COUNT_BY,
    COUNT_WITHIN,
    BYTES_KEPT,
    BYTES_PAST,
    FORWARD,
    BACK,
    END,
    KIND_FORWARD,
    KIND_BACK,
    KIND_END,
];

/// The nodes in a database.
#[derive(Clone, Debug)]
pub struct Nodes(Db);

impl Nodes {
    /// The nodes in `db`.
    pub fn new(db: Db) -> Self {
        Self(db)
    }

    /// Writes a new node. One of that name fails the batch.
    pub fn add(node: &Node) -> Statement {
        Statement::new(ADD)
            .with(node.id)
            .with(node.owner.as_str())
            .with(node.name.as_str())
            .with(node.creator.as_str())
            .with(node.created)
            .with(node.access)
            .with(node.title.as_deref())
            .with(node.kind.as_deref())
            .with(node.config.as_str())
    }

    /// Writes the configuration of a node, and what of it lists are made from.
    pub fn configure(node: &Node) -> Statement {
        Statement::new(CONFIGURE)
            .with(node.id)
            .with(node.access)
            .with(node.title.as_deref())
            .with(node.kind.as_deref())
            .with(node.config.as_str())
            .must_change(1)
    }

    /// Removes a node, with everything that hangs on it.
    pub fn drop(id: i64) -> [Statement; 5] {
        [
            super::Items::purge(id),
            super::Past::purge(id),
            super::Affiliations::clear(id),
            super::Subscriptions::clear(id),
            Statement::new(DROP).with(id).must_change(1),
        ]
    }

    /// The node `name` of `owner`.
    ///
    /// # Errors
    /// The store's.
    pub async fn find(&self, owner: &str, name: &str) -> Result<Option<Node>, StoreError> {
        let row = self.0.query_one(Statement::new(FIND).with(owner).with(name)).await?;
        row.as_ref().map(read).transpose()
    }

    /// The owner and the name of a node.
    ///
    /// # Errors
    /// The store's.
    pub async fn name(&self, id: i64) -> Result<Option<(String, String)>, StoreError> {
        let row = self.0.query_one(Statement::new(BY_ID).with(id)).await?;
        row.map(|row| Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned()))).transpose()
    }

    /// How many nodes `owner` has.
    ///
    /// # Errors
    /// The store's.
    pub async fn count(&self, owner: &str) -> Result<i64, StoreError> {
        let row = self.0.query_one(Statement::new(COUNT).with(owner)).await?;
        row.map_or(Ok(0), |row| row.int(0))
    }

    /// How many of them `creator` made.
    ///
    /// # Errors
    /// The store's.
    pub async fn count_by(&self, owner: &str, creator: &str) -> Result<i64, StoreError> {
        let row = self.0.query_one(Statement::new(COUNT_BY).with(owner).with(creator)).await?;
        row.map_or(Ok(0), |row| row.int(0))
    }

    /// How many of them have names between two others.
    ///
    /// # Errors
    /// The store's.
    pub async fn count_within(
        &self,
        owner: &str,
        (above, below): (&str, &str),
    ) -> Result<i64, StoreError> {
        let ask = Statement::new(COUNT_WITHIN).with(owner).with(above).with(below);
        self.0.query_one(ask).await?.map_or(Ok(0), |row| row.int(0))
    }

    /// Bytes that an item counts besides its payload.
    pub const ITEM_BYTES: i64 = 256;

    /// How many bytes the items have that are stored for the nodes of `owner` that `creator` made.
    /// It costs as much as there are items.
    ///
    /// # Errors
    /// The store's.
    pub async fn bytes_by(&self, owner: &str, creator: &str) -> Result<i64, StoreError> {
        let ask = |sql| Statement::new(sql).with(owner).with(creator);
        let found = self.0.query_all(vec![ask(BYTES_KEPT), ask(BYTES_PAST)]).await?;
        found.iter().flatten().map(|row| row.int(0)).sum()
    }

    /// At most `limit` nodes, in the order of the walk.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self, walk: Walk<'_>, limit: u32) -> Result<Vec<Listed>, StoreError> {
        let Walk { owner, kind, from, is_back } = walk;
        let statement = match (is_back, from, kind) {
            (false, from, None) => Statement::new(FORWARD).with(owner).with(from.unwrap_or("")),
            (false, from, Some(_)) => {
                Statement::new(KIND_FORWARD).with(owner).with(from.unwrap_or(""))
            }
            (true, Some(from), None) => Statement::new(BACK).with(owner).with(from),
            (true, Some(from), Some(_)) => Statement::new(KIND_BACK).with(owner).with(from),
            (true, None, None) => Statement::new(END).with(owner),
            (true, None, Some(_)) => Statement::new(KIND_END).with(owner),
        };
        let statement = statement.with(limit);
        let statement = kind.into_iter().fold(statement, Statement::with);
        let rows = self.0.query(statement).await?;
        rows.iter().map(listed).collect()
    }
}

fn read(row: &Row) -> Result<Node, StoreError> {
    Ok(Node {
        id: row.int(0)?,
        owner: row.text(1)?.to_owned(),
        name: row.text(2)?.to_owned(),
        creator: row.text(3)?.to_owned(),
        created: row.int(4)?,
        access: row.int(5)?,
        title: row.text_or_null(6)?.map(str::to_owned),
        kind: row.text_or_null(7)?.map(str::to_owned),
        config: row.text(8)?.to_owned(),
    })
}

fn listed(row: &Row) -> Result<Listed, StoreError> {
    Ok(Listed {
        id: row.int(0)?,
        name: row.text(1)?.to_owned(),
        title: row.text_or_null(2)?.map(str::to_owned),
        access: row.int(3)?,
        creator: row.text(4)?.to_owned(),
        created: row.int(5)?,
        kind: row.text_or_null(6)?.map(str::to_owned),
    })
}
