//! The end of a session: its contacts are told, and what it did not take finds another way.

use serde_json::json;
use waxwing_stanza::{PresenceType, Stanza};
use waxwing_store::domains::accounts::Accounts;

use crate::events::SESSION_CLOSED;
use crate::mailbox::{Delivery, Mail};
use crate::session::{Session, Unacked};
use crate::stage::Effects;

impl Session {
    /// Ends the session. `unacked` is what the client never confirmed, oldest first.
    pub(crate) async fn end(mut self, unacked: Unacked) {
        if let Some(id) = &self.resumption {
            self.hub.unremember(id);
        }
        // First out of sight, so that nothing new is sent here; then empty the mailbox.
        self.hub.directory().unbind(&self.jid, &self.mailbox);
        let letters = self.mailbox.close();
        self.hub.metrics().session_ended();
        self.hub.tell(self.jid.domain(), &SESSION_CLOSED, || json!({ "jid": self.jid.as_str() }));
        self.outlive_older().await;
        self.say_unavailable().await;
        self.mailbox.finish();
        let waiting = letters.into_iter().filter_map(|letter| match letter {
            Mail::Deliver(delivery) => Some(delivery),
            Mail::Resume(handover) => {
                let _ = self.resume(None, *handover);
                None
            }
            Mail::Close(_) => None,
        });
        let waiting: Vec<_> = waiting.collect();
        let backlog = std::mem::take(&mut self.backlog);
        let unacked = unacked.into_iter().map(|(stanza, tag)| Delivery { stanza, tag });
        self.hub.redeliver(unacked.chain(backlog).chain(waiting).collect(), &self.mailbox).await;
        if self.account.is_guest() && self.hub.directory().sessions(self.account.jid()).is_empty() {
            self.forget_guest().await;
        }
    }

    /// A guest leaves nothing behind.
    async fn forget_guest(&mut self) {
        let jid = self.account.jid();
        if let Err(error) = Accounts::new(self.hub.db().clone()).remove(jid.as_str()).await {
            tracing::warn!(%error, %jid, "a guest's data could not be erased");
        }
        self.hub.forget(jid);
    }

    /// RFC 6121 §4.5.2: the server itself "MUST broadcast … unavailable" for a resource that
    /// leaves without saying so; the same for those who got directed presence (§4.6.3).
    async fn say_unavailable(&mut self) {
        let from = self.party();
        let presence = Stanza::presence(PresenceType::Unavailable).from(self.jid.clone());
        let mut effects = Effects::default();
        self.broadcast(&from, PresenceType::Unavailable, presence, &mut effects).await;
        self.hub.perform(effects).await;
    }
}

/// A session that ends by a panic must not be found any more. One that ended properly is out of
/// sight already.
impl Drop for Session {
    fn drop(&mut self) {
        self.hub.directory().unbind(&self.jid, &self.mailbox);
        self.mailbox.close();
        self.mailbox.finish();
        if let Some(id) = &self.resumption {
            self.hub.unremember(id);
        }
    }
}
