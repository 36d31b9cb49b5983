//! What can go wrong, in sentences that name the remedy.

use std::path::PathBuf;
use std::{fmt, io};

/// Why a query or a batch failed while the store is running.
///
/// Unless the variant says otherwise nothing of the batch was kept, and the store goes on: the next
/// batch is tried afresh, so service resumes by itself when the cause is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// No room left on the device, or a quota reached.
    Full,
    /// Too much waits already, or another program holds a lock.
    Busy,
    /// The statement took longer than it may.
    Timeout,
    /// The database does not accept writes.
    ReadOnly,
    /// The database is damaged, or a row does not hold what it must.
    Corrupt(String),
    /// The PostgreSQL server cannot be reached; the store keeps trying.
    Unreachable(String),
    /// The connection ended during a commit: the batch may have taken effect or not.
    Unconfirmed(String),
    /// The rows are not as the batch demands: a key exists, or a count is another.
    Conflict(String),
    /// The store was closed.
    Closed,
    /// Anything else, in the engine's words.
    Other(String),
}

impl StoreError {
    /// Whether the engine as a whole is concerned, and not one batch.
    pub(crate) fn is_fault(&self) -> bool {
        !matches!(self, Self::Conflict(_) | Self::Other(_))
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str(
                "the disk of the database is full; free some space, and writing resumes by itself",
            ),
            Self::Busy => f.write_str(
                "the database is busy; this passes by itself, and if it does not, look for another \
                 program that keeps the database locked or for a slow disk",
            ),
            Self::Timeout => f.write_str(
                "the database took too long to answer; look at the load of its disk or server",
            ),
            Self::ReadOnly => f.write_str(
                "the database is read-only; make its folder writable for this user, or point to \
                 the primary server",
            ),
            Self::Corrupt(what) => {
                write!(f, "the database is damaged ({what}); restore it from a backup")
            }
            Self::Unreachable(why) => write!(
                f,
                "the PostgreSQL server cannot be reached ({why}); start it or mend the network, \
                 and service resumes by itself"
            ),
            Self::Unconfirmed(why) => write!(
                f,
                "the connection ended during a commit, so it is unknown whether it took effect \
                 ({why})"
            ),
            Self::Conflict(what) => write!(f, "conflict: {what}"),
            Self::Closed => f.write_str("the store is closed"),
            Self::Other(what) => write!(f, "the database refused a statement: {what}"),
        }
    }
}

impl std::error::Error for StoreError {}

/// Why a store could not be opened or brought up to date. The text ends with the remedy.
#[derive(Debug)]
pub enum OpenError {
    /// Another process uses this data.
    InUse {
        /// The database file.
        path: PathBuf,
        /// The other process, where it is known.
        process: Option<u32>,
    },
    /// The folder or the file cannot be made or opened.
    Folder(PathBuf, io::Error),
    /// The file is something else than a database.
    NotADatabase(PathBuf),
    /// The file is a database that lost something.
    Damaged(PathBuf, String),
    /// The file cannot be written.
    ReadOnly(PathBuf),
    /// A newer release wrote this data.
    Newer {
        /// The table concerned.
        table: String,
        /// The version found in the database.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
    /// A step of a table's schema was refused.
    Migration {
        /// The table concerned.
        table: String,
        /// Why.
        cause: StoreError,
    },
    /// The PostgreSQL server does not answer.
    Unreachable {
        /// Host and database, without the password.
        server: String,
        /// Why.
        cause: String,
    },
    /// The PostgreSQL server answers and refuses this user or database.
    Refused {
        /// Host and database, without the password.
        server: String,
        /// Why.
        cause: String,
    },
    /// The address of the store cannot be used.
    Address(String),
    /// The engine failed otherwise.
    Store(StoreError),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { path, process } => {
                write!(f, "the data in {} is in use by another process", path.display())?;
                if let Some(process) = process {
                    write!(f, " (number {process})")?;
                }
                f.write_str("; stop that one first, or give this one another data folder")
            }
            Self::Folder(path, cause) => write!(
                f,
                "{} cannot be opened: {cause}; check that the folder exists or can be made, and \
                 that this user may write there",
                path.display()
            ),
            Self::NotADatabase(path) => write!(
                f,
                "{} is not a database; move the file away, or point to another data folder",
                path.display()
            ),
            Self::Damaged(path, what) => write!(
                f,
                "the database {} is damaged ({what}); restore it from a backup",
                path.display()
            ),
            Self::ReadOnly(path) => write!(
                f,
                "{} is read-only; make the file and its folder writable for this user",
                path.display()
            ),
            Self::Newer { table, found, known } => write!(
                f,
                "table {table} has version {found} in the database and this program knows version \
                 {known} at most: a newer release wrote it; start that release, or restore a \
                 backup from before the upgrade"
            ),
            Self::Migration { table, cause } => {
                write!(f, "table {table} cannot be brought up to date: {cause}")
            }
            Self::Unreachable { server, cause } => write!(
                f,
                "PostgreSQL at {server} does not answer: {cause}; check that it runs and that \
                 host and port are right"
            ),
            Self::Refused { server, cause } => write!(
                f,
                "PostgreSQL at {server} refuses the connection: {cause}; check the user, the \
                 password and the name of the database"
            ),
            Self::Address(why) => write!(f, "the address of the database cannot be used: {why}"),
            Self::Store(StoreError::Full) => {
                f.write_str("the disk of the database is full; free some space and start again")
            }
            Self::Store(cause) => cause.fmt(f),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Folder(_, cause) => Some(cause),
            Self::Migration { cause, .. } | Self::Store(cause) => Some(cause),
            _ => None,
        }
    }
}

impl OpenError {
    /// The failure to make or open `path`.
    pub(crate) fn folder(path: impl Into<PathBuf>, cause: io::Error) -> Self {
        match cause.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Store(StoreError::Full)
            }
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly(path.into()),
            _ => Self::Folder(path.into(), cause),
        }
    }
}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
