//! The rows of uploads: from the slot that a client asked for to the end of the file.

use std::collections::HashSet;

use waxwing_store::{Db, Row, Statement, StoreError, Table};

use super::stock::SHOWN;

/// How many are handled at a time.
pub(super) const PAGE: usize = 200;

pub(super) const TABLE: Table = Table {
    name: "upload",
    owner: Some("owner"),
    steps: &["CREATE TABLE upload (token {text} PRIMARY KEY, secret {text} NOT NULL, \
              host {text} NOT NULL, owner {text} NOT NULL, name {text} NOT NULL, kind {text}, \
              size {int} NOT NULL, bucket {int} NOT NULL, made {instant} NOT NULL, \
              expires {instant} NOT NULL, until {instant} NOT NULL, state {int} NOT NULL); \
              CREATE INDEX upload_owner ON upload (owner); \
              CREATE INDEX upload_expires ON upload (host, expires)"],
};

const ADD: &str = "INSERT INTO upload (token, secret, host, owner, name, kind, size, bucket, made, \
     expires, until, state) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 0)";
const FIND: &str = "SELECT secret, owner, name, kind, size, bucket, made, expires, until, state \
     FROM upload WHERE token = ?1 AND host = ?2";
const HELD: &str = "SELECT CAST(SUM(size) AS BIGINT), MIN(expires) FROM upload \
     WHERE owner = ?1 AND bucket = ?2 AND expires > ?3";
const SLOTS: &str = "SELECT COUNT(*), MIN(expires) FROM upload \
     WHERE owner = ?1 AND state < 2 AND expires > ?2";
const ALL: &str = "SELECT CAST(SUM(size) AS BIGINT) FROM upload WHERE host = ?1 AND expires > ?2";
const OLDEST: &str = "SELECT token, size FROM upload WHERE owner = ?1 AND bucket = ?2 \
     AND state = 2 AND expires > ?3 ORDER BY made LIMIT 200";
const END: &str = "UPDATE upload SET expires = ?2 WHERE token = ?1";
/// What a slot becomes when its upload begins. Only one upload can do this.
const BEGIN: &str = "UPDATE upload SET state = 1, expires = ?2 \
     WHERE token = ?1 AND state = 0 AND expires > ?3";
const REOPEN: &str = "UPDATE upload SET state = 0, expires = ?2 WHERE token = ?1 AND state = 1";
const FINISH: &str = "UPDATE upload SET state = 2, expires = until \
     WHERE token = ?1 AND state = 1 AND expires > ?2";
const ENDED: &str = "SELECT token FROM upload WHERE host = ?1 AND expires <= ?2 \
     ORDER BY expires LIMIT 200";
const FORGET: &str = "DELETE FROM upload WHERE token = ?1 AND expires <= ?2";
const KEPT: &str = "SELECT COUNT(*), CAST(SUM(size) AS BIGINT) FROM upload WHERE state = 2";
const KNOWN: &str = "SELECT token FROM upload WHERE token >= ?1 AND token < ?2";
const LIST: &str = "SELECT token, owner, name, kind, size, made, until FROM upload \
     WHERE host = ?1 AND state = 2 AND expires > ?2 AND (owner = ?3 OR ?3 = '') \
     ORDER BY made DESC LIMIT ?4";
const OWNED: &str = "SELECT token FROM upload WHERE owner = ?1";

/// A file, there or to come. Times are in milliseconds since 1970.
pub(super) struct File {
    /// Its public name.
    pub(super) token: String,
    /// What only the uploader knows.
    pub(super) secret: String,
    pub(super) owner: String,
    /// As the client calls it.
    pub(super) name: String,
    /// Its media type, if the client said one.
    pub(super) kind: Option<String>,
    pub(super) size: i64,
    pub(super) bucket: Bucket,
    pub(super) made: i64,
    /// When the row ends in its present state.
    pub(super) expires: i64,
    /// When the file ends once it is there.
    pub(super) until: i64,
    pub(super) state: State,
}

/// Which quota a file counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bucket {
    Message = 0,
    Profile = 1,
    Permanent = 2,
}

/// How far a file has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Announced.
    Slot = 0,
    /// On its way.
    Coming = 1,
    /// There.
    Stored = 2,
}

/// What an account holds already.
pub(super) struct Held {
    /// Bytes in the bucket.
    pub(super) bytes: i64,
    /// When the first of the files in it ends.
    pub(super) first_end: Option<i64>,
    /// Uploads announced or under way.
    pub(super) slots: i64,
    /// When the first of those ends.
    pub(super) first_slot: Option<i64>,
}

/// A file as admins see it.
pub(super) struct Listed {
    pub(super) token: String,
    pub(super) owner: String,
    pub(super) name: String,
    pub(super) kind: Option<String>,
    pub(super) size: i64,
    pub(super) made: i64,
    /// `i64::MAX` for as long as the account.
    pub(super) until: i64,
}

/// The uploads of one host.
pub(super) struct Files {
    db: Db,
    host: String,
}

impl Files {
    pub(super) fn new(db: Db, host: &str) -> Self {
        Self { db, host: host.to_owned() }
    }

    pub(super) async fn add(&self, file: &File) -> Result<(), StoreError> {
        let add = Statement::new(ADD)
            .with(file.token.as_str())
            .with(file.secret.as_str())
            .with(self.host.as_str())
            .with(file.owner.as_str())
            .with(file.name.as_str())
            .with(file.kind.as_deref())
            .with(file.size)
            .with(file.bucket as i64)
            .with(file.made)
            .with(file.expires)
            .with(file.until);
        self.db.batch(vec![add]).await.map(drop)
    }

    pub(super) async fn find(&self, token: &str) -> Result<Option<File>, StoreError> {
        let find = Statement::new(FIND).with(token).with(self.host.as_str());
        self.db.query_one(find).await?.map(|row| read(token, &row)).transpose()
    }

    pub(super) async fn held(&self, file: &File, now: i64) -> Result<Held, StoreError> {
        let held = Statement::new(HELD).with(file.owner.as_str());
        let held = self.db.query_one(held.with(file.bucket as i64).with(now)).await?;
        let slots = Statement::new(SLOTS).with(file.owner.as_str()).with(now);
        let slots = self.db.query_one(slots).await?;
        let int = |row: &Option<Row>, column| match row {
            Some(row) => row.int_or_null(column),
            None => Ok(None),
        };
        Ok(Held {
            bytes: int(&held, 0)?.unwrap_or(0),
            first_end: int(&held, 1)?,
            slots: int(&slots, 0)?.unwrap_or(0),
            first_slot: int(&slots, 1)?,
        })
    }

    pub(super) async fn all_bytes(&self, now: i64) -> Result<i64, StoreError> {
        let all = Statement::new(ALL).with(self.host.as_str()).with(now);
        let row = self.db.query_one(all).await?;
        Ok(row.map(|row| row.int_or_null(0)).transpose()?.flatten().unwrap_or(0))
    }

    /// The oldest files in the bucket of `file`, with their sizes.
    pub(super) async fn oldest(&self, file: &File) -> Result<Vec<(String, i64)>, StoreError> {
        let oldest = Statement::new(OLDEST).with(file.owner.as_str());
        let rows = self.db.query(oldest.with(file.bucket as i64).with(file.made)).await?;
        rows.iter().map(|row| Ok((row.text(0)?.to_owned(), row.int(1)?))).collect()
    }

    /// Ends a file at `now`.
    pub(super) async fn end(&self, token: &str, now: i64) -> Result<(), StoreError> {
        self.db.batch(vec![Statement::new(END).with(token).with(now)]).await.map(drop)
    }

    /// An upload begins, and may go on until `deadline`. A conflict when it did before.
    pub(super) async fn begin(
        &self,
        token: &str,
        deadline: i64,
        now: i64,
    ) -> Result<(), StoreError> {
        let begin = Statement::new(BEGIN).with(token).with(deadline).with(now);
        self.db.batch(vec![begin.must_change(1)]).await.map(drop)
    }

    /// An upload broke off: it may be tried again until `expires`.
    pub(super) async fn reopen(&self, token: &str, expires: i64) -> Result<(), StoreError> {
        self.db.batch(vec![Statement::new(REOPEN).with(token).with(expires)]).await.map(drop)
    }

    /// The file is there. A conflict when its slot has gone meanwhile, with its account perhaps.
    pub(super) async fn finish(&self, token: &str, now: i64) -> Result<(), StoreError> {
        let finish = Statement::new(FINISH).with(token).with(now);
        self.db.batch(vec![finish.must_change(1)]).await.map(drop)
    }

    /// Some whose time has come.
    pub(super) async fn ended(&self, now: i64) -> Result<Vec<String>, StoreError> {
        let ended = Statement::new(ENDED).with(self.host.as_str()).with(now);
        tokens(self.db.query(ended).await?)
    }

    pub(super) async fn forget(&self, token: &str, now: i64) -> Result<(), StoreError> {
        self.db.batch(vec![Statement::new(FORGET).with(token).with(now)]).await.map(drop)
    }

    /// The newest files, one more than are shown; only those of `owner` if somebody is named.
    pub(super) async fn list(
        &self,
        owner: Option<&str>,
        now: i64,
    ) -> Result<Vec<Listed>, StoreError> {
        let list = Statement::new(LIST).with(self.host.as_str()).with(now);
        let list = list.with(owner.unwrap_or_default()).with(SHOWN as i64 + 1);
        let listed = |row: &Row| {
            Ok(Listed {
                token: row.text(0)?.to_owned(),
                owner: row.text(1)?.to_owned(),
                name: row.text(2)?.to_owned(),
                kind: row.text_or_null(3)?.map(str::to_owned),
                size: row.int(4)?,
                made: row.int(5)?,
                until: row.int(6)?,
            })
        };
        self.db.query(list).await?.iter().map(listed).collect()
    }

    /// How many files are there, on all hosts, and their bytes.
    pub(super) async fn kept(&self) -> Result<(i64, i64), StoreError> {
        let row = self.db.query_one(Statement::new(KEPT)).await?;
        row.map_or(Ok((0, 0)), |row| Ok((row.int(0)?, row.int_or_null(1)?.unwrap_or(0))))
    }

    /// The tokens that have a row, on any host, and begin with these digits.
    pub(super) async fn known(&self, digits: &str) -> Result<HashSet<String>, StoreError> {
        // `g` comes behind all digits.
        let known = Statement::new(KNOWN).with(digits).with(format!("{digits}g"));
        Ok(tokens(self.db.query(known).await?)?.into_iter().collect())
    }

    pub(super) async fn owned(&self, owner: &str) -> Result<Vec<String>, StoreError> {
        tokens(self.db.query(Statement::new(OWNED).with(owner)).await?)
    }
}

fn tokens(rows: Vec<Row>) -> Result<Vec<String>, StoreError> {
    rows.iter().map(|row| row.text(0).map(str::to_owned)).collect()
}

fn read(token: &str, row: &Row) -> Result<File, StoreError> {
    let corrupt =
        |what: &str| StoreError::Corrupt(format!("an upload has no {what} that is known"));
    Ok(File {
        token: token.to_owned(),
        secret: row.text(0)?.to_owned(),
        owner: row.text(1)?.to_owned(),
        name: row.text(2)?.to_owned(),
        kind: row.text_or_null(3)?.map(str::to_owned),
        size: row.int(4)?,
        bucket: match row.int(5)? {
            0 => Bucket::Message,
            1 => Bucket::Profile,
            2 => Bucket::Permanent,
            _ => return Err(corrupt("bucket")),
        },
        made: row.int(6)?,
        expires: row.int(7)?,
        until: row.int(8)?,
        state: match row.int(9)? {
            0 => State::Slot,
            1 => State::Coming,
            2 => State::Stored,
            _ => return Err(corrupt("state")),
        },
    })
}
