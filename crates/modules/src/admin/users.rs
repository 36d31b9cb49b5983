//! Accounts made, changed and removed.

use std::sync::Arc;

use serde_json::json;
use waxwing_jid::BareJid;
use waxwing_kernel::auth;
use waxwing_kernel::command::{Caller, Order, Refusal, Said, Secret};
use waxwing_kernel::events::{ACCOUNT_CREATED, ACCOUNT_DISABLED, ACCOUNT_ENABLED, EventAbout};
use waxwing_store::StoreError;
use waxwing_store::domains::accounts::Credential;
use waxwing_stream::StreamError;

use super::forms::{AddUser, ChangePassword, DisableUsers, EnableUsers, RemoveUsers};
use super::{Admin, at, counted, failed};

/// What somebody is told whose account was disabled without a reason.
const DISABLED: &str = "This account is disabled; ask the admins of the server.";

impl Admin {
    /// §4.1: "Adding a user MUST result in the creation of an account".
    pub(super) async fn add(self: Arc<Self>, order: Order<AddUser>) -> Result<Said, Refusal> {
        let Order { caller, form: AddUser { jid, password, again } } = order;
        self.check_address("accountjid", &jid)?;
        self.check_kept("accountjid")?;
        if again.is_some_and(|again| again != password) {
            return Err(Refusal::invalid("password-verify", "the two passwords differ"));
        }
        let credentials = self.credentials(&password).await?;
        let now = self.hub.clock().wall_millis().cast_signed();
        match self.accounts().create(jid.as_str(), now, &credentials).await {
            Ok(()) => {
                log(&caller, &jid, "account added");
                self.tell(&ACCOUNT_CREATED, &jid);
                Ok(Said::note(format!("The account {jid} was added.")))
            }
            // §5: "a user already exists with that username".
            Err(StoreError::Conflict(_)) => {
                let text = format!("the account {jid} exists already");
                Err(at("accountjid", Refusal::conflict(text)))
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// §4.2: "Deleting a user SHOULD result in the termination of any active sessions for the
    /// user and in the destruction of any implementation-specific data for the account".
    pub(super) async fn remove(
        self: Arc<Self>,
        order: Order<RemoveUsers>,
    ) -> Result<Said, Refusal> {
        let Order { caller, form: RemoveUsers { jids } } = order;
        self.check_all(&caller, &jids).await?;
        let site = self.site()?;
        for jid in &jids {
            self.hub.erase(&site, jid).await.map_err(failed)?;
            log(&caller, jid, "account removed");
        }
        let what = counted(jids.len(), "account was", "accounts were");
        Ok(Said::note(format!("{what} removed with everything they owned.")))
    }

    /// §4.3
    pub(super) async fn disable(
        self: Arc<Self>,
        order: Order<DisableUsers>,
    ) -> Result<Said, Refusal> {
        let Order { caller, form: DisableUsers { jids, reason } } = order;
        self.check_all(&caller, &jids).await?;
        let reason = reason.unwrap_or_else(|| DISABLED.to_owned());
        let gone = StreamError::not_authorized().text(reason.clone());
        let mut sessions = 0;
        for jid in &jids {
            // First the door, then those who are in.
            self.accounts().disable(jid.as_str(), &reason).await.map_err(failed)?;
            sessions += self.hub.dismiss(jid, &gone);
            log(&caller, jid, "account disabled");
            self.hub.tell(
                jid.domain(),
                &ACCOUNT_DISABLED,
                || json!({ "jid": jid.as_str(), "reason": reason }),
            );
        }
        let what = counted(jids.len(), "account", "accounts");
        let ended = counted(sessions, "session", "sessions");
        Ok(Said::note(format!("Disabled {what} and ended {ended}.")))
    }

    /// §4.4
    pub(super) async fn enable(
        self: Arc<Self>,
        order: Order<EnableUsers>,
    ) -> Result<Said, Refusal> {
        let Order { caller, form: EnableUsers { jids } } = order;
        for jid in &jids {
            self.account("accountjids", jid).await?;
        }
        for jid in &jids {
            self.accounts().enable(jid.as_str()).await.map_err(failed)?;
            log(&caller, jid, "account enabled");
            self.tell(&ACCOUNT_ENABLED, jid);
        }
        Ok(Said::note(format!("Enabled {}.", counted(jids.len(), "account", "accounts"))))
    }

    /// §4.7
    pub(super) async fn change_password(
        self: Arc<Self>,
        order: Order<ChangePassword>,
    ) -> Result<Said, Refusal> {
        let Order { caller, form: ChangePassword { jid, password } } = order;
        self.check_kept("accountjid")?;
        self.account("accountjid", &jid).await?;
        let credentials = self.credentials(&password).await?;
        self.accounts().set_credentials(jid.as_str(), &credentials).await.map_err(failed)?;
        log(&caller, &jid, "password changed");
        Ok(Said::note(format!("The account {jid} has a new password.")))
    }

    fn tell(&self, about: &'static EventAbout, jid: &BareJid) {
        self.hub.tell(jid.domain(), about, || json!({ "jid": jid.as_str() }));
    }

    /// Whether accounts of this domain may have passwords here.
    fn check_kept(&self, field: &'static str) -> Result<(), Refusal> {
        if self.site()?.keeps_passwords() {
            return Ok(());
        }
        let text = "the passwords of this domain are not kept here (`internal_passwords` is \
                    false); accounts are made and changed where they are known";
        Err(at(field, Refusal::not_allowed(text)))
    }

    async fn credentials(&self, password: &Secret) -> Result<Vec<Credential>, Refusal> {
        let made = auth::credentials(self.hub.clock(), password.reveal()).await;
        made.map_err(|reason| Refusal::invalid("password", reason))
    }

    /// All exist, and the caller's own is not among them: either everything is done or nothing.
    async fn check_all(&self, caller: &Caller, jids: &[BareJid]) -> Result<(), Refusal> {
        for jid in jids {
            self.account("accountjids", jid).await?;
            self.check_other(caller, jid)?;
        }
        Ok(())
    }
}

fn log(caller: &Caller, jid: &BareJid, what: &'static str) {
    tracing::info!(by = %caller, %jid, "{what}");
}
