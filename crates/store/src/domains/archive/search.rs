//! Words of archived messages, for finding them again (XEP-0431).
//!
//! SQLite keeps them in an FTS5 table without content, PostgreSQL in `tsvector`s; both get the
//! same words, cut here. To keep an index up to date costs more than to file the message, and most
//! people never search. So an archive is indexed when its owner asks, from the youngest message on;
//! how far that has come is noted here.

use super::{Archive, Entry, Order, Selection, With, read};
use crate::{Statement, StoreError, Table};

/// Words of one message that are indexed.
const WORDS: usize = 512;

/// Characters of a word that count.
const WORD_CHARS: usize = 48;

/// SQLite first, PostgreSQL behind the mark. The first word of each row stands for its owner.
pub(super) const WORD: Table = Table {
    name: "archive_word",
    owner: None,
    steps: &["CREATE VIRTUAL TABLE archive_word USING fts5(words, content='', \
                contentless_delete=1, detail=none, tokenize='ascii'); \
              CREATE TRIGGER archive_word_gone AFTER DELETE ON archive BEGIN \
                DELETE FROM archive_word WHERE rowid = old.id; END \
              {postgres} \
              CREATE TABLE archive_word (id {id} PRIMARY KEY REFERENCES archive ON DELETE CASCADE, \
                words TSVECTOR NOT NULL); \
              CREATE INDEX archive_word_words ON archive_word USING GIN (words)"],
};

/// What of an archive is indexed: everything from `low` on and below `high`.
pub(super) const INDEX: Table = Table {
    name: "archive_index",
    owner: Some("owner"),
    steps: &["CREATE TABLE archive_index (owner {text} PRIMARY KEY, low {int} NOT NULL, \
                high {int} NOT NULL)"],
};

const SPAN: &str = "SELECT low, high FROM archive_index WHERE owner = ?1";
const SPREAD: &str = "INSERT INTO archive_index (owner, low, high) VALUES (?1, ?2, ?3) \
     ON CONFLICT (owner) DO UPDATE SET low = excluded.low, high = excluded.high";

pub(super) const STATEMENTS: &[&str] = &[SPAN, SPREAD];

/// The same for SQLite and for PostgreSQL.
const ADD: [&str; 2] = [
    "INSERT OR REPLACE INTO archive_word (rowid, words) \
     SELECT ?1, ?2 WHERE EXISTS (SELECT 1 FROM archive WHERE id = ?1)",
    "INSERT INTO archive_word (id, words) \
     SELECT CAST(?1 AS BIGINT), array_to_tsvector(string_to_array(?2, ' ')) \
     WHERE EXISTS (SELECT 1 FROM archive WHERE id = ?1) ON CONFLICT (id) DO NOTHING",
];
const DROP: [&str; 2] =
    ["DELETE FROM archive_word WHERE rowid = ?1", "DELETE FROM archive_word WHERE id = ?1"];

/// A page of what has the words, with one condition more, in one order.
macro_rules! found {
    (sqlite $condition:literal, $order:literal) => {
        concat!(
            "SELECT archive.id, owner, peer, resource, stanza FROM archive_word \
             CROSS JOIN archive ON archive.id = archive_word.rowid \
             WHERE archive_word MATCH ?5 AND archive_word.rowid > ?2 AND archive_word.rowid < ?3 \
             AND owner = ?1",
            $condition,
            " ORDER BY archive_word.rowid",
            $order,
            " LIMIT ?4"
        )
    };
    (postgres $condition:literal, $order:literal) => {
        concat!(
            "SELECT archive.id, owner, peer, resource, stanza FROM archive_word \
             JOIN archive ON archive.id = archive_word.id \
             WHERE words @@ CAST(CAST(?5 AS TEXT) AS TSQUERY) AND archive_word.id > ?2 \
             AND archive_word.id < ?3 AND owner = ?1",
            $condition,
            " ORDER BY archive_word.id",
            $order,
            " LIMIT ?4"
        )
    };
}

const ALL: [[&str; 2]; 2] = [
    [found!(sqlite "", ""), found!(sqlite "", " DESC")],
    [found!(postgres "", ""), found!(postgres "", " DESC")],
];
const ACCOUNT: [[&str; 2]; 2] = [
    [found!(sqlite " AND peer = ?6", ""), found!(sqlite " AND peer = ?6", " DESC")],
    [found!(postgres " AND peer = ?6", ""), found!(postgres " AND peer = ?6", " DESC")],
];
const RESOURCE: [[&str; 2]; 2] = [
    [
        found!(sqlite " AND peer = ?6 AND resource = ?7", ""),
        found!(sqlite " AND peer = ?6 AND resource = ?7", " DESC"),
    ],
    [
        found!(postgres " AND peer = ?6 AND resource = ?7", ""),
        found!(postgres " AND peer = ?6 AND resource = ?7", " DESC"),
    ],
];

/// What is looked for: each of these words, or the beginning of a longer one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words(Vec<String>);

impl Words {
    /// The words of a text: letters and digits that stand together, without regard to case.
    pub fn of(text: &str) -> Self {
        let lower = text.to_lowercase();
        let words = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        let cut = |word: &str| word.chars().take(WORD_CHARS).collect();
        let mut words: Vec<String> = words.take(4 * WORDS).map(cut).collect();
        words.sort_unstable();
        words.dedup();
        words.truncate(WORDS);
        Self(words)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether all of them are in `text`.
    pub fn are_in(&self, text: &Self) -> bool {
        self.0.iter().all(|word| text.0.iter().any(|other| other.starts_with(word.as_str())))
    }

    fn joined(&self, owner: &str) -> String {
        let mut joined = mark(owner);
        for word in &self.0 {
            joined.push(' ');
            joined.push_str(word);
        }
        joined
    }
}

/// The word that stands for an owner: what is in one index belongs to many. FNV-1a; that the owner
/// is the right one is looked at as well.
fn mark(owner: &str) -> String {
    let hash = owner.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    format!("o{hash:016x}")
}

impl Archive {
    fn engine(&self) -> usize {
        usize::from(self.db.is_postgres())
    }

    /// What of the archive of `owner` is indexed: from the first number on, and below the second.
    ///
    /// # Errors
    /// The store's.
    pub async fn indexed(&self, owner: &str) -> Result<Option<(i64, i64)>, StoreError> {
        let row = self.db.query_one(Statement::new(SPAN).with(owner)).await?;
        row.map(|row| Ok((row.int(0)?, row.int(1)?))).transpose()
    }

    /// Notes what of the archive of `owner` is indexed.
    pub fn spread(owner: &str, (low, high): (i64, i64)) -> Statement {
        Statement::new(SPREAD).with(owner).with(low).with(high)
    }

    /// Adds the words of a message to the index; nothing when there are none.
    pub fn index(&self, owner: &str, number: i64, words: &Words) -> Option<Statement> {
        let add = || Statement::new(ADD[self.engine()]).with(number).with(words.joined(owner));
        (!words.is_empty()).then(add)
    }

    /// The first `limit` messages of a selection in this order that have all these words.
    ///
    /// # Errors
    /// The store's.
    pub async fn search(
        &self,
        selection: &Selection<'_>,
        words: &Words,
        order: Order,
        limit: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        let sql = match selection.with {
            With::Anybody => ALL,
            With::Account(_) => ACCOUNT,
            With::Resource(..) => RESOURCE,
        };
        let sql = sql[self.engine()][usize::from(order == Order::Falling)];
        let owner = mark(selection.owner);
        let question = if self.db.is_postgres() {
            let words: Vec<String> = words.0.iter().map(|word| format!("'{word}':*")).collect();
            format!("'{owner}' & {}", words.join(" & "))
        } else {
            let words: Vec<String> = words.0.iter().map(|word| format!("\"{word}\"*")).collect();
            format!("\"{owner}\" AND {}", words.join(" AND "))
        };
        let Selection { owner, above, below, with } = *selection;
        let ask = Statement::new(sql).with(owner).with(above).with(below).with(limit);
        let ask = ask.with(question);
        let ask = match with {
            With::Anybody => ask,
            With::Account(peer) => ask.with(peer),
            With::Resource(peer, resource) => ask.with(peer).with(resource),
        };
        self.db.query(ask).await?.iter().map(read).collect()
    }

    /// Puts something else in the place of a message, which is then not found by its words.
    pub fn bury(&self, owner: &str, number: i64, stanza: &str) -> Vec<Statement> {
        let drop = Statement::new(DROP[self.engine()]).with(number);
        vec![Self::replace(owner, number, stanza), drop]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_letters_and_digits_without_regard_to_case() {
        let words = Words::of("Straße, STRASSE & 4-leaf \"ladder's\" o'er ТЕНЬ!");
        assert_eq!(words.0, ["4", "er", "ladder", "leaf", "o", "s", "strasse", "straße", "тень"]);
        assert!(Words::of("... !?").is_empty() && Words::of("").is_empty());
    }

    #[test]
    fn a_word_is_found_by_its_beginning() {
        let text = Words::of("Buy a ladder");
        assert!(Words::of("lad BUY").are_in(&text));
        assert!(!Words::of("adder").are_in(&text) && !Words::of("buy rope").are_in(&text));
    }

    #[test]
    fn owners_have_marks_of_their_own() {
        assert_ne!(mark("romeo@localhost"), mark("romea@localhost"));
        assert_eq!(mark("").len(), 17);
    }
}
