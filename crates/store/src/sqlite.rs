//! The embedded engine: one writer thread, several reader threads, one file.

pub(crate) mod desk;
mod fault;
mod lock;
mod reader;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, thread};

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, OpenFlags, ToSql};
use tokio::sync::oneshot;

use self::desk::Desk;
use self::fault::store_error;
use self::lock::Lock;
use self::writer::Writer;
use crate::engine::{Door, Engine, Readers};
use crate::queue::{Pulse, Queue, Read, Waiting};
use crate::value::Rows;
use crate::{Limits, OpenError, Row, Statement, StoreError, Value};

/// What a commit survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// A loss of power: every commit reaches the disk (`synchronous=FULL`).
    #[default]
    PowerLoss,
    /// The death of this process only; a loss of power may cost the last commits, never the
    /// database (`synchronous=NORMAL`).
    ProcessCrash,
}

/// Pages in the log that start a checkpoint, 4096 bytes each.
const CHECKPOINT_PAGES: u32 = 4_000;
/// Bytes of the log that are kept for reuse after a checkpoint.
const LOG_BYTES: i64 = 64 * 1024 * 1024;
/// What each connection keeps of the file in memory, KiB (negative: that is how SQLite wants it).
/// The rest is with the operating system, which keeps it once for all connections. Mapped into
/// memory it would count as ours, and once for each connection: the whole file five times over.
const CACHE_KIB: i64 = -256;
/// Statements each connection keeps prepared.
const PREPARED_STATEMENTS: usize = 256;

/// Opens or makes the database file at `path`.
pub(crate) async fn open(
    path: &Path,
    durability: Durability,
    limits: Limits,
) -> Result<Engine, OpenError> {
    let file = Arc::new(File { path: path.to_owned(), durability, limits });
    let (queue, waiting) = Queue::new(limits.queue_batches, limits.queue_bytes);
    let opening = Arc::clone(&file);
    let pulse = start(move || opening.open_writer(), waiting, limits).await?;
    let readers = Some(start_readers(&file)?);
    Ok(Engine { name: "SQLite", file: Some(path.to_owned()), queue, pulse, readers })
}

/// Opens a database in memory, with one connection for everything.
pub(crate) async fn memory(limits: Limits) -> Result<Engine, OpenError> {
    let (queue, waiting) = Queue::new(limits.queue_batches, limits.queue_bytes);
    let open = move || {
        let connection = Connection::open_in_memory().map_err(store_error)?;
        plan_once(&connection).map_err(store_error)?;
        bound(&connection, &limits).map_err(store_error)?;
        Ok((connection, None))
    };
    let pulse = start(open, waiting, limits).await?;
    Ok(Engine { name: "SQLite in memory", file: None, queue, pulse, readers: None })
}

/// A connection and the lock that must outlive it.
type Opened = (Connection, Option<Lock>);

/// Starts the writer's thread, which opens the database itself: opening may block for a while.
async fn start(
    open: impl FnOnce() -> Result<Opened, OpenError> + Send + 'static,
    waiting: Waiting,
    limits: Limits,
) -> Result<Pulse, OpenError> {
    let pulse = Pulse::default();
    let (reply, opened) = oneshot::channel();
    let seen = pulse.clone();
    let work = move || match open() {
        Ok((connection, lock)) => {
            let _ = reply.send(Ok(()));
            Writer::new(connection, lock, seen).run(waiting, limits.group_batches.max(1));
        }
        Err(error) => {
            let _ = reply.send(Err(error));
        }
    };
    spawn("store-writer", work)?;
    opened.await.map_err(|_| StoreError::Closed)??;
    Ok(pulse)
}

fn start_readers(file: &File) -> Result<Readers, OpenError> {
    let count = file.limits.readers.max(1);
    let (counter, seats) = Desk::open(file.limits.queue_reads, count);
    for seat in seats {
        let connection = file.open_reader()?;
        spawn("store-reader", move || reader::run(connection, seat))?;
    }
    Ok(Readers { door: Door::Threads(counter), count })
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), OpenError> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map(drop)
        .map_err(|error| StoreError::Other(format!("no thread for the store: {error}")).into())
}

/// A database file to be opened.
struct File {
    path: PathBuf,
    durability: Durability,
    limits: Limits,
}

impl File {
    fn open_writer(&self) -> Result<Opened, OpenError> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder {
            fs::create_dir_all(folder).map_err(|error| OpenError::folder(folder, error))?;
        }
        let lock = Lock::take(&self.path)?;
        let connection = self.connect(OpenFlags::SQLITE_OPEN_CREATE)?;
        if connection.is_readonly("main").map_err(|error| self.refusal(error))? {
            return Err(OpenError::ReadOnly(self.path.clone()));
        }
        self.prepare_writer(&connection).map_err(|error| self.refusal(error))?;
        Ok((connection, Some(lock)))
    }

    fn open_reader(&self) -> Result<Connection, OpenError> {
        let connection = self.connect(OpenFlags::empty())?;
        connection.pragma_update(None, "query_only", true).map_err(|error| self.refusal(error))?;
        Ok(connection)
    }

    fn connect(&self, more: OpenFlags) -> Result<Connection, OpenError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
        let connection =
            Connection::open_with_flags(&self.path, flags).map_err(|error| self.refusal(error))?;
        self.prepare(&connection).map_err(|error| self.refusal(error))?;
        Ok(connection)
    }

    fn prepare(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection.busy_timeout(Duration::from_secs(self.limits.wait_seconds))?;
        connection.pragma_update(None, "mmap_size", 0)?;
        connection.pragma_update(None, "cache_size", CACHE_KIB)?;
        connection.pragma_update(None, "temp_store", "memory")?;
        plan_once(connection)
    }

    fn prepare_writer(&self, connection: &Connection) -> rusqlite::Result<()> {
        let synchronous = match self.durability {
            Durability::PowerLoss => "FULL",
            Durability::ProcessCrash => "NORMAL",
        };
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", synchronous)?;
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        connection.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
        bound(connection, &self.limits)
    }

    /// The sentence for a failure to open this file.
    fn refusal(&self, error: rusqlite::Error) -> OpenError {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::NotADatabase) => OpenError::NotADatabase(self.path.clone()),
            Some(rusqlite::ErrorCode::ReadOnly) => OpenError::ReadOnly(self.path.clone()),
            Some(rusqlite::ErrorCode::CannotOpen) => {
                OpenError::Folder(self.path.clone(), std::io::Error::other(error.to_string()))
            }
            Some(rusqlite::ErrorCode::DatabaseCorrupt) => {
                OpenError::Damaged(self.path.clone(), error.to_string())
            }
            _ => OpenError::Store(store_error(error)),
        }
    }
}

/// Keeps statements prepared, with plans that depend on no bound value: each is planned once, and
/// not again whenever its values are cleared.
fn plan_once(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
    Ok(())
}

/// Sets the bound on the file's growth, if there is one.
fn bound(connection: &Connection, limits: &Limits) -> rusqlite::Result<()> {
    if limits.pages_max > 0 {
        connection.pragma_update(None, "max_page_count", limits.pages_max)?;
    }
    Ok(())
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(int) => ValueRef::Integer(*int),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// Runs what was asked for on `connection`, and answers.
fn serve(connection: &Connection, asked: Read) {
    let Read { statements, reply } = asked;
    let read_all = || statements.iter().map(|statement| read(connection, statement)).collect();
    let found = match statements.len() {
        0 | 1 => read_all(),
        // One look at the file for all of them.
        _ => word(connection, "BEGIN").and_then(|()| {
            let found = read_all();
            word(connection, "COMMIT").and(found)
        }),
    };
    let _ = reply.send(found);
}

/// Runs a command without arguments or rows.
fn word(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    let mut prepared = connection.prepare_cached(sql).map_err(store_error)?;
    prepared.execute([]).map(drop).map_err(store_error)
}

/// Runs one read on `connection`.
fn read(connection: &Connection, statement: &Statement) -> Result<Rows, StoreError> {
    let mut prepared = connection.prepare_cached(&statement.sql).map_err(store_error)?;
    if !prepared.readonly() && prepared.is_explain() == 0 {
        return Err(StoreError::Other("a query may only read".into()));
    }
    let columns = if statement.is_named {
        prepared.column_names().map(str::to_owned).collect()
    } else {
        Arc::default()
    };
    let rows = collect(&mut prepared, statement)?;
    Ok(Rows { columns, rows })
}

fn collect(
    prepared: &mut CachedStatement<'_>,
    statement: &Statement,
) -> Result<Vec<Row>, StoreError> {
    let width = prepared.column_count();
    let mut rows = Vec::new();
    let mut found =
        prepared.query(rusqlite::params_from_iter(&statement.args)).map_err(store_error)?;
    while let Some(row) = found.next().map_err(store_error)? {
        let mut values = Vec::with_capacity(width);
        for column in 0..width {
            values.push(value(row.get_ref(column).map_err(store_error)?)?);
        }
        rows.push(Row::new(values));
    }
    Ok(rows)
}

fn value(found: ValueRef<'_>) -> Result<Value, StoreError> {
    Ok(match found {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(int) => Value::Int(int),
        ValueRef::Real(_) => {
            return Err(StoreError::Other("a fraction where none is stored".into()));
        }
        ValueRef::Text(bytes) => {
            let text = std::str::from_utf8(bytes);
            let text = text.map_err(|_| StoreError::Corrupt("text is not UTF-8".into()))?;
            Value::Text(text.to_owned())
        }
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    })
}
