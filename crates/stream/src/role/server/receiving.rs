//! Dialback on a stream that came in: we are the receiving server (XEP-0220 §2.2.1).

use std::time::Instant;

use waxwing_stanza::StanzaError;
use waxwing_xml::Element;

use crate::chassis::Chassis;
use crate::error::StreamError;
use crate::event::Event;
use crate::role::server::incoming::{Incoming, unsolicited};
use crate::role::server::key::{Writing, as_stanza_error, in_clear};
use crate::role::server::link::linked;
use crate::role::server::{By, Dialback, End, Pair, Step, Verdict, Way};

/// Keys longer than this are nobody's: those of XEP-0185 have 64 characters.
const KEY_BYTES: usize = 512;

impl Incoming {
    /// `<db:result/>`: the peer asks to be let in. "The Receiving Server MUST continue to accept
    /// and process stanzas for already verified domain pairs", so nothing waits for the answer.
    pub(super) fn result(&mut self, io: &mut Chassis, now: Instant, element: &Element) -> Step {
        if element.attribute("type").is_some() {
            return Err(unsolicited().into());
        }
        let pair = Pair::read(element).ok_or_else(StreamError::improper_addressing)?;
        if self.link.has(Way::In, &pair.from, &pair.to) {
            say(io, &pair, &Verdict::Valid);
            return Ok(());
        }
        if self.verifying.iter().any(|asked| asked.pair == pair) {
            return Ok(()); // one answer will do for both
        }
        let key = element.text().trim().to_owned();
        match self.consider(io, &pair, &key) {
            Err(error) => return self.refuse(io, &pair, error),
            Ok(()) if self.is_vouched(&pair.from) => self.admit(io, now, &pair, By::Certificate),
            Ok(()) => {
                let asked = Dialback { pair, id: self.id.clone(), key };
                self.verifying.push(asked.clone());
                io.events.push_back(Event::Dialback(asked));
            }
        }
        Ok(())
    }

    /// What stands against verifying a key (§2.5).
    fn consider(&self, io: &Chassis, pair: &Pair, key: &str) -> Result<(), StanzaError> {
        let border =
            io.hosts.border(&pair.to, Some(&pair.from)).map_err(|error| as_stanza_error(&error))?;
        if let Some(error) = in_clear(io, border.demand) {
            return Err(error);
        }
        let is_vouched = self.is_vouched(&pair.from);
        if !is_vouched && (border.demand.certificate_required || !border.demand.dialback_allowed) {
            let text = "this server wants a certificate for that domain";
            return Err(StanzaError::not_authorized().text(text));
        }
        if key.is_empty() || key.len() > KEY_BYTES {
            return Err(StanzaError::not_acceptable().text("this is no dialback key"));
        }
        let is_busy = self.verifying.len() >= io.limits().server_dialbacks;
        if is_busy || self.link.is_full(io) {
            let text = "this stream stands for too many domains";
            return Err(StanzaError::resource_constraint().text(text));
        }
        Ok(())
    }

    /// What the driver has found out. What nobody waits for "SHOULD be dropped silently" (§2.1.2):
    /// also what was asked before TLS, or before a certificate was shown. The stream of that id is
    /// over, and the pair may have another key by now.
    pub(super) fn verified(
        &mut self,
        io: &mut Chassis,
        now: Instant,
        asked: &Dialback,
        verdict: &Verdict,
    ) -> Step {
        let Some(at) = self.verifying.iter().position(|open| open == asked) else { return Ok(()) };
        let Dialback { pair, .. } = &self.verifying.swap_remove(at);
        match verdict {
            Verdict::Valid => self.admit(io, now, pair, By::Dialback),
            // "If no other valid domain pairs exist for this connection … the Receiving Server
            // SHOULD send a result with type "invalid" and MUST close the XML stream." Otherwise
            // it may "return an error condition of <forbidden/>".
            Verdict::Invalid if !self.link.is_proven() => {
                say(io, pair, verdict);
                return Err(End::Closed);
            }
            Verdict::Invalid => {
                let text = "the authoritative server does not know this key";
                return self.refuse(io, pair, StanzaError::forbidden().text(text));
            }
            Verdict::Failed(error) => return self.refuse(io, pair, error.clone()),
        }
        Ok(())
    }

    /// Each key may cost a question to DNS, a call and a line in the log, so a stream on which one
    /// after the other comes to nothing ends; later if it stands for somebody.
    fn refuse(&mut self, io: &mut Chassis, pair: &Pair, error: StanzaError) -> Step {
        say(io, pair, &Verdict::Failed(error));
        self.vain += 1;
        let patience = if self.link.is_proven() { 4 } else { 1 };
        if self.vain > patience * io.limits().server_dialbacks {
            let text = "too many domains that could not be verified";
            return Err(StreamError::policy_violation().text(text).into());
        }
        Ok(())
    }

    fn admit(&mut self, io: &mut Chassis, now: Instant, pair: &Pair, by: By) {
        say(io, pair, &Verdict::Valid);
        self.vain = 0;
        // Who says no name in its header is who it proves to be first.
        let peer = self.peer.get_or_insert_with(|| pair.from.clone());
        io.server.get_or_insert_with(|| peer.clone());
        self.link.prove(io, now, linked(&pair.from, &pair.to, Way::In, by), by);
    }
}

/// The answer goes from the target back to the sender.
fn say(io: &mut Chassis, pair: &Pair, verdict: &Verdict) {
    Writing { name: "result", pair: &pair.reversed(), id: None }.verdict(io, verdict);
}
