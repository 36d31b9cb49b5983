//! Subscribing and unsubscribing (§6.1, §6.2).

use std::sync::Arc;

use waxwing_jid::Jid;
use waxwing_kernel::clock::DAY_MILLIS;
use waxwing_stanza::payload::dataform::{DataForm, FormType};
use waxwing_stanza::{Condition, ErrorKind, StanzaError, to_xml};
use waxwing_store::Statement;
use waxwing_store::domains::pubsub::{Audience as Stored, Subscription, Subscriptions};
use waxwing_xml::write;

use super::config::{Access, SendLast};
use super::errors::{unstored, with};
use super::news::has_words;
use super::node::{Node, State};
use super::options::{Ends, Lease, Options};
use super::rights::{Action, Affiliation, judge};
use super::subscribers::{Status, Terms};
use super::voice::Fleet;
use super::wire::NS;
use super::{Answer, Errand, Pubsub};

/// Bytes of randomness in the id of a subscription.
pub(super) const SUBID_BYTES: usize = 8;

impl Pubsub {
    /// §6.1
    pub(super) async fn subscribe(
        &self,
        on: &Errand,
        name: String,
        jid: Jid,
        (form, is_public): (Option<DataForm>, bool),
    ) -> Answer {
        may_subscribe(on, &jid)?;
        self.make_list(on, &name).await?;
        let node = self.node(&on.realm, &name).await?;
        let _turn = node.turn(on.hub.db()).await.map_err(unstored)?;
        let state = node.there()?;
        let standing = self.standing(&on.site, &on.realm, (&node, &state), &on.asker).await?;
        judge(Action::Subscribe, &state.config, &standing)?;
        let held = self.own(on, &state).await?;
        let is_here = |row: &&Subscription| row.jid == jid.as_str();
        if held.iter().filter(is_here).any(|row| Status::of(row.state) == Status::Pending) {
            let error = with(StanzaError::not_authorized(), "pending-subscription");
            return Err(error.text("The owner has not answered yet."));
        }
        let (mut terms, is_new) = self.settle(on, &state, (&jid, &held), form.as_ref()).await?;
        terms.options.is_public = is_public;
        // §6.1.4: "service policy allows entities with affiliations other than "none" to
        // auto-subscribe".
        let must_wait = state.config.access == Access::Authorize
            && standing.affiliation == Affiliation::None
            && !standing.is_subscribed;
        if is_new && must_wait {
            terms.status = Status::Pending;
        }
        self.keep(on, (&node, &state), &jid, &terms).await?;
        if !is_public {
            self.keep_quiet(on, (&node, &state), (&held, &terms.subid)).await?;
        }
        if is_new && must_wait {
            self.ask_owners(on, (&node, &state), &jid, &terms).await;
        } else if is_new {
            self.tell_owners(on, (&node, &state), &jid, Some(&terms)).await;
            self.welcome(on, (&node, &state), &jid).await;
        }
        let has_words = has_words(&state.config);
        let form = form.map(|_| terms.options.form(FormType::Result, terms.ends, has_words));
        let mut out = opened();
        put(&mut out, &name, &jid, &terms);
        if let Some(form) = form {
            out.push_str("<options>");
            out.push_str(&to_xml(&form));
            out.push_str("</options>");
        }
        Ok(Some(closed(out)))
    }

    /// What somebody who asks so is subscribed to, and whether that is new. Clients repeat
    /// themselves: only with other options it is another subscription (§6.1.6: "An entity may wish
    /// to subscribe using different subscription options, which it can do by subscribing multiple
    /// times to the same node").
    async fn settle(
        &self,
        on: &Errand,
        state: &State,
        (jid, held): (&Jid, &[Subscription]),
        form: Option<&DataForm>,
    ) -> Result<(Terms, bool), StanzaError> {
        let lease = self.lease(state);
        let (options, ends) = match form {
            Some(form) => Options::default().with(Ends::Never, form, lease)?,
            None => (Options::default(), lease.bound(Ends::Never)),
        };
        let is_same = |row: &&Subscription| {
            let is_here = row.jid == jid.as_str();
            let held = Options::from_text(row.options.as_deref());
            is_here && (form.is_none() || held.unnamed() == options)
        };
        let Some(known) = held.iter().find(is_same) else {
            self.check_presence(on, jid, ends)?;
            self.check_room(on, held.len()).await?;
            let subid = on.hub.clock().token(SUBID_BYTES).into();
            return Ok((Terms { subid, status: Status::Subscribed, options, ends }, true));
        };
        let mut terms = terms_of(known);
        // Saying it again renews a lease, and changes no end that was asked for.
        if form.is_some() || lease.longest.is_some() {
            terms.ends = ends;
        }
        self.check_presence(on, jid, terms.ends)?;
        Ok((terms, false))
    }

    /// §6.2
    pub(super) async fn unsubscribe(
        &self,
        on: &Errand,
        name: String,
        jid: Jid,
        subid: Option<String>,
    ) -> Answer {
        is_own(on, &jid)?;
        let node = self.node(&on.realm, &name).await?;
        let _turn = node.turn(on.hub.db()).await.map_err(unstored)?;
        let state = node.there()?;
        // §6.2.3.2, with the type of its example.
        let row = self.chosen(on, &state, &jid, subid.as_deref()).await.map_err(|error| {
            let is_gone = error.condition == Condition::UnexpectedRequest;
            if is_gone { error.kind(ErrorKind::Cancel) } else { error }
        })?;
        self.drop_one(on, (&node, &state), &jid, &row.subid).await?;
        self.tell_owners(on, (&node, &state), &jid, None).await;
        let mut out = opened();
        put_as(&mut out, &name, &jid, (Some(&row.subid), "none"));
        Ok(Some(closed(out)))
    }

    /// What whoever asks has at a node.
    pub(super) async fn own(
        &self,
        on: &Errand,
        state: &State,
    ) -> Result<Vec<Subscription>, StanzaError> {
        let stored = Subscriptions::new(on.hub.db().clone());
        stored.of(state.id, on.asker.as_str()).await.map_err(unstored)
    }

    /// The subscription of an address that is meant.
    pub(super) async fn chosen(
        &self,
        on: &Errand,
        state: &State,
        jid: &Jid,
        subid: Option<&str>,
    ) -> Result<Subscription, StanzaError> {
        let mut rows = self.own(on, state).await?;
        rows.retain(|row| row.jid == jid.as_str());
        choose(rows, subid)
    }

    /// How long a subscription to a node may last.
    pub(super) fn lease(&self, state: &State) -> Lease {
        let days = self.config.lease_days;
        Lease {
            now: self.hub.clock().wall_millis().cast_signed(),
            longest: (days > 0).then(|| i64::from(days) * DAY_MILLIS),
            is_fleeting: state.config.tempsub,
        }
    }

    /// §13.5: a subscription "only for as long as the subscriber is online in its current presence
    /// session" needs one, and that we hear of its end.
    pub(super) fn check_presence(
        &self,
        on: &Errand,
        jid: &Jid,
        ends: Ends,
    ) -> Result<(), StanzaError> {
        let is_meant = |it: &Jid| jid.is_bare() || it == jid;
        let is_online = || {
            let sessions = self.hub.directory().sessions(&on.asker);
            sessions.iter().any(|it| it.is_available() && is_meant(&it.jid))
        };
        if ends != Ends::WithPresence || (on.asker.domain() == on.site.domain() && is_online()) {
            return Ok(());
        }
        let error = with(StanzaError::bad_request(), "invalid-options");
        Err(error.text("pubsub#expire: you are not online, so it would end at once"))
    }

    /// §6.1.3.9
    async fn check_room(&self, on: &Errand, held: usize) -> Result<(), StanzaError> {
        let stored = Stored::new(on.hub.db().clone());
        let (mine, realm) = (on.asker.as_str(), on.realm.jid.as_str());
        let all = stored.count_of(mine, realm).await.map_err(unstored)?;
        if held < self.config.subscriptions_per_node as usize
            && all < i64::from(self.config.subscriptions)
        {
            return Ok(());
        }
        let error = with(StanzaError::policy_violation(), "too-many-subscriptions");
        Err(error.kind(ErrorKind::Wait).text("You have too many subscriptions here."))
    }

    /// Writes a subscription, and shows it to whoever tells the subscribers next.
    pub(super) async fn keep(
        &self,
        on: &Errand,
        (node, state): (&Node, &State),
        jid: &Jid,
        terms: &Terms,
    ) -> Result<(), StanzaError> {
        let row = Subscription {
            node: state.id,
            owner: node.owner.as_str().to_owned(),
            jid: jid.as_str().to_owned(),
            bare: jid.bare_str().to_owned(),
            subid: terms.subid.to_string(),
            state: terms.status.number(),
            options: terms.options.to_text(),
            expires: terms.ends.number(),
            made: on.hub.clock().wall_millis().cast_signed(),
        };
        self.before_kept(on, (node, state), jid, terms).await?;
        self.write(on, node, Subscriptions::put(&row)).await?;
        if let Some(all) = &mut *node.subscribers.lock() {
            Arc::make_mut(all).put(jid, terms.clone());
        }
        if terms.ends == Ends::WithPresence {
            let (owner, name) = (node.owner.clone(), (*node.name).into());
            let subid = terms.subid.clone();
            self.voice.fleeting.add(Fleet { owner, node: name, jid: jid.clone(), subid });
        }
        self.after_kept(on, (node, state), jid, terms).await;
        Ok(())
    }

    async fn write(
        &self,
        on: &Errand,
        node: &Node,
        statement: Statement,
    ) -> Result<(), StanzaError> {
        let written = on.hub.db().batch(vec![statement]).await;
        if written.is_err() {
            // Nobody knows whether it is there: it is read again.
            node.forget_subscribers();
        }
        written.map(drop).map_err(unstored)
    }

    /// Ends a subscription.
    pub(super) async fn drop_one(
        &self,
        on: &Errand,
        (node, state): (&Node, &State),
        jid: &Jid,
        subid: &str,
    ) -> Result<(), StanzaError> {
        let bare = jid.bare();
        self.unname(on, (node, state), &bare, &[subid]).await?;
        self.write(on, node, Subscriptions::drop(state.id, subid)).await?;
        self.forget_one(node, jid, subid);
        match state.config.access {
            Access::Authorize => self.recheck_list(on, node, &bare).await,
            _ => Ok(()),
        }
    }

    /// Forgets a subscription whose row is gone.
    pub(super) fn forget_one(&self, node: &Node, jid: &Jid, subid: &str) {
        if let Some(all) = &mut *node.subscribers.lock() {
            Arc::make_mut(all).remove(jid, subid);
        }
        self.voice.fleeting.remove(jid, &node.owner, subid);
    }

    /// §6.1.7: what a new subscriber is sent.
    pub(super) async fn welcome(&self, on: &Errand, (node, state): (&Node, &State), jid: &Jid) {
        if state.config.send_last == SendLast::Never {
            return;
        }
        self.send_last(on, (node, state), jid).await;
    }
}

/// §6.1.3.1: "the service MUST return a <bad-request/> error, which SHOULD also include a
/// pubsub-specific error condition of <invalid-jid/>."
fn may_subscribe(on: &Errand, jid: &Jid) -> Result<(), StanzaError> {
    if jid.bare() != on.asker {
        let error = with(StanzaError::bad_request(), "invalid-jid");
        return Err(error.text("You can subscribe your own address only."));
    }
    // §6.1.3.6: "the assigned JID may not be owned by the same principal in a persistent manner".
    if on.from.account.as_ref().is_some_and(|account| account.is_guest()) {
        return Err(StanzaError::forbidden().text("Guests cannot subscribe."));
    }
    Ok(())
}

/// §6.2.3.3, §6.3.4.1: "If the bare JID portions of the JIDs do not match and the requesting entity
/// is not authorized …, the service MUST return a <forbidden/> error."
pub(super) fn is_own(on: &Errand, jid: &Jid) -> Result<(), StanzaError> {
    if jid.bare() == on.asker {
        return Ok(());
    }
    Err(StanzaError::forbidden().text("This is the subscription of somebody else."))
}

/// Which of the subscriptions of one address is meant.
///
/// # Errors
/// §6.3.4.2, §6.3.4.4 and §6.3.4.5.
pub(super) fn choose(
    mut rows: Vec<Subscription>,
    subid: Option<&str>,
) -> Result<Subscription, StanzaError> {
    if rows.is_empty() {
        let error = with(StanzaError::unexpected_request(), "not-subscribed");
        return Err(error.kind(ErrorKind::Modify).text("This address is not subscribed."));
    }
    match subid {
        Some(subid) => rows.into_iter().find(|row| row.subid == subid).ok_or_else(|| {
            let error = with(StanzaError::not_acceptable(), "invalid-subid");
            error.text("There is no such subscription of this address.")
        }),
        // §6.2.3.1: only of several it must be said which is meant.
        None if rows.len() == 1 => Ok(rows.remove(0)),
        None => {
            let error = with(StanzaError::bad_request(), "subid-required");
            Err(error.text("This address has several subscriptions; say which."))
        }
    }
}

pub(super) fn terms_of(row: &Subscription) -> Terms {
    Terms {
        subid: row.subid.as_str().into(),
        status: Status::of(row.state),
        options: Options::from_text(row.options.as_deref()),
        ends: Ends::of(row.expires),
    }
}

pub(super) fn opened() -> String {
    let mut out = String::from("<pubsub");
    write::attribute(&mut out, "xmlns", NS);
    out.push('>');
    out
}

pub(super) fn closed(mut out: String) -> String {
    out.push_str("</pubsub>");
    out
}

/// A `<subscription/>`.
pub(super) fn put(out: &mut String, name: &str, jid: &Jid, terms: &Terms) {
    put_as(out, name, jid, (Some(&*terms.subid), terms.status.name()));
    // §6.1.5: "by returning an IQ-result to the requesting entity with a notation that
    // configuration of subscription options is required."
    if terms.status == Status::Unconfigured {
        out.truncate(out.len() - "/>".len());
        out.push_str("><subscribe-options><required/></subscribe-options></subscription>");
    }
}

pub(super) fn put_as(
    out: &mut String,
    name: &str,
    jid: &Jid,
    (subid, status): (Option<&str>, &str),
) {
    out.push_str("<subscription");
    write::attribute(out, "node", name);
    write::attribute(out, "jid", jid.as_str());
    if let Some(subid) = subid {
        write::attribute(out, "subid", subid);
    }
    write::attribute(out, "subscription", status);
    out.push_str("/>");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(subid: &str) -> Subscription {
        Subscription {
            node: 1,
            owner: "pubsub.localhost".into(),
            jid: "romeo@localhost".into(),
            bare: "romeo@localhost".into(),
            subid: subid.into(),
            state: Status::Subscribed.number(),
            options: None,
            expires: None,
            made: 0,
        }
    }

    #[test]
    fn which_subscription_is_meant() {
        let condition = |rows: &[&str], subid: Option<&str>| {
            let chosen = choose(rows.iter().map(|subid| row(subid)).collect(), subid);
            chosen.map(|row| row.subid).map_err(|error| error.condition)
        };
        assert_eq!(condition(&["a"], None), Ok("a".into()));
        assert_eq!(condition(&["a", "b"], Some("b")), Ok("b".into()));
        assert_eq!(condition(&[], None), Err(Condition::UnexpectedRequest));
        assert_eq!(condition(&["a", "b"], None), Err(Condition::BadRequest));
        assert_eq!(condition(&["a"], Some("b")), Err(Condition::NotAcceptable));
    }
}
