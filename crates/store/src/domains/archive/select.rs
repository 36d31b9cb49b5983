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

/// The index of conversations, which SQLite must be told to take: without statistics it may as well
/// walk past all that was said to others.
macro_rules! conversations {
    (sqlite) => {
        " INDEXED BY archive_peer"
    };
    (postgres) => {
        ""
    };
}
pub(super) use conversations;

/// A page with one condition more, in one order.
macro_rules! page {
    ($index:expr, $condition:literal, $order:literal) => {
        concat!(
            "SELECT id, owner, peer, resource, stanza FROM archive",
            $index,
            " WHERE owner = ?1 AND id > ?2 AND id < ?3",
            $condition,
            " ORDER BY id",
            $order,
            " LIMIT ?4"
        )
    };
}

/// How many there are with one condition more, counted up to a bound.
macro_rules! count {
    ($index:expr, $condition:literal) => {
        concat!(
            "SELECT COUNT(*) FROM (SELECT id FROM archive",
            $index,
            " WHERE owner = ?1 AND id > ?2 AND id < ?3",
            $condition,
            " LIMIT ?4) AS counted"
        )
    };
}

/// For everybody, an account, or a resource: pages rising and falling, and the count.
macro_rules! questions {
    ($engine:ident) => {
        [
            [page!("", "", ""), page!("", "", " DESC"), count!("", "")],
            [
                page!(conversations!($engine), " AND peer = ?5", ""),
                page!(conversations!($engine), " AND peer = ?5", " DESC"),
                count!(conversations!($engine), " AND peer = ?5"),
            ],
            [
                page!(conversations!($engine), " AND peer = ?5 AND resource = ?6", ""),
                page!(conversations!($engine), " AND peer = ?5 AND resource = ?6", " DESC"),
                count!(conversations!($engine), " AND peer = ?5 AND resource = ?6"),
            ],
        ]
    };
}

const QUESTIONS: [[[&str; 3]; 3]; 2] = [questions!(sqlite), questions!(postgres)];
const COUNT: usize = 2;

/// Those for PostgreSQL are understood by both.
pub(super) const STATEMENTS: &[&str] = QUESTIONS[1].as_flattened();

/// Those for SQLite.
pub(super) const ON_SQLITE: &[&str] = QUESTIONS[0].as_flattened();

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
        let sql = self.question(selection.with, usize::from(order == Order::Falling));
        let statement = selection.ask(sql, limit);
        self.db.query(statement).await?.iter().map(read).collect()
    }

    /// How many messages a selection has, counted up to `limit`.
    ///
    /// # Errors
    /// The store's.
    pub async fn count(&self, selection: &Selection<'_>, limit: u32) -> Result<u64, StoreError> {
        let sql = self.question(selection.with, COUNT);
        let row = self.db.query_one(selection.ask(sql, limit)).await?;
        row.map_or(Ok(0), |row| row.int(0)).map(i64::unsigned_abs)
    }

    fn question(&self, with: With<'_>, kind: usize) -> &'static str {
        let of_engine = QUESTIONS[usize::from(self.db.is_postgres())];
        match with {
            With::Anybody => of_engine[0][kind],
            With::Account(_) => of_engine[1][kind],
            With::Resource(..) => of_engine[2][kind],
        }
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
