//! PostgreSQL's placeholders, types and failures in the store's words.

use std::error::Error;

use bytes::BytesMut;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use super::address::words;
use crate::table::Spelling;
use crate::{StoreError, Value};

/// Text is ordered by its bytes, as in SQLite, whatever the database's locale is.
pub(super) const SPELLING: Spelling =
    Spelling { is_postgres: true, int: "BIGINT", text: "TEXT COLLATE \"C\"", blob: "BYTEA" };

/// Turns `?1` into `$1`, except inside quotes, and the two words that SQLite has for what goes by
/// other names here.
pub(super) fn placeholders(sql: &str) -> String {
    let mut quote = None;
    let sql = sql.replace("INSTR(", "strpos(").replace(" ROWID ", " id ");
    sql.chars()
        .map(|c| {
            match quote {
                Some(open) if open == c => quote = None,
                None if c == '\'' || c == '"' => quote = Some(c),
                None if c == '?' => return '$',
                _ => {}
            }
            c
        })
        .collect()
}

/// Tells the kinds of failure apart by SQLSTATE.
pub(super) fn store_error(error: &tokio_postgres::Error) -> StoreError {
    let Some(code) = error.code() else {
        return if error.is_closed() || is_io(error) {
            StoreError::Unreachable(words(error))
        } else {
            StoreError::Other(words(error))
        };
    };
    match *code {
        SqlState::DISK_FULL | SqlState::OUT_OF_MEMORY => StoreError::Full,
        SqlState::QUERY_CANCELED => StoreError::Timeout,
        SqlState::READ_ONLY_SQL_TRANSACTION => StoreError::ReadOnly,
        SqlState::T_R_SERIALIZATION_FAILURE
        | SqlState::T_R_DEADLOCK_DETECTED
        | SqlState::LOCK_NOT_AVAILABLE
        | SqlState::TOO_MANY_CONNECTIONS => StoreError::Busy,
        _ => by_class(code.code(), error),
    }
}

fn by_class(code: &str, error: &tokio_postgres::Error) -> StoreError {
    match code.get(..2) {
        Some("23") => StoreError::Conflict(words(error)),
        Some("08" | "57") => StoreError::Unreachable(words(error)),
        Some("XX") if code != "XX000" => StoreError::Corrupt(words(error)),
        _ => StoreError::Other(format!("{} (SQLSTATE {code})", words(error))),
    }
}

fn is_io(error: &tokio_postgres::Error) -> bool {
    error.source().is_some_and(<dyn Error>::is::<std::io::Error>)
}

/// Whether the server itself said no and the connection lives on: nothing is in doubt then.
pub(super) fn is_definite(error: &tokio_postgres::Error) -> bool {
    error.code().is_some() && !matches!(store_error(error), StoreError::Unreachable(_))
}

impl ToSql for Value {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match (self, ty) {
            (Self::Null, _) => Ok(IsNull::Yes),
            (Self::Int(int), &Type::INT8) => int.to_sql(ty, out),
            (Self::Int(int), &Type::INT4) => i32::try_from(*int)?.to_sql(ty, out),
            (Self::Int(int), &Type::INT2) => i16::try_from(*int)?.to_sql(ty, out),
            (Self::Text(text), _) if <&str as ToSql>::accepts(ty) => text.to_sql(ty, out),
            (Self::Blob(bytes), &Type::BYTEA) => bytes.to_sql(ty, out),
            _ => Err(format!("{self:?} does not fit a column of type {ty}").into()),
        }
    }

    /// The value decides in `to_sql`.
    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        match *ty {
            Type::INT8 => i64::from_sql(ty, raw).map(Self::Int),
            Type::INT4 => i32::from_sql(ty, raw).map(|int| Self::Int(int.into())),
            Type::INT2 => i16::from_sql(ty, raw).map(|int| Self::Int(int.into())),
            Type::BOOL => bool::from_sql(ty, raw).map(|flag| Self::Int(flag.into())),
            Type::BYTEA => Ok(Self::Blob(raw.to_vec())),
            _ if <&str as FromSql>::accepts(ty) => String::from_sql(ty, raw).map(Self::Text),
            _ => Err(format!("a column of type {ty}, which is not read here").into()),
        }
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self::Null)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::placeholders;

    #[test]
    fn placeholders_are_rewritten_outside_quotes() {
        assert_eq!(
            placeholders("SELECT '?1 it''s ?2', \"a?\" WHERE a = ?1 AND b = ?12"),
            "SELECT '?1 it''s ?2', \"a?\" WHERE a = $1 AND b = $12"
        );
    }
}
