//! The one thread that writes: folds what waits into one commit.

use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use super::fault::store_error;
use super::lock::Lock;
use crate::queue::{Batch, Order, Outcome, Pulse, Waiting, Work};
use crate::table::{self, Spelling};
use crate::{OpenError, Statement, StoreError, Table};

const SPELLING: Spelling =
    Spelling { is_postgres: false, int: "INTEGER", text: "TEXT", blob: "BLOB" };

/// The writing connection. Field order is drop order: the lock goes last.
pub(super) struct Writer {
    connection: Connection,
    lock: Option<Lock>,
    pulse: Pulse,
}

impl Writer {
    pub(super) fn new(connection: Connection, lock: Option<Lock>, pulse: Pulse) -> Self {
        Self { connection, lock, pulse }
    }

    /// Serves the queue, in order, until told to close or nobody is left to ask.
    pub(super) fn run(self, mut waiting: Waiting, group_max: usize) {
        let mut taken = Vec::new();
        let mut group = Vec::new();
        while waiting.take_blocking(&mut taken, group_max) > 0 {
            let mut work = taken.drain(..);
            while let Some(piece) = work.next() {
                let order = match piece {
                    Work::Batch(batch) => {
                        group.push(batch);
                        continue;
                    }
                    Work::Order(order) => order,
                };
                self.commit(&mut group);
                match order {
                    Order::Read(read) => super::serve(&self.connection, read),
                    Order::Migrate(tables, reply) => {
                        let _ = reply.send(self.migrate(&tables));
                    }
                    Order::Close(reply) => {
                        waiting.end(work);
                        let _ = reply.send(self.close());
                        return;
                    }
                }
            }
            self.commit(&mut group);
        }
    }

    /// Applies the group in one transaction, then tells every caller. When the transaction as a
    /// whole fails, every batch of it fails.
    fn commit(&self, group: &mut Vec<Batch>) {
        if group.is_empty() {
            return;
        }
        let error = match self.apply(group) {
            Ok(outcomes) => {
                self.pulse.observe(&outcomes);
                group.drain(..).zip(outcomes).for_each(|(batch, outcome)| batch.finish(outcome));
                return;
            }
            Err(error) => error,
        };
        if !self.connection.is_autocommit() {
            // Nothing more can be done when this fails too: the next BEGIN will say so.
            let _ = super::word(&self.connection, "ROLLBACK");
        }
        if error == StoreError::Full && group.len() > 1 {
            // Nothing was written. What fits alone is kept.
            group.drain(..).for_each(|batch| self.commit(&mut vec![batch]));
            return;
        }
        self.pulse.set(Some(error.clone()));
        group.drain(..).for_each(|batch| batch.finish(Err(error.clone())));
    }

    /// Applies the group. An error concerns the transaction, and with it every batch.
    fn apply(&self, group: &[Batch]) -> Result<Vec<Outcome>, StoreError> {
        super::word(&self.connection, "BEGIN IMMEDIATE")?;
        let outcomes = match self.apply_together(group) {
            Some(outcomes) => outcomes,
            None => {
                if !self.connection.is_autocommit() {
                    super::word(&self.connection, "ROLLBACK")?;
                }
                super::word(&self.connection, "BEGIN IMMEDIATE")?;
                let alone = group.iter().map(|batch| self.apply_alone(&batch.statements));
                alone.collect::<Result<_, _>>()?
            }
        };
        super::word(&self.connection, "COMMIT")?;
        Ok(outcomes)
    }

    /// Runs all batches as one, which succeeds unless a batch has to fail. That is rare, and to be
    /// ready for it costs a copy of every page that a batch touches.
    fn apply_together(&self, group: &[Batch]) -> Option<Vec<Outcome>> {
        let run = |batch: &Batch| {
            let changes = batch.statements.iter().map(|statement| self.change(statement));
            changes.collect::<Outcome>().ok().map(Ok)
        };
        group.iter().map(run).collect()
    }

    /// Runs one batch so that its failure leaves no trace in the transaction around it.
    fn apply_alone(&self, statements: &[Statement]) -> Result<Outcome, StoreError> {
        // SQLite undoes a single failing statement by itself.
        let is_single = statements.len() == 1 && statements[0].changes.is_none();
        if !is_single {
            super::word(&self.connection, "SAVEPOINT batch")?;
        }
        let outcome: Outcome = statements.iter().map(|statement| self.change(statement)).collect();
        if let Err(error) = &outcome {
            if self.connection.is_autocommit() {
                // Some failures end the whole transaction, and with it the batches before.
                return Err(error.clone());
            }
            if !is_single {
                super::word(&self.connection, "ROLLBACK TO batch")?;
            }
        }
        if !is_single {
            super::word(&self.connection, "RELEASE batch")?;
        }
        Ok(outcome)
    }

    /// Runs one statement and returns how many rows it changed.
    fn change(&self, statement: &Statement) -> Result<u64, StoreError> {
        let mut prepared = self.connection.prepare_cached(&statement.sql).map_err(store_error)?;
        let changed = prepared.execute(params_from_iter(&statement.args)).map_err(store_error)?;
        let changed = u64::try_from(changed).expect("a count of rows fits");
        if statement.admits(changed) { Ok(changed) } else { Err(statement.surprise(changed)) }
    }

    fn migrate(&self, tables: &[Table]) -> Result<(), OpenError> {
        self.connection.execute_batch(table::SCHEMA).map_err(store_error)?;
        tables.iter().try_for_each(|table| self.migrate_one(table))
    }

    fn migrate_one(&self, table: &Table) -> Result<(), OpenError> {
        let recorded = self
            .connection
            .query_row(table::RECORDED, [table.name], |row| row.get(0))
            .optional()
            .map_err(store_error)?;
        let missing = table.missing(recorded)?;
        if missing.is_empty() {
            return Ok(());
        }
        let fail = |error| OpenError::Migration {
            table: table.name.to_owned(),
            cause: store_error(error),
        };
        let transaction = self.connection.unchecked_transaction().map_err(fail)?;
        for step in missing {
            transaction.execute_batch(&SPELLING.spell(step)).map_err(fail)?;
        }
        transaction.execute(table::RECORD, params![table.name, table.version()]).map_err(fail)?;
        transaction.commit().map_err(fail)
    }

    /// Empties the log into the database and closes it; the lock is freed after that.
    fn close(self) -> Result<(), StoreError> {
        let Self { connection, lock, .. } = self;
        let closed = connection.close().map_err(|(_, error)| store_error(error));
        drop(lock);
        closed
    }
}
