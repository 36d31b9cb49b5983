//! What a component does in the name of accounts (XEP-0356).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use waxwing_jid::Jid;
use waxwing_kernel::component::{self, Grants, Greeting, Intercepted, Later, Letter, Occasion};
use waxwing_kernel::config::sections::{Access, MessageAccess, PresenceAccess};
use waxwing_kernel::mailbox::Mailbox;
use waxwing_kernel::request::{Happening, Scope};
use waxwing_kernel::routes::Ask;
use waxwing_kernel::stage::{Effects, Party, Transit, Verdict};
use waxwing_kernel::{Hub, Site};
use waxwing_stanza::payload::forward;
use waxwing_stanza::{CLIENT, Kind, MessageType, PresenceType, Stanza, StanzaError};
use waxwing_xml::{Child, write};

use super::Component;

pub(super) const NS: &str = "urn:xmpp:privilege:2";
const ACCEPT: &str = "jabber:component:accept";

/// How long the answer to a question in somebody's name may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Devices elsewhere whose presence is remembered for components that come later.
const SEEN: usize = 50_000;

/// Presences given to a component at a time, when it comes.
const AT_ONCE: usize = 500;

/// How often it is looked whether it has taken them.
const TICK: Duration = Duration::from_millis(50);

/// The last presence of contacts elsewhere, by their full addresses.
#[derive(Default)]
pub(super) struct Seen(Mutex<HashMap<Jid, Stanza>>);

impl Seen {
    /// Whether this presence tells something new.
    fn note(&self, from: &Jid, presence: &Stanza) -> bool {
        let mut seen = self.0.lock();
        if presence.head.kind != Kind::Presence(PresenceType::Available) {
            return seen.remove(from).is_some();
        }
        let is_same = |old: &Stanza| text(old) == text(presence);
        if seen.get(from).is_some_and(is_same) {
            return false;
        }
        if seen.len() < SEEN || seen.contains_key(from) {
            let (head, body) = (presence.head.clone(), Arc::clone(&presence.body));
            seen.insert(from.clone(), Stanza { head, body });
        }
        true
    }

    fn all(&self) -> Vec<Stanza> {
        self.0.lock().values().cloned().collect()
    }
}

/// What a presence says, whomever it says it to.
fn text(presence: &Stanza) -> String {
    let mut out = String::new();
    presence.body.write(&mut out);
    out
}

impl Component {
    /// §4.2: "Once a privileged entity is authenticated and stream is started, the server send it a
    /// <message/> stanza with a <privilege/> elements"; and the same when that changes.
    pub(super) async fn advertise(self: Arc<Self>, greeting: &Greeting) {
        let Greeting { hub, site, component, occasion } = greeting;
        let is_managing = component.manages(site.domain());
        let is_due = match occasion {
            Occasion::Connected => component.grants().is_any(),
            Occasion::Changed => true,
            Occasion::Reloaded => false,
        };
        let Some(mailbox) = mailbox_of(hub, component).filter(|_| is_due) else { return };
        let mut effects = Effects::default();
        let message = Stanza::message(MessageType::Normal)
            .from(site.jid.to_jid())
            .to(component.jid().to_jid())
            .id(hub.clock().token(8))
            .with(permissions(is_managing.then(|| component.grants())));
        effects.deliver(&mailbox, message);
        hub.perform(effects).await;
        if is_managing && component.grants().presence != PresenceAccess::None {
            let (site, component) = (Arc::clone(site), Arc::clone(component));
            let task = self.show_presences(hub.clone(), site, component, mailbox);
            hub.clock().spawn(task);
        }
    }

    /// §8: "if a privileged entity is connected after first <presence/> stanzas have been received,
    /// the server MUST send it all the <presence/> stanzas with no 'type' attribute it would have
    /// had if it was connected first".
    async fn show_presences(
        self: Arc<Self>,
        hub: Hub,
        site: Arc<Site>,
        component: Arc<component::Component>,
        mailbox: Mailbox,
    ) {
        let sessions = hub.directory().everybody().into_iter();
        let own = sessions.filter(|session| session.jid.domain() == site.domain());
        let mut all: Vec<Stanza> = own.filter_map(|session| session.presence).collect();
        if component.grants().presence == PresenceAccess::Roster {
            all.extend(self.seen.all());
        }
        let at_once = AT_ONCE.min(hub.limits().mailbox_stanzas / 2).max(1);
        for some in all.chunks(at_once) {
            // A component that cannot take all at once is not ended for it.
            while mailbox.is_open() && mailbox.room() < at_once {
                hub.clock().until(Some(hub.clock().now() + TICK)).await;
            }
            let mut effects = Effects::default();
            for presence in some {
                effects.deliver(&mailbox, presence.clone().to(component.jid().to_jid()));
            }
            hub.perform(effects).await;
        }
    }

    /// §7.1: "Only initial <presence/> stanzas and <presence/> stanzas with a 'type' attribute with
    /// the value "unavailable" are transmitted to the privileged entity".
    pub(super) async fn tell_presence(self: Arc<Self>, happening: Happening) -> Effects {
        let Happening { hub, site, presence, .. } = happening;
        let mut effects = Effects::default();
        let Some(presence) = presence else { return effects };
        for (component, mailbox) in hub.components().linked() {
            let is_told = component.grants().presence != PresenceAccess::None;
            if is_told && component.manages(site.domain()) {
                effects.deliver(&mailbox, presence.clone().to(component.jid().to_jid()));
            }
        }
        effects
    }

    /// §7.4: "the server MUST send to the privileged entity every presence information with no
    /// 'type' attribute or with a 'type' with a value of 'unavailable' that the privileged entity
    /// is receiving or would receive if it were available." What the accounts of this server tell
    /// is told already, and §8: "the server SHOULD send it only once".
    pub(super) fn watch(&self, transit: &mut Transit<'_>) -> Verdict {
        let kind = transit.stanza.head.kind;
        let (
            Kind::Presence(PresenceType::Available | PresenceType::Unavailable),
            None,
            Some(owner),
        ) = (kind, transit.sender(), transit.recipient())
        else {
            return Verdict::Pass;
        };
        let (from, hub) = (transit.from.jid.clone(), transit.hub);
        let state = owner.fact(self.roster).state(&from.bare());
        if hub.site(from.domain()).is_some() || !state.subscription.sees() {
            return Verdict::Pass;
        }
        let domain = owner.jid().domain().to_owned();
        if hub.components().find_by(|it| is_watcher(it, &domain)).is_none() {
            return Verdict::Pass;
        }
        let presence = transit.stanza.clone().from(from.clone());
        if !self.seen.note(&from, &presence) {
            return Verdict::Pass;
        }
        for (component, mailbox) in hub.components().linked() {
            if is_watcher(&component, &domain) && component.domain() != from.domain() {
                let copy = presence.clone().to(component.jid().to_jid());
                transit.effects.deliver(&mailbox, copy);
            }
        }
        Verdict::Pass
    }

    /// §5.3: a message in somebody's name.
    pub(super) async fn send(self: Arc<Self>, letter: Letter) -> Result<(), StanzaError> {
        let Letter { hub, site, from, stanza } = letter;
        let granted = hub.privileged(&from, &site).map(|it| it.grants().message);
        if granted != Some(MessageAccess::Outgoing) {
            return Err(forbidden("You may not send messages in the name of others here."));
        }
        let message = stanza.body.child("privilege", NS);
        let message = message.and_then(|it| it.child("forwarded", forward::NS));
        let message = message.and_then(|it| it.children().find(|it| it.name() == "message"));
        let message = message.and_then(|message| embedded(&hub, message));
        let Some(message) = message else {
            let text = "<privilege/> carries a <forwarded/> with a <message/>.";
            return Err(StanzaError::bad_request().text(text));
        };
        // §5.1: "forwarded <message/> 'from' attribute MUST be a bare JID from the server, no
        // resource is allowed". "If this rule is violated, the server MUST return a <message/>
        // error with condition <forbidden/>".
        let sender = message
            .head
            .from
            .clone()
            .filter(|from| from.resource().is_none() && from.domain() == site.domain());
        let sender = sender.ok_or_else(|| forbidden("The sender is no account of this domain."))?;
        if message.head.to.is_none() {
            return Err(StanzaError::bad_request().text("The message says not for whom it is."));
        }
        let party = match sender.local() {
            None => Party::new(sender, None),
            Some(_) => self.account(&hub, sender).await?,
        };
        let mut effects = Effects::default();
        hub.route(&party, message, &mut effects).await;
        hub.perform(effects).await;
        Ok(())
    }

    async fn account(&self, hub: &Hub, jid: Jid) -> Result<Party, StanzaError> {
        let found = hub.account(&jid.bare()).await.map_err(|error| {
            tracing::error!(%error, "an account could not be read");
            StanzaError::internal_server_error().text("The server cannot read this account now.")
        })?;
        let account = found.ok_or_else(|| forbidden("There is no such account."))?;
        Ok(Party::new(jid, Some(account)))
    }

    /// §6.3: a question in somebody's name. Its answer may take long, and is forwarded.
    pub(super) fn take_question(self: &Arc<Self>, asked: &Intercepted<'_>) -> Option<Later> {
        if !asked.child.is("privileged_iq", NS) {
            return None;
        }
        let question = self.check(asked);
        let (module, hub) = (Arc::clone(self), asked.hub.clone());
        Some(Box::pin(async move {
            let question = question?;
            let (id, sender) = (question.head.id.clone(), question.head.from.clone());
            let sender = sender.ok_or_else(|| forbidden("Nobody is asked for."))?;
            let party = module.account(&hub, sender).await?;
            let mut answer = hub.inquire_for(&party, question, PATIENCE).await?;
            answer.head.id = id;
            let forwarded = forward::forwarded(&answer, CLIENT, None);
            Ok(Some(format!("<privilege xmlns='{NS}'>{forwarded}</privilege>")))
        }))
    }

    /// The question, if it may be asked. §6.3: "The server MUST refuse the request with a
    /// <forbidden/> error if any of the following condition happens".
    fn check(&self, asked: &Intercepted<'_>) -> Result<Stanza, StanzaError> {
        // "the 'to' attribute of the top-level <iq/> stanza is not a bare JID of a managed entity"
        let managed = asked.stanza.head.to.clone();
        let managed = managed.filter(|to| asked.scope == Scope::Account && to.is_bare());
        let managed = managed.ok_or_else(|| forbidden("This is no account of this domain."))?;
        let component = asked.hub.privileged(asked.from, asked.site);
        let component = component.ok_or_else(|| forbidden("You may not ask for others here."))?;
        let inner = asked.child.children().find(|child| child.name() == "iq");
        let inner = inner
            .ok_or_else(|| StanzaError::bad_request().text("<privileged_iq/> carries an <iq/>."))?;
        // "the namespace of the encapsulated <iq/> stanza is not "jabber:client""
        if inner.namespace() != CLIENT {
            return Err(forbidden("The question is not in the namespace jabber:client."));
        }
        let Some(mut question) = embedded(asked.hub, inner) else {
            return Err(StanzaError::bad_request().text("The <iq/> in it is none."));
        };
        // "the 'from' attribute of the encapsulated <iq/> stanza exists and is set to a JID which
        // doesn't match the 'to' attribute of the top-level <iq/> stanza"
        if question.head.from.as_ref().is_some_and(|from| *from != managed) {
            return Err(forbidden("The question names somebody else as its sender."));
        }
        // "the 'type' attribute of the top-level <iq/> stanza does not match the 'type' attribute
        // of the encapsulated <iq/> stanza"
        if question.head.kind != asked.stanza.head.kind {
            return Err(forbidden("The types of the question and of what carries it differ."));
        }
        let namespace = question.body.children().next().map(|it| it.namespace().to_owned());
        let is_granted = namespace.is_some_and(|namespace| {
            let mut iqs = component.grants().iqs.iter();
            iqs.any(|it| it.namespace == namespace && it.access.allows(asked.ask))
        });
        if !is_granted {
            return Err(forbidden("The operator has not granted you this."));
        }
        // Without a `to` it is for the account itself (RFC 6120 §10.3.3).
        question.head.to.get_or_insert_with(|| managed.clone());
        question.head.from = Some(managed);
        Ok(question)
    }
}

fn is_watcher(component: &component::Component, domain: &str) -> bool {
    component.grants().presence == PresenceAccess::Roster && component.manages(domain)
}

pub(super) fn mailbox_of(hub: &Hub, component: &component::Component) -> Option<Mailbox> {
    hub.components().find(component.domain())?.1.map(|link| link.mailbox)
}

/// `<privilege/>` with everything that a component may do; without grants it may do nothing.
fn permissions(grants: Option<&Grants>) -> String {
    let mut out = format!("<privilege xmlns='{NS}'>");
    let roster = grants.map_or(Access::None, |grants| grants.roster);
    out.push_str("<perm access='roster'");
    write::attribute(&mut out, "type", roster.word());
    if let Some(grants) = grants.filter(|grants| grants.roster.allows(Ask::Get)) {
        write::attribute(&mut out, "push", if grants.is_pushed { "true" } else { "false" });
    }
    out.push_str("/>");
    let message = grants.map_or(MessageAccess::None, |grants| grants.message);
    let presence = grants.map_or(PresenceAccess::None, |grants| grants.presence);
    for (access, word) in [("message", message.word()), ("presence", presence.word())] {
        out.push_str("<perm");
        write::attribute(&mut out, "access", access);
        write::attribute(&mut out, "type", word);
        out.push_str("/>");
    }
    let iqs = grants.map_or(&[][..], |grants| &grants.iqs);
    if !iqs.is_empty() {
        out.push_str("<perm access='iq'>");
        for iq in iqs {
            out.push_str("<namespace");
            write::attribute(&mut out, "ns", &iq.namespace);
            write::attribute(&mut out, "type", iq.access.word());
            out.push_str("/>");
        }
        out.push_str("</perm>");
    }
    out.push_str("</privilege>");
    out
}

/// A stanza that stands inside another one. COMPAT(slixmpp, 2030): messages may have the namespace
/// of the component's own stream.
pub(super) fn embedded(hub: &Hub, child: Child<'_>) -> Option<Stanza> {
    let namespace = child.namespace();
    if namespace != CLIENT && namespace != ACCEPT {
        return None;
    }
    let limits = hub.limits().stream.after_auth;
    let element = waxwing_xml::parse(child.as_str().as_bytes(), &limits, namespace, false);
    Stanza::read(element.ok()?.in_content(CLIENT)).ok()
}

fn forbidden(text: &'static str) -> StanzaError {
    StanzaError::forbidden().text(text)
}
