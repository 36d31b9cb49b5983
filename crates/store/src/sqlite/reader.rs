//! A thread that reads on its own connection.

use rusqlite::Connection;

use super::desk::Seat;
use crate::queue::Errand;

/// Serves reads until told to close or nobody is left to ask.
pub(super) fn run(connection: Connection, seat: Seat) {
    while let Some(errand) = seat.take() {
        match errand {
            Errand::Read(read) => super::serve(&connection, read),
            Errand::Close(reply) => {
                drop(connection);
                drop(seat);
                let _ = reply.send(());
                return;
            }
        }
    }
}
