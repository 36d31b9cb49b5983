//! Two accounts that become contacts without asking each other, because both have agreed already:
//! one by inviting, the other by taking up the invitation.

use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_stanza::{PresenceType, Stanza, StanzaError};

use crate::account::Account;
use crate::hub::Hub;
use crate::presence::rules::Subscription;
use crate::request::{Signal, unstored};
use crate::roster::Contact;
use crate::site::Site;
use crate::stage::{Effects, Party};

impl Hub {
    /// Puts each of two accounts of `site` into the other's roster with a subscription both ways,
    /// tells their clients, and shows each the presence of the other. An address without an account
    /// is left out.
    ///
    /// # Errors
    /// What the store says, or `resource-constraint` when a roster is full. The first roster may be
    /// changed by then.
    pub async fn befriend(
        &self,
        site: &Arc<Site>,
        one: &BareJid,
        other: &BareJid,
    ) -> Result<(), StanzaError> {
        let mut accounts = Vec::with_capacity(2);
        for (owner, contact) in [(one, other), (other, one)] {
            let account = self.account(owner).await.map_err(|error| unstored(&error))?;
            if let Some(account) = account {
                self.take_in(site, &account, contact).await?;
                accounts.push((account, contact));
            }
        }
        let mut effects = Effects::default();
        for (account, contact) in &accounts {
            self.show_presence(account, contact, &mut effects).await;
            self.signal_contact((site, account), Signal::Shared, contact, &mut effects).await;
        }
        self.perform(effects).await;
        Ok(())
    }

    /// Sends a subscription stanza for an account, as one of its clients would: for what its owner
    /// has agreed to beforehand.
    pub async fn speak_for(
        &self,
        site: &Arc<Site>,
        account: &Arc<Account>,
        kind: PresenceType,
        contact: &BareJid,
        effects: &mut Effects,
    ) {
        let from = Party::new(account.jid().to_jid(), Some(Arc::clone(account)));
        let stanza = Stanza::presence(kind).to(contact.to_jid());
        Box::pin(self.send_subscription(site, &from, kind, stanza, effects)).await;
    }

    /// Makes `contact` a contact of one account, as far as it is not one.
    async fn take_in(
        &self,
        site: &Site,
        account: &Account,
        contact: &BareJid,
    ) -> Result<(), StanzaError> {
        let turn = account.turn().await;
        let roster = turn.fact(site.roster);
        let known = roster.contact(contact).cloned();
        if known.as_ref().is_some_and(|known| known.subscription == Subscription::Both) {
            return Ok(());
        }
        let entry = Contact {
            subscription: Subscription::Both,
            is_asking: false,
            is_approved: false,
            ..known.unwrap_or_else(|| Contact::new(contact.clone()))
        };
        let (mut item, mut effects) = (String::new(), Effects::default());
        entry.write(&mut item);
        let mut draft = roster.draft(account.jid(), self.next_id());
        draft.settle(contact);
        self.push_roster(site, account.jid(), draft.version(), &item, &mut effects);
        draft.put(entry, &self.limits())?;
        let (roster, writes) = draft.finish();
        self.db().batch(writes).await.map_err(|error| unstored(&error))?;
        turn.publish(site.roster, roster);
        self.hand_over(effects.deliveries).await;
        Ok(())
    }
}
