//! Rows that several features share, as structs over [`Db`](crate::Db) with their own tables.

pub mod accounts;
pub mod archive;
pub mod clients;
pub mod offline;
pub mod roster;
pub mod secrets;
