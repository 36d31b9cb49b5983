//! The end of an account: its sessions end, its contacts are told, its rows are erased.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use waxwing_jid::BareJid;
use waxwing_store::StoreError;
use waxwing_store::domains::accounts::Accounts;
use waxwing_stream::{Closing, StreamError};

use crate::events::ACCOUNT_REMOVED;
use crate::hub::Hub;
use crate::mailbox::Mail;
use crate::request::{Happening, Signal};
use crate::site::Site;
use crate::stage::Party;

/// How long sessions may take to end before their account is erased under them.
const PATIENCE: Duration = Duration::from_secs(5);

/// Accounts read at a time.
const PAGE: u32 = 100;

/// How often it is looked whether they have.
const LOOK: Duration = Duration::from_millis(10);

impl Hub {
    /// Ends every session of `account` with `error`; returns how many there were. Call it after the
    /// account's row says that nobody may sign in: whoever is about to will look again.
    pub fn dismiss(&self, account: &BareJid, error: &StreamError) -> usize {
        self.lock_out();
        let sessions = self.directory().sessions(account);
        for session in &sessions {
            let _ = session.mailbox.send(Mail::Close(Closing::Error(error.clone())));
        }
        sessions.len()
    }

    /// Erases an account with everything it owns. False when there is none.
    ///
    /// # Errors
    /// The store's; the account is then disabled, and can be erased again. The next start does.
    pub async fn erase(&self, site: &Arc<Site>, jid: &BareJid) -> Result<bool, StoreError> {
        let Some(account) = self.account(jid).await? else { return Ok(false) };
        let rows = Accounts::new(self.db().clone());
        // Nobody signs in any more; then those who are in leave.
        rows.begin_erasure(jid.as_str()).await?;
        // XEP-0077 §3.2: the server "SHOULD then return a <not-authorized/> stream error and
        // terminate all active sessions for the entity".
        let gone = StreamError::not_authorized().text("This account has been removed.");
        self.dismiss(jid, &gone);
        let deadline = self.clock().now() + PATIENCE;
        while !self.directory().sessions(jid).is_empty() && self.clock().now() < deadline {
            self.clock().until(Some(self.clock().now() + LOOK)).await;
        }
        let happening = || Happening {
            hub: self.clone(),
            site: Arc::clone(site),
            party: Party::new(jid.to_jid(), Some(Arc::clone(&account))),
            account: Arc::clone(&account),
            presence: None,
        };
        let effects = site.router.signal(Signal::Removed, happening).await;
        self.perform(effects).await;
        // Not to be found in the account of whoever has this name next.
        self.write_notes().await;
        let was_there = rows.remove(jid.as_str()).await?;
        self.forget(jid);
        self.tell(jid.domain(), &ACCOUNT_REMOVED, || json!({ "jid": jid.as_str() }));
        Ok(was_there)
    }

    /// Ends the erasures that the end of the last run interrupted. Those of domains that are not
    /// served have to wait until they are.
    pub async fn finish_erasures(&self) {
        let (rows, mut after) = (Accounts::new(self.db().clone()), String::new());
        loop {
            let page = match rows.unfinished(&after, PAGE).await {
                Ok(page) => page,
                Err(error) => {
                    return tracing::error!(%error, "interrupted erasures have to wait");
                }
            };
            for jid in &page {
                self.finish_erasure(jid).await;
            }
            match page.into_iter().next_back() {
                Some(last) => after = last,
                None => return,
            }
        }
    }

    async fn finish_erasure(&self, jid: &str) {
        let Ok(jid) = BareJid::new(jid) else { return };
        let Some(site) = self.site(jid.domain()) else { return };
        match self.erase(&site, &jid).await {
            Ok(_) => tracing::info!(%jid, "an interrupted erasure is done"),
            Err(error) => tracing::error!(%jid, %error, "an account could not be erased"),
        }
    }
}
