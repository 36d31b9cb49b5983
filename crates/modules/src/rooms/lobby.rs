//! The rooms with somebody in them: one task each, started when something comes for the room.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, RwLock};
use tokio::sync::{mpsc, oneshot};
use waxwing_jid::BareJid;
use waxwing_kernel::Hub;
use waxwing_stanza::StanzaError;

use super::Rooms;
use super::letter::{Letter, Now};
use super::outcome::Outcome;
use super::room::{Room, Service};
use super::task::Task;

/// The boxes of the rooms that are in use. There is one for a host as long as the server runs,
/// however often the settings are read anew.
#[derive(Default)]
pub struct Lobby {
    open: Mutex<HashMap<BareJid, Open>>,
    service: RwLock<Option<Arc<Service>>>,
    run: OnceLock<i64>,
}

/// A room that is in use.
struct Open {
    inbox: mpsc::Sender<Mail>,
    /// How many are in it.
    count: Arc<AtomicUsize>,
}

impl Lobby {
    /// How many rooms are in use.
    pub fn len(&self) -> usize {
        self.open.lock().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a room is in use. Whoever is in one has its room in use.
    pub fn is_open(&self, room: &BareJid) -> bool {
        self.open.lock().contains_key(room)
    }

    /// What all rooms of the host share, by the settings as they are now.
    pub fn service(&self) -> Option<Arc<Service>> {
        self.service.read().clone()
    }

    /// The settings were read.
    pub(super) fn serve(&self, service: &Arc<Service>) {
        *self.service.write() = Some(Arc::clone(service));
    }

    /// The number of this run of the server: greater than those of earlier runs.
    pub fn run(&self, hub: &Hub) -> i64 {
        *self.run.get_or_init(|| hub.next_id().cast_signed())
    }

    /// The rooms with somebody in them, and how many.
    pub fn counts(&self) -> HashMap<BareJid, usize> {
        let open = self.open.lock();
        let counts = open.iter().map(|(room, it)| (room.clone(), it.count.load(Ordering::Relaxed)));
        counts.filter(|(_, count)| *count > 0).collect()
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

    /// The same for what a service says, another room perhaps: two rooms that waited for each other
    /// would wait for ever.
    ///
    /// # Errors
    /// When too many rooms are open, or too much waits for this one.
    pub(super) fn deliver(
        self: &Arc<Self>,
        room: &BareJid,
        mut mail: Mail,
    ) -> Result<(), StanzaError> {
        loop {
            match self.inbox(room)?.try_send(mail) {
                Ok(()) => return Ok(()),
                Err(mpsc::error::TrySendError::Closed(back)) => mail = back,
                Err(mpsc::error::TrySendError::Full(_)) => {
                    let error = StanzaError::resource_constraint();
                    return Err(error.text("Too much waits for this room."));
                }
            }
        }
    }

    fn inbox(self: &Arc<Self>, room: &BareJid) -> Result<mpsc::Sender<Mail>, StanzaError> {
        let mut open = self.lobby.open.lock();
        if let Some(Open { inbox, .. }) = open.get(room)
            && !inbox.is_closed()
        {
            return Ok(inbox.clone());
        }
        if open.len() >= self.service.settings.rooms_open as usize {
            let error = StanzaError::resource_constraint();
            return Err(error.text("Too many rooms are in use on this server."));
        }
        let (inbox, letters) = mpsc::channel(self.service.settings.waiting as usize);
        let count = Arc::<AtomicUsize>::default();
        let entry = Open { inbox: inbox.clone(), count: Arc::clone(&count) };
        open.insert(room.clone(), entry);
        drop(open);
        let task = Task::new(Arc::clone(self), room.clone(), letters, count);
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
