//! Presence probes: a server asks for an account's presence on behalf of one of its users
//! (RFC 6121 §4.3).

use std::sync::Arc;

use waxwing_jid::Jid;
use waxwing_stanza::{PresenceType, Stanza};

use crate::hub::Hub;
use crate::site::Site;
use crate::stage::{Effects, Party};

impl Hub {
    /// Answers a probe (§4.3.2).
    pub(crate) async fn receive_probe(
        &self,
        site: &Arc<Site>,
        from: &Party,
        to: &Party,
        effects: &mut Effects,
    ) {
        let Some(account) = &to.account else { return };
        let (owner, prober) = (account.jid(), from.jid.bare());
        let state = account.fact(site.roster).state(&prober);
        if prober != *owner && !state.subscription.shows() {
            return self.deny_probe(&to.jid, from, effects).await;
        }
        for answer in self.presences(&to.jid) {
            let answer = answer.to(from.jid.clone());
            self.arrive_boxed(to, answer, effects).await;
        }
    }

    /// §4.3.2: "If the contact account does not exist or the user's bare JID is in the contact's
    /// roster with a subscription state other than "From", "From + Pending Out", or "Both" …, then
    /// the contact's server SHOULD return a presence stanza of type "unsubscribed"". The same
    /// answer for both tells nobody who exists.
    pub(crate) async fn deny_probe(&self, to: &Jid, from: &Party, effects: &mut Effects) {
        let denial = Stanza::presence(PresenceType::Unsubscribed).from(to.bare());
        let denial = denial.to(from.jid.bare());
        let sender = Party::new(to.bare().to_jid(), None);
        self.arrive_boxed(&sender, denial, effects).await;
    }

    /// What somebody who may know is told about the presence of `of`.
    fn presences(&self, of: &Jid) -> Vec<Stanza> {
        let gone = || Stanza::presence(PresenceType::Unavailable).from(of.clone());
        if !of.is_bare() {
            // Of a full address only whether that resource is available is told, nothing more and
            // of no other resource.
            let session = self.directory().session(of);
            return match session.filter(|session| session.is_available()) {
                Some(_) => vec![Stanza::presence(PresenceType::Available).from(of.clone())],
                None => vec![gone()],
            };
        }
        // Of a bare address, "the full XML of the last presence stanza with no 'to' attribute
        // received by the server" from each available resource.
        let sessions = self.directory().sessions(&of.bare());
        let presences: Vec<_> =
            sessions.into_iter().filter_map(|session| session.presence).collect();
        // Without any, the account itself is unavailable; when it was last seen is not said.
        if presences.is_empty() { vec![gone()] } else { presences }
    }
}
