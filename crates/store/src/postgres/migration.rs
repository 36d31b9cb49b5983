//! Bringing tables up to date.

use super::dialect::{SPELLING, store_error};
use super::link::Link;
use crate::table::{RECORD, RECORDED, SCHEMA};
use crate::{OpenError, Statement, StoreError, Table};

/// Begins a transaction in which a step may take its time. The lock keeps two servers from
/// migrating one database at the same time; its number is "waxwing" in ASCII.
const BEGIN: &str = "BEGIN; SET LOCAL statement_timeout = 0; \
     SELECT pg_advisory_xact_lock(33602692255936103)";

pub(super) async fn migrate(link: &mut Link, tables: &[Table]) -> Result<(), OpenError> {
    let record = format!("{BEGIN}; {SCHEMA}; COMMIT");
    let recorded = run(link, &record).await;
    settle(link, recorded).await?;
    for table in tables {
        let migrated = migrate_one(link, table).await;
        settle(link, migrated).await?;
    }
    // Statements that were prepared before see the tables as they were.
    link.forget();
    Ok(())
}

async fn migrate_one(link: &mut Link, table: &Table) -> Result<(), OpenError> {
    run(link, BEGIN).await?;
    let rows = link.read(&Statement::new(RECORDED).with(table.name)).await?.rows;
    let recorded = rows.first().map(|row| row.int(0)).transpose()?;
    let missing = table.missing(recorded)?;
    if !missing.is_empty() {
        let fail = |cause| OpenError::Migration { table: table.name.to_owned(), cause };
        for step in missing {
            run(link, &SPELLING.spell(step)).await.map_err(fail)?;
        }
        let record = Statement::new(RECORD).with(table.name).with(table.version());
        link.read(&record).await.map_err(fail)?;
    }
    Ok(run(link, "COMMIT").await?)
}

/// Undoes a transaction that failed.
async fn settle<E>(link: &mut Link, outcome: Result<(), E>) -> Result<(), E> {
    if outcome.is_err() && link.command("ROLLBACK").await.is_err() {
        link.cut();
    }
    outcome
}

async fn run(link: &Link, sql: &str) -> Result<(), StoreError> {
    link.command(sql).await.map_err(|error| store_error(&error))
}
