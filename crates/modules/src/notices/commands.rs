//! The commands of admins that set notices, change them and take them away.

use std::sync::Arc;

use waxwing_kernel::command::{Caller, CommandAbout, Lines, Order, Refusal, Said, Values};
use waxwing_kernel::form;
use waxwing_store::StoreError;

use super::{Kind, Notice, Notices};

macro_rules! node {
    ($name:literal) => {
        concat!("http://jabber.org/protocol/admin#", $name)
    };
}

form! {
    /// Set the message of the day. Who is online gets it now, others when they sign in, each once.
    pub struct SetMotd {
        /// The message of the day.
        pub text("motd"): Lines,
        /// The domain. The first one if nothing is said.
        pub host: Option<String>,
    }
}
pub(super) static SET_MOTD: CommandAbout =
    CommandAbout::of::<SetMotd>(node!("set-motd"), &["motd", "set"]);

form! {
    /// Change the message of the day. Who has got it does not get it again.
    pub struct EditMotd {
        /// The message of the day.
        pub text("motd"): Lines,
        /// The domain. The first one if nothing is said.
        pub host: Option<String>,
    }
}
pub(super) static EDIT_MOTD: CommandAbout =
    CommandAbout::of::<EditMotd>(node!("edit-motd"), &["motd", "edit"]);

form! {
    /// Delete the message of the day.
    pub struct DeleteMotd {}
}
pub(super) static DELETE_MOTD: CommandAbout =
    CommandAbout::of::<DeleteMotd>(node!("delete-motd"), &["motd", "delete"]);

form! {
    /// Show the message of the day.
    pub struct ShowMotd {}
}
pub(super) static SHOW_MOTD: CommandAbout =
    CommandAbout::of::<ShowMotd>("urn:waxwing:notices#motd", &["motd", "show"]).reads();

form! {
    /// Set the message that greets people when they sign in for the first time.
    pub struct SetWelcome {
        /// The welcome message.
        pub text("welcome"): Lines,
        /// The domain. The first one if nothing is said.
        pub host: Option<String>,
    }
}
pub(super) static SET_WELCOME: CommandAbout =
    CommandAbout::of::<SetWelcome>(node!("set-welcome"), &["welcome", "set"]);

form! {
    /// Delete the welcome message.
    pub struct DeleteWelcome {}
}
pub(super) static DELETE_WELCOME: CommandAbout =
    CommandAbout::of::<DeleteWelcome>(node!("delete-welcome"), &["welcome", "delete"]);

form! {
    /// Show the welcome message.
    pub struct ShowWelcome {}
}
pub(super) static SHOW_WELCOME: CommandAbout =
    CommandAbout::of::<ShowWelcome>("urn:waxwing:notices#welcome", &["welcome", "show"]).reads();

impl Notices {
    /// §4.24
    pub(super) async fn set_motd(self: Arc<Self>, order: Order<SetMotd>) -> Result<Said, Refusal> {
        self.check_host(order.form.host.as_deref())?;
        let notice = self.fresh(&order.form.text);
        {
            let _turn = self.turn.lock().await;
            self.put(Kind::Motd, Some(notice.clone())).await.map_err(failed)?;
        }
        tracing::info!(by = ?order.caller, host = %self.domain, "message of the day set");
        let count = self.tell_all(&notice).await.map_err(failed)?;
        let people = if count == 1 { "person" } else { "people" };
        Ok(Said::note(format!("Sent to {count} {people}; others get it when they sign in.")))
    }

    /// §4.25: "(e.g., in order to correct an error)".
    pub(super) async fn edit_motd(
        self: Arc<Self>,
        order: Order<EditMotd>,
    ) -> Result<Said, Refusal> {
        self.check_host(order.form.host.as_deref())?;
        let _turn = self.turn.lock().await;
        let held = self.held(Kind::Motd).await?;
        let held = held.ok_or_else(|| Refusal::not_found("there is no message of the day"))?;
        let notice = Notice { text: order.form.text.0.as_str().into(), ..held };
        self.put(Kind::Motd, Some(notice)).await.map_err(failed)?;
        tracing::info!(by = ?order.caller, host = %self.domain, "message of the day changed");
        Ok(Said::note("Changed for those who have not got it yet."))
    }

    /// §4.26
    pub(super) async fn delete_motd(
        self: Arc<Self>,
        _: Order<DeleteMotd>,
    ) -> Result<Said, Refusal> {
        self.delete(Kind::Motd, "there is no message of the day").await
    }

    pub(super) async fn show_motd(self: Arc<Self>, _: Order<ShowMotd>) -> Result<Said, Refusal> {
        let text = self.held(Kind::Motd).await?.map(|notice| notice.text.to_string());
        Ok(Said::note(text.unwrap_or_else(|| "There is no message of the day.".to_owned())))
    }

    /// §4.27
    pub(super) async fn set_welcome(
        self: Arc<Self>,
        order: Order<SetWelcome>,
    ) -> Result<Said, Refusal> {
        self.check_host(order.form.host.as_deref())?;
        let _turn = self.turn.lock().await;
        let notice = self.fresh(&order.form.text);
        self.put(Kind::Welcome, Some(notice)).await.map_err(failed)?;
        tracing::info!(by = ?order.caller, host = %self.domain, "welcome message set");
        Ok(Said::note("Whoever signs in for the first time gets it."))
    }

    /// §4.28
    pub(super) async fn delete_welcome(
        self: Arc<Self>,
        _: Order<DeleteWelcome>,
    ) -> Result<Said, Refusal> {
        self.delete(Kind::Welcome, "there is no welcome message").await
    }

    pub(super) async fn show_welcome(
        self: Arc<Self>,
        _: Order<ShowWelcome>,
    ) -> Result<Said, Refusal> {
        let text = self.held(Kind::Welcome).await?.map(|notice| notice.text.to_string());
        Ok(Said::note(text.unwrap_or_else(|| "There is no welcome message.".to_owned())))
    }

    /// §4.25: the form "SHOULD include the current message of the day if one has already been set".
    pub(super) async fn motd_so_far(self: Arc<Self>, _: Caller) -> Values {
        self.so_far(Kind::Motd).await
    }

    /// §4.27: "SHOULD include the current welcome message if one has already been set".
    pub(super) async fn welcome_so_far(self: Arc<Self>, _: Caller) -> Values {
        self.so_far(Kind::Welcome).await
    }

    async fn so_far(&self, kind: Kind) -> Values {
        let mut values = Values::default();
        if let Ok(Some(notice)) = self.held(kind).await {
            notice.text.lines().for_each(|line| values.push(kind.word(), line));
        }
        values
    }

    async fn delete(&self, kind: Kind, nothing: &str) -> Result<Said, Refusal> {
        let _turn = self.turn.lock().await;
        if self.held(kind).await?.is_none() {
            return Err(Refusal::not_found(nothing));
        }
        self.put(kind, None).await.map_err(failed)?;
        Ok(Said::note("Deleted."))
    }

    async fn held(&self, kind: Kind) -> Result<Option<Notice>, Refusal> {
        let mut standing = self.standing().await.map_err(failed)?.read().clone();
        Ok(standing.of(kind).take())
    }

    fn fresh(&self, text: &Lines) -> Notice {
        Notice { id: self.hub.next_id().cast_signed(), text: text.0.as_str().into() }
    }

    fn check_host(&self, host: Option<&str>) -> Result<(), Refusal> {
        match host {
            Some(host) if host != self.domain.domain() => {
                let text = format!("this is {}; give the command to {host}", self.domain);
                Err(Refusal::invalid("host", text))
            }
            _ => Ok(()),
        }
    }
}

fn failed(error: StoreError) -> Refusal {
    tracing::error!(%error, "notices could not be stored");
    match error {
        StoreError::Full | StoreError::Busy => Refusal::busy(error.to_string()),
        other => Refusal::failed(other.to_string()),
    }
}
