//! The history of a node: pages between two numbers, of everybody or of one publisher. What the
//! node keeps and what it only remembers ([`super::Past`]) are one order.

use crate::domains::archive::Order;
use crate::{Db, Statement, StoreError};

use super::{Item, items};

/// What is read of an item.
macro_rules! columns {
    () => {
        "number, owner, node, id, publisher, published, expires, leaves, payload"
    };
}

/// The rows of a table between two numbers that have not ended, with one condition more.
macro_rules! between {
    ($table:literal, $condition:literal) => {
        concat!(
            " FROM ",
            $table,
            " WHERE node = ?1 AND number > ?2 AND number < ?3 \
             AND (expires IS NULL OR expires > ?4)",
            $condition
        )
    };
}

/// So many from either table, and of these so many: each is read through an index from where the
/// page begins, and no further than it goes.
macro_rules! page {
    ($condition:literal, $order:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            " FROM (SELECT * FROM (SELECT ",
            columns!(),
            between!("pubsub_item", $condition),
            $order,
            ") AS present UNION ALL SELECT * FROM (SELECT ",
            columns!(),
            between!("pubsub_past", $condition),
            $order,
            ") AS past) AS history",
            $order
        )
    };
}

/// Pages rising and falling, and the count up to a bound.
macro_rules! questions {
    ($condition:literal) => {
        [
            page!($condition, " ORDER BY number LIMIT ?5"),
            page!($condition, " ORDER BY number DESC LIMIT ?5"),
            concat!(
                "SELECT COUNT(*) FROM (SELECT number",
                between!("pubsub_item", $condition),
                " UNION ALL SELECT number",
                between!("pubsub_past", $condition),
                " LIMIT ?5) AS counted"
            ),
        ]
    };
}

/// Of everybody, and of one publisher.
const QUESTIONS: [[&str; 3]; 2] = [questions!(""), questions!(" AND publisher = ?6")];
const COUNT: usize = 2;

pub(super) const STATEMENTS: &[&str] = QUESTIONS.as_flattened();

/// A part of the history of a node.
#[derive(Clone, Copy, Debug)]
pub struct Stretch<'a> {
    /// The node.
    pub node: i64,
    /// Only above this number.
    pub above: i64,
    /// Only below this number.
    pub below: i64,
    /// Only what this bare address published.
    pub publisher: Option<&'a str>,
    /// What ended by then, in milliseconds since 1970, is left out.
    pub now: i64,
}

/// The histories in a database.
#[derive(Clone, Debug)]
pub struct History(Db);

impl History {
    /// The histories in `db`.
    pub fn new(db: Db) -> Self {
        Self(db)
    }

    /// The first `limit` items of a stretch in this order.
    ///
    /// # Errors
    /// The store's.
    pub async fn page(
        &self,
        stretch: &Stretch<'_>,
        order: Order,
        limit: u32,
    ) -> Result<Vec<Item>, StoreError> {
        let asked = stretch.ask(usize::from(order == Order::Falling), limit);
        self.0.query(asked).await?.iter().map(items::read).collect()
    }

    /// How many items a stretch has, counted up to `limit`.
    ///
    /// # Errors
    /// The store's.
    pub async fn count(&self, stretch: &Stretch<'_>, limit: u32) -> Result<u64, StoreError> {
        let row = self.0.query_one(stretch.ask(COUNT, limit)).await?;
        row.map_or(Ok(0), |row| row.int(0)).map(i64::unsigned_abs)
    }
}

impl Stretch<'_> {
    fn ask(&self, kind: usize, limit: u32) -> Statement {
        let sql = QUESTIONS[usize::from(self.publisher.is_some())][kind];
        let ask = Statement::new(sql).with(self.node).with(self.above).with(self.below);
        let ask = ask.with(self.now).with(limit);
        match self.publisher {
            Some(publisher) => ask.with(publisher),
            None => ask,
        }
    }
}
