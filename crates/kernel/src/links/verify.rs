//! Asking a domain's own server whether somebody speaks for the domain (XEP-0220 §2.1.2).

use std::pin::Pin;
use std::sync::Arc;

use waxwing_stanza::StanzaError;
use waxwing_stream::{Dialback, Pair, Purpose, Ticket, Verdict};

use crate::connection::part;
use crate::hub::Hub;
use crate::links::Share;
use crate::links::arrivals::Asking;
use crate::links::journey::{Errand, Gained};
use crate::links::ledger::Failure;

/// What an arrival waits for beside its peer.
pub(super) type Inquiry = Pin<Box<dyn Future<Output = Learnt> + Send>>;

/// What was learnt.
pub(super) enum Learnt {
    /// Of a key: what to say, and why where that is no.
    Dialback(Dialback, Verdict, Option<Failure>),
    /// Of a certificate.
    Vouched(Ticket, Arc<str>, Result<(), Arc<str>>),
}

impl Hub {
    /// Asks the server of a domain for the key that somebody gave us who wants to speak for it, by
    /// a connection of its own: an "implementation MAY open a separate connection to the
    /// Authoritative Server for the sole purpose of doing key verification" (§2.1.2).
    pub(super) fn verify(&self, asked: Dialback, asking: Asking) -> Inquiry {
        let hub = self.clone();
        Box::pin(async move {
            let _asking = asking;
            let purpose = Purpose::Verify { id: asked.id.clone(), key: asked.key.clone() };
            let (verdict, failure) = hub.ask_authority(&asked.pair, purpose).await;
            Learnt::Dialback(asked, verdict, failure)
        })
    }

    async fn ask_authority(&self, pair: &Pair, purpose: Purpose) -> (Verdict, Option<Failure>) {
        let Some(_share) = Share::of(self, |links| &links.verifications, |it| it.verifications)
        else {
            let error = StanzaError::resource_constraint();
            return (Verdict::Failed(error.text("Too many keys are being verified.")), None);
        };
        let terms = match self.policy().judge(&pair.from) {
            Ok(terms) => terms,
            Err(_) => {
                let error = StanzaError::policy_violation();
                let error = error.text("This server does not talk with yours.");
                return (Verdict::Failed(error), None);
            }
        };
        // We call: the domain of ours is what the other side wants to write to.
        let call = Pair { from: Arc::clone(&pair.to), to: Arc::clone(&pair.from) };
        match self.reach(Errand { pair: &call, purpose, terms: &terms }).await {
            Ok(reached) => {
                part(self, reached.stream, reached.wire);
                match reached.gained {
                    Gained::Verdict(verdict) => (verdict, None),
                    Gained::Link(_) => (Verdict::Invalid, None),
                }
            }
            // §2.4.2: the conditions of stanza errors, remote-server-not-found among them.
            Err(setback) => (Verdict::Failed(setback.error), Some(setback.failure)),
        }
    }

    /// Asks whether a chain of certificates stands for a domain.
    pub(super) fn vouch(&self, ticket: Ticket, domain: Arc<str>, chain: Vec<Vec<u8>>) -> Inquiry {
        let hub = self.clone();
        Box::pin(async move {
            let verdict = match hub.dialer() {
                Some(dialer) => dialer.judge(chain, Arc::clone(&domain)).await,
                None => Err("Nobody here can judge certificates.".into()),
            };
            Learnt::Vouched(ticket, domain, verdict)
        })
    }
}
