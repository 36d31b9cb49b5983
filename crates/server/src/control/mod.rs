//! The control socket: how commands on this machine reach the running server.
//!
//! A Unix socket in the data folder that only its owner can open; one JSON line asks, one JSON
//! line answers. Sizes and times are bounded on both ends.

mod client;
mod message;
mod server;

pub(crate) use client::{AskError, ask, is_running};
pub(crate) use message::{Request, Response};
pub(crate) use server::{Control, Handle, lock};

use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest request (bytes).
const REQUEST_BYTES_MAX: u64 = 64 * 1024;
/// Longest answer (bytes).
const RESPONSE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How long the server waits for a request, and the client for room to send it.
const SEND_WAIT: Duration = Duration::from_secs(5);
/// How long a command may take.
const ANSWER_WAIT: Duration = Duration::from_secs(120);

fn socket(folder: &Path) -> PathBuf {
    folder.join("control.sock")
}
