//! The end of a session: its contacts are told, and what it did not take finds another way.

use waxwing_stanza::{PresenceType, Stanza};

use crate::mailbox::{Delivery, Mail};
use crate::session::{Session, Unacked};
use crate::stage::Effects;

impl Session {
    /// Ends the session. `unacked` is what the client never confirmed, oldest first.
    pub(super) async fn end(mut self, unacked: Unacked) {
        self.settle_all().await;
        if let Some(id) = &self.resumption {
            self.hub.unremember(id);
        }
        // First out of sight, so that nothing new is sent here; then empty the mailbox.
        let known = self.hub.directory().unbind(&self.jid, &self.mailbox);
        let letters = self.mailbox.close();
        self.hub.metrics().session_ended();
        if let Some(presence) = known.and_then(|resource| resource.presence) {
            self.say_unavailable(presence).await;
        } else {
            self.tell_directed().await;
        }
        let waiting = letters.into_iter().filter_map(|letter| match letter {
            Mail::Deliver(delivery) => Some(delivery),
            Mail::Resume(handover) => {
                let _ = self.resume(None, *handover);
                None
            }
            Mail::Close(_) => None,
        });
        let waiting: Vec<_> = waiting.collect();
        let unacked = unacked.into_iter().map(|(stanza, tag)| Delivery { stanza, tag });
        for delivery in unacked.chain(waiting) {
            self.hub.redeliver(delivery, &self.mailbox).await;
        }
    }

    /// RFC 6121 §4.5.2: the server itself "MUST broadcast … unavailable" for a resource that
    /// leaves without saying so.
    async fn say_unavailable(&mut self, _last: Stanza) {
        let from = self.party();
        let presence = Stanza::presence(PresenceType::Unavailable).from(self.jid.clone());
        let mut effects = Effects::default();
        self.broadcast(&from, PresenceType::Unavailable, presence, &mut effects).await;
        self.hub.perform(effects).await;
    }

    /// The same for those who only got directed presence (RFC 6121 §4.6.3).
    async fn tell_directed(&mut self) {
        let from = self.party();
        let presence = Stanza::presence(PresenceType::Unavailable).from(self.jid.clone());
        let mut effects = Effects::default();
        self.leave_directed(&from, &presence, &mut effects).await;
        self.hub.perform(effects).await;
    }
}
