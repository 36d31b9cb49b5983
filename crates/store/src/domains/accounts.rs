//! Accounts: who may sign in, and how that is checked without knowing a password.

use std::fmt;

use crate::domains::clients;
use crate::{Db, Export, Row, Statement, StoreError, Table};

/// The accounts. Keyed by the prepared bare address as text; instants are milliseconds since 1970.
#[derive(Clone, Debug)]
pub struct Accounts {
    db: Db,
}

/// What is known of an account besides its credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The bare address.
    pub jid: String,
    /// When it was made.
    pub created: i64,
    /// When a session of it was last seen, if ever.
    pub last_seen: Option<i64>,
    /// Why it may not sign in, if so.
    pub disabled: Option<String>,
}

/// The keys that check one SCRAM mechanism (RFC 5802 §3). Never a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// The hash function, as in the mechanism's name: `SHA-256`.
    pub hash: String,
    /// The salt.
    pub salt: Vec<u8>,
    /// Rounds of the key derivation.
    pub iterations: u32,
    /// StoredKey.
    pub stored_key: Vec<u8>,
    /// ServerKey.
    pub server_key: Vec<u8>,
}

/// Whoever knows ServerKey can pose as the server, so keys stay out of logs.
impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({}, {} iterations)", self.hash, self.iterations)
    }
}

/// Which accounts a list shows.
#[derive(Clone, Copy, Debug)]
pub struct Listing<'a> {
    /// The domain they belong to.
    pub domain: &'a str,
    /// What their address begins with; empty for all.
    pub prefix: &'a str,
    /// The last address of the page before; empty for the first page.
    pub after: &'a str,
    /// The most accounts on a page.
    pub limit: u32,
}

const ACCOUNT: Table = Table {
    name: "account",
    owner: Some("jid"),
    steps: &["CREATE TABLE account (jid {text} PRIMARY KEY, domain {text} NOT NULL, \
                created {instant} NOT NULL, last_seen {instant}, disabled {text}); \
              CREATE INDEX account_domain ON account (domain, jid)"],
};

const CREDENTIAL: Table = Table {
    name: "credential",
    owner: Some("owner"),
    steps: &["CREATE TABLE credential (owner {text} NOT NULL, hash {text} NOT NULL, \
                salt {blob} NOT NULL, iterations {int} NOT NULL, stored_key {blob} NOT NULL, \
                server_key {blob} NOT NULL, PRIMARY KEY (owner, hash))"],
};

/// Accounts whose erasure has begun. Its end takes the row along.
const ERASURE: Table = Table {
    name: "erasure",
    owner: Some("owner"),
    steps: &["CREATE TABLE erasure (owner {text} PRIMARY KEY)"],
};

const CREATE: &str = "INSERT INTO account (jid, domain, created) VALUES (?1, ?2, ?3) \
     ON CONFLICT (jid) DO NOTHING";
const KEEP_CREDENTIAL: &str = "INSERT INTO credential \
     (owner, hash, salt, iterations, stored_key, server_key) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
const ADD_CREDENTIAL: &str = "INSERT INTO credential \
     (owner, hash, salt, iterations, stored_key, server_key) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (owner, hash) DO NOTHING";
const DROP_CREDENTIALS: &str = "DELETE FROM credential WHERE owner = ?1";
/// Changes nothing; asserts that the account exists.
const TOUCH: &str = "UPDATE account SET jid = jid WHERE jid = ?1";
/// Changes nothing; asserts that the account has these keys.
const IS_CHECKED_WITH: &str = "UPDATE credential SET salt = salt WHERE owner = ?1 AND salt = ?2";
/// Changes nothing; asserts that the account may sign in.
const IS_OPEN: &str = "UPDATE account SET jid = jid WHERE jid = ?1 AND disabled IS NULL";
/// Changes nothing; asserts that the account exists and is not being erased.
const STAYS: &str = "UPDATE account SET jid = jid WHERE jid = ?1 \
     AND NOT EXISTS (SELECT 1 FROM erasure WHERE owner = ?1)";
const CREDENTIALS: &str = "SELECT hash, salt, iterations, stored_key, server_key FROM credential \
     WHERE owner = ?1 ORDER BY hash";
const FIND: &str = "SELECT jid, created, last_seen, disabled FROM account WHERE jid = ?1";
const LIST: &str = "SELECT jid, created, last_seen, disabled FROM account \
     WHERE domain = ?1 AND jid > ?2 AND jid >= ?3 AND jid < ?4 ORDER BY jid LIMIT ?5";
const LIST_DISABLED: &str = "SELECT jid, created, last_seen, disabled FROM account \
     WHERE domain = ?1 AND jid > ?2 AND jid >= ?3 AND jid < ?4 AND disabled IS NOT NULL \
     ORDER BY jid LIMIT ?5";
const COUNT_DISABLED: &str =
    "SELECT COUNT(*) FROM account WHERE domain = ?1 AND disabled IS NOT NULL";
const COUNT: &str = "SELECT COUNT(*) FROM account WHERE domain = ?1";
const SET_DISABLED: &str = "UPDATE account SET disabled = ?2 WHERE jid = ?1";
const SEEN: &str = "UPDATE account SET last_seen = ?2 WHERE jid = ?1";
const BEGIN_ERASURE: &str = "INSERT INTO erasure (owner) SELECT jid FROM account WHERE jid = ?1 \
     ON CONFLICT (owner) DO NOTHING";
const STOP_ERASURE: &str = "DELETE FROM erasure WHERE owner = ?1";
const UNFINISHED: &str = "SELECT owner FROM erasure WHERE owner > ?1 ORDER BY owner LIMIT ?2";
const REMOVE: &str = "DELETE FROM account WHERE jid = ?1";

impl Accounts {
    /// The tables to migrate.
    pub const TABLES: &'static [&'static Table] =
        &[&ACCOUNT, &CREDENTIAL, &ERASURE, &clients::CLIENT, &clients::TOKEN];

    /// Every statement used here, so that both engines can be asked whether they understand it.
    pub const STATEMENTS: &'static [&'static str] = &[
        CREATE,
        KEEP_CREDENTIAL,
        ADD_CREDENTIAL,
        DROP_CREDENTIALS,
        TOUCH,
        CREDENTIALS,
        FIND,
        LIST,
        LIST_DISABLED,
        COUNT,
        COUNT_DISABLED,
        IS_CHECKED_WITH,
        IS_OPEN,
        STAYS,
        SET_DISABLED,
        SEEN,
        BEGIN_ERASURE,
        STOP_ERASURE,
        UNFINISHED,
        REMOVE,
    ];

    /// The accounts in `db`.
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    /// Makes an account. Fails with [`StoreError::Conflict`] when it exists.
    pub async fn create(
        &self,
        jid: &str,
        created: i64,
        credentials: &[Credential],
    ) -> Result<(), StoreError> {
        match self.db.batch(self.creation(jid, created, credentials)).await {
            Err(StoreError::Conflict(_)) => {
                Err(StoreError::Conflict(format!("the account {jid} exists already")))
            }
            other => other.map(drop),
        }
    }

    /// The same as statements, to go with others. Their batch fails with
    /// [`StoreError::Conflict`] when the account exists.
    pub fn creation(&self, jid: &str, created: i64, credentials: &[Credential]) -> Vec<Statement> {
        let domain = jid.rsplit_once('@').map_or(jid, |(_, domain)| domain);
        let create = Statement::new(CREATE).with(jid).with(domain).with(created).must_change(1);
        let mut batch = vec![create];
        // What was on its way when an earlier account of this name was erased is not for this one.
        batch.extend(self.db.erasure_but(jid, ACCOUNT.name));
        batch.extend(credentials.iter().map(|credential| keep(jid, credential)));
        batch
    }

    /// The keys of an account, by hash; empty when there is no such account.
    pub async fn credentials(&self, jid: &str) -> Result<Vec<Credential>, StoreError> {
        let rows = self.db.query(Statement::new(CREDENTIALS).with(jid)).await?;
        rows.iter().map(read_credential).collect()
    }

    /// A statement that changes nothing, and fails its batch unless the account has keys with this
    /// salt: the password that was checked with them is the one that it has.
    pub fn is_checked_with(jid: &str, salt: &[u8]) -> Statement {
        Statement::new(IS_CHECKED_WITH).with(jid).with(salt).must_change(1)
    }

    /// A statement that changes nothing, and fails its batch unless the account may sign in.
    pub fn is_open(jid: &str) -> Statement {
        Statement::new(IS_OPEN).with(jid).must_change(1)
    }

    /// A statement that changes nothing, and fails its batch unless the account exists and its
    /// erasure has not begun.
    pub fn stays(jid: &str) -> Statement {
        Statement::new(STAYS).with(jid).must_change(1)
    }

    /// Keeps keys for a hash that the account has none for, as long as its password is the one that
    /// was checked with the salt `proven`. False when it is not.
    pub async fn add_credential(
        &self,
        jid: &str,
        credential: &Credential,
        proven: &[u8],
    ) -> Result<bool, StoreError> {
        let keep = filled(ADD_CREDENTIAL, jid, credential);
        match self.db.batch(vec![Self::is_checked_with(jid, proven), keep]).await {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Replaces all keys of an account; whoever came in by the old ones has to know the new
    /// password, so every token ends. False when there is no such account.
    pub async fn set_credentials(
        &self,
        jid: &str,
        credentials: &[Credential],
    ) -> Result<bool, StoreError> {
        let mut batch = vec![
            Statement::new(TOUCH).with(jid).must_change(1),
            Statement::new(DROP_CREDENTIALS).with(jid),
            Statement::new(clients::WITHDRAW_ALL).with(jid),
            Statement::new(clients::FORGET_PASSWORDS).with(jid),
        ];
        batch.extend(credentials.iter().map(|credential| keep(jid, credential)));
        match self.db.batch(batch).await {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// One account.
    pub async fn find(&self, jid: &str) -> Result<Option<Account>, StoreError> {
        let row = self.db.query_one(Statement::new(FIND).with(jid)).await?;
        row.as_ref().map(read_account).transpose()
    }

    /// One account with its keys, in one errand: what a sign-in asks for.
    pub async fn find_with_credentials(
        &self,
        jid: &str,
    ) -> Result<Option<(Account, Vec<Credential>)>, StoreError> {
        let (find, keys) = (Statement::new(FIND).with(jid), Statement::new(CREDENTIALS).with(jid));
        let mut found = self.db.query_all(vec![find, keys]).await?.into_iter();
        let (account, keys) = (found.next().unwrap_or_default(), found.next().unwrap_or_default());
        let Some(account) = account.first() else { return Ok(None) };
        let keys = keys.iter().map(read_credential).collect::<Result<_, _>>()?;
        Ok(Some((read_account(account)?, keys)))
    }

    /// A page of accounts, ordered by address.
    pub async fn list(&self, listing: Listing<'_>) -> Result<Vec<Account>, StoreError> {
        self.page(LIST, listing).await
    }

    /// The same of those that may not sign in.
    pub async fn list_disabled(&self, listing: Listing<'_>) -> Result<Vec<Account>, StoreError> {
        self.page(LIST_DISABLED, listing).await
    }

    /// How many accounts a domain has.
    pub async fn count(&self, domain: &str) -> Result<u64, StoreError> {
        self.number(Statement::new(COUNT).with(domain)).await
    }

    /// How many of them may not sign in.
    pub async fn count_disabled(&self, domain: &str) -> Result<u64, StoreError> {
        self.number(Statement::new(COUNT_DISABLED).with(domain)).await
    }

    /// Forbids signing in, for a reason. False when there is no such account.
    pub async fn disable(&self, jid: &str, reason: &str) -> Result<bool, StoreError> {
        self.change(Statement::new(SET_DISABLED).with(jid).with(reason)).await
    }

    /// Allows signing in again, and gives up an erasure that was interrupted. False when there is
    /// no such account.
    pub async fn enable(&self, jid: &str) -> Result<bool, StoreError> {
        let enable = Statement::new(SET_DISABLED).with(jid).with(None::<&str>);
        let stop = Statement::new(STOP_ERASURE).with(jid);
        let changed = self.db.batch(vec![enable, stop]).await?;
        Ok(changed.first().is_some_and(|rows| *rows > 0))
    }

    /// Forbids signing in and notes that the account is to be erased, whatever happens until
    /// [`Accounts::remove`]. False when there is no such account.
    pub async fn begin_erasure(&self, jid: &str) -> Result<bool, StoreError> {
        let reason = "This account is being erased.";
        let disable = Statement::new(SET_DISABLED).with(jid).with(reason);
        let begin = Statement::new(BEGIN_ERASURE).with(jid);
        let changed = self.db.batch(vec![disable, begin]).await?;
        Ok(changed.first().is_some_and(|rows| *rows > 0))
    }

    /// A page of the accounts whose erasure has begun and not ended, behind the address `after`.
    pub async fn unfinished(&self, after: &str, limit: u32) -> Result<Vec<String>, StoreError> {
        let statement = Statement::new(UNFINISHED).with(after).with(limit);
        let rows = self.db.query(statement).await?;
        rows.iter().map(|row| row.text(0).map(str::to_owned)).collect()
    }

    /// Notes when an account was last seen. False when there is no such account.
    pub async fn seen(&self, jid: &str, at: i64) -> Result<bool, StoreError> {
        self.change(Self::see(jid, at)).await
    }

    /// The same as a statement, to go with others.
    pub fn see(jid: &str, at: i64) -> Statement {
        Statement::new(SEEN).with(jid).with(at)
    }

    /// Erases the account and every row it owns, whichever table it is in, in one batch. False
    /// when there was no such account; what it left behind is erased all the same.
    pub async fn remove(&self, jid: &str) -> Result<bool, StoreError> {
        let mut batch = vec![Statement::new(REMOVE).with(jid)];
        batch.extend(self.db.erasure(jid));
        let changed = self.db.batch(batch).await?;
        Ok(changed.first().is_some_and(|rows| *rows > 0))
    }

    /// Everything the store holds of an account, credentials included.
    pub async fn export(&self, jid: &str) -> Result<Vec<Export>, StoreError> {
        self.db.export(jid).await
    }

    async fn page(
        &self,
        sql: &'static str,
        listing: Listing<'_>,
    ) -> Result<Vec<Account>, StoreError> {
        // U+10FFFF is in no address and sorts behind every character that is.
        let end = format!("{}\u{10FFFF}", listing.prefix);
        let statement = Statement::new(sql)
            .with(listing.domain)
            .with(listing.after)
            .with(listing.prefix)
            .with(end)
            .with(listing.limit);
        self.db.query(statement).await?.iter().map(read_account).collect()
    }

    async fn number(&self, statement: Statement) -> Result<u64, StoreError> {
        let row = self.db.query_one(statement).await?;
        let count = row.map_or(Ok(0), |row| row.int(0))?;
        Ok(count.unsigned_abs())
    }

    async fn change(&self, statement: Statement) -> Result<bool, StoreError> {
        let changed = self.db.batch(vec![statement]).await?;
        Ok(changed.first().is_some_and(|rows| *rows > 0))
    }
}

fn keep(owner: &str, credential: &Credential) -> Statement {
    filled(KEEP_CREDENTIAL, owner, credential)
}

fn filled(sql: &'static str, owner: &str, credential: &Credential) -> Statement {
    Statement::new(sql)
        .with(owner)
        .with(credential.hash.as_str())
        .with(credential.salt.as_slice())
        .with(credential.iterations)
        .with(credential.stored_key.as_slice())
        .with(credential.server_key.as_slice())
}

fn read_credential(row: &Row) -> Result<Credential, StoreError> {
    let iterations = row.int(2)?;
    Ok(Credential {
        hash: row.text(0)?.to_owned(),
        salt: row.blob(1)?.to_vec(),
        iterations: u32::try_from(iterations)
            .map_err(|_| StoreError::Corrupt(format!("{iterations} iterations")))?,
        stored_key: row.blob(3)?.to_vec(),
        server_key: row.blob(4)?.to_vec(),
    })
}

fn read_account(row: &Row) -> Result<Account, StoreError> {
    Ok(Account {
        jid: row.text(0)?.to_owned(),
        created: row.int(1)?,
        last_seen: row.int_or_null(2)?,
        disabled: row.text_or_null(3)?.map(str::to_owned),
    })
}
