//! Archives: what each account has sent and received, in order, and which of it the account wants
//! to be kept.
//!
//! A message between two accounts is two rows, one in the archive of each. Rows are numbered by the
//! caller, in the order of the archive; the upper bits of a number are the time. So pages, and
//! spans of time, are ranges of one index, and cost the same however long the archive is.

mod preferences;
mod retraction;
mod search;
mod select;

use std::collections::HashSet;

use crate::{Db, Row, Statement, StoreError, Table};

pub use self::preferences::{Preferences, Preset};
pub use self::retraction::Retraction;
pub use self::search::Words;
pub use self::select::{Order, Selection, With};

/// The archives. Rows are written with statements, so that they can share a batch with others.
#[derive(Clone, Debug)]
pub struct Archive {
    db: Db,
}

/// A message in somebody's archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Unique in the store, and rising in the order of the archive.
    pub number: i64,
    /// The bare address of the account whose archive it is in.
    pub owner: String,
    /// The bare address of whom the owner sent it to or got it from.
    pub peer: String,
    /// The resource of that address; empty when there is none.
    pub resource: String,
    /// The message as text.
    pub stanza: String,
}

const ARCHIVE: Table = Table {
    name: "archive",
    owner: Some("owner"),
    steps: &["CREATE TABLE archive (id {id} PRIMARY KEY, owner {text} NOT NULL, \
                peer {text} NOT NULL, resource {text} NOT NULL, stanza {text} NOT NULL); \
              CREATE INDEX archive_owner ON archive (owner, id); \
              CREATE INDEX archive_peer ON archive (owner, peer, id)"],
};

const APPEND: &str =
    "INSERT INTO archive (id, owner, peer, resource, stanza) VALUES (?1, ?2, ?3, ?4, ?5)";
const FIND: &str =
    "SELECT id, owner, peer, resource, stanza FROM archive WHERE id = ?2 AND owner = ?1";
const HAS: &str = "SELECT id FROM archive WHERE id = ?2 AND owner = ?1";
/// Of so many numbers at once; one that stands there twice is found once.
const HAVE: &str = "SELECT id FROM archive WHERE owner = ?1 AND id IN (?2, ?3, ?4, ?5, ?6, ?7, ?8, \
     ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26)";
const HAVE_COUNT: usize = 25;
const FIRST: &str = "SELECT id FROM archive WHERE owner = ?1 ORDER BY id LIMIT 1";
const LAST: &str = "SELECT id FROM archive WHERE owner = ?1 AND id < ?2 ORDER BY id DESC LIMIT 1";
const HIGHEST: &str = "SELECT id FROM archive ORDER BY id DESC LIMIT 1";
const EXPIRE: &str = "DELETE FROM archive WHERE owner = ?1 AND id < ?2";
/// The subquery finds the youngest that is one too many.
const TRIM: &str = "DELETE FROM archive WHERE owner = ?1 AND id <= \
     (SELECT id FROM archive WHERE owner = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)";

impl Archive {
    /// The tables to migrate.
    pub const TABLES: &'static [&'static Table] =
        &[&ARCHIVE, &preferences::TABLE, &retraction::TABLE, &search::WORD, &search::INDEX];

    /// Every statement used here, so that both engines can be asked whether they understand it.
    pub const STATEMENTS: &'static [&'static str] =
        &[APPEND, FIND, HAS, HAVE, FIRST, LAST, HIGHEST, EXPIRE, TRIM];

    /// Those of pages, preferences and retractions likewise.
    pub const QUERIES: [&'static [&'static str]; 4] =
        [select::STATEMENTS, preferences::STATEMENTS, retraction::STATEMENTS, search::STATEMENTS];

    /// Pages and counts as SQLite is asked for them.
    pub const ON_SQLITE: &'static [&'static str] = select::ON_SQLITE;

    /// The archives in `db`.
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    /// Files a message. A second one under the same number fails its batch.
    pub fn append(entry: Entry) -> Statement {
        Statement::new(APPEND)
            .with(entry.number)
            .with(entry.owner)
            .with(entry.peer)
            .with(entry.resource)
            .with(entry.stanza)
    }

    /// Removes what `owner` has from before the number `before`.
    pub fn expire(owner: &str, before: i64) -> Statement {
        Statement::new(EXPIRE).with(owner).with(before)
    }

    /// Removes the oldest messages of `owner` that are more than `keep`.
    pub fn trim(owner: &str, keep: u32) -> Statement {
        Statement::new(TRIM).with(owner).with(keep)
    }

    /// The message `number` of `owner`.
    ///
    /// # Errors
    /// The store's.
    pub async fn find(&self, owner: &str, number: i64) -> Result<Option<Entry>, StoreError> {
        let row = self.db.query_one(Statement::new(FIND).with(owner).with(number)).await?;
        row.as_ref().map(read).transpose()
    }

    /// Whether `owner` has the message `number`.
    ///
    /// # Errors
    /// The store's.
    pub async fn has(&self, owner: &str, number: i64) -> Result<bool, StoreError> {
        let row = self.db.query_one(Statement::new(HAS).with(owner).with(number)).await?;
        Ok(row.is_some())
    }

    /// Which of these numbers `owner` has, asked in one errand.
    ///
    /// # Errors
    /// The store's.
    pub async fn have(&self, owner: &str, numbers: &[i64]) -> Result<HashSet<i64>, StoreError> {
        let statements = numbers.chunks(HAVE_COUNT).map(|some| {
            let filled = some.iter().chain(std::iter::repeat(&some[0])).take(HAVE_COUNT);
            filled.fold(Statement::new(HAVE).with(owner), |have, number| have.with(*number))
        });
        let found = self.db.query_all(statements.collect()).await?;
        found.iter().flatten().map(|row| row.int(0)).collect()
    }

    /// The numbers of the first and the last message of `owner` below `end`; `None` when there is
    /// none.
    ///
    /// # Errors
    /// The store's.
    pub async fn span(&self, owner: &str, end: i64) -> Result<Option<(i64, i64)>, StoreError> {
        let last = self.db.query_one(Statement::new(LAST).with(owner).with(end)).await?;
        let first = self.db.query_one(Statement::new(FIRST).with(owner)).await?;
        match (first, last) {
            (Some(first), Some(last)) => Ok(Some((first.int(0)?, last.int(0)?))),
            _ => Ok(None),
        }
    }

    /// The highest number in any archive, so that numbers go on rising after a restart; 0 when all
    /// are empty.
    ///
    /// # Errors
    /// The store's.
    pub async fn last_number(&self) -> Result<i64, StoreError> {
        let row = self.db.query_one(Statement::new(HIGHEST)).await?;
        row.map_or(Ok(0), |row| row.int(0))
    }

    /// Waits until everything that was submitted before is decided, so that what is read then has
    /// no gap that fills up later.
    ///
    /// # Errors
    /// The store's.
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        self.db.batch(Vec::new()).await.map(drop)
    }
}

fn read(row: &Row) -> Result<Entry, StoreError> {
    Ok(Entry {
        number: row.int(0)?,
        owner: row.text(1)?.to_owned(),
        peer: row.text(2)?.to_owned(),
        resource: row.text(3)?.to_owned(),
        stanza: row.text(4)?.to_owned(),
    })
}
