//! Who may write to a person, as the person says it.

use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_kernel::account::Account;
use waxwing_kernel::command::{Caller, CommandAbout, Order, Refusal, Said, Values};
use waxwing_kernel::form;
use waxwing_store::StoreError;

use super::Strangers;
use super::judge::Who;
use super::known::saying;

form! {
    /// Say who may write to you. Who asks to become your contact may ask in any case.
    pub struct SayWho {
        /// Who may write to you.
        pub who: Who,
        /// Whose address it is. For admins; your own if nothing is said.
        pub jid("accountjid"): Option<BareJid>,
    }
}
pub(super) static WHO: CommandAbout =
    CommandAbout::of::<SayWho>("urn:waxwing:strangers#who", &["user", "welcomes"]).anyone();

impl Strangers {
    pub(super) async fn say_who(self: Arc<Self>, order: Order<SayWho>) -> Result<Said, Refusal> {
        let SayWho { who, jid } = order.form;
        let account = self.whose(&order.caller, jid).await?;
        let jid = account.jid();
        self.hub.db().batch(vec![saying(jid, who)]).await.map_err(failed)?;
        account.fact(self.known).say(who);
        tracing::info!(by = ?order.caller, %jid, who = who.word(), "who may write was said");
        let whom = match who {
            Who::Everybody => "everybody; strangers within limits",
            Who::Server => "contacts, people written to before, and everybody of the same domain",
            Who::Contacts => "contacts and people written to before",
        };
        Ok(Said::note(format!("{jid} hears from {whom}.")))
    }

    /// What holds for whoever asks.
    pub(super) async fn who_so_far(self: Arc<Self>, caller: Caller) -> Values {
        let mut values = Values::default();
        if let Ok(account) = self.whose(&caller, None).await {
            let who = account.fact(self.known).who().unwrap_or(self.config.who);
            values.push("who", who.word());
        }
        values
    }

    /// The account that is meant: the caller's own, or another's for admins.
    async fn whose(&self, caller: &Caller, jid: Option<BareJid>) -> Result<Arc<Account>, Refusal> {
        let own = match caller {
            Caller::Account(caller) => Some(caller.bare()),
            _ => None,
        };
        let is_other = jid.is_some() && jid != own;
        let is_admin = match (&own, self.hub.site(self.domain.domain())) {
            (Some(own), Some(site)) => site.is_admin(own),
            (own, _) => own.is_none(),
        };
        if is_other && !is_admin {
            return Err(Refusal::forbidden());
        }
        let jid = jid.or(own).ok_or_else(|| Refusal::invalid("accountjid", "must be given"))?;
        let not_here = || {
            let text = format!("there is no account {jid} on {}", self.domain);
            Refusal { field: Some("accountjid"), ..Refusal::not_found(text) }
        };
        if jid.domain() != self.domain.domain() {
            return Err(not_here());
        }
        self.hub.account(&jid).await.map_err(failed)?.ok_or_else(not_here)
    }
}

fn failed(error: StoreError) -> Refusal {
    tracing::error!(%error, "who may write could not be stored");
    Refusal::failed("this cannot be stored at the moment")
}
