//! SQLite's result codes in the store's words.

use rusqlite::{Error, ErrorCode, ffi};

use crate::StoreError;

/// Tells the kinds of failure apart by SQLite's result codes.
pub(super) fn store_error(error: Error) -> StoreError {
    let Error::SqliteFailure(failure, message) = &error else {
        return StoreError::Other(error.to_string());
    };
    let words = || message.clone().unwrap_or_else(|| failure.to_string());
    match failure.code {
        ErrorCode::DiskFull => StoreError::Full,
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreError::Busy,
        ErrorCode::ReadOnly => StoreError::ReadOnly,
        ErrorCode::DatabaseCorrupt => StoreError::Corrupt(words()),
        ErrorCode::NotADatabase => StoreError::Corrupt("the file is not a database".into()),
        ErrorCode::ConstraintViolation => StoreError::Conflict(words()),
        ErrorCode::OperationInterrupted => StoreError::Timeout,
        ErrorCode::SystemIoFailure => disk_error(failure.extended_code, words()),
        _ => StoreError::Other(words()),
    }
}

/// Growing the shared memory file is how some full disks show themselves.
fn disk_error(extended: i32, words: String) -> StoreError {
    if extended == ffi::SQLITE_IOERR_SHMSIZE {
        StoreError::Full
    } else {
        StoreError::Other(format!("{words} (code {extended}); look at the disk and its quota"))
    }
}
