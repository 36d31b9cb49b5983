//! The rooms with somebody in them: one task each, started when something comes for the room.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use waxwing_jid::BareJid;
use waxwing_kernel::Hub;
use waxwing_stanza::StanzaError;

use super::Rooms;
use super::letter::{Letter, Now};
use super::outcome::Outcome;
use super::room::Room;
use super::task::Task;

/// The boxes of the rooms that are in use. There is one for a host as long as the server runs,
/// however often the settings are read anew.
#[derive(Default)]
pub struct Lobby {
    open: Mutex<HashMap<BareJid, mpsc::Sender<Mail>>>,
    run: OnceLock<i64>,
}

impl Lobby {
    /// The number of this run of the server: greater than those of earlier runs.
    pub fn run(&self, hub: &Hub) -> i64 {
        *self.run.get_or_init(|| hub.next_id().cast_signed())
    }
}

/// Something for the task of a room.
pub enum Mail {
    /// A stanza, which counts when the other half of the receipt is dropped.
    Letter(Box<Letter>, oneshot::Sender<()>),
    /// Something to be looked up or done there.
    Errand(Errand),
}

/// Something to be done in the task of a room, and what is told when it is done.
pub type Errand = Box<dyn FnOnce(&mut Room, &Now<'_>) -> (Outcome, Done) + Send>;

/// Tells that an errand is done; dropped when it could not be stored.
pub type Done = Box<dyn FnOnce() + Send>;

impl Rooms {
    /// Hands something to the task of a room, and starts it if there is none. Waits while its box
    /// is full.
    ///
    /// # Errors
    /// When too many rooms are open.
    pub(super) async fn post(
        self: &Arc<Self>,
        room: &BareJid,
        mut mail: Mail,
    ) -> Result<(), StanzaError> {
        loop {
            let inbox = self.inbox(room)?;
            match inbox.send(mail).await {
                Ok(()) => return Ok(()),
                // The task ended meanwhile.
                Err(mpsc::error::SendError(back)) => mail = back,
            }
        }
    }

    fn inbox(self: &Arc<Self>, room: &BareJid) -> Result<mpsc::Sender<Mail>, StanzaError> {
        let mut open = self.lobby.open.lock();
        if let Some(inbox) = open.get(room)
            && !inbox.is_closed()
        {
            return Ok(inbox.clone());
        }
        if open.len() >= self.service.settings.rooms_open as usize {
            let error = StanzaError::resource_constraint();
            return Err(error.text("Too many rooms are in use on this server."));
        }
        let (inbox, letters) = mpsc::channel(self.service.settings.waiting as usize);
        open.insert(room.clone(), inbox.clone());
        drop(open);
        let task = Task::new(Arc::clone(self), room.clone(), letters);
        self.hub.clock().spawn(task.run());
        Ok(inbox)
    }

    /// Ends the task of a room, unless something has come for it. What comes later starts another.
    pub(super) fn close(&self, room: &BareJid, letters: &mut mpsc::Receiver<Mail>) -> bool {
        let mut open = self.lobby.open.lock();
        if !letters.is_empty() {
            return false;
        }
        open.remove(room);
        letters.close();
        true
    }

    /// Does something in the task of a room and gives back what came of it, once that is durable.
    ///
    /// # Errors
    /// When too many rooms are open, or the store refused.
    pub async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        room: &BareJid,
        errand: impl FnOnce(&mut Room, &Now<'_>) -> (Outcome, T) + Send + 'static,
    ) -> Result<T, StanzaError> {
        let (tell, told) = oneshot::channel();
        let errand: Errand = Box::new(move |room, now| {
            let (outcome, answer) = errand(room, now);
            let done: Done = Box::new(move || {
                let _ = tell.send(answer);
            });
            (outcome, done)
        });
        self.post(room, Mail::Errand(errand)).await?;
        told.await.map_err(|_| {
            StanzaError::internal_server_error().text("The room could not be read or stored.")
        })
    }

    /// Which rooms are in use.
    pub fn in_use(&self) -> Vec<BareJid> {
        self.lobby.open.lock().keys().cloned().collect()
    }
}
