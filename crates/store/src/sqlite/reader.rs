//! A thread that reads on its own connection.

use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::mpsc;

use crate::queue::Errand;

/// Serves reads until told to close or nobody is left to ask. The threads share one queue: the one
/// that holds the mutex waits for the next read, the others wait for the mutex.
pub(super) fn run(connection: Connection, errands: &Mutex<mpsc::Receiver<Errand>>) {
    loop {
        let errand = errands.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        match errand {
            Some(Errand::Read(read)) => {
                let _ = read.reply.send(super::read(&connection, &read.statement));
            }
            Some(Errand::Close(reply)) => {
                drop(connection);
                let _ = reply.send(());
                return;
            }
            None => return,
        }
    }
}
