//! What the clients of contacts on other servers want to be told of, learned from the presence that
//! they show to accounts here (XEP-0163 §4.3.2, "appropriate presence information").

use std::collections::HashMap;
use std::sync::Arc;

use waxwing_jid::Jid;
use waxwing_kernel::Hub;
use waxwing_kernel::stage::{Transit, Verdict};
use waxwing_stanza::{Condition, Kind, MessageType, PresenceType, Stanza};

use super::Caps;
use super::learn::{Learned, Learner, Said};

impl Caps {
    /// Presence from elsewhere. Contacts only are learned of: who may see the presence of an
    /// account may be told what it publishes, and nobody else.
    pub(super) fn meet(&self, transit: &mut Transit<'_>) -> Verdict {
        let Some((kind, account)) = kind_of(transit.stanza).zip(transit.to.account.as_ref()) else {
            return Verdict::Pass;
        };
        let (hub, from) = (transit.hub, &transit.from.jid);
        if from.is_bare() || hub.site(from.domain()).is_some() {
            return Verdict::Pass;
        }
        match kind {
            Word::Here => {}
            Word::Gone => {
                hub.outsiders().part(from, account.jid());
                return Verdict::Pass;
            }
            Word::Lost => {
                hub.outsiders().forget(from);
                return Verdict::Pass;
            }
        }
        let Some(site) = hub.site(account.jid().domain()).filter(|site| site.minds_interests())
        else {
            return Verdict::Pass;
        };
        let state = account.fact(self.roster).state(&from.bare());
        if !state.subscription.shows() && !state.subscription.sees() {
            return Verdict::Pass;
        }
        let Some(said) = Said::of(transit.stanza) else { return Verdict::Pass };
        hub.outsiders().meet(from, account.jid(), self.outsiders);
        let (hub, jid) = (hub.clone(), from.clone());
        self.learned.look_outside(Learner { hub, site, account: None, jid }, said);
        Verdict::Pass
    }
}

/// What a stanza says about its sender.
enum Word {
    Here,
    Gone,
    /// It cannot be reached.
    Lost,
}

fn kind_of(stanza: &Stanza) -> Option<Word> {
    match stanza.head.kind {
        Kind::Presence(PresenceType::Available) => Some(Word::Here),
        Kind::Presence(PresenceType::Unavailable) => Some(Word::Gone),
        // RFC 6121 §8.5.3.2.1 and RFC 6120 §8.3.3: nobody is there to take a notification.
        Kind::Message(MessageType::Error) => {
            let is_lost = matches!(
                stanza.error()?.condition,
                Condition::Gone
                    | Condition::ItemNotFound
                    | Condition::RecipientUnavailable
                    | Condition::RemoteServerNotFound
                    | Condition::RemoteServerTimeout
                    | Condition::ServiceUnavailable
            );
            is_lost.then_some(Word::Lost)
        }
        _ => None,
    }
}

/// Sessions elsewhere that are asked at a time, for each domain here, and how many of them those of
/// one account may be: who shows many has few asked, and the others when they say again what they
/// are.
const ASKED: usize = 2_000;
const ASKED_OF_ONE: usize = 16;

/// Takes in what a session has said; true when nobody is looking at it, and somebody may.
fn begins(outside: &mut HashMap<Jid, Said>, jid: &Jid, said: &Said) -> bool {
    if let Some(known) = outside.get_mut(jid) {
        *known = said.clone();
        return false;
    }
    let of_one = outside.keys().filter(|other| other.bare_str() == jid.bare_str());
    let may = outside.len() < ASKED && of_one.take(ASKED_OF_ONE).count() < ASKED_OF_ONE;
    if may {
        outside.insert(jid.clone(), said.clone());
    }
    may
}

impl Learned {
    /// Finds out what a session elsewhere wants to hear of, in a task of its own, unless one is
    /// looking already.
    fn look_outside(self: &Arc<Self>, learner: Learner, said: Said) {
        if !begins(&mut self.outside.lock(), &learner.jid, &said) {
            return;
        }
        let (learned, clock) = (Arc::clone(self), learner.hub.clock().clone());
        clock.spawn(async move { learned.follow_outside(&learner, said).await });
    }

    /// Asks until it knows about what the session has said last.
    async fn follow_outside(&self, learner: &Learner, mut said: Said) {
        let hub: &Hub = &learner.hub;
        loop {
            let found = match self.known(&said) {
                Some(known) => Some(known),
                None => self.find_out(learner, &said).await,
            };
            if let Some(interests) = found {
                hub.interest_outside(&learner.jid, &interests).await;
            }
            let mut outside = self.outside.lock();
            match outside.get(&learner.jid).filter(|now| **now != said).cloned() {
                Some(now) => said = now,
                None => {
                    outside.remove(&learner.jid);
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caps::NS;

    #[test]
    fn so_many_are_asked_at_a_time_and_few_of_one_account() {
        let c = format!("<c xmlns='{NS}' hash='sha-1' node='urn:x' ver='abc='/>");
        let said = Said::of(&Stanza::presence(PresenceType::Available).with(c)).unwrap();
        let mut outside = HashMap::new();
        let mut meet = |text: String| begins(&mut outside, &Jid::new(&text).unwrap(), &said);
        let flood = (0..100).filter(|number| meet(format!("a@b.example/{number}"))).count();
        assert_eq!(flood, ASKED_OF_ONE);
        assert!(!meet("a@b.example/0".to_owned()), "it is asked already");
        assert!(meet("c@b.example/0".to_owned()), "others are asked meanwhile");
        let all = (0..2 * ASKED).filter(|number| meet(format!("d{number}@b.example/x"))).count();
        assert_eq!(all, ASKED - ASKED_OF_ONE - 1);
    }
}
