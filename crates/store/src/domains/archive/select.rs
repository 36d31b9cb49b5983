//! Pages of an archive.

use super::{Archive, Entry, read};
use crate::{Statement, StoreError};

/// Which messages of an archive are meant.
#[derive(Clone, Copy, Debug)]
pub struct Selection<'a> {
    /// The bare address of the account whose archive it is.
    pub owner: &'a str,
    /// Only those above this number.
    pub above: i64,
    /// Only those below this number.
    pub below: i64,
    /// Only those with somebody.
    pub with: With<'a>,
}

/// With whom messages were exchanged.
#[derive(Clone, Copy, Debug)]
pub enum With<'a> {
    /// With anybody.
    Anybody,
    /// With any resource of this bare address.
    Account(&'a str),
    /// With this resource of this bare address.
    Resource(&'a str, &'a str),
}

/// From which end a page is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The oldest first.
    Rising,
    /// The youngest first.
    Falling,
}

/// A page with one condition more, in one order.
macro_rules! page {
    ($condition:literal, $order:literal) => {
        concat!(
            "SELECT id, owner, peer, resource, stanza FROM archive \
             WHERE owner = ?1 AND id > ?2 AND id < ?3",
            $condition,
            " ORDER BY id",
            $order,
            " LIMIT ?4"
        )
    };
}

/// How many there are with one condition more, counted up to a bound.
macro_rules! count {
    ($condition:literal) => {
        concat!(
            "SELECT COUNT(*) FROM (SELECT id FROM archive \
             WHERE owner = ?1 AND id > ?2 AND id < ?3",
            $condition,
            " LIMIT ?4) AS counted"
        )
    };
}

const ALL: [&str; 2] = [page!("", ""), page!("", " DESC")];
const ACCOUNT: [&str; 2] = [page!(" AND peer = ?5", ""), page!(" AND peer = ?5", " DESC")];
const RESOURCE: [&str; 2] = [
    page!(" AND peer = ?5 AND resource = ?6", ""),
    page!(" AND peer = ?5 AND resource = ?6", " DESC"),
];
const COUNTS: [&str; 3] =
    [count!(""), count!(" AND peer = ?5"), count!(" AND peer = ?5 AND resource = ?6")];

pub(super) const STATEMENTS: &[&str] = &[
    ALL[0],
    ALL[1],
    ACCOUNT[0],
    ACCOUNT[1],
    RESOURCE[0],
    RESOURCE[1],
    COUNTS[0],
    COUNTS[1],
    COUNTS[2],
];

impl Archive {
    /// The first `limit` messages of a selection in this order.
    ///
    /// # Errors
    /// The store's.
    pub async fn page(
        &self,
        selection: &Selection<'_>,
        order: Order,
        limit: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        let sql = match selection.with {
            With::Anybody => ALL,
            With::Account(_) => ACCOUNT,
            With::Resource(..) => RESOURCE,
        };
        let statement = selection.ask(sql[usize::from(order == Order::Falling)], limit);
        self.db.query(statement).await?.iter().map(read).collect()
    }

    /// How many messages a selection has, counted up to `limit`.
    ///
    /// # Errors
    /// The store's.
    pub async fn count(&self, selection: &Selection<'_>, limit: u32) -> Result<u64, StoreError> {
        let sql = match selection.with {
            With::Anybody => COUNTS[0],
            With::Account(_) => COUNTS[1],
            With::Resource(..) => COUNTS[2],
        };
        let row = self.db.query_one(selection.ask(sql, limit)).await?;
        row.map_or(Ok(0), |row| row.int(0)).map(i64::unsigned_abs)
    }
}

impl Selection<'_> {
    fn ask(&self, sql: &'static str, limit: u32) -> Statement {
        let Self { owner, above, below, with } = *self;
        let ask = Statement::new(sql).with(owner).with(above).with(below).with(limit);
        match with {
            With::Anybody => ask,
            With::Account(peer) => ask.with(peer),
            With::Resource(peer, resource) => ask.with(peer).with(resource),
        }
    }
}
