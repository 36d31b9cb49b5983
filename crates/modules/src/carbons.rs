#![cfg_attr(not(doctest), doc = include_str!("carbons.md"))]

use std::sync::Arc;

use waxwing_jid::{BareJid, Jid};
use waxwing_kernel::{Filed, Hub, SiteBuilder};
use waxwing_kernel::config::NoConfig;
use waxwing_kernel::directory::{Flag, Resource, Resources};
use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::request::{Beginning, Request};
use waxwing_kernel::routes::Routes;
use waxwing_kernel::stage::{Stage, Transit, Verdict};
use waxwing_stanza::payload::{forward, sid};
use waxwing_stanza::{CLIENT, Kind, MessageType, Stanza, StanzaError, payload};
use xso::FromXml;

const NS: &str = "urn:xmpp:carbons:2";
const HINTS: &str = "urn:xmpp:hints";
const MUC_USER: &str = "http://jabber.org/protocol/muc#user";
const INVITE: &str = "jabber:x:conference";
const CHAT_STATES: &str = "http://jabber.org/protocol/chatstates";
const RECEIPTS: &str = "urn:xmpp:receipts";

/// Copies conversations to the account's other sessions.
pub struct Carbons {
    wanted: Flag,
}

impl Module for Carbons {
    const ABOUT: &'static About = &About {
        name: "carbons",
        summary: "Copies conversations to all of a person's devices.",
        is_on: true,
        xeps: &[Xep(280, "1.0.1"), Xep(297, "1.0")],
        server_features: &[NS],
        account_features: &[NS],
        manual: include_str!("carbons.md"),
    };
    type Config = NoConfig;

    fn start(site: &mut SiteBuilder<'_>, _: NoConfig) -> Result<Self, StartError> {
        Ok(Self { wanted: site.flag() })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.owner().set(Self::enable).set(Self::disable);
        on.inline("enable", NS, Self::begin);
        on.outbound(Stage::Mirror, Self::copy_sent);
        on.inbound(Stage::Mirror, Self::copy_received);
    }
}

impl Carbons {
    async fn enable(self: Arc<Self>, ask: Request<Enable>) -> Result<(), StanzaError> {
        self.want(&ask, true)
    }

    async fn disable(self: Arc<Self>, ask: Request<Disable>) -> Result<(), StanzaError> {
        self.want(&ask, false)
    }

    /// §10.1: enabling or disabling twice is no error.
    fn want<P>(&self, ask: &Request<P>, wanted: bool) -> Result<(), StanzaError> {
        let Some(mailbox) = &ask.from.mailbox else { return Err(StanzaError::forbidden()) };
        ask.hub.directory().update(&ask.from.jid, mailbox, |session| {
            session.flags.set(self.wanted, wanted);
        });
        Ok(())
    }

    /// XEP-0386 §4: "Message Carbons MUST be enabled at this point."
    fn begin(&self, beginning: &mut Beginning<'_>) {
        beginning.flags.set(self.wanted, true);
    }

    /// §8: "delivers a forwarded copy to each Carbons-enabled resource for the matching bare JID
    /// sender, excluding the sending client".
    fn copy_sent(&self, transit: &mut Transit<'_>) -> Verdict {
        let sender = &transit.from.jid;
        let listeners = self.listeners(transit.hub, sender, |session| session.jid != *sender);
        if !listeners.is_empty() && is_eligible(transit.stanza, &transit.to.jid, Way::Sent) {
            copy(transit, Way::Sent, &sender.bare(), &listeners);
        }
        Verdict::Pass
    }

    /// §7: "delivers a forwarded copy to each Carbons-enabled resource for the matching bare JID
    /// recipient that did not receive it under the RFC 6121 delivery rules".
    fn copy_received(&self, transit: &mut Transit<'_>) -> Verdict {
        let (recipient, targets) = (&transit.to.jid, &*transit.targets);
        // A message to oneself was copied on its way out already. Nobody gets copies of what
        // nobody got: it waits in the spool for all.
        if targets.is_empty() || transit.from.jid.bare_str() == recipient.bare_str() {
            return Verdict::Pass;
        }
        let listeners = self.listeners(transit.hub, recipient, |session| {
            targets.iter().all(|target| target.jid != session.jid)
        });
        if !listeners.is_empty() && is_eligible(transit.stanza, recipient, Way::Received) {
            copy(transit, Way::Received, &recipient.bare(), &listeners);
        }
        Verdict::Pass
    }

    /// Those sessions of an account that want copies and may have them. Mostly there are none,
    /// which is known sooner than whether a message is of the kind that is copied.
    fn listeners(
        &self,
        hub: &Hub,
        owner: &Jid,
        is_left_out: impl Fn(&Resource) -> bool,
    ) -> Resources {
        let is_listener =
            |session: &Resource| session.flags.has(self.wanted) && is_left_out(session);
        hub.directory().select(owner.bare_str(), is_listener)
    }
}

fn copy(transit: &mut Transit<'_>, way: Way, owner: &BareJid, listeners: &[Resource]) {
    let wrapped = wrap(transit, owner, way);
    for session in listeners {
        // "the 'from' attribute MUST be the Carbons-enabled user's bare JID".
        let copy = wrapped.clone().from(owner.to_jid()).to(session.jid.clone());
        transit.effects.deliver(&session.mailbox, copy);
    }
}

/// Which side is copied.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Sent,
    Received,
}

impl Way {
    /// The element around the copy.
    fn element(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Received => "received",
        }
    }
}

/// The forwarded message inside `<sent/>` or `<received/>`.
fn wrap(transit: &Transit<'_>, owner: &BareJid, way: Way) -> Stanza {
    let stanza = &*transit.stanza;
    let kind = match stanza.head.kind {
        Kind::Message(kind) => kind,
        _ => MessageType::Chat,
    };
    let mut original = stanza.clone();
    original.head.from.get_or_insert_with(|| transit.from.jid.clone());
    // XEP-0313 §3.5: "servers SHOULD include the element as a child of the forwarded message". What
    // is received has it already.
    if let (Way::Sent, Filed::Kept(number)) = (way, *transit.filed) {
        let name = transit.hub.names().name(number);
        original.body_mut().append(sid::stanza_id(owner.as_str(), &name));
    }
    let way = way.element();
    let mut xml = format!("<{way} xmlns='{NS}'>");
    forward::write_forwarded(&mut xml, &original, CLIENT, None);
    xml.push_str("</");
    xml.push_str(way);
    xml.push('>');
    Stanza::message(kind).with(xml)
}

/// §6.1: which messages are copied.
fn is_eligible(stanza: &Stanza, to: &Jid, way: Way) -> bool {
    let Kind::Message(kind) = stanza.head.kind else { return false };
    let body = &stanza.body;
    // "if it does not contain a <private/> child element"; carbons are never copied again.
    if [("private", NS), ("sent", NS), ("received", NS), ("no-copy", HINTS)]
        .into_iter()
        .any(|(name, ns)| body.has(name, ns))
    {
        return false;
    }
    if let Some(user) = body.child("x", MUC_USER) {
        // "containing a Mediated Invitation SHOULD be carbon-copied"; a private message "from a
        // local user to a MUC participant (sent to a full JID) SHOULD", one received "SHOULD NOT".
        let is_invitation = user.children().any(|child| child.name() == "invite");
        let is_private_sent = way == Way::Sent && to.resource().is_some();
        return is_invitation || is_private_sent && kind != MessageType::Groupchat;
    }
    if body.has("x", INVITE) {
        return true;
    }
    match kind {
        MessageType::Chat => true,
        MessageType::Normal => body.has("body", CLIENT) || is_payload(stanza),
        // "it is of type 'error' and it was sent in response to a <message/> that was eligible":
        // errors echo the payload of what they answer, or are for the one client that sent it.
        MessageType::Error => body.has("body", CLIENT),
        MessageType::Groupchat | MessageType::Headline => false,
    }
}

/// §6.1: "payload elements typically used in IM".
fn is_payload(stanza: &Stanza) -> bool {
    const IM: [&str; 6] = [
        CHAT_STATES,
        RECEIPTS,
        "urn:xmpp:chat-markers:0",
        "urn:xmpp:reactions:0",
        "urn:xmpp:eme:0",
        "urn:xmpp:message-retract:1",
    ];
    stanza.body.children().any(|child| IM.contains(&child.namespace()))
}

/// `<enable/>`
#[derive(FromXml)]
#[xml(namespace = NS, name = "enable", on_unknown_attribute = Discard, on_unknown_child = Discard)]
pub struct Enable;
payload!(empty Enable, "enable", NS);

/// `<disable/>`
#[derive(FromXml)]
#[xml(namespace = NS, name = "disable", on_unknown_attribute = Discard, on_unknown_child = Discard)]
pub struct Disable;
payload!(empty Disable, "disable", NS);
