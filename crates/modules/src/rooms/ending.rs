//! The end of the server: everybody hears it while there is still a way to say so (XEP-0045 §11.2
//! "When a MUC service shuts downs, it SHOULD inform its participant by sending presences
//! containing the 332 status code").

use std::sync::Arc;

use tokio::sync::mpsc;
use waxwing_kernel::Hub;
use waxwing_stanza::{Kind, PresenceType, Stanza, StanzaError};

use super::Rooms;
use super::forged::MUC;
use super::leave::Exit;
use super::letter::Now;
use super::outcome::Outcome;
use super::room::Room;

/// Status code: "removed from the room because the MUC service is being shut down".
const SHUT_DOWN: u16 = 332;

impl Rooms {
    /// Empties all rooms at once, each in its own task. Nobody is told of the others, who go as
    /// well.
    pub(super) async fn end(self: Arc<Self>, _: Hub) {
        let (tell, mut told) = mpsc::channel::<()>(1);
        for room in self.in_use() {
            let (rooms, tell) = (Arc::clone(&self), tell.clone());
            self.hub.clock().spawn(async move {
                let errand = |room: &mut Room, _: &Now<'_>| {
                    (Outcome::of(room.remove_all(&Exit::with(SHUT_DOWN))), ())
                };
                if let Err(error) = rooms.ask(&room, errand).await {
                    tracing::warn!(%error, %room, "nobody in the room heard that the server ends");
                }
                drop(tell);
            });
        }
        drop(tell);
        // Over when every task has dropped its half.
        while told.recv().await.is_some() {}
    }

    /// Nobody comes in while everybody is being sent away.
    ///
    /// # Errors
    /// `resource-constraint`, of the kind that asks to try again later.
    pub(super) fn must_go_on(&self, stanza: &Stanza) -> Result<(), StanzaError> {
        let enters = || {
            stanza.head.kind == Kind::Presence(PresenceType::Available) && stanza.body.has("x", MUC)
        };
        if self.hub.is_draining() && enters() {
            let error = StanzaError::resource_constraint();
            return Err(error.text("The server is shutting down. Come back in a moment."));
        }
        Ok(())
    }
}
