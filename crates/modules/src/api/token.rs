//! Tokens as rows. A token is known to whoever it was shown to; here is only its hash, so that the
//! database lets nobody in.

use aws_lc_rs::digest::{SHA256, digest};
use waxwing_jid::BareJid;
use waxwing_kernel::Hub;
use waxwing_kernel::command::CommandAbout;
use waxwing_store::{Row, Statement, StoreError, Table};

use super::scope::Scope;

/// Bytes of randomness in a token.
const TOKEN_BYTES: usize = 24;
/// What every token begins with, so that one that got into the wrong hands is recognised.
const PREFIX: &str = "waxwing_";
/// How long one that has expired is still shown.
const SHOWN_MILLIS: i64 = 30 * 24 * 60 * 60 * 1000;
/// The last use is noted this precisely: not every use is worth a write.
const USED_MILLIS: i64 = 60_000;

/// `domain` is empty for tokens of the whole server, `owner` null for those of the operator.
pub(super) const TABLE: Table = Table {
    name: "api_token",
    owner: Some("owner"),
    steps: &["CREATE TABLE api_token (id {id} PRIMARY KEY, hash {text} NOT NULL, \
                domain {text} NOT NULL, name {text} NOT NULL, owner {text}, \
                scopes {text} NOT NULL, made {instant} NOT NULL, expires {instant} NOT NULL, \
                used {instant}); \
              CREATE UNIQUE INDEX api_token_hash ON api_token (hash); \
              CREATE UNIQUE INDEX api_token_name ON api_token (domain, name); \
              CREATE INDEX api_token_owner ON api_token (owner)"],
};

const KEEP: &str = "INSERT INTO api_token (id, hash, domain, name, owner, scopes, made, expires) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (domain, name) DO NOTHING";
const FORGET: &str =
    "DELETE FROM api_token WHERE expires < ?1 OR (domain = ?2 AND name = ?3 AND expires < ?4)";
const COUNT: &str = "SELECT COUNT(*) FROM api_token WHERE domain = ?1 AND expires > ?2";
const BY_HASH: &str = "SELECT id, domain, name, owner, scopes, made, expires, used FROM api_token \
     WHERE hash = ?1 AND (domain = ?2 OR domain = '')";
const BY_ID: &str = "SELECT id, domain, name, owner, scopes, made, expires, used FROM api_token \
     WHERE id = ?1 AND (domain = ?2 OR domain = '')";
const LIST: &str = "SELECT id, domain, name, owner, scopes, made, expires, used FROM api_token \
     WHERE domain = ?1 OR domain = '' ORDER BY id DESC LIMIT ?2";
const USE: &str = "UPDATE api_token SET used = ?2 WHERE id = ?1";
const REVOKE: &str = "DELETE FROM api_token WHERE id = ?1";

/// One token.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) id: i64,
    /// The domain that it is good for; empty for all.
    pub(super) domain: String,
    /// What the program is called.
    pub(super) name: String,
    /// Who made it; nobody when the operator did.
    pub(super) owner: Option<BareJid>,
    pub(super) scopes: Vec<Scope>,
    /// Unix times in milliseconds.
    pub(super) made: i64,
    pub(super) expires: i64,
    pub(super) used: Option<i64>,
}

impl Token {
    /// Whether whoever shows it may give that command.
    pub(super) fn allows(&self, about: &CommandAbout) -> bool {
        self.scopes.iter().any(|scope| scope.allows(about))
    }

    /// Whether it is good for every domain.
    pub(super) fn is_everywhere(&self) -> bool {
        self.domain.is_empty()
    }

    /// Whether whoever shows it may hear what happens.
    pub(super) fn hears(&self) -> bool {
        self.scopes.iter().any(Scope::hears)
    }

    /// Its scopes, as they are written.
    pub(super) fn scopes(&self) -> String {
        self.scopes.iter().map(Scope::to_string).collect::<Vec<_>>().join(" ")
    }

    fn read(row: &Row) -> Result<Self, StoreError> {
        let owner = row.text_or_null(3)?.map(BareJid::new).transpose();
        let owner = owner.map_err(|error| StoreError::Corrupt(format!("api_token: {error}")))?;
        Ok(Self {
            id: row.int(0)?,
            domain: row.text(1)?.to_owned(),
            name: row.text(2)?.to_owned(),
            owner,
            // What a later version knows, this one does not allow.
            scopes: row.text(4)?.split(' ').filter_map(Scope::read).collect(),
            made: row.int(5)?,
            expires: row.int(6)?,
            used: row.int_or_null(7)?,
        })
    }
}

/// The tokens that are good for one domain.
pub(super) struct Tokens {
    hub: Hub,
    domain: String,
}

impl Tokens {
    pub(super) fn new(hub: Hub, domain: &str) -> Self {
        Self { hub, domain: domain.to_owned() }
    }

    /// The one that this is, if its time is not over.
    pub(super) async fn by_secret(&self, secret: &str) -> Result<Option<Token>, StoreError> {
        self.find(Statement::new(BY_HASH).with(hash(secret))).await
    }

    /// The one with this number, if its time is not over.
    pub(super) async fn by_id(&self, id: i64) -> Result<Option<Token>, StoreError> {
        self.find(Statement::new(BY_ID).with(id)).await
    }

    async fn find(&self, find: Statement) -> Result<Option<Token>, StoreError> {
        let row = self.hub.db().query_one(find.with(self.domain.as_str())).await?;
        let token = row.as_ref().map(Token::read).transpose()?;
        Ok(token.filter(|token| token.expires > self.now()))
    }

    /// Those that are good, and those that were until a while ago, the newest first.
    pub(super) async fn list(&self, limit: u32) -> Result<Vec<Token>, StoreError> {
        let list = Statement::new(LIST).with(self.domain.as_str()).with(limit);
        self.hub.db().query(list).await?.iter().map(Token::read).collect()
    }

    /// How many of a domain's are good.
    pub(super) async fn count(&self, domain: &str) -> Result<u64, StoreError> {
        let count = Statement::new(COUNT).with(domain).with(self.now());
        let row = self.hub.db().query_one(count).await?;
        Ok(row.map_or(Ok(0), |row| row.int(0))?.unsigned_abs())
    }

    /// Keeps a new one, whose number and time it sets, and gives what it is.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when its domain has one of that name.
    pub(super) async fn keep(&self, token: &Token) -> Result<String, StoreError> {
        let secret = format!("{PREFIX}{}", self.hub.clock().token(TOKEN_BYTES));
        let now = self.now();
        let forget = Statement::new(FORGET)
            .with(now - SHOWN_MILLIS)
            .with(token.domain.as_str())
            .with(token.name.as_str())
            .with(now);
        let keep = Statement::new(KEEP)
            .with(self.hub.next_id().cast_signed())
            .with(hash(&secret))
            .with(token.domain.as_str())
            .with(token.name.as_str())
            .with(token.owner.as_ref().map(BareJid::as_str))
            .with(token.scopes())
            .with(now)
            .with(token.expires)
            .must_change(1);
        self.hub.db().batch(vec![forget, keep]).await?;
        Ok(secret)
    }

    /// Notes that it was used. That it cannot be noted is no reason to refuse.
    pub(super) async fn note_use(&self, token: &Token) {
        let now = self.now();
        if token.used.is_some_and(|used| now - used < USED_MILLIS) {
            return;
        }
        let note = Statement::new(USE).with(token.id).with(now);
        if let Err(error) = self.hub.db().batch(vec![note]).await {
            tracing::warn!(%error, token = token.name, "the use of a token could not be noted");
        }
    }

    /// Takes it back.
    pub(super) async fn revoke(&self, id: i64) -> Result<(), StoreError> {
        self.hub.db().batch(vec![Statement::new(REVOKE).with(id)]).await.map(drop)
    }

    pub(super) fn now(&self) -> i64 {
        self.hub.clock().wall_millis().cast_signed()
    }
}

fn hash(secret: &str) -> String {
    let digest = digest(&SHA256, secret.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
