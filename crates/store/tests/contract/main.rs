//! What every engine must do, run on a SQLite file, SQLite in memory, and PostgreSQL.
//!
//! PostgreSQL is used when `WAXWING_TEST_POSTGRES` holds the URL of a server that may be written
//! to; each test makes a schema of its own there.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod archive;
mod batches;
mod bounds;
mod domains;
mod ground;
mod model;
mod nodes;
mod opening;
mod outage;
mod rooms;
mod schema;
mod subscribers;
