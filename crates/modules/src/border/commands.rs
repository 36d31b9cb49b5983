//! The commands by which admins edit the lists.

use std::sync::Arc;

use parking_lot::RwLock;
use waxwing_jid::Jid;
use waxwing_kernel::command::{Caller, CommandAbout, FieldKind, Order, Refusal, Said, Values};
use waxwing_kernel::form;
use waxwing_store::StoreError;

use super::lists::{Lists, Which, replacing};
use super::{Border, load};

/// Entries of one list.
const ENTRIES: usize = 10_000;

form! {
    /// Edit the list of those with whom nothing is exchanged.
    pub struct Refuse {
        /// Domains and addresses. Nobody is refused if nothing is said.
        pub jids("blacklistjids"): Option<Vec<Jid>>,
        /// The domain. The first one if nothing is said.
        pub host: Option<String>,
    }
}
pub(super) static REFUSE: CommandAbout = CommandAbout::of::<Refuse>(
    "http://jabber.org/protocol/admin#edit-blacklist",
    &["border", "refuse"],
);

form! {
    /// Edit the list of those with whom alone something is exchanged.
    pub struct Allow {
        /// Domains and addresses. Everybody who is not refused if nothing is said.
        pub jids("whitelistjids"): Option<Vec<Jid>>,
        /// The domain. The first one if nothing is said.
        pub host: Option<String>,
    }
}
pub(super) static ALLOW: CommandAbout = CommandAbout::of::<Allow>(
    "http://jabber.org/protocol/admin#add-to-whitelist",
    &["border", "allow"],
);

form! {
    /// Show with whom nothing, and with whom alone something is exchanged.
    pub struct Show {}
}
pub(super) static SHOW: CommandAbout =
    CommandAbout::of::<Show>("urn:waxwing:border#show", &["border", "show"]).reads();

impl Border {
    /// §4.11, in both directions.
    pub(super) async fn refuse(self: Arc<Self>, order: Order<Refuse>) -> Result<Said, Refusal> {
        let Order { caller, form: Refuse { jids, host } } = order;
        self.replace(&caller, Which::Refused, jids.unwrap_or_default(), host.as_deref()).await
    }

    /// §4.12, in both directions.
    pub(super) async fn allow(self: Arc<Self>, order: Order<Allow>) -> Result<Said, Refusal> {
        let Order { caller, form: Allow { jids, host } } = order;
        self.replace(&caller, Which::Allowed, jids.unwrap_or_default(), host.as_deref()).await
    }

    pub(super) async fn show(self: Arc<Self>, _: Order<Show>) -> Result<Said, Refusal> {
        let lists = self.current().await.map_err(failed)?.read().clone();
        let texts = |which| lists.of(which).iter().map(Jid::to_string).collect();
        let (refused, allowed) = (texts(Which::Refused), texts(Which::Allowed));
        Ok(Said::default().facts(Which::Refused.word(), "Refused", FieldKind::Jids, refused).facts(
            Which::Allowed.word(),
            "Alone allowed",
            FieldKind::Jids,
            allowed,
        ))
    }

    pub(super) async fn refused_so_far(self: Arc<Self>, _: Caller) -> Values {
        self.so_far(Which::Refused).await
    }

    pub(super) async fn allowed_so_far(self: Arc<Self>, _: Caller) -> Values {
        self.so_far(Which::Allowed).await
    }

    async fn so_far(&self, which: Which) -> Values {
        let mut values = Values::default();
        if let Ok(lists) = self.current().await {
            let lists = lists.read();
            lists.of(which).iter().for_each(|jid| values.push(which.word(), jid.as_str()));
        }
        values
    }

    async fn replace(
        &self,
        caller: &Caller,
        which: Which,
        mut jids: Vec<Jid>,
        host: Option<&str>,
    ) -> Result<Said, Refusal> {
        if host.is_some_and(|host| host != self.domain.domain()) {
            let text = format!("this is {}; give the command to that domain", self.domain);
            return Err(Refusal::invalid("host", text));
        }
        if let Some(own) = jids.iter().find(|jid| jid.domain() == self.domain.domain()) {
            let text = format!("{own} is of this domain, where accounts are disabled instead");
            return Err(Refusal::invalid(which.word(), text));
        }
        if jids.len() > ENTRIES {
            return Err(Refusal::invalid(which.word(), format!("takes {ENTRIES} at most")));
        }
        // As they are read back.
        jids.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
        jids.dedup();
        let _turn = self.turn.lock().await;
        let lists = self.current().await.map_err(failed)?;
        let write = replacing(&self.domain, which, &jids);
        self.hub.db().batch(write).await.map_err(failed)?;
        let count = jids.len();
        *lists.write().of_mut(which) = jids;
        let list = which.word();
        tracing::info!(by = ?caller, host = %self.domain, list, count, "list edited");
        Ok(Said::note(match (which, count) {
            (Which::Refused, 0) => "Nobody is refused.".to_owned(),
            (Which::Refused, count) => format!("Refused: {count}."),
            (Which::Allowed, 0) => "Everybody is allowed who is not refused.".to_owned(),
            (Which::Allowed, count) => format!("Alone allowed: {count}."),
        }))
    }

    async fn current(&self) -> Result<&RwLock<Lists>, StoreError> {
        load(self.hub.db(), &self.domain, &self.lists).await
    }
}

fn failed(error: StoreError) -> Refusal {
    tracing::error!(%error, "the lists of the border could not be reached");
    Refusal::failed("the lists cannot be reached at the moment")
}
