//! What admins said of other servers.

use crate::{Db, Statement, StoreError, Table};

/// Which domains were blocked or allowed by command.
#[derive(Clone, Debug)]
pub struct Peers {
    db: Db,
}

/// What was said of one domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The domain.
    pub domain: String,
    /// What was said, such as `block`.
    pub word: String,
    /// Why, in the words of whoever said it; may be empty.
    pub reason: String,
    /// Who said it.
    pub who: String,
    /// When, in milliseconds since 1970.
    pub at: i64,
}

const PEER: Table = Table {
    name: "peer",
    // It is about everybody here, and stays when the one who said it is removed.
    owner: None,
    steps: &["CREATE TABLE peer (domain {text} PRIMARY KEY, word {text} NOT NULL, \
              reason {text} NOT NULL, who {text} NOT NULL, at {instant} NOT NULL)"],
};

const LIST: &str = "SELECT domain, word, reason, who, at FROM peer ORDER BY domain";
const FIND: &str = "SELECT domain, word, reason, who, at FROM peer WHERE domain = ?1";
const SAY: &str = "INSERT INTO peer (domain, word, reason, who, at) VALUES (?1, ?2, ?3, ?4, ?5) \
     ON CONFLICT (domain) DO UPDATE SET word = excluded.word, reason = excluded.reason, \
     who = excluded.who, at = excluded.at";
const FORGET: &str = "DELETE FROM peer WHERE domain = ?1";

impl Peers {
    /// The tables to migrate.
    pub const TABLES: &'static [&'static Table] = &[&PEER];

    /// Every statement used here, so that both engines can be asked whether they understand it.
    pub const STATEMENTS: &'static [&'static str] = &[LIST, FIND, SAY, FORGET];

    /// What was said, in `db`.
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    /// Everything that was said, by domain.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self) -> Result<Vec<Said>, StoreError> {
        self.db.query(Statement::new(LIST)).await?.iter().map(said).collect()
    }

    /// What was said of a domain.
    ///
    /// # Errors
    /// The store's.
    pub async fn find(&self, domain: &str) -> Result<Option<Said>, StoreError> {
        let row = self.db.query_one(Statement::new(FIND).with(domain)).await?;
        row.as_ref().map(said).transpose()
    }

    /// Says something of a domain, in the place of what was said before.
    ///
    /// # Errors
    /// The store's.
    pub async fn say(&self, said: &Said) -> Result<(), StoreError> {
        let say = Statement::new(SAY)
            .with(said.domain.as_str())
            .with(said.word.as_str())
            .with(said.reason.as_str())
            .with(said.who.as_str())
            .with(said.at);
        self.db.batch(vec![say]).await.map(drop)
    }

    /// Forgets what was said of a domain.
    ///
    /// # Errors
    /// The store's.
    pub async fn forget(&self, domain: &str) -> Result<(), StoreError> {
        self.db.batch(vec![Statement::new(FORGET).with(domain)]).await.map(drop)
    }
}

fn said(row: &crate::Row) -> Result<Said, StoreError> {
    Ok(Said {
        domain: row.text(0)?.to_owned(),
        word: row.text(1)?.to_owned(),
        reason: row.text(2)?.to_owned(),
        who: row.text(3)?.to_owned(),
        at: row.int(4)?,
    })
}
