//! Clients: the installations that sign in to an account, and the tokens they may do it with.

use crate::{Db, Row, Statement, StoreError, Table};

/// The clients of accounts. Keyed by the prepared bare address and the client's name, as text;
/// instants are milliseconds since 1970. Neither what a client calls itself in secret nor a token
/// is kept here.
#[derive(Clone, Debug)]
pub struct Clients {
    db: Db,
}

/// What is known of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its name on the server.
    pub client: String,
    /// The software, as it says itself.
    pub software: Option<String>,
    /// The device that it runs on, as it says itself.
    pub device: Option<String>,
    /// When it signed in first.
    pub first_seen: i64,
    /// When it signed in last.
    pub last_seen: i64,
    /// It has presented the password that the account has now.
    pub has_password: bool,
    /// It has a token that has not expired.
    pub has_token: bool,
}

/// What a client says of itself when it signs in.
#[derive(Clone, Copy, Debug)]
pub struct Sighting<'a> {
    /// The software.
    pub software: Option<&'a str>,
    /// The device.
    pub device: Option<&'a str>,
    /// When that is.
    pub at: i64,
    /// It presents the password.
    pub has_password: bool,
}

/// A token, by the seed that it is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Nobody has used it yet.
    pub is_new: bool,
    /// What it is made from, together with a secret that is not in the store.
    pub seed: String,
    /// The mechanism that it is for.
    pub mechanism: String,
    /// When it was made.
    pub issued: i64,
    /// When it ends.
    pub expiry: i64,
}

pub(crate) const CLIENT: Table = Table {
    name: "client",
    owner: Some("owner"),
    steps: &["CREATE TABLE client (owner {text} NOT NULL, client {text} NOT NULL, \
                software {text}, device {text}, first_seen {instant} NOT NULL, \
                last_seen {instant} NOT NULL, has_password {int} NOT NULL, \
                PRIMARY KEY (owner, client))"],
};

pub(crate) const TOKEN: Table = Table {
    name: "token",
    owner: Some("owner"),
    steps: &["CREATE TABLE token (owner {text} NOT NULL, client {text} NOT NULL, \
                is_new {int} NOT NULL, seed {text} NOT NULL, mechanism {text} NOT NULL, \
                issued {instant} NOT NULL, expiry {instant} NOT NULL, uses {int} NOT NULL, \
                PRIMARY KEY (owner, client, is_new))"],
};

const TOKENS: &str = "SELECT is_new, seed, mechanism, issued, expiry FROM token \
     WHERE owner = ?1 AND client = ?2 AND expiry > ?3 ORDER BY is_new DESC";
const DROP_CURRENT: &str = "DELETE FROM token WHERE owner = ?1 AND client = ?2 AND is_new = 0 \
     AND seed <> ?3";
const USE: &str = "UPDATE token SET is_new = 0, uses = CASE WHEN ?4 > uses THEN ?4 ELSE uses END \
     WHERE owner = ?1 AND client = ?2 AND seed = ?3 AND (?4 < 0 OR ?4 > uses)";
const DROP_NEW: &str = "DELETE FROM token WHERE owner = ?1 AND client = ?2 AND is_new = 1";
const ISSUE: &str = "INSERT INTO token \
     (owner, client, is_new, seed, mechanism, issued, expiry, uses) \
     VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6, -1)";
const WITHDRAW: &str = "DELETE FROM token WHERE owner = ?1 AND client = ?2";
const DROP_EXPIRED: &str = "DELETE FROM token WHERE owner = ?1 AND expiry <= ?2";
const KEEP_NEWEST_TOKENS: &str = "DELETE FROM token WHERE owner = ?1 AND client IN \
     (SELECT client FROM token WHERE owner = ?1 AND client <> ?2 GROUP BY client \
      ORDER BY MAX(issued) DESC, client LIMIT 1000000 OFFSET ?3)";
pub(crate) const WITHDRAW_ALL: &str = "DELETE FROM token WHERE owner = ?1";
const SEE: &str = "INSERT INTO client \
     (owner, client, software, device, first_seen, last_seen, has_password) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6) ON CONFLICT (owner, client) DO UPDATE SET \
     software = excluded.software, device = excluded.device, last_seen = excluded.last_seen, \
     has_password = CASE WHEN excluded.has_password = 1 THEN 1 ELSE client.has_password END";
const DROP_OLD: &str = "DELETE FROM client WHERE owner = ?1 AND last_seen < ?2 \
     AND client NOT IN (SELECT client FROM token WHERE owner = ?1)";
const KEEP_NEWEST: &str = "DELETE FROM client WHERE owner = ?1 AND client IN \
     (SELECT client FROM client WHERE owner = ?1 ORDER BY last_seen DESC, client \
      LIMIT 1000000 OFFSET ?2) \
     AND client NOT IN (SELECT client FROM token WHERE owner = ?1)";
const DROP_CLIENT: &str = "DELETE FROM client WHERE owner = ?1 AND client = ?2";
pub(crate) const FORGET_PASSWORDS: &str = "UPDATE client SET has_password = 0 WHERE owner = ?1";
const LIST: &str = "SELECT client, software, device, first_seen, last_seen, has_password, \
     (SELECT COUNT(*) FROM token WHERE token.owner = client.owner \
      AND token.client = client.client AND token.expiry > ?2) \
     FROM client WHERE owner = ?1 ORDER BY last_seen DESC, client";

impl Clients {
    /// Every statement used here, so that both engines can be asked whether they understand it.
    pub const STATEMENTS: &'static [&'static str] = &[
        TOKENS,
        DROP_CURRENT,
        USE,
        DROP_NEW,
        ISSUE,
        WITHDRAW,
        DROP_EXPIRED,
        KEEP_NEWEST_TOKENS,
        WITHDRAW_ALL,
        SEE,
        DROP_OLD,
        KEEP_NEWEST,
        DROP_CLIENT,
        FORGET_PASSWORDS,
        LIST,
    ];

    /// The clients in `db`.
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    /// The tokens of a client that have not expired at `now`, two at most, one not used yet first.
    pub async fn tokens(
        &self,
        owner: &str,
        client: &str,
        now: i64,
    ) -> Result<Vec<Token>, StoreError> {
        let ask = Statement::new(TOKENS).with(owner).with(client).with(now);
        let rows = self.db.query(ask).await?;
        let read = |row: &Row| {
            Ok(Token {
                is_new: row.int(0)? == 1,
                seed: row.text(1)?.to_owned(),
                mechanism: row.text(2)?.to_owned(),
                issued: row.int(3)?,
                expiry: row.int(4)?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// A token is used: those before it end. `count` is what the client says of how often it has
    /// used it; the batch fails when that was said before, and when there is no such token.
    pub fn spend(owner: &str, client: &str, seed: &str, count: Option<u32>) -> [Statement; 2] {
        let count = count.map_or(-1, i64::from);
        [
            Statement::new(DROP_CURRENT).with(owner).with(client).with(seed),
            Statement::new(USE).with(owner).with(client).with(seed).with(count).must_change(1),
        ]
    }

    /// A client gets a token; one that it never used ends, and so do those of the clients that got
    /// theirs longest ago, when more than `room` others have some.
    pub fn issue(owner: &str, client: &str, token: &Token, room: u32) -> [Statement; 4] {
        [
            Statement::new(DROP_EXPIRED).with(owner).with(token.issued),
            Statement::new(DROP_NEW).with(owner).with(client),
            Statement::new(ISSUE)
                .with(owner)
                .with(client)
                .with(token.seed.as_str())
                .with(token.mechanism.as_str())
                .with(token.issued)
                .with(token.expiry),
            Statement::new(KEEP_NEWEST_TOKENS).with(owner).with(client).with(room),
        ]
    }

    /// The tokens of a client end.
    pub fn withdraw(owner: &str, client: &str) -> Statement {
        Statement::new(WITHDRAW).with(owner).with(client)
    }

    /// A client signs in. Those without a token that were not seen since `before` are forgotten,
    /// and so are the oldest of them when there are more than `room` clients.
    pub fn see(
        owner: &str,
        client: &str,
        sighting: Sighting<'_>,
        (before, room): (i64, u32),
    ) -> [Statement; 3] {
        [
            Statement::new(SEE)
                .with(owner)
                .with(client)
                .with(sighting.software)
                .with(sighting.device)
                .with(sighting.at)
                .with(i64::from(sighting.has_password)),
            Statement::new(DROP_OLD).with(owner).with(before),
            Statement::new(KEEP_NEWEST).with(owner).with(room),
        ]
    }

    /// The clients of an account, the last seen first.
    pub async fn list(&self, owner: &str, now: i64) -> Result<Vec<Client>, StoreError> {
        let rows = self.db.query(Statement::new(LIST).with(owner).with(now)).await?;
        let read = |row: &Row| {
            Ok(Client {
                client: row.text(0)?.to_owned(),
                software: row.text_or_null(1)?.map(str::to_owned),
                device: row.text_or_null(2)?.map(str::to_owned),
                first_seen: row.int(3)?,
                last_seen: row.int(4)?,
                has_password: row.int(5)? == 1,
                has_token: row.int(6)? > 0,
            })
        };
        rows.iter().map(read).collect()
    }

    /// Forgets a client with its tokens.
    pub async fn revoke(&self, owner: &str, client: &str) -> Result<(), StoreError> {
        let forget = Statement::new(DROP_CLIENT).with(owner).with(client);
        self.db.batch(vec![Self::withdraw(owner, client), forget]).await.map(drop)
    }
}
