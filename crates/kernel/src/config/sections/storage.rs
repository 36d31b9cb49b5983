//! Where accounts and messages are kept.

use std::fmt;
use std::path::PathBuf;

use crate::config::value::worded;

crate::section! {
    /// The database. Credentials are stored as SCRAM keys, never as passwords.
    pub struct StorageConfig("storage") {
        /// `sqlite:` with a file (a relative path begins at the data folder), or
        /// `postgres://user:password@host/database`.
        [restart] pub url: StorageUrl = "sqlite:waxwing.db",
        /// What a change has survived once it is acknowledged.
        [restart] pub durability: Durability = "power-loss",
        /// How many connections read at the same time.
        [restart] pub readers: u32 = 4 in 1..=64,
        /// How many writes may wait for the disk. Beyond it stanzas are refused with
        /// `resource-constraint`.
        [restart] pub queue: u32 = 4096 in 64..=65536,
    }
}

crate::choice! {
    /// What an acknowledged change survives.
    pub enum Durability {
        /// The machine losing power: the disk is asked to flush before anything is acknowledged.
        PowerLoss = "power-loss",
        /// The server being killed, but not the machine losing power. Faster on slow disks.
        ProcessCrash = "process-crash",
    }
}

/// The address of a database.
#[derive(Clone, PartialEq, Eq)]
pub enum StorageUrl {
    /// A file of the embedded database.
    Sqlite(PathBuf),
    /// The embedded database in memory: everything is gone after a stop.
    Memory,
    /// A PostgreSQL server, or what speaks its protocol.
    Postgres(String),
}

impl StorageUrl {
    /// Reads `sqlite:…` or `postgres://…`.
    pub fn new(url: &str) -> Result<Self, &'static str> {
        if let Some(file) = url.strip_prefix("sqlite:") {
            return match file.trim_start_matches("//") {
                "" => Err("the name of the file is missing"),
                ":memory:" => Ok(Self::Memory),
                _ => Ok(Self::Sqlite(PathBuf::from(file.strip_prefix("//").unwrap_or(file)))),
            };
        }
        let is_postgres = url.starts_with("postgres://") || url.starts_with("postgresql://");
        if is_postgres { Ok(Self::Postgres(url.to_owned())) } else { Err("the kind is unknown") }
    }
}

impl fmt::Display for StorageUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Memory => f.write_str("sqlite::memory:"),
            Self::Postgres(url) => f.write_str(url),
        }
    }
}

/// Without the password, because this is what ends up in logs.
impl fmt::Debug for StorageUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postgres(_) => f.write_str("postgres://…"),
            other => write!(f, "{other}"),
        }
    }
}

worded!(
    StorageUrl,
    "a database such as \"sqlite:waxwing.db\" or \"postgres://user@host/database\"",
    StorageUrl::new
);
