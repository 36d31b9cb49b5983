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

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(code: i32) -> StoreError {
        store_error(Error::SqliteFailure(ffi::Error::new(code), None))
    }

    #[test]
    fn kinds_of_failure_are_told_apart() {
        assert_eq!(meant(ffi::SQLITE_FULL), StoreError::Full);
        assert_eq!(meant(ffi::SQLITE_IOERR_SHMSIZE), StoreError::Full);
        assert_eq!(meant(ffi::SQLITE_BUSY_SNAPSHOT), StoreError::Busy);
        assert_eq!(meant(ffi::SQLITE_LOCKED), StoreError::Busy);
        assert_eq!(meant(ffi::SQLITE_READONLY_DBMOVED), StoreError::ReadOnly);
        assert!(matches!(meant(ffi::SQLITE_CORRUPT_INDEX), StoreError::Corrupt(_)));
        assert!(matches!(meant(ffi::SQLITE_NOTADB), StoreError::Corrupt(_)));
        assert!(matches!(meant(ffi::SQLITE_CONSTRAINT_PRIMARYKEY), StoreError::Conflict(_)));
        let fsync = meant(ffi::SQLITE_IOERR_FSYNC).to_string();
        assert!(fsync.contains("look at the disk"), "{fsync}");
    }
}
