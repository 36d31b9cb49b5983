//! Questions that a component answers in the place of the server and of accounts (XEP-0355, in the
//! mode that it calls "admin").

use std::sync::Arc;
use std::time::Duration;

use waxwing_jid::Jid;
use waxwing_kernel::component::{self, Greeting, Intercepted, Later, Occasion};
use waxwing_kernel::config::sections::Delegation;
use waxwing_kernel::mailbox::Mailbox;
use waxwing_kernel::request::Scope;
use waxwing_kernel::stage::{Effects, Party};
use waxwing_kernel::{Hub, Site};
use waxwing_stanza::payload::disco::{INFO, ITEMS, Info};
use waxwing_stanza::payload::forward;
use waxwing_stanza::{CLIENT, IqType, Kind, MessageType, Stanza, StanzaError};
use waxwing_xml::write;

use super::Component;
use super::privilege::{embedded, mailbox_of};

pub(super) const NS: &str = "urn:xmpp:delegation:2";

/// §9.2.4: "delegate information discovery requests made on bare jids for any discovery node which
/// is not already managed by the server".
const ANY_INFO: &str = "urn:xmpp:delegation:2:bare:disco#info:*";

/// §9.2.5: "delegate items discovery made on bare jids with no node specified and all items
/// discovery requests made on bare jids with a node which is not already managed by the server".
const ANY_ITEMS: &str = "urn:xmpp:delegation:2:bare:disco#items:*";

/// How long the answer to a question may take that is not ours to give.
const PATIENCE: Duration = Duration::from_secs(30);

impl Component {
    /// §5.2: "Once the managing entity is authenticated and stream is started, the server send it a
    /// <message/> stanza with a <delegation/> elements"; and the same when that changes.
    pub(super) async fn hand_over(self: Arc<Self>, greeting: Greeting) {
        let Greeting { hub, site, component, occasion } = greeting;
        let is_managing = component.manages(site.domain());
        let is_delegated = is_managing && !component.grants().delegations.is_empty();
        let is_due = match occasion {
            Occasion::Connected => is_delegated,
            Occasion::Changed => true,
            Occasion::Reloaded => false,
        };
        if let Some(mailbox) = mailbox_of(&hub, &component).filter(|_| is_due) {
            let delegations = if is_delegated { &component.grants().delegations[..] } else { &[] };
            tell(&hub, &site, &component, (delegations, &mailbox)).await;
        }
        let all = hub.components().list();
        site.keep_nested(|namespace| {
            let mut managing = all.iter().filter(|(it, _)| it.manages(site.domain()));
            managing.any(|(it, _)| it.is_delegated(namespace))
        });
        if !is_delegated {
            return;
        }
        // The answers come on the stream that this was called from.
        let task = async move { learn(&hub, &site, &component).await };
        self.hub.clock().spawn(task);
    }

    /// §5.3: "When a server receives a stanza for a delegated namespace which is either directed to
    /// him (no 'to' attribute, or 'to' attribute with its own JID), or directed to any bare jid
    /// (and only bare jid) that it manages …, it MUST forwards it to the managing entity".
    pub(super) fn delegate(self: &Arc<Self>, asked: &Intercepted<'_>) -> Option<Later> {
        let is_bare = asked.stanza.head.to.as_ref().is_none_or(Jid::is_bare);
        if !is_bare || !matches!(asked.scope, Scope::Server | Scope::Account | Scope::Nobody) {
            return None;
        }
        let (component, link) = asked.hub.components().find_by(|component| {
            component.manages(asked.site.domain()) && is_for(component, asked)
        })?;
        // §5.3.1: "If a stanza is sent by the managing entity on a managed namespace, the server
        // MUST NOT forward it."
        if asked.from.jid.bare() == *component.jid() {
            return None;
        }
        let (hub, site, question) =
            (asked.hub.clone(), Arc::clone(asked.site), asked.stanza.clone());
        let owner = asked.account.map(|account| account.jid().to_jid());
        Some(Box::pin(async move {
            // "If the server encounter a delegated namespace and the managing entity is not
            // available, it MUST return an <iq/> stanza of type "error" with an error condition of
            // <service-unavailable/>".
            if link.is_none() {
                return Err(unavailable("Whoever answers this is not there at the moment."));
            }
            let asker = Party::new(site.jid.to_jid(), None);
            let forwarded = forward::forwarded(&question, CLIENT, None);
            let carrier = Stanza::iq(IqType::Set)
                .to(component.jid().to_jid())
                .with(format!("<delegation xmlns='{NS}'>{forwarded}</delegation>"));
            let answer = hub.inquire_for(&asker, carrier, PATIENCE).await;
            // "if the managing entity return an <iq/> stanza of type "error", the server must
            // return itself an <iq/> stanza of type "error" with an error condition of
            // <service-unavailable/>"
            let answer = answer.ok().filter(|it| it.head.kind == Kind::Iq(IqType::Result));
            let answer = answer.ok_or_else(|| unavailable("Whoever answers this did not."))?;
            let answer = read(&hub, &answer)
                .filter(|answer| fits(answer, &question, owner.as_ref()))
                .ok_or_else(|| unavailable("Whoever answers this answered something else."))?;
            let mut payload = String::new();
            answer.body.write(&mut payload);
            Ok(Some(payload).filter(|payload| !payload.is_empty()))
        }))
    }
}

/// Whether the operator wants this question answered by `component`.
fn is_for(component: &component::Component, asked: &Intercepted<'_>) -> bool {
    if component.answers(asked.child) {
        return true;
    }
    let is_on_account = matches!(asked.scope, Scope::Account | Scope::Nobody);
    let has_node = asked.child.attribute("node").is_some();
    is_on_account
        && (asked.child.is("query", INFO) && has_node && component.is_delegated(ANY_INFO)
            || asked.child.is("query", ITEMS) && component.is_delegated(ANY_ITEMS))
}

/// What the component answered.
fn read(hub: &Hub, answer: &Stanza) -> Option<Stanza> {
    let forwarded = answer.body.child("delegation", NS)?.child("forwarded", forward::NS)?;
    let iq = forwarded.children().find(|child| child.is("iq", CLIENT))?;
    embedded(hub, iq)
}

/// §5.3: "the server MUST decapsulate the <iq/> result, MUST insure that the 'to' and the 'from'
/// attribute corresponds to respectively the 'from' and the 'to' attributes of the initial stanza,
/// MUST insure that the 'id' attribute of the decapsulated stanza is the same as the initial 'id'
/// attribute and that 'type' is "result"." Its examples leave `from` out.
fn fits(answer: &Stanza, question: &Stanza, owner: Option<&Jid>) -> bool {
    let asked = question.head.to.as_ref().or(owner);
    answer.head.kind == Kind::Iq(IqType::Result)
        && answer.head.id == question.head.id
        && answer.head.to == question.head.from
        && answer.head.from.as_ref().is_none_or(|from| Some(from) == asked)
}

async fn tell(
    hub: &Hub,
    site: &Site,
    component: &component::Component,
    (delegations, mailbox): (&[Delegation], &Mailbox),
) {
    let mut out = format!("<delegation xmlns='{NS}'>");
    for delegation in delegations {
        out.push_str("<delegated");
        write::attribute(&mut out, "namespace", &delegation.namespace);
        out.push('>');
        for name in &delegation.attributes {
            out.push_str("<attribute");
            write::attribute(&mut out, "name", name);
            out.push_str("/>");
        }
        out.push_str("</delegated>");
    }
    out.push_str("</delegation>");
    let message = Stanza::message(MessageType::Normal)
        .from(site.jid.to_jid())
        .to(component.jid().to_jid())
        .id(hub.clock().token(8))
        .with(out);
    let mut effects = Effects::default();
    effects.deliver(mailbox, message);
    hub.perform(effects).await;
}

/// §11: "a server SHOULD ask for disco features to nest to managing entity when delegation is
/// accepted, and keep them in cache".
async fn learn(hub: &Hub, site: &Site, component: &component::Component) {
    for delegation in &component.grants().delegations {
        let namespace = delegation.namespace.as_str();
        if matches!(namespace, ANY_INFO | ANY_ITEMS) {
            continue;
        }
        let server = features(hub, site, component, &format!("{NS}::{namespace}")).await;
        let account = features(hub, site, component, &format!("{NS}:bare:{namespace}")).await;
        site.nest(namespace, server, account);
    }
}

/// What a component says of one of its nodes; nothing where it says nothing.
async fn features(hub: &Hub, site: &Site, component: &component::Component, node: &str) -> Info {
    let mut query = String::from("<query");
    write::attribute(&mut query, "xmlns", INFO);
    write::attribute(&mut query, "node", node);
    query.push_str("/>");
    let question = Stanza::iq(IqType::Get).to(component.jid().to_jid()).with(query);
    let asker = Party::new(site.jid.to_jid(), None);
    let answer = hub.inquire_for(&asker, question, PATIENCE).await.ok();
    let info = answer.and_then(|answer| answer.body.payload::<Info>()?.ok());
    Info { node: None, ..info.unwrap_or_default() }
}

fn unavailable(text: &'static str) -> StanzaError {
    StanzaError::service_unavailable().text(text)
}
