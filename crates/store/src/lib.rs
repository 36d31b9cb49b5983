//! Durable rows: one handle, [`Db`], over an embedded SQLite file or a PostgreSQL server.
//!
//! SQL is written once, in the subset both engines speak. Writes are decided before they are sent:
//! a batch of [`Statement`]s takes effect whole or not at all, and there are no interactive
//! transactions. One writer per handle folds the batches that wait into one commit, in the order
//! they were submitted, so *durable* costs latency and not throughput.
//!
//! A [`Table`] names the column that holds its owner, so erasing and exporting an account are
//! derived ([`Db::erasure`], [`Db::export`]) and no table can be forgotten.
//!
//! This crate reads no clock and no environment: stamps are given by callers.

mod db;
pub mod domains;
mod engine;
mod error;
mod postgres;
mod queue;
mod sqlite;
mod statement;
mod table;
mod value;

pub use db::{Db, Export, Health, Limits, Location};
pub use error::{OpenError, StoreError};
pub use queue::Commit;
pub use sqlite::Durability;
pub use statement::Statement;
pub use table::Table;
pub use value::{Row, Value};
