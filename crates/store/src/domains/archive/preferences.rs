//! What an account wants to be archived (XEP-0441).

use super::Archive;
use crate::{Statement, StoreError, Table};

/// What an account wants to be archived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preferences {
    /// For whom neither list names.
    pub preset: Preset,
    /// Addresses, bare or full, with which everything is archived.
    pub always: Vec<String>,
    /// Addresses, bare or full, with which nothing is archived.
    pub never: Vec<String>,
}

/// What is archived of those whom no list names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// Everything.
    Always,
    /// Nothing.
    Never,
    /// What is exchanged with contacts.
    Roster,
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Always, Self::Never, Self::Roster];

    /// Its word, on the wire and in a row.
    pub fn word(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Never => "never",
            Self::Roster => "roster",
        }
    }

    /// What a word means.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.word() == word)
    }
}

pub(super) const TABLE: Table = Table {
    name: "archive_preference",
    owner: Some("owner"),
    steps: &["CREATE TABLE archive_preference (owner {text} PRIMARY KEY, preset {text} NOT NULL, \
                always {text} NOT NULL, never {text} NOT NULL)"],
};

const LOAD: &str = "SELECT preset, always, never FROM archive_preference WHERE owner = ?1";
const PUT: &str = "INSERT INTO archive_preference (owner, preset, always, never) \
     VALUES (?1, ?2, ?3, ?4) ON CONFLICT (owner) DO UPDATE SET preset = excluded.preset, \
     always = excluded.always, never = excluded.never";

pub(super) const STATEMENTS: &[&str] = &[LOAD, PUT];

impl Archive {
    /// What `owner` wants, if that was ever said.
    ///
    /// # Errors
    /// The store's.
    pub async fn preferences(&self, owner: &str) -> Result<Option<Preferences>, StoreError> {
        let Some(row) = self.db.query_one(Statement::new(LOAD).with(owner)).await? else {
            return Ok(None);
        };
        let word = row.text(0)?;
        let preset = Preset::from_word(word)
            .ok_or_else(|| StoreError::Corrupt(format!("the archive preference {word:?}")))?;
        Ok(Some(Preferences { preset, always: list(row.text(1)?)?, never: list(row.text(2)?)? }))
    }

    /// Notes what `owner` wants.
    pub fn prefer(owner: &str, preferences: &Preferences) -> Statement {
        let list = |jids: &Vec<String>| serde_json::Value::from(jids.clone()).to_string();
        Statement::new(PUT)
            .with(owner)
            .with(preferences.preset.word())
            .with(list(&preferences.always))
            .with(list(&preferences.never))
    }
}

fn list(json: &str) -> Result<Vec<String>, StoreError> {
    serde_json::from_str(json)
        .map_err(|error| StoreError::Corrupt(format!("an archive preference: {error}")))
}
