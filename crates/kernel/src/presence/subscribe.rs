//! Subscriptions on their way: out of an account (RFC 6121 Appendix A.2) and into one (A.3).

use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_stanza::{PresenceType, Stanza, StanzaError};

use crate::account::Account;
use crate::hub::Hub;
use crate::presence::rules::{self, Ruling, State};
use crate::request::{Happening, Signal, unstored};
use crate::roster::{Contact, Draft};
use crate::route::Outcome;
use crate::site::Site;
use crate::stage::{Effects, Party};

/// One stanza that changes what stands between an account and a contact.
struct Step<'a> {
    site: &'a Site,
    account: &'a Account,
    contact: &'a BareJid,
    kind: PresenceType,
    stanza: &'a Stanza,
    is_inbound: bool,
}

/// What became of it.
struct Taken {
    before: State,
    ruling: Ruling,
}

impl Taken {
    /// Whether the contact may see the account's presence from now on.
    fn begins_to_show(&self) -> bool {
        self.ruling.state.subscription.shows() && !self.before.subscription.shows()
    }

    /// Whether the contact saw the account's presence until now.
    fn ceases_to_show(&self) -> bool {
        self.before.subscription.shows() && !self.ruling.state.subscription.shows()
    }
}

impl Hub {
    /// A subscription stanza that a session sends (§3.1.2, §3.1.5, §3.2.2, §3.3.2, §3.4.2).
    pub(crate) async fn send_subscription(
        &self,
        site: &Arc<Site>,
        from: &Party,
        kind: PresenceType,
        mut stanza: Stanza,
        effects: &mut Effects,
    ) {
        let (Some(account), Some(to)) = (&from.account, stanza.head.to.clone()) else { return };
        let (owner, contact) = (account.jid(), to.bare());
        // §3: "the server MUST stamp the outgoing presence stanza with the bare JID
        // <localpart@domainpart> of the sending entity, not the full JID". A resource of the
        // contact plays no part either.
        stanza.head.from = Some(owner.to_jid());
        stanza.head.to = Some(contact.to_jid());
        if contact == *owner {
            let error = StanzaError::not_allowed().text("You always see your own presence.");
            return self.refuse_presence(from, &stanza, &error, effects);
        }
        let to = Party::new(contact.to_jid(), None);
        if let Outcome::Stop = self.leave(site, from, &to, &mut stanza, effects) {
            return;
        }
        let step =
            Step { site, account, contact: &contact, kind, stanza: &stanza, is_inbound: false };
        let taken = match self.take(&step).await {
            Ok(taken) => taken,
            Err(error) => return self.refuse_presence(from, &stanza, &error, effects),
        };
        if taken.ruling.passes {
            let sender = Party { jid: owner.to_jid(), ..from.clone() };
            self.arrive_boxed(&sender, stanza, effects).await;
        }
        self.follow((site, account), &contact, &taken, effects).await;
    }

    /// A subscription stanza that reaches an account (§3.1.3, §3.1.6, §3.2.3, §3.3.3).
    pub(crate) async fn receive_subscription(
        &self,
        site: &Arc<Site>,
        from: &Party,
        to: &Party,
        kind: PresenceType,
        mut stanza: Stanza,
        effects: &mut Effects,
    ) {
        let Some(account) = &to.account else { return };
        let (owner, contact) = (account.jid(), from.jid.bare());
        // §8.5.3.2.2: for the full address of no resource a request is the account's, and for the
        // other three "the server MUST ignore the stanza".
        let is_astray = !to.jid.is_bare() && self.directory().session(&to.jid).is_none();
        if contact == *owner || (is_astray && kind != PresenceType::Subscribe) {
            return;
        }
        stanza.head.from = Some(contact.to_jid());
        stanza.head.to = Some(owner.to_jid());
        if kind == PresenceType::Subscribe {
            let happening = || Happening {
                hub: self.clone(),
                site: Arc::clone(site),
                party: from.clone(),
                account: Arc::clone(account),
                presence: Some(stanza.clone()),
            };
            effects.merge(site.router.signal(Signal::Asked, happening).await);
        }
        let step =
            Step { site, account, contact: &contact, kind, stanza: &stanza, is_inbound: true };
        let taken = match self.take(&step).await {
            Ok(taken) => taken,
            Err(error) => return self.refuse_presence(from, &stanza, &error, effects),
        };
        if let Some(reply) = taken.ruling.reply {
            let reply = Stanza::presence(reply).from(owner.to_jid()).to(contact.to_jid());
            let sender = Party::new(owner.to_jid(), Some(Arc::clone(account)));
            self.arrive_boxed(&sender, reply, effects).await;
        }
        self.follow((site, account), &contact, &taken, effects).await;
    }

    /// Takes one account's turn for one step. Nobody sees anything before it is durable; what its
    /// own sessions are told leaves within the turn, so that it is told in the order it happened.
    async fn take(&self, step: &Step<'_>) -> Result<Taken, StanzaError> {
        let Step { site, account, contact, kind, stanza, is_inbound } = *step;
        let turn = account.turn().await;
        let roster = turn.fact(site.roster);
        let before = roster.state(contact);
        let rule = if is_inbound { rules::inbound } else { rules::outbound };
        let ruling = rule(before, kind);
        if ruling.state == before {
            return Ok(Taken { before, ruling });
        }
        let mut draft = roster.draft(account.jid(), self.next_id());
        self.note_request(&mut draft, step, before.is_asked, ruling.state.is_asked)?;
        let mut effects = Effects::default();
        if is_inbound && ruling.passes {
            self.deliver_subscription(step, &mut effects);
        }
        if (State { is_asked: ruling.state.is_asked, ..before }) != ruling.state {
            let known = roster.contact(contact).cloned();
            let contact = Contact {
                subscription: ruling.state.subscription,
                is_asking: ruling.state.is_asking,
                is_approved: ruling.state.is_approved,
                ..known.unwrap_or_else(|| Contact::new(contact.clone()))
            };
            let mut item = String::new();
            contact.write(&mut item);
            self.push_roster(site, account.jid(), draft.version(), &item, &mut effects);
            draft.put(contact, &self.limits())?;
        }
        let (roster, writes) = draft.finish();
        self.db().batch(writes).await.map_err(|error| unstored(&error))?;
        turn.publish(site.roster, roster);
        self.hand_over(effects.deliveries).await;
        tracing::debug!(account = %account.jid(), ?kind, from = ?stanza.head.from, "subscription");
        Ok(Taken { before, ruling })
    }

    /// A request that waits makes nobody a contact: A.1, "None + Pending In".
    fn note_request(
        &self,
        draft: &mut Draft,
        step: &Step<'_>,
        was_asked: bool,
        is_asked: bool,
    ) -> Result<(), StanzaError> {
        match (was_asked, is_asked) {
            (false, true) => draft.keep(step.contact, step.stanza, &self.limits()),
            (true, false) => {
                draft.settle(step.contact);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// §3.1.3: a request goes to all available resources; §3.1.6, §3.2.3, §3.3.3: the others go to
    /// all interested resources.
    fn deliver_subscription(&self, step: &Step<'_>, effects: &mut Effects) {
        for session in self.directory().sessions(step.account.jid()) {
            let is_meant = match step.kind {
                PresenceType::Subscribe => session.is_available(),
                _ => session.flags.has(step.site.interested),
            };
            if is_meant {
                effects.deliver(&session.mailbox, step.stanza.clone());
            }
        }
    }

    /// What the contact sees of the account from now on.
    async fn follow(
        &self,
        (site, account): (&Arc<Site>, &Arc<Account>),
        contact: &BareJid,
        taken: &Taken,
        effects: &mut Effects,
    ) {
        if taken.begins_to_show() || taken.ruling.reply.is_some() {
            self.show_presence(account, contact, effects).await;
        } else if taken.ceases_to_show() {
            self.hide_presence(account, contact, effects).await;
        }
        if taken.begins_to_show() {
            self.signal_contact((site, account), Signal::Shared, contact, effects).await;
        } else if taken.ceases_to_show() {
            self.signal_contact((site, account), Signal::Withheld, contact, effects).await;
        }
    }

    /// Tells those who want to know that what stands between an account and a contact has changed:
    /// [`Signal::Shared`], [`Signal::Withheld`] or [`Signal::Regrouped`]. Call it when the change
    /// is shown.
    pub async fn signal_contact(
        &self,
        (site, account): (&Arc<Site>, &Arc<Account>),
        signal: Signal,
        contact: &BareJid,
        effects: &mut Effects,
    ) {
        let happening = || Happening {
            hub: self.clone(),
            site: Arc::clone(site),
            party: Party::new(contact.to_jid(), None),
            account: Arc::clone(account),
            presence: None,
        };
        effects.merge(Box::pin(site.router.signal(signal, happening)).await);
    }
}
