//! The features of Waxwing: one module, one manual page, one line in the server's list.
//!
//! Modules never see each other, and never a socket. What two of them share lives in `stanza`
//! (payloads), `kernel` (rules) or `store` (rows).

pub mod offline;
pub mod ping;
pub mod roster;
