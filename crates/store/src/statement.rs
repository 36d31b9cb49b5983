//! One SQL statement with its arguments.

use std::borrow::Cow;
use std::fmt;

use crate::{StoreError, Value};

/// One SQL statement in the subset both engines speak, with its arguments.
///
/// Placeholders are `?1`, `?2`, … and may repeat; `ON CONFLICT` is available, `RETURNING` is not:
/// a write reports how many rows it changed. A sum is written `CAST(SUM(x) AS BIGINT)`, because
/// PostgreSQL widens it to a type that is not read here. Text compares by its UTF-8 bytes on both
/// engines. `INSTR(text, part)` finds a part, and ` ROWID ` is the key of `archive_word`.
#[derive(Clone)]
pub struct Statement {
    pub(crate) sql: Cow<'static, str>,
    pub(crate) args: Vec<Value>,
    pub(crate) changes: Option<u64>,
    /// Whether the answer carries the names of its columns.
    pub(crate) is_named: bool,
}

impl Statement {
    /// A statement without arguments yet.
    pub fn new(sql: &'static str) -> Self {
        Self::derived(Cow::Borrowed(sql))
    }

    /// A statement whose text was derived from declared tables. Never from outside input.
    pub(crate) fn derived(sql: Cow<'static, str>) -> Self {
        Self { sql, args: Vec::new(), changes: None, is_named: false }
    }

    /// Gives the next argument: the first call fills `?1`.
    #[must_use]
    pub fn with(mut self, value: impl Into<Value>) -> Self {
        self.args.push(value.into());
        self
    }

    /// Demands that exactly `rows` rows change. Otherwise the whole batch is undone and fails with
    /// [`StoreError::Conflict`].
    #[must_use]
    pub fn must_change(mut self, rows: u64) -> Self {
        self.changes = Some(rows);
        self
    }

    /// Asks for the names of the columns as well.
    pub(crate) fn named(mut self) -> Self {
        self.is_named = true;
        self
    }

    /// The text of the statement.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// Whether `changed` rows are what was demanded, if anything was.
    pub(crate) fn admits(&self, changed: u64) -> bool {
        self.changes.is_none_or(|wanted| wanted == changed)
    }

    /// The failure of a batch in which this statement changed `changed` rows.
    pub(crate) fn surprise(&self, changed: u64) -> StoreError {
        let wanted = self.changes.unwrap_or(changed);
        StoreError::Conflict(format!("{changed} rows changed where {wanted} had to"))
    }

    /// Roughly what the statement occupies while it waits, in bytes.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>() + self.args.iter().map(Value::weight).sum::<usize>()
    }
}

/// Shows the text and the number of arguments; the arguments are people's data.
impl fmt::Debug for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Statement({:?}, {} arguments)", self.sql, self.args.len())
    }
}
