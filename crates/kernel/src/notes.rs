//! What is written down without anybody waiting for it, such as when somebody left.
//!
//! A commit costs the same for one note and for hundreds. So notes gather for a moment, and whoever
//! wants to read what was noted asks for it to be written first. A kill may cost the notes of the
//! last moment.

use std::time::Duration;

use parking_lot::Mutex;
use waxwing_store::Statement;

use crate::hub::Hub;

/// How long notes may gather.
const PAUSE: Duration = Duration::from_millis(500);
/// So many statements are written at once.
const MOST: usize = 1_000;

/// Notes that are not written yet.
#[derive(Default)]
pub(crate) struct Notes(Mutex<Vec<Statement>>);

impl Notes {
    fn take(&self) -> Vec<Statement> {
        std::mem::take(&mut self.0.lock())
    }
}

impl Hub {
    /// Writes down what nothing else depends on: not to be able to is no reason to keep anybody
    /// from hearing that somebody left.
    pub(crate) fn note(&self, notes: Vec<Statement>) {
        if notes.is_empty() {
            return;
        }
        let (before, now) = {
            let mut waiting = self.notes().0.lock();
            let before = waiting.len();
            waiting.extend(notes);
            (before, waiting.len())
        };
        if before > 0 && now < MOST {
            return; // whoever noted first sees to it
        }
        let (hub, clock) = (self.clone(), self.clock().clone());
        let until = (now < MOST).then(|| clock.now() + PAUSE);
        self.clock().spawn(async move {
            if until.is_some() {
                clock.until(until).await;
            }
            hub.write_notes().await;
        });
    }

    /// Writes what was noted so far, and waits until it is durable. What cannot be written is
    /// logged and lost.
    pub async fn write_notes(&self) {
        let notes = self.notes().take();
        if notes.is_empty() {
            return;
        }
        if let Err(error) = self.db().batch(notes).await {
            tracing::warn!(%error, "when somebody left could not be noted");
        }
    }
}
