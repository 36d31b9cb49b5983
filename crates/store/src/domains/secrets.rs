//! Keys that the server makes for itself once, and must still have after a restart.

use crate::{Db, Statement, StoreError, Table};

/// The keys, by name.
#[derive(Clone, Debug)]
pub struct Secrets {
    db: Db,
}

const SECRET: Table = Table {
    name: "secret",
    owner: None,
    steps: &["CREATE TABLE secret (name {text} PRIMARY KEY, value {blob} NOT NULL)"],
};

const KEEP: &str = "INSERT INTO secret (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING";
const FIND: &str = "SELECT value FROM secret WHERE name = ?1";

impl Secrets {
    /// The tables to migrate.
    pub const TABLES: &'static [&'static Table] = &[&SECRET];

    /// Every statement used here, so that both engines can be asked whether they understand it.
    pub const STATEMENTS: &'static [&'static str] = &[KEEP, FIND];

    /// The keys in `db`.
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    /// The key `name`. Where there is none yet it is `fresh` from now on, for every server on this
    /// database.
    ///
    /// # Errors
    /// The store's.
    pub async fn obtain(&self, name: &str, fresh: &[u8]) -> Result<Vec<u8>, StoreError> {
        if let Some(held) = self.find(name).await? {
            return Ok(held);
        }
        self.db.batch(vec![Statement::new(KEEP).with(name).with(fresh)]).await?;
        let held = self.find(name).await?;
        held.ok_or_else(|| StoreError::Corrupt(format!("the key {name} was not kept")))
    }

    async fn find(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let row = self.db.query_one(Statement::new(FIND).with(name)).await?;
        row.map(|row| row.blob(0).map(<[u8]>::to_vec)).transpose()
    }
}
