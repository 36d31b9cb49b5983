//! Tables as their owners declare them, and how their steps become a schema.

use crate::OpenError;

/// A table, declared by the feature that keeps its rows in it.
///
/// A step is SQL for both engines, several commands apart by `;`, with tokens for the types:
/// `{id}`, `{int}` and `{instant}` (milliseconds since 1970, UTC) are 64-bit integers, `{text}` is
/// text ordered by its bytes, `{blob}` is bytes. Where the engines have nothing in common, what
/// stands before `{postgres}` is for SQLite and what stands behind it for PostgreSQL. Steps are
/// only ever appended: step *n* (from 1) leads to version *n*.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// The table's name in SQL.
    pub name: &'static str,
    /// The column that holds the bare address of the account a row belongs to; `None` for rows
    /// that belong to nobody. Erasing and exporting an account follow from it.
    pub owner: Option<&'static str>,
    /// The schema, step by step.
    pub steps: &'static [&'static str],
}

impl Table {
    /// The version this program knows.
    pub(crate) fn version(&self) -> i64 {
        i64::try_from(self.steps.len()).expect("a table has a handful of steps")
    }

    /// The steps that lead from the `recorded` version to the one known here.
    pub(crate) fn missing(
        &self,
        recorded: Option<i64>,
    ) -> Result<&'static [&'static str], OpenError> {
        let recorded = recorded.unwrap_or(0);
        let known = self.version();
        if recorded > known {
            return Err(OpenError::Newer { table: self.name.to_owned(), found: recorded, known });
        }
        let done = usize::try_from(recorded).unwrap_or(0);
        Ok(&self.steps[done..])
    }
}

/// Where versions are recorded. The same text serves both engines.
pub(crate) const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS waxwing_schema \
     (name TEXT PRIMARY KEY, version BIGINT NOT NULL)";
/// Reads the recorded version of one table.
pub(crate) const RECORDED: &str = "SELECT version FROM waxwing_schema WHERE name = ?1";
/// Records the version of one table.
pub(crate) const RECORD: &str = "INSERT INTO waxwing_schema (name, version) VALUES (?1, ?2) \
     ON CONFLICT (name) DO UPDATE SET version = excluded.version";
/// Changes nothing, yet has to be written: shows whether the store accepts writes again.
pub(crate) const PROBE: &str = "UPDATE waxwing_schema SET version = version";

/// How one engine spells the types.
pub(crate) struct Spelling {
    pub(crate) is_postgres: bool,
    pub(crate) int: &'static str,
    pub(crate) text: &'static str,
    pub(crate) blob: &'static str,
}

impl Spelling {
    /// Replaces the type tokens of a step.
    pub(crate) fn spell(&self, step: &str) -> String {
        let step = match step.split_once("{postgres}") {
            Some((_, postgres)) if self.is_postgres => postgres,
            Some((sqlite, _)) => sqlite,
            None => step,
        };
        step.replace("{id}", self.int)
            .replace("{int}", self.int)
            .replace("{instant}", self.int)
            .replace("{text}", self.text)
            .replace("{blob}", self.blob)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTE: Table = Table { name: "note", owner: None, steps: &["one", "two"] };

    #[test]
    fn only_missing_steps_are_taken() {
        assert_eq!(NOTE.missing(None).unwrap(), &["one", "two"]);
        assert_eq!(NOTE.missing(Some(1)).unwrap(), &["two"]);
        assert!(NOTE.missing(Some(2)).unwrap().is_empty());
    }

    #[test]
    fn a_newer_schema_is_refused_with_both_versions() {
        let text = NOTE.missing(Some(7)).unwrap_err().to_string();
        assert!(text.contains("note") && text.contains('7') && text.contains('2'), "{text}");
    }

    #[test]
    fn tokens_become_types() {
        let spelling =
            |is_postgres| Spelling { is_postgres, int: "BIGINT", text: "TEXT", blob: "BYTEA" };
        let types = "id {id}, s {text}, b {blob}";
        assert_eq!(spelling(false).spell(types), "id BIGINT, s TEXT, b BYTEA");
        let apart = "one {int}{postgres}two {int}";
        assert_eq!(spelling(false).spell(apart), "one BIGINT");
        assert_eq!(spelling(true).spell(apart), "two BIGINT");
    }
}
