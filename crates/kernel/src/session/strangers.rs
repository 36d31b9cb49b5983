//! Who may ask a resource something (RFC 6121 §8.5.3.1).

use waxwing_jid::Jid;
use waxwing_stanza::{IqType, Kind, Stanza, StanzaError};

use crate::session::Session;
use crate::stage::Effects;

impl Session {
    /// Whether `stanza` is a question whose answer would tell a stranger that this resource is
    /// here: "if the intended recipient does not share presence with the requesting entity either
    /// by means of a presence subscription of type "both" or "from" or by means of directed
    /// presence, then the server SHOULD NOT deliver the IQ stanza".
    pub(super) fn is_prying(&self, stanza: &Stanza) -> bool {
        let Kind::Iq(IqType::Get | IqType::Set) = stanza.head.kind else { return false };
        let is_get = stanza.head.kind == Kind::Iq(IqType::Get);
        let asker = stanza.head.from.as_ref();
        asker.is_some_and(|from| {
            !(self.shares_presence_with(from) || is_get && self.is_shown_at(from))
        })
    }

    /// Whether this is the server of somebody who is shown the presence of this session: it asks
    /// what the client wants to hear of (XEP-0060 §9.2, XEP-0115 §6.2).
    fn is_shown_at(&self, asker: &Jid) -> bool {
        let Some(site) = self.site().filter(|_| asker.local().is_none()) else { return false };
        let domain = asker.domain();
        self.directed.iter().any(|told| told.domain() == domain)
            || self
                .account
                .fact(site.roster)
                .contacts()
                .any(|contact| contact.subscription.shows() && contact.jid.domain() == domain)
    }

    fn shares_presence_with(&self, asker: &Jid) -> bool {
        let Some(site) = self.site() else { return false };
        let is_own = asker.bare_str() == self.jid.bare_str();
        // The server itself and its services know who is here.
        let is_server = || {
            let domain = asker.domain();
            asker.local().is_none()
                && (self.hub.site(domain).is_some() || self.hub.service(domain).is_some())
        };
        let is_contact = || {
            let roster = self.account.fact(site.roster);
            roster.contact(&asker.bare()).is_some_and(|contact| contact.subscription.shows())
        };
        // Who got directed presence may be an occupant of a room, and the others in it see it too.
        let is_told = || self.directed.iter().any(|told| told.bare_str() == asker.bare_str());
        is_own || is_server() || is_contact() || is_told()
    }

    /// Answers `question` as if this resource were not here: "but instead SHOULD return a
    /// <service-unavailable/> stanza error to the requesting entity".
    pub(super) fn turn_away(&self, question: &Stanza) {
        let Some(reply) = question.error_reply(&StanzaError::service_unavailable()) else { return };
        let (hub, party) = (self.hub.clone(), self.party());
        self.hub.clock().spawn(async move {
            let mut effects = Effects::default();
            hub.arrive(&party, reply, &mut effects).await;
            hub.perform(effects).await;
        });
    }
}
