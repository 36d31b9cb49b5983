//! Clients enable and disable push services (§5, §6), and services take their leave (§9).

use std::sync::Arc;

use waxwing_jid::{BareJid, Jid};
use waxwing_kernel::account::{Account, Turn};
use waxwing_kernel::request::{Request, unstored};
use waxwing_kernel::stage::{Transit, Verdict};
use waxwing_stanza::payload::dataform::{self, DataForm};
use waxwing_stanza::{Kind, MessageType, Payload, StanzaError, payload, to_xml};
use waxwing_store::StoreError;
use waxwing_xml::Child;

use super::publish::{PUBLISH_OPTIONS, PUBSUB};
use super::registry::{Registration, Registrations};
use super::{NS, Push};

/// The longest name of a node (bytes).
const NODE_BYTES: usize = 1024;
/// The longest form of publish-options (bytes).
const OPTIONS_BYTES: usize = 4096;

impl Push {
    /// §5: "the App Client sends an IQ-set to the user's bare JID with an <enable /> element".
    pub(super) async fn enable(self: Arc<Self>, ask: Request<Enable>) -> Result<(), StanzaError> {
        let (account, resource) = (ask.account(), ask.from.jid.resource());
        if account.is_guest() {
            let text = "Guests have nothing that could be pushed.";
            return Err(StanzaError::not_allowed().text(text));
        }
        let Enable { service, node, options } = ask.payload.clone();
        if self.is_of_another(&service, account.jid()) {
            let text = "A push service is no account of this server, except your own.";
            return Err(StanzaError::not_allowed().text(text));
        }
        let resource = resource.unwrap_or_default().to_owned();
        let fresh = Registration { service, node, options, resource, pulse: Arc::default() };
        let turn = account.turn().await;
        let mut all = turn.fact(self.enabled).0.clone();
        let is_same = |held: &&Arc<Registration>| held.is_same(&fresh);
        if let Some(held) = all.iter().find(is_same) {
            // Clients say it again whenever they connect.
            held.pulse.reset();
            return Ok(());
        }
        // §5: "If the combination of JID and node has already been enabled, then the server SHOULD
        // use the last received request for any publish options."
        all.retain(|held| !held.is_for(&fresh.service, &fresh.node));
        let room = self.config.services as usize;
        let excess = (all.len() + 1).saturating_sub(room);
        let mut batch: Vec<_> =
            all.drain(..excess).map(|oldest| oldest.disable(account.jid())).collect();
        let now = self.hub.clock().wall_millis().cast_signed();
        batch.push(fresh.enable(account.jid(), now));
        self.hub.db().batch(batch).await.map_err(|error| unstored(&error))?;
        all.push(Arc::new(fresh));
        turn.publish(self.enabled, Registrations(all));
        Ok(())
    }

    /// Whether this is the address of somebody else here: who gets requests of the server itself,
    /// with a form that `owner` has written, past all that protects them of `owner`.
    fn is_of_another(&self, service: &Jid, owner: &BareJid) -> bool {
        let is_person = service.local().is_some() && self.hub.site(service.domain()).is_some();
        is_person && service.bare() != *owner
    }

    /// §6: "an IQ-set to the user's bare JID with a <disable /> element".
    pub(super) async fn disable(self: Arc<Self>, ask: Request<Disable>) -> Result<(), StanzaError> {
        let Disable { service, node } = &ask.payload;
        let turn = ask.account().turn().await;
        // "If a 'node' attribute is provided, then only that combination of JID and node SHOULD be
        // removed … Otherwise, the server SHOULD disable all enabled entries for the specified
        // service for the user."
        let is_meant = |held: &Registration| {
            held.service == *service && node.as_ref().is_none_or(|node| *node == held.node)
        };
        let removed = self.remove(ask.account().jid(), &turn, is_meant).await;
        removed.map_err(|error| unstored(&error))
    }

    async fn remove(
        &self,
        owner: &BareJid,
        turn: &Turn<'_>,
        is_meant: impl Fn(&Registration) -> bool,
    ) -> Result<(), StoreError> {
        let (gone, left): (Vec<_>, Vec<_>) =
            turn.fact(self.enabled).0.iter().cloned().partition(|held| is_meant(held));
        if gone.is_empty() {
            return Ok(());
        }
        let batch = gone.iter().map(|held| held.disable(owner)).collect();
        self.hub.db().batch(batch).await?;
        turn.publish(self.enabled, Registrations(left));
        Ok(())
    }

    /// §9: "The XMPP Push Service … MAY send an affiliation change notice to the user's bare JID",
    /// and "the server MAY remove the received JID and node combination from the set of enabled
    /// services".
    pub(super) fn dismiss(&self, transit: &mut Transit<'_>) -> Verdict {
        // It has no type, or that of an error; talk is not looked at any closer.
        let Kind::Message(kind) = transit.stanza.head.kind else { return Verdict::Pass };
        if matches!(kind, MessageType::Chat | MessageType::Groupchat) {
            return Verdict::Pass;
        }
        let Some(account) = transit.recipient() else { return Verdict::Pass };
        let enabled = account.fact(self.enabled);
        let is_enabled = enabled.0.iter().any(|held| held.service == transit.from.jid);
        if !is_enabled || kind == MessageType::Error {
            return Verdict::Pass;
        }
        let Some(notice) = transit.stanza.body.child("pubsub", PUBSUB) else {
            return Verdict::Pass;
        };
        let is_over = notice.child("affiliation", PUBSUB).is_some_and(|part| {
            let is_own = part.attribute("jid").and_then(|jid| Jid::new(&jid).ok());
            is_own.is_some_and(|jid| jid.bare() == *account.jid())
                && part.attribute("affiliation").is_some_and(|it| it == "none")
        });
        if !is_over {
            return Verdict::Pass;
        }
        let node = notice.attribute("node").unwrap_or_default().into_owned();
        let ending = Ending {
            enabled: self.enabled,
            hub: self.hub.clone(),
            account: Arc::clone(account),
            service: transit.from.jid.clone(),
            node,
        };
        self.hub.clock().spawn(ending.end());
        Verdict::Done
    }
}

/// A registration that ends without its client's doing.
pub(super) struct Ending {
    pub(super) enabled: waxwing_kernel::account::Slot<Registrations>,
    pub(super) hub: waxwing_kernel::Hub,
    pub(super) account: Arc<Account>,
    pub(super) service: Jid,
    pub(super) node: String,
}

impl Ending {
    /// Disables it. What cannot be written is tried again with the next notification.
    pub(super) async fn end(self) {
        let Self { enabled, hub, account, service, node } = self;
        let turn = account.turn().await;
        let mut left = turn.fact(enabled).0.clone();
        let Some(place) = left.iter().position(|held| held.is_for(&service, &node)) else {
            return;
        };
        let gone = left.remove(place);
        match hub.db().batch(vec![gone.disable(account.jid())]).await {
            Ok(_) => turn.publish(enabled, Registrations(left)),
            Err(error) => tracing::error!(%error, "a push service could not be disabled"),
        }
    }
}

/// `<enable/>`.
#[derive(Clone)]
pub(super) struct Enable {
    service: Jid,
    node: String,
    options: Option<String>,
}

impl Payload for Enable {
    const NAME: &'static str = "enable";
    const NS: &'static str = NS;

    fn read(child: Child<'_>) -> Result<Self, StanzaError> {
        let (service, node) = (service(child)?, node(child)?.unwrap_or_default());
        let options = match child.child("x", dataform::NS) {
            None => None,
            Some(form) => Some(options(payload::read(form)?)?),
        };
        Ok(Self { service, node, options })
    }
}

/// `<disable/>`.
pub(super) struct Disable {
    service: Jid,
    node: Option<String>,
}

impl Payload for Disable {
    const NAME: &'static str = "disable";
    const NS: &'static str = NS;

    fn read(child: Child<'_>) -> Result<Self, StanzaError> {
        Ok(Self { service: service(child)?, node: node(child)? })
    }
}

/// "which MUST contain a 'jid' attribute of the XMPP Push Service".
fn service(child: Child<'_>) -> Result<Jid, StanzaError> {
    let jid = child.attribute("jid").ok_or_else(|| bad("`jid` is missing."))?;
    Ok(Jid::new(&jid)?)
}

fn node(child: Child<'_>) -> Result<Option<String>, StanzaError> {
    let node = child.attribute("node").map(|node| node.into_owned());
    match &node {
        Some(node) if node.len() > NODE_BYTES => Err(bad("`node` may have 1024 bytes.")),
        _ => Ok(node),
    }
}

/// "These parameters are included in the enable request by adding a Data Form with a FORM_TYPE of
/// 'http://jabber.org/protocol/pubsub#publish-options'."
fn options(form: DataForm) -> Result<String, StanzaError> {
    if form.form_type() != Some(PUBLISH_OPTIONS) {
        return Err(bad("The FORM_TYPE must be that of publish-options."));
    }
    let form = DataForm { kind: dataform::FormType::Submit, ..form };
    let xml = to_xml(&form);
    if xml.len() > OPTIONS_BYTES {
        return Err(bad("The form may have 4096 bytes."));
    }
    Ok(xml)
}

fn bad(text: &'static str) -> StanzaError {
    StanzaError::bad_request().text(text)
}
