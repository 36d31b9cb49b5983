//! Retractions that are filed and not carried out yet (XEP-0424).

use super::select::conversations;
use super::{Archive, Entry, read};
use crate::{Row, Statement, StoreError, Table};

/// A message that takes another one back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retraction {
    /// Its number in the archive.
    pub number: i64,
    /// The bare address of the account whose archive it is in.
    pub owner: String,
    /// The bare address of whom the owner sent it to or got it from.
    pub peer: String,
    /// The id that the message has which is taken back, as its sender gave it.
    pub target: String,
}

pub(super) const TABLE: Table = Table {
    name: "archive_retraction",
    owner: Some("owner"),
    steps: &["CREATE TABLE archive_retraction (id {id} PRIMARY KEY, owner {text} NOT NULL, \
                peer {text} NOT NULL, target {text} NOT NULL); \
              CREATE INDEX archive_retraction_owner ON archive_retraction (owner)"],
};

const NOTE: &str =
    "INSERT INTO archive_retraction (id, owner, peer, target) VALUES (?1, ?2, ?3, ?4)";
const WAITING: &str = "SELECT id, owner, peer, target FROM archive_retraction ORDER BY id LIMIT ?1";
const DONE: &str = "DELETE FROM archive_retraction WHERE id = ?1";
/// What is taken back is looked for in the last messages of the conversation, by its text.
macro_rules! likely {
    ($engine:ident) => {
        concat!(
            "SELECT id, owner, peer, resource, stanza FROM \
             (SELECT id, owner, peer, resource, stanza FROM archive",
            conversations!($engine),
            " WHERE owner = ?1 AND peer = ?2 AND id < ?3 ORDER BY id DESC LIMIT ?5) AS latest \
             WHERE stanza LIKE ?4 ESCAPE '!' ORDER BY id DESC LIMIT 16"
        )
    };
}
const LIKELY: [&str; 2] = [likely!(sqlite), likely!(postgres)];
const REPLACE: &str = "UPDATE archive SET stanza = ?3 WHERE id = ?2 AND owner = ?1";

/// What was said in a room, by its number and, where that is not empty, whose it is. No `>` stands
/// there before the end of the start tag. Retractions are kept.
const ENTOMB: &str = "UPDATE archive SET stanza = substr(stanza, 1, INSTR(stanza, '>')) || ?3 \
     WHERE id = ?2 AND owner = ?1 AND (peer = ?4 OR ?4 = '') AND stanza NOT LIKE '%<retract %' \
     AND stanza NOT LIKE '%<retracted %'";
const UNINDEX: &str = "DELETE FROM archive_word WHERE ROWID IN \
     (SELECT id FROM archive WHERE id = ?2 AND owner = ?1 AND (peer = ?3 OR ?3 = '') \
     AND stanza NOT LIKE '%<retract %')";

pub(super) const STATEMENTS: &[&str] = &[NOTE, WAITING, DONE, LIKELY[1], REPLACE, ENTOMB, UNINDEX];

impl Archive {
    /// Notes that a message is to be taken back.
    pub fn retract(retraction: Retraction) -> Statement {
        let Retraction { number, owner, peer, target } = retraction;
        Statement::new(NOTE).with(number).with(owner).with(peer).with(target)
    }

    /// The oldest retractions that wait to be carried out.
    ///
    /// # Errors
    /// The store's.
    pub async fn retractions(&self, limit: u32) -> Result<Vec<Retraction>, StoreError> {
        let rows = self.db.query(Statement::new(WAITING).with(limit)).await?;
        rows.iter().map(retraction).collect()
    }

    /// A retraction is carried out, or cannot be.
    pub fn retracted(number: i64) -> Statement {
        Statement::new(DONE).with(number)
    }

    /// The messages among the `latest` before a retraction whose text has `mark` in it, newest
    /// first: at most 16.
    ///
    /// # Errors
    /// The store's.
    pub async fn likely(
        &self,
        retraction: &Retraction,
        mark: &str,
        latest: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        let special = |c: char| matches!(c, '%' | '_' | '!');
        let mut pattern = String::from("%");
        for c in mark.chars() {
            if special(c) {
                pattern.push('!');
            }
            pattern.push(c);
        }
        pattern.push('%');
        let ask = Statement::new(LIKELY[usize::from(self.db.is_postgres())])
            .with(retraction.owner.as_str())
            .with(retraction.peer.as_str())
            .with(retraction.number)
            .with(pattern)
            .with(latest);
        self.db.query(ask).await?.iter().map(read).collect()
    }

    /// Puts `grave`, which ends with the end tag, in the place of what a message says, and keeps
    /// its start tag: for messages whose start tag has no `>` inside. Nothing happens when it was
    /// not sent by `peer`, where one is named, and when it is a retraction or a tombstone itself.
    pub fn entomb(owner: &str, number: i64, peer: Option<&str>, grave: &str) -> [Statement; 2] {
        let peer = peer.unwrap_or_default();
        let at = |sql| Statement::new(sql).with(owner).with(number);
        [at(UNINDEX).with(peer), at(ENTOMB).with(grave).with(peer)]
    }

    /// Puts something else in the place of a message.
    pub fn replace(owner: &str, number: i64, stanza: &str) -> Statement {
        Statement::new(REPLACE).with(owner).with(number).with(stanza)
    }
}

fn retraction(row: &Row) -> Result<Retraction, StoreError> {
    Ok(Retraction {
        number: row.int(0)?,
        owner: row.text(1)?.to_owned(),
        peer: row.text(2)?.to_owned(),
        target: row.text(3)?.to_owned(),
    })
}
