//! One process per data folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::OpenError;

/// How often the lock is tried, and how long apart: a process that just ended may still hold it.
const ATTEMPTS: u32 = 20;
const APART: Duration = Duration::from_millis(25);

/// An exclusive lock beside the database, which the operating system frees when the process ends,
/// however it ends.
pub(super) struct Lock(File);

impl Lock {
    /// Takes the lock of the database at `path`.
    pub(super) fn take(path: &Path) -> Result<Self, OpenError> {
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let folder = |error| OpenError::folder(&name, error);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&name)
            .map_err(folder)?;
        for attempt in 1.. {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if attempt < ATTEMPTS => thread::sleep(APART),
                Err(TryLockError::WouldBlock) => {
                    return Err(OpenError::InUse {
                        path: path.to_owned(),
                        process: holder(&mut file),
                    });
                }
                Err(TryLockError::Error(error)) => return Err(folder(error)),
            }
        }
        file.set_len(0).map_err(folder)?;
        writeln!(file, "{}", std::process::id()).map_err(folder)?;
        Ok(Self(file))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file frees the lock anyway.
        let _ = self.0.unlock();
    }
}

/// The process that wrote its number into the lock.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
