//! Rows that several features share, as structs over [`Db`](crate::Db) with their own tables.

pub mod accounts;
pub mod archive;
pub mod clients;
pub mod offline;
pub mod outgoing;
pub mod peers;
pub mod pubsub;
pub mod rooms;
pub mod roster;
pub mod secrets;

use crate::Table;

/// The tables of all of them, to migrate.
pub fn tables() -> Vec<&'static Table> {
    let all = [
        accounts::Accounts::TABLES,
        archive::Archive::TABLES,
        offline::Offline::TABLES,
        outgoing::Outgoing::TABLES,
        peers::Peers::TABLES,
        pubsub::Pubsub::TABLES,
        rooms::Rooms::TABLES,
        roster::Roster::TABLES,
        secrets::Secrets::TABLES,
    ];
    all.concat()
}
