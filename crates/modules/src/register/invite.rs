//! Invitations: tokens that let somebody in (XEP-0401, XEP-0445, XEP-0379).
//!
//! A token is known to whoever got the link. Here is only its hash, so that the database lets
//! nobody in.

use aws_lc_rs::digest::{SHA256, digest};
use waxwing_jid::BareJid;
use waxwing_kernel::Hub;
use waxwing_store::{Row, Statement, StoreError, Table};

/// Bytes of randomness in a token. XEP-0379 §5.1: "at least 80 bits of entropy".
const TOKEN_BYTES: usize = 16;

pub(super) const TABLE: Table = Table {
    name: "invite",
    owner: Some("inviter"),
    steps: &["CREATE TABLE invite (id {id} PRIMARY KEY, hash {text} NOT NULL, \
                domain {text} NOT NULL, inviter {text}, username {text}, \
                befriends {int} NOT NULL, registers {int} NOT NULL, expires {instant} NOT NULL, \
                uses {int} NOT NULL); \
              CREATE UNIQUE INDEX invite_hash ON invite (hash); \
              CREATE INDEX invite_domain ON invite (domain, id); \
              CREATE INDEX invite_inviter ON invite (inviter)"],
};

const KEEP: &str = "INSERT INTO invite \
     (id, hash, domain, inviter, username, befriends, registers, expires, uses) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
const FORGET: &str = "DELETE FROM invite WHERE expires < ?1 OR uses < 1";
const FIND: &str = "SELECT id, inviter, username, befriends, registers, expires, uses \
     FROM invite WHERE domain = ?1 AND hash = ?2 AND uses > 0";
const RESERVED: &str = "SELECT id FROM invite \
     WHERE domain = ?1 AND username = ?2 AND expires > ?3 AND uses > 0 LIMIT 1";
const COUNT: &str = "SELECT COUNT(*) FROM invite WHERE inviter = ?1 AND expires > ?2 AND uses > 0";
const LIST: &str = "SELECT id, inviter, username, befriends, registers, expires, uses FROM invite \
     WHERE domain = ?1 AND expires > ?2 AND uses > 0 ORDER BY id DESC LIMIT ?3";
const LIST_OWN: &str = "SELECT id, inviter, username, befriends, registers, expires, uses \
     FROM invite WHERE inviter = ?1 AND expires > ?2 AND uses > 0 ORDER BY id DESC LIMIT ?3";
const REVOKE: &str = "DELETE FROM invite WHERE domain = ?1 AND id = ?2";
const REVOKE_OWN: &str = "DELETE FROM invite WHERE inviter = ?1 AND id = ?2";
const USE: &str = "UPDATE invite SET uses = uses - 1 WHERE id = ?1 AND uses > 0";

/// A day is what a connection that has shown its token may still take.
const GRACE_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// One invitation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Invite {
    pub(super) id: i64,
    /// Who invites; nobody when the operator does.
    pub(super) inviter: Option<BareJid>,
    /// The name that the new account will have, if that is decided.
    pub(super) username: Option<String>,
    /// Whether inviter and guest become contacts.
    pub(super) befriends: bool,
    /// Whether the guest may make an account.
    pub(super) registers: bool,
    /// Unix time in milliseconds.
    pub(super) expires: i64,
    /// How often it still works.
    pub(super) uses: i64,
}

impl Invite {
    /// Reads the invitation that a token stands for, also when its time is over.
    pub(super) async fn find(
        hub: &Hub,
        domain: &str,
        token: &str,
    ) -> Result<Option<Self>, StoreError> {
        let find = Statement::new(FIND).with(domain).with(hash(token));
        hub.db().query_one(find).await?.as_ref().map(Self::read).transpose()
    }

    /// Whether its time is not over.
    pub(super) fn is_open(&self, hub: &Hub) -> bool {
        self.expires > now(hub)
    }

    /// Counts one use; fails its batch when there was none left.
    pub(super) fn spend(&self) -> Statement {
        Statement::new(USE).with(self.id).must_change(1)
    }

    /// Keeps a new invitation and gives its token.
    pub(super) async fn keep(mut self, hub: &Hub, domain: &str) -> Result<String, StoreError> {
        let token = hub.clock().token(TOKEN_BYTES);
        self.id = hub.next_id().cast_signed();
        let keep = Statement::new(KEEP)
            .with(self.id)
            .with(hash(&token))
            .with(domain)
            .with(self.inviter.as_ref().map(BareJid::as_str))
            .with(self.username.as_deref())
            .with(self.befriends)
            .with(self.registers)
            .with(self.expires)
            .with(self.uses);
        let forget = Statement::new(FORGET).with(now(hub) - GRACE_MILLIS);
        hub.db().batch(vec![forget, keep]).await?;
        Ok(token)
    }

    /// Whether a name waits for somebody who was invited under it, other than by this invitation.
    /// XEP-0401 §6.2: "The server MUST reserve the username at least until the corresponding token
    /// expires."
    pub(super) async fn reserves(
        hub: &Hub,
        domain: &str,
        name: &str,
        but: Option<i64>,
    ) -> Result<bool, StoreError> {
        let reserved = Statement::new(RESERVED).with(domain).with(name).with(now(hub));
        let row = hub.db().query_one(reserved).await?;
        let id = row.map(|row| row.int(0)).transpose()?;
        Ok(id.is_some() && id != but)
    }

    /// How many invitations of an account are open.
    pub(super) async fn count(hub: &Hub, inviter: &BareJid) -> Result<u64, StoreError> {
        let count = Statement::new(COUNT).with(inviter.as_str()).with(now(hub));
        let count = hub.db().query_one(count).await?.map_or(Ok(0), |row| row.int(0))?;
        Ok(count.unsigned_abs())
    }

    /// The open invitations of a domain, or of one account.
    pub(super) async fn list(
        hub: &Hub,
        domain: &str,
        inviter: Option<&BareJid>,
        limit: u32,
    ) -> Result<Vec<Self>, StoreError> {
        let list = match inviter {
            Some(inviter) => Statement::new(LIST_OWN).with(inviter.as_str()),
            None => Statement::new(LIST).with(domain),
        };
        let rows = hub.db().query(list.with(now(hub)).with(limit)).await?;
        rows.iter().map(Self::read).collect()
    }

    /// Takes an invitation back. False when there is no such one.
    pub(super) async fn revoke(
        hub: &Hub,
        domain: &str,
        inviter: Option<&BareJid>,
        id: i64,
    ) -> Result<bool, StoreError> {
        let revoke = match inviter {
            Some(inviter) => Statement::new(REVOKE_OWN).with(inviter.as_str()),
            None => Statement::new(REVOKE).with(domain),
        };
        let changed = hub.db().batch(vec![revoke.with(id)]).await?;
        Ok(changed.first().is_some_and(|rows| *rows > 0))
    }

    fn read(row: &Row) -> Result<Self, StoreError> {
        let inviter = row.text_or_null(1)?.map(BareJid::new).transpose();
        let inviter = inviter.map_err(|error| StoreError::Corrupt(format!("invite: {error}")))?;
        Ok(Self {
            id: row.int(0)?,
            inviter,
            username: row.text_or_null(2)?.map(str::to_owned),
            befriends: row.flag(3)?,
            registers: row.flag(4)?,
            expires: row.int(5)?,
            uses: row.int(6)?,
        })
    }
}

fn now(hub: &Hub) -> i64 {
    hub.clock().wall_millis().cast_signed()
}

fn hash(token: &str) -> String {
    let digest = digest(&SHA256, token.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
