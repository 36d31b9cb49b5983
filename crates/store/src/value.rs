//! What goes into a statement and what comes out of a row.

use std::fmt;
use std::sync::Arc;

use crate::StoreError;

/// One value, in the types both engines have. Booleans are integers, 0 and 1.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// No value.
    Null,
    /// A signed 64-bit integer.
    Int(i64),
    /// Text without U+0000, which PostgreSQL does not store and XML does not allow.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

impl Value {
    /// Roughly what the value occupies while it waits to be written, in bytes.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Null | Self::Int(_) => size_of::<Self>(),
            Self::Text(text) => size_of::<Self>() + text.len(),
            Self::Blob(bytes) => size_of::<Self>() + bytes.len(),
        }
    }
}

/// Bytes are keys and digests more often than not, so they never reach a log.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Int(int) => write!(f, "Int({int})"),
            Self::Text(text) => write!(f, "Text({text:?})"),
            Self::Blob(bytes) => write!(f, "Blob({} bytes)", bytes.len()),
        }
    }
}

impl From<i64> for Value {
    fn from(int: i64) -> Self {
        Self::Int(int)
    }
}

impl From<u32> for Value {
    fn from(int: u32) -> Self {
        Self::Int(int.into())
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Int(flag.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Blob(bytes.to_vec())
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Blob(bytes)
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// One row of an answer, read by the position of the column, from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    values: Box<[Value]>,
}

impl Row {
    pub(crate) fn new(values: Vec<Value>) -> Self {
        Self { values: values.into() }
    }

    /// Every value in order.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// The text in `column`. Fails when it holds something else or nothing.
    pub fn text(&self, column: usize) -> Result<&str, StoreError> {
        self.text_or_null(column)?.ok_or_else(|| self.mismatch(column, "text"))
    }

    /// The text in `column`, or `None` for null.
    pub fn text_or_null(&self, column: usize) -> Result<Option<&str>, StoreError> {
        match self.values.get(column) {
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::Null) => Ok(None),
            _ => Err(self.mismatch(column, "text")),
        }
    }

    /// The integer in `column`. Fails when it holds something else or nothing.
    pub fn int(&self, column: usize) -> Result<i64, StoreError> {
        self.int_or_null(column)?.ok_or_else(|| self.mismatch(column, "an integer"))
    }

    /// The integer in `column`, or `None` for null.
    pub fn int_or_null(&self, column: usize) -> Result<Option<i64>, StoreError> {
        match self.values.get(column) {
            Some(Value::Int(int)) => Ok(Some(*int)),
            Some(Value::Null) => Ok(None),
            _ => Err(self.mismatch(column, "an integer")),
        }
    }

    /// The truth in `column`: any integer but 0.
    pub fn flag(&self, column: usize) -> Result<bool, StoreError> {
        Ok(self.int(column)? != 0)
    }

    /// The bytes in `column`. Fails when it holds something else or nothing.
    pub fn blob(&self, column: usize) -> Result<&[u8], StoreError> {
        self.blob_or_null(column)?.ok_or_else(|| self.mismatch(column, "bytes"))
    }

    /// The bytes in `column`, or `None` for null.
    pub fn blob_or_null(&self, column: usize) -> Result<Option<&[u8]>, StoreError> {
        match self.values.get(column) {
            Some(Value::Blob(bytes)) => Ok(Some(bytes)),
            Some(Value::Null) => Ok(None),
            _ => Err(self.mismatch(column, "bytes")),
        }
    }

    fn mismatch(&self, column: usize, wanted: &str) -> StoreError {
        let found = match self.values.get(column) {
            Some(Value::Null) => "null",
            Some(Value::Int(_)) => "an integer",
            Some(Value::Text(_)) => "text",
            Some(Value::Blob(_)) => "bytes",
            None => "no such column",
        };
        StoreError::Corrupt(format!("column {column} should hold {wanted} and holds {found}"))
    }
}

/// An answer, with the names of its columns where the statement asks for them.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) columns: Arc<[String]>,
    pub(crate) rows: Vec<Row>,
}
