//! Who is online, and what can be done about it.

use std::collections::BTreeMap;
use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_kernel::clock::stamp_of;
use waxwing_kernel::command::{FieldKind, Grid, Lines, Order, Refusal, Said};
use waxwing_kernel::directory::Resource;
use waxwing_kernel::mailbox::Mail;
use waxwing_kernel::stage::Effects;
use waxwing_stanza::{MessageType, Stanza};
use waxwing_stream::{Closing, StreamError};
use waxwing_xml::write;

use super::forms::{
    Announce, CountActive, CountIdle, CountOnline, KickSessions, ListActive, ListIdle, ListOnline,
    ListSessions,
};
use super::{Admin, at, counted};

impl Admin {
    /// §4.5
    pub(super) async fn kick(self: Arc<Self>, order: Order<KickSessions>) -> Result<Said, Refusal> {
        let mut sessions: Vec<Resource> = Vec::new();
        for jid in order.form.jids {
            self.check_address("accountjids", &jid.bare())?;
            let found = match jid.resource() {
                Some(_) => self.hub.directory().session(&jid).into_iter().collect(),
                None => self.hub.directory().sessions(&jid.bare()),
            };
            if found.is_empty() {
                let text = format!("{jid} has no session");
                return Err(at("accountjids", Refusal::not_found(text)));
            }
            sessions.extend(found);
        }
        let gone = StreamError::policy_violation().text("An admin ended this session.");
        for session in &sessions {
            tracing::info!(by = ?order.caller, jid = %session.jid, "session ended");
            // One that refuses the letter has ended already.
            let _ = session.mailbox.send(Mail::Close(Closing::Error(gone.clone())));
        }
        Ok(Said::note(format!("Ended {}.", counted(sessions.len(), "session", "sessions"))))
    }

    /// Every session of this host.
    pub(super) async fn sessions(
        self: Arc<Self>,
        order: Order<ListSessions>,
    ) -> Result<Said, Refusal> {
        self.check_host("host", order.form.host.as_deref())?;
        let mut grid = Grid::new(&[
            ("jid", "Session"),
            ("transport", "Transport"),
            ("since", "Since"),
            ("state", "State"),
            ("priority", "Priority"),
        ]);
        let mut sessions = self.everybody();
        sessions.sort_by(|one, other| one.jid.cmp(&other.jid));
        for session in &sessions {
            let priority = session.is_available().then(|| session.priority.to_string());
            grid.row([
                session.jid.to_string(),
                session.transport.name().to_owned(),
                stamp_of(session.since_millis),
                state(session).to_owned(),
                priority.unwrap_or_default(),
            ]);
        }
        let note = counted(sessions.len(), "session", "sessions");
        Ok(Said::note(format!("{note} on {}.", self.domain)).table(grid))
    }

    /// §4.15: "any user or account that currently has at least one connected or available
    /// resource".
    pub(super) async fn count_online(
        self: Arc<Self>,
        _: Order<CountOnline>,
    ) -> Result<Said, Refusal> {
        let count = self.online(|_| true).len().to_string();
        Ok(Said::default().fact("onlineusersnum", "People online", count))
    }

    /// §4.16
    pub(super) async fn count_active(
        self: Arc<Self>,
        _: Order<CountActive>,
    ) -> Result<Said, Refusal> {
        let count = self.online(|is_active| is_active).len().to_string();
        Ok(Said::default().fact("activeusersnum", "People online and not away", count))
    }

    /// §4.17
    pub(super) async fn count_idle(self: Arc<Self>, _: Order<CountIdle>) -> Result<Said, Refusal> {
        let count = self.online(|is_active| !is_active).len().to_string();
        Ok(Said::default().fact("idleusersnum", "People online but away", count))
    }

    /// §4.20
    pub(super) async fn list_online(
        self: Arc<Self>,
        _: Order<ListOnline>,
    ) -> Result<Said, Refusal> {
        let jids = self.online(|_| true);
        Ok(Said::default().facts("onlineuserjids", "People online", FieldKind::Jids, jids))
    }

    /// §4.21
    pub(super) async fn list_active(
        self: Arc<Self>,
        _: Order<ListActive>,
    ) -> Result<Said, Refusal> {
        let (jids, label) = (self.online(|is_active| is_active), "People online and not away");
        Ok(Said::default().facts("activeuserjids", label, FieldKind::Jids, jids))
    }

    /// §4.22
    pub(super) async fn list_idle(self: Arc<Self>, _: Order<ListIdle>) -> Result<Said, Refusal> {
        let (jids, label) = (self.online(|is_active| !is_active), "People online but away");
        Ok(Said::default().facts("idleuserjids", label, FieldKind::Jids, jids))
    }

    /// §4.23: "The message shall be sent only to users who currently have a "session" with the
    /// service." A headline is neither kept nor answered.
    pub(super) async fn announce(self: Arc<Self>, order: Order<Announce>) -> Result<Said, Refusal> {
        self.check_host("host", order.form.host.as_deref())?;
        self.proclaim(&self.everybody(), &order.form.text).await;
        tracing::info!(by = ?order.caller, host = %self.domain, "announcement sent");
        let count = self.online(|_| true).len();
        Ok(Said::note(format!("Sent to {}.", counted(count, "person", "people"))))
    }

    /// Sends a headline to those of `sessions` that are available, each from its own host.
    pub(super) async fn proclaim(&self, sessions: &[Resource], text: &Lines) {
        let mut body = String::from("<body>");
        write::text(&mut body, &text.0);
        body.push_str("</body>");
        let id = self.hub.clock().token(8);
        let message = Stanza::message(MessageType::Headline).id(id).with(body);
        let mut effects = Effects::default();
        for session in sessions.iter().filter(|session| session.is_available()) {
            let Ok(host) = BareJid::from_parts(None, session.jid.domain()) else { continue };
            let message = message.clone().from(host.to_jid()).to(session.jid.clone());
            effects.deliver(&session.mailbox, message);
        }
        self.hub.perform(effects).await;
    }

    /// The sessions of this host.
    fn everybody(&self) -> Vec<Resource> {
        let mut sessions = self.hub.directory().everybody();
        sessions.retain(|session| session.jid.domain() == self.domain.domain());
        sessions
    }

    /// The accounts that have a session, by whether they are active.
    fn online(&self, wanted: fn(bool) -> bool) -> Vec<String> {
        let mut accounts: BTreeMap<BareJid, bool> = BTreeMap::new();
        for session in self.everybody() {
            *accounts.entry(session.jid.bare()).or_default() |= state(&session) == ACTIVE;
        }
        let wanted = accounts.into_iter().filter(|(_, is_active)| wanted(*is_active));
        wanted.map(|(jid, _)| jid.to_string()).collect()
    }
}

const ACTIVE: &str = "active";

/// What a session's person seems to be doing. Active is who is connected, has sent presence, and
/// does not say that they are away.
fn state(session: &Resource) -> &'static str {
    if !session.is_live {
        return "waiting to resume";
    }
    let Some(presence) = &session.presence else { return "invisible" };
    match presence.body.text_of("show").as_deref().map(str::trim) {
        Some("away" | "xa") => "away",
        _ => ACTIVE,
    }
}

#[cfg(test)]
mod tests {
    use waxwing_jid::Jid;
    use waxwing_kernel::mailbox::Mailbox;
    use waxwing_kernel::wire::Transport;
    use waxwing_stanza::PresenceType;

    use super::*;

    #[test]
    fn active_is_who_is_connected_and_not_away() {
        let shown = |show: Option<&str>| {
            let presence = Stanza::presence(PresenceType::Available);
            match show {
                Some(show) => presence.with(format!("<show>{show}</show>")),
                None => presence,
            }
        };
        let mut session = Resource {
            jid: Jid::new("romeo@example.net/orchard").unwrap(),
            mailbox: Mailbox::new(1),
            presence: None,
            priority: 0,
            flags: Default::default(),
            is_live: true,
            transport: Transport::Tcp,
            since_millis: 0,
            client: None,
            interests: None,
        };
        assert_eq!(state(&session), "invisible");
        for (show, expected) in
            [(None, ACTIVE), (Some("chat"), ACTIVE), (Some("dnd"), ACTIVE), (Some("xa"), "away")]
        {
            session.presence = Some(shown(show));
            assert_eq!(state(&session), expected);
        }
        session.is_live = false;
        assert_eq!(state(&session), "waiting to resume");
    }
}
