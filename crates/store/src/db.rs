//! The handle: the same few verbs over both engines.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::engine::Engine;
use crate::queue::Order;
use crate::sqlite::Durability;
use crate::value::Rows;
use crate::{Commit, OpenError, Row, Statement, StoreError, Table, postgres, sqlite, table};

/// Where the rows live.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// An embedded SQLite file. Its folder is made when missing; beside it live `-wal`, `-shm` and
    /// `.lock`.
    Sqlite {
        /// The database file.
        path: PathBuf,
        /// What a commit survives.
        durability: Durability,
    },
    /// An embedded database that ends with its handle. For tests.
    Memory,
    /// A PostgreSQL server.
    Postgres {
        /// `postgres://user:password@host:port/database`. Without TLS: `sslmode=require` is
        /// refused.
        url: String,
        /// The schema to keep the tables in, made when missing: lower-case letters, digits and
        /// `_`. `None` takes the server's default.
        schema: Option<String>,
    },
}

/// The URL may carry a password, so only the kind is shown.
impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite { path, .. } => write!(f, "Sqlite({})", path.display()),
            Self::Memory => f.write_str("Memory"),
            Self::Postgres { .. } => f.write_str("Postgres"),
        }
    }
}

/// Bounds of a store.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Batches that may wait for the writer. More are refused with [`StoreError::Busy`].
    pub queue_batches: usize,
    /// Bytes of arguments that may wait for the writer. More are refused likewise.
    pub queue_bytes: usize,
    /// Batches folded into one commit at most.
    pub group_batches: usize,
    /// Reads that may wait. More are refused with [`StoreError::Busy`].
    pub queue_reads: usize,
    /// Reading connections.
    pub readers: usize,
    /// How long a lock held by another program is waited for, and how long PostgreSQL may take to
    /// answer, in seconds.
    pub wait_seconds: u64,
    /// Pages a SQLite database may grow to (4096 bytes each); 0 for no bound.
    pub pages_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue_batches: 65_536,
            queue_bytes: 64 * 1024 * 1024,
            group_batches: 512,
            queue_reads: 16_384,
            readers: 4,
            wait_seconds: 20,
            pages_max: 0,
        }
    }
}

/// How the store is doing.
#[derive(Clone, Debug)]
pub struct Health {
    /// What keeps it from writing, if anything does.
    pub fault: Option<StoreError>,
    /// Bytes that wait to be written.
    pub waiting_bytes: usize,
}

/// What one table holds for one owner.
#[derive(Clone, Debug)]
pub struct Export {
    /// The table's name.
    pub table: String,
    /// The names of the columns.
    pub columns: Arc<[String]>,
    /// The rows, values in the order of `columns`.
    pub rows: Vec<Row>,
}

/// A handle on the store. Clones share the same engine, queue and order.
#[derive(Clone)]
pub struct Db {
    engine: Arc<Engine>,
    /// Every migrated table, for erasure and export.
    tables: Arc<Mutex<Vec<Table>>>,
    asked: Arc<AtomicU64>,
    found: Arc<AtomicU64>,
}

impl Db {
    /// Opens the store and checks that it can be written.
    pub async fn open(location: &Location, limits: Limits) -> Result<Self, OpenError> {
        let engine = match location {
            Location::Sqlite { path, durability } => {
                sqlite::open(path, *durability, limits).await?
            }
            Location::Memory => sqlite::memory(limits).await?,
            Location::Postgres { url, schema } => {
                postgres::open(url, schema.as_deref(), limits).await?
            }
        };
        let engine = Arc::new(engine);
        Ok(Self { engine, tables: Arc::default(), asked: Arc::default(), found: Arc::default() })
    }

    /// Brings `tables` to the versions known here, each in one transaction. Give every table of
    /// the program, used or not: erasure and export follow from this list.
    pub async fn migrate(&self, tables: &[&Table]) -> Result<(), OpenError> {
        let list: Vec<Table> = tables.iter().map(|table| **table).collect();
        let (reply, answer) = oneshot::channel();
        self.engine.queue.send(Order::Migrate(list.clone(), reply)).await?;
        let migrated = answer.await.map_err(|_| StoreError::Closed)?;
        migrated.map_err(|error| self.engine.placed(error))?;
        let mut known = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        for table in list {
            if !known.iter().any(|other| other.name == table.name) {
                known.push(table);
            }
        }
        Ok(())
    }

    /// Whether [`migrate`](Self::migrate) would take this database: it can be read, and no newer
    /// release wrote it. Changes nothing.
    pub async fn examine(&self, tables: &[&Table]) -> Result<(), OpenError> {
        for table in tables {
            let recorded = Statement::new(table::RECORDED).with(table.name);
            let rows = match self.query(recorded).await {
                Ok(rows) => rows,
                Err(fault) if fault.is_fault() => return Err(self.placed(fault)),
                // Nothing was recorded yet.
                Err(_) => return Ok(()),
            };
            table.missing(rows.first().map(|row| row.int(0)).transpose()?)?;
        }
        Ok(())
    }

    /// An error met while the program starts, with the file that it is about.
    pub fn placed(&self, error: StoreError) -> OpenError {
        self.engine.placed(error.into())
    }

    /// Reads rows. Sees every batch whose commit was reported before.
    pub async fn query(&self, statement: Statement) -> Result<Vec<Row>, StoreError> {
        Ok(self.query_all(vec![statement]).await?.pop().unwrap_or_default())
    }

    /// The same for several statements in one errand, which costs little more than one: the rows
    /// of each, in order.
    pub async fn query_all(&self, statements: Vec<Statement>) -> Result<Vec<Vec<Row>>, StoreError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let found = self.engine.read(statements).await?;
        let rows: usize = found.iter().map(|rows| rows.rows.len()).sum();
        self.found.fetch_add(rows as u64, Ordering::Relaxed);
        Ok(found.into_iter().map(|rows| rows.rows).collect())
    }

    /// Reads at most one row: the first.
    pub async fn query_one(&self, statement: Statement) -> Result<Option<Row>, StoreError> {
        Ok(self.query(statement).await?.into_iter().next())
    }

    /// Writes `statements`, all or nothing, and returns when they are durable: the number of rows
    /// each changed.
    pub async fn batch(&self, statements: Vec<Statement>) -> Result<Vec<u64>, StoreError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.engine.queue.submit(statements).await
    }

    /// Queues `statements`, all or nothing, behind everything queued before, without waiting.
    pub fn submit(&self, statements: Vec<Statement>) -> Commit {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Commit(self.engine.queue.submit(statements))
    }

    /// The statements that erase every row of `owner`, whichever table it is in.
    pub fn erasure(&self, owner: &str) -> Vec<Statement> {
        self.erasure_but(owner, "")
    }

    /// The same without those in the table `but`.
    pub(crate) fn erasure_but(&self, owner: &str, but: &str) -> Vec<Statement> {
        let erase = |(name, column): (&str, &str)| {
            let sql = format!("DELETE FROM {name} WHERE {column} = ?1");
            Statement::derived(sql.into()).with(owner)
        };
        self.owned().into_iter().filter(|(name, _)| *name != but).map(erase).collect()
    }

    /// Every row of `owner`, table by table; tables without one are left out. Credentials are
    /// among them.
    pub async fn export(&self, owner: &str) -> Result<Vec<Export>, StoreError> {
        let mut exports = Vec::new();
        for name in self.owning() {
            let export = self.export_of(name, owner).await?;
            if !export.rows.is_empty() {
                exports.push(export);
            }
        }
        Ok(exports)
    }

    /// The tables whose rows have owners.
    pub fn owning(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.owned().into_iter().map(|(name, _)| name)
    }

    /// Every row of `owner` in one of those.
    ///
    /// # Errors
    /// The store's; also when there is no such table.
    pub async fn export_of(&self, table: &str, owner: &str) -> Result<Export, StoreError> {
        let found = self.owned().into_iter().find(|(name, _)| *name == table);
        let (name, column) =
            found.ok_or_else(|| StoreError::Other(format!("no table {table} has owners")))?;
        let sql = format!("SELECT * FROM {name} WHERE {column} = ?1");
        let statement = Statement::derived(sql.into()).with(owner).named();
        let found = self.engine.read(vec![statement]).await?.pop().unwrap_or_default();
        let Rows { columns, rows } = found;
        Ok(Export { table: name.to_owned(), columns, rows })
    }

    /// Writes what waits, then closes the database in order. Other clones fail from now on.
    pub async fn close(self) -> Result<(), StoreError> {
        self.engine.close().await
    }

    /// How the store is doing. While it is failing, asking makes it try a harmless write, so that
    /// a later answer is up to date even when nobody writes.
    pub fn health(&self) -> Health {
        let closed = self.engine.queue.is_closed().then_some(StoreError::Closed);
        let fault = closed.or_else(|| self.engine.pulse.fault());
        if fault.is_some() {
            drop(self.submit(vec![Statement::new(table::PROBE)]));
        }
        Health { fault, waiting_bytes: self.engine.queue.waiting() }
    }

    /// Whether the engine is PostgreSQL, for what the two do not have in common.
    pub(crate) fn is_postgres(&self) -> bool {
        self.engine.name == postgres::NAME
    }

    /// Whether so much waits to be written that whoever writes more should wait. It comes well
    /// before anything is refused.
    pub fn lags(&self) -> bool {
        self.engine.queue.lags()
    }

    /// How many commits were begun so far: each takes the batches that wait at that moment.
    pub fn commits(&self) -> u64 {
        self.engine.queue.groups()
    }

    /// How many reads and batches were asked for so far.
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// How many rows all reads have found so far. What is read must not depend on how much is
    /// stored.
    pub fn found(&self) -> u64 {
        self.found.load(Ordering::Relaxed)
    }

    fn owned(&self) -> Vec<(&'static str, &'static str)> {
        let tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        tables.iter().filter_map(|table| Some((table.name, table.owner?))).collect()
    }
}

impl fmt::Debug for Db {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Db({})", self.engine.name)
    }
}
