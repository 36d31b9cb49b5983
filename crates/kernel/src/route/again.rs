//! What happens once a stanza was judged: it is stored and handed over, and finds another way when
//! a session cannot take it or never confirms it.

use std::collections::HashSet;

use waxwing_jid::Jid;
use waxwing_stanza::{IqType, Kind, MessageType, Stanza};
use waxwing_store::{Statement, StoreError};
use waxwing_stream::Tag;

use crate::directory::Resource;
use crate::hub::Hub;
use crate::mailbox::{Delivery, Mail, Mailbox};
use crate::request::unstored;
use crate::route::targets::{self, Landing};
use crate::router::Released;
use crate::stage::{Effects, Party};

impl Hub {
    /// Performs `effects` on behalf of nobody in particular, and waits until it is done.
    /// What could not be stored is logged and not delivered.
    pub async fn perform(&self, effects: Effects) {
        let Effects { mut appends, records, asides, deliveries, spooled, tickets, .. } = effects;
        self.write_aside(asides);
        appends.extend(records);
        if !appends.is_empty()
            && let Err(error) = self.db().batch(appends).await
        {
            tracing::error!(%error, "stanzas of the server itself could not be stored");
            return self.abandon(&deliveries, &spooled).await;
        }
        drop(tickets);
        self.hand_over(deliveries).await;
        self.look_again(spooled).await;
    }

    /// Queues what nothing hangs on. Whether it was written is asked by nobody.
    pub(crate) fn write_aside(&self, asides: Vec<Statement>) {
        if !asides.is_empty() {
            drop(self.db().submit(asides));
        }
    }

    /// What was kept because nobody was there is durable now. A session that has become available
    /// since may have looked into the spool too early to see it.
    pub(crate) async fn look_again(&self, spooled: Vec<Delivery>) {
        for Delivery { stanza, tag } in spooled {
            self.hand_kept(stanza, tag).await;
        }
    }

    /// Hands a kept stanza that nobody has claimed to the sessions that may have it now.
    async fn hand_kept(&self, stanza: Stanza, tag: Tag) {
        let Some(to) = stanza.head.to.clone() else { return };
        let mut sessions = self.directory().sessions(&to.bare());
        sessions.retain(|session| session.mailbox.is_open());
        let Landing::Sessions(targets) = targets::of(stanza.head.kind, &to, sessions) else {
            return;
        };
        let Some(site) = self.site(to.domain()) else { return };
        let (Some(spool), Ok(Some(account))) =
            (site.router.spool(), self.account(&to.bare()).await)
        else {
            return;
        };
        if spool.claim(&account, tag, targets.len()) {
            let to_all = targets.into_iter();
            let deliver =
                |target: Resource| (target.mailbox, Delivery { stanza: stanza.clone(), tag });
            Box::pin(self.hand_over(to_all.map(deliver).collect())).await;
        }
    }

    /// Puts deliveries into mailboxes. What a mailbox does not take finds another way.
    pub(crate) async fn hand_over(&self, deliveries: Vec<(Mailbox, Delivery)>) {
        let mut stranded = Vec::new();
        for (mailbox, delivery) in deliveries {
            if let Err(Mail::Deliver(delivery)) = mailbox.send(Mail::Deliver(delivery)) {
                stranded.push((mailbox, delivery));
            }
        }
        for (mailbox, delivery) in stranded {
            Box::pin(self.redeliver(vec![delivery], &mailbox)).await;
        }
    }

    /// Finds another way for stanzas that their session could not take or did not confirm: other
    /// sessions, the spool, or an error to their senders (XEP-0198 §4). `not_to` is the session
    /// that had them. All that are written go into one commit.
    pub(crate) async fn redeliver(&self, deliveries: Vec<Delivery>, not_to: &Mailbox) {
        let (mut effects, mut kept) = (Effects::default(), Vec::new());
        for delivery in deliveries {
            let from = delivery.stanza.head.from.clone();
            kept.extend(self.find_way(delivery, not_to, &mut effects).await);
            // A room hears what became of its word.
            if let (Some(answer), Some(from)) = (effects.returned.take(), from) {
                Box::pin(self.bring_back(&from, *answer)).await;
            }
        }
        let appends = std::mem::take(&mut effects.appends);
        if !appends.is_empty()
            && let Err(error) = self.db().batch(appends).await
        {
            self.give_back(&mut effects, &error).await;
        }
        Box::pin(self.perform(effects)).await;
        Box::pin(self.look_again(kept)).await;
    }

    /// What was to be kept and could not be goes back to its senders as an error; what needs no
    /// storage stays among the `effects`.
    async fn give_back(&self, effects: &mut Effects, error: &StoreError) {
        let (kept, others): (Vec<_>, Vec<_>) = std::mem::take(&mut effects.deliveries)
            .into_iter()
            .partition(|(_, delivery)| delivery.tag != Tag(0));
        let spooled = std::mem::take(&mut effects.spooled);
        effects.deliveries = others;
        self.abandon(&kept, &spooled).await;
        let (error, mut told) = (unstored(error), HashSet::new());
        for Delivery { stanza, tag } in kept.iter().map(|(_, delivery)| delivery).chain(&spooled) {
            if let Some(from) = stanza.head.from.clone().filter(|_| told.insert(tag.0)) {
                self.refuse(&Party::new(from, None), stanza, &error, effects);
            }
        }
    }

    /// Gives the delivery back when it stands in the spool already: whoever is there or comes next
    /// gets it from there.
    async fn find_way(
        &self,
        delivery: Delivery,
        not_to: &Mailbox,
        effects: &mut Effects,
    ) -> Option<Delivery> {
        let Delivery { stanza, tag } = &delivery;
        if let Some(to) = &stanza.head.to
            && self.is_elsewhere(to.domain())
        {
            self.find_way_to_remote(delivery, not_to, effects);
            return None;
        }
        let to = stanza.head.to.clone().filter(|to| finds_another_way(stanza, to))?;
        if let Some(found) = self.components().find(to.domain()) {
            self.find_way_to_component(delivery, found, not_to, effects);
            return None;
        }
        let site = self.site(to.domain())?;
        let account = self.account(&to.bare()).await.ok()??;
        if *tag != Tag(0)
            && let Some(spool) = site.router.spool()
        {
            match spool.release(&account, *tag) {
                Released::Elsewhere => return None,
                Released::Waits => return Some(delivery),
                Released::Nowhere => {}
            }
        }
        let from = stanza.head.from.clone().unwrap_or_else(|| account.jid().to_jid());
        let (from, to) = (Party::new(from, None), Party::new(to, Some(account)));
        self.land(&site, &from, &to, delivery.stanza, Some(not_to), effects);
        None
    }

    /// Forgets stanzas that were to be kept and could not be written.
    pub(crate) async fn abandon(&self, deliveries: &[(Mailbox, Delivery)], spooled: &[Delivery]) {
        let all = deliveries.iter().map(|(_, delivery)| delivery).chain(spooled);
        for Delivery { stanza, tag } in all.filter(|delivery| delivery.tag != Tag(0)) {
            let Some(to) = &stanza.head.to else { continue };
            let Some(site) = self.site(to.domain()) else { continue };
            if let (Some(spool), Ok(Some(account))) =
                (site.router.spool(), self.account(&to.bare()).await)
            {
                spool.abandon(&account, *tag);
            }
        }
    }
}

/// Whether a stanza that a session did not take concerns anybody else. What an account tells one of
/// its own sessions – copies of messages, pushes – does not, and headlines are soon stale.
fn finds_another_way(stanza: &Stanza, to: &Jid) -> bool {
    let is_told = stanza.head.from.as_ref().is_none_or(|from| from.as_str() == to.bare_str());
    !is_told
        && match stanza.head.kind {
            Kind::Message(kind) => !matches!(kind, MessageType::Error | MessageType::Headline),
            Kind::Iq(kind) => matches!(kind, IqType::Get | IqType::Set),
            Kind::Presence(_) => false,
        }
}
