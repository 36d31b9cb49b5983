//! Owners and those who want to be subscribed: who is asked, and what they answer (§8.6); and who
//! is told of a subscription that has changed (§13.14).

use std::sync::{Arc, Weak};

use tokio::sync::oneshot;
use waxwing_jid::{BareJid, Jid};
use waxwing_kernel::clock::stamp_of;
use waxwing_kernel::stage::{Effects, Party, Transit, Verdict};
use waxwing_kernel::visit::Visit;
use waxwing_kernel::{Hub, Site};
use waxwing_stanza::payload::dataform::{DataForm, Field, FieldType, FormType};
use waxwing_stanza::{Kind, MessageType, Stanza, StanzaError, to_xml};
use waxwing_store::domains::pubsub::{Affiliations, Subscription, Subscriptions};
use waxwing_xml::write;

use super::errors::{no_node, unstored};
use super::news;
use super::node::{Node, Realm, State};
use super::notify::ID_BYTES;
use super::options::Ends;
use super::rights::{Action, Affiliation};
use super::subscribe::terms_of;
use super::subscribers::{Status, Terms};
use super::{Errand, Pubsub};

/// What a form for the answer to a subscription request is about.
pub(super) const FORM: &str = "http://jabber.org/protocol/pubsub#subscribe_authorization";

const NODE: &str = "pubsub#node";
const SUBID: &str = "pubsub#subid";
const SUBSCRIBER: &str = "pubsub#subscriber_jid";
const ALLOW: &str = "pubsub#allow";

/// Owners of one node who are asked or told.
const OWNERS: u32 = 50;

/// What an owner answers.
struct Decision {
    node: String,
    subscriber: Jid,
    subid: Option<String>,
    is_allowed: bool,
}

impl Decision {
    /// None when answering was called off: "the subscription request MUST remain in the pending
    /// state."
    fn read(form: &DataForm) -> Result<Option<Self>, StanzaError> {
        if form.kind == FormType::Cancel {
            return Ok(None);
        }
        let missing = |var: &str| StanzaError::bad_request().text(format!("{var} is missing."));
        let node = form.value(NODE).ok_or_else(|| missing(NODE))?.to_owned();
        let subscriber = form.value(SUBSCRIBER).ok_or_else(|| missing(SUBSCRIBER))?;
        let subscriber = Jid::new(subscriber)
            .map_err(|error| StanzaError::bad_request().text(format!("{SUBSCRIBER}: {error}")))?;
        let is_allowed = form.flag(ALLOW).ok_or_else(|| {
            StanzaError::bad_request().text(format!("{ALLOW}: `true` or `false`"))
        })?;
        let subid = form.value(SUBID).map(str::to_owned);
        Ok(Some(Self { node, subscriber, subid, is_allowed }))
    }
}

/// The form in a message with the answer of an owner, if it is one.
fn answer(stanza: &Stanza) -> Option<DataForm> {
    if !matches!(stanza.head.kind, Kind::Message(kind) if kind != MessageType::Error) {
        return None;
    }
    let form = stanza.body.payload::<DataForm>()?.ok()?;
    let is_answer = matches!(form.kind, FormType::Submit | FormType::Cancel);
    (is_answer && form.form_type() == Some(FORM)).then_some(form)
}

impl Pubsub {
    /// What is sent to the service, or to an address there, and is no request to the service.
    pub(super) async fn visit(self: Arc<Self>, visit: Visit) -> Effects {
        let Visit { hub, site, from, to, stanza } = visit;
        let mut effects = Effects::default();
        match answer(&stanza).filter(|_| to.local().is_none()) {
            Some(form) => {
                let realm = self.realm(None);
                effects.until(self.take_answer((hub, site), realm, from, (stanza, form)));
            }
            None => {
                let error = StanzaError::service_unavailable().text("Nobody reads this here.");
                hub.refuse(&from, &stanza, &error, &mut effects);
            }
        }
        effects
    }

    /// The answer of an owner about a node of an account, sent to the account.
    pub(super) fn take_form(&self, transit: &mut Transit<'_>) -> Verdict {
        let Some(form) = answer(transit.stanza) else { return Verdict::Pass };
        let Some(account) = transit.recipient().filter(|_| transit.to.jid.is_bare()) else {
            return Verdict::Pass;
        };
        let Some(site) = transit.hub.site(account.jid().domain()) else { return Verdict::Pass };
        let Some(pubsub) = self.itself.get().and_then(Weak::upgrade) else { return Verdict::Pass };
        let realm = Realm { jid: account.jid().clone(), account: Some(Arc::clone(account)) };
        let (hub, from) = (transit.hub.clone(), transit.from.clone());
        let said = (transit.stanza.clone(), form);
        transit.effects.until(pubsub.take_answer((hub, site), realm, from, said));
        Verdict::Done
    }

    /// Deals with an answer in a task of its own; the receipt says when that is done.
    fn take_answer(
        self: &Arc<Self>,
        (hub, site): (Hub, Arc<Site>),
        realm: Realm,
        from: Party,
        (stanza, form): (Stanza, DataForm),
    ) -> oneshot::Receiver<()> {
        let (done, receipt) = oneshot::channel();
        let (pubsub, clock) = (Arc::clone(self), hub.clock().clone());
        clock.spawn(async move {
            let asker = from.jid.bare();
            let on = Errand { hub, site, from, asker, realm, origin: None };
            if let Err(error) = pubsub.decide(&on, &form).await {
                let mut effects = Effects::default();
                on.hub.refuse(&on.from, &stanza, &error, &mut effects);
                on.hub.perform(effects).await;
            }
            let _ = done.send(());
        });
        receipt
    }

    async fn decide(&self, on: &Errand, form: &DataForm) -> Result<(), StanzaError> {
        let Some(decision) = Decision::read(form)? else { return Ok(()) };
        let node = self.node(&on.realm, &decision.node).await?;
        let _turn = node.turn(on.hub.db()).await.map_err(unstored)?;
        let state = self.allowed(on, &node, Action::ManageSubscriptions).await?;
        let bare = decision.subscriber.bare();
        let rows = self.pending(on, &state, &bare).await?;
        let is_meant = |row: &&Subscription| {
            row.jid == decision.subscriber.as_str()
                && decision.subid.as_ref().is_none_or(|subid| *subid == row.subid)
        };
        let row = rows.iter().find(is_meant).ok_or_else(|| {
            StanzaError::item_not_found().text("This request does not wait for an answer any more.")
        })?;
        if decision.is_allowed {
            return self.approve(on, (&node, &state), row).await;
        }
        self.drop_one(on, (&node, &state), &decision.subscriber, &row.subid).await?;
        let change = (Some(&*row.subid), "none");
        self.tell_change(on, &node, &decision.subscriber, change).await;
        Ok(())
    }

    /// What waits of somebody at a node.
    async fn pending(
        &self,
        on: &Errand,
        state: &State,
        bare: &BareJid,
    ) -> Result<Vec<Subscription>, StanzaError> {
        let stored = Subscriptions::new(on.hub.db().clone());
        let mut rows = stored.of(state.id, bare.as_str()).await.map_err(unstored)?;
        rows.retain(|row| Status::of(row.state) == Status::Pending);
        Ok(rows)
    }

    /// Approves all requests of somebody at a node.
    pub(super) async fn approve_all(
        &self,
        on: &Errand,
        (node, state): (&Node, &State),
        bare: &BareJid,
    ) -> Result<(), StanzaError> {
        for row in self.pending(on, state, bare).await? {
            self.approve(on, (node, state), &row).await?;
        }
        Ok(())
    }

    /// §8.6: "The service then SHOULD notify the approved subscriber". It gets the last item as a
    /// new subscriber does (§13.10: "upon successful processing of a subscription request or
    /// approval by a node owner").
    pub(super) async fn approve(
        &self,
        on: &Errand,
        (node, state): (&Node, &State),
        row: &Subscription,
    ) -> Result<(), StanzaError> {
        let Ok(jid) = Jid::new(&row.jid) else { return Err(no_node()) };
        let terms = Terms { status: Status::Subscribed, ..terms_of(row) };
        self.keep(on, (node, state), &jid, &terms).await?;
        self.tell_change(on, node, &jid, (Some(&row.subid), terms.status.name())).await;
        self.tell_owners(on, (node, state), &jid, Some(&terms)).await;
        self.welcome(on, (node, state), &jid).await;
        Ok(())
    }

    /// §8.6: "the pubsub service sends a message to the node owner(s) requesting authorization".
    pub(super) async fn ask_owners(
        &self,
        on: &Errand,
        (node, state): (&Node, &State),
        jid: &Jid,
        terms: &Terms,
    ) {
        for owner in self.owners(on, state).await {
            self.ask_owner(on, node, &owner, (jid, &terms.subid)).await;
        }
    }

    /// Asks one owner. The message has words, so that it is kept for who is away.
    pub(super) async fn ask_owner(
        &self,
        on: &Errand,
        node: &Node,
        owner: &BareJid,
        (jid, subid): (&Jid, &str),
    ) {
        let field = |kind, var, value: &str| Field::new(kind, var).value(value);
        let form = DataForm::new(FormType::Form)
            .about(FORM)
            .title("Subscription request")
            .instruction("Choose whether this address may subscribe, and submit the form.")
            .with(field(FieldType::Hidden, SUBID, subid))
            .with(field(FieldType::TextSingle, NODE, &node.name).label("Node"))
            .with(field(FieldType::JidSingle, SUBSCRIBER, jid.as_str()).label("Subscriber"))
            .with(field(FieldType::Boolean, ALLOW, "false").label("Allow it to subscribe?"));
        let mut body = String::from("<body>");
        write::text(&mut body, &format!("{jid} wants to subscribe to {}.", node.name));
        body.push_str("</body>");
        let message = self.letter(on, node, owner.to_jid()).with(body).with(to_xml(&form));
        on.hub.send(&node.owner.to_jid(), message).await;
    }

    /// Tells a subscriber that its subscription is another one from now on, or `none`.
    pub(super) async fn tell_change(
        &self,
        on: &Errand,
        node: &Node,
        jid: &Jid,
        (subid, status): (Option<&str>, &str),
    ) {
        let event = news::subscription(&node.name, jid, (subid, status), None);
        let message = self.letter(on, node, jid.clone()).with(event);
        on.hub.send(&node.owner.to_jid(), message).await;
    }

    /// `pubsub#notify_sub`: owners hear of those who subscribe, and of those who cease to.
    pub(super) async fn tell_owners(
        &self,
        on: &Errand,
        (node, state): (&Node, &State),
        jid: &Jid,
        terms: Option<&Terms>,
    ) {
        if !state.config.notify_sub {
            return;
        }
        let subid = terms.map(|terms| &*terms.subid);
        let status = terms.map_or("none", |terms| terms.status.name());
        let expiry = match terms.map(|terms| terms.ends) {
            Some(Ends::At(millis)) => Some(stamp_of(millis.cast_unsigned())),
            _ => None,
        };
        let event = news::subscription(&node.name, jid, (subid, status), expiry.as_deref());
        for owner in self.owners(on, state).await {
            let mut message = self.letter(on, node, owner.to_jid()).with(event.as_str());
            message.head.kind = Kind::Message(MessageType::Headline);
            on.hub.send(&node.owner.to_jid(), message).await;
        }
    }

    fn letter(&self, on: &Errand, node: &Node, to: Jid) -> Stanza {
        let id = on.hub.clock().token(ID_BYTES);
        Stanza::message(MessageType::Normal).from(node.owner.to_jid()).to(to).id(id)
    }

    /// Those who own a node by their affiliation, and the account whose node it is; or whoever made
    /// it, where nobody else owns it.
    async fn owners(&self, on: &Errand, state: &State) -> Vec<BareJid> {
        let stored = Affiliations::new(on.hub.db().clone());
        let found = stored.of_kind(state.id, Affiliation::Owner.number(), OWNERS).await;
        let found = found.unwrap_or_else(|error| {
            tracing::error!(%error, "the owners of a node cannot be read");
            Vec::new()
        });
        let mut owners: Vec<BareJid> =
            found.iter().filter_map(|jid| BareJid::new(jid).ok()).collect();
        if let Some(account) = &on.realm.account {
            owners.retain(|owner| owner != account.jid());
            owners.push(account.jid().clone());
        }
        owners
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(fields: &[(&str, &str)]) -> DataForm {
        let field =
            |(var, value): &(&str, &str)| Field::new(FieldType::TextSingle, *var).value(*value);
        fields.iter().map(field).fold(DataForm::new(FormType::Submit).about(FORM), DataForm::with)
    }

    #[test]
    fn an_answer_names_what_it_is_about() {
        let whole = [(NODE, "n"), (SUBSCRIBER, "a@b"), (ALLOW, "1"), (SUBID, "s")];
        let decision = Decision::read(&form(&whole)).unwrap().unwrap();
        assert!(decision.is_allowed && decision.node == "n");
        for missing in 0..3 {
            let mut fields = whole.to_vec();
            let (var, _) = fields.remove(missing);
            let error = Decision::read(&form(&fields)).err().unwrap();
            assert!(error.text.unwrap().starts_with(var));
        }
        let cancel = DataForm::new(FormType::Cancel).about(FORM);
        assert!(Decision::read(&cancel).unwrap().is_none());
    }

    #[test]
    fn only_forms_about_subscriptions_are_answers() {
        let message = |form: &DataForm| Stanza::message(MessageType::Normal).with(to_xml(form));
        assert!(answer(&message(&form(&[]))).is_some());
        assert!(answer(&message(&DataForm::new(FormType::Submit).about("urn:other"))).is_none());
        assert!(answer(&message(&DataForm::new(FormType::Form).about(FORM))).is_none());
        assert!(answer(&Stanza::message(MessageType::Error).with(to_xml(&form(&[])))).is_none());
    }
}
