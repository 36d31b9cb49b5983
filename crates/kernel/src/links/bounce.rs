//! What cannot be sent to another server goes back to its senders.

use waxwing_stanza::{Kind, PresenceType, Stanza, StanzaError};
use waxwing_store::Statement;
use waxwing_store::domains::outgoing::Outgoing;
use waxwing_stream::Tag;

use crate::hub::Hub;
use crate::mailbox::Delivery;
use crate::stage::{Effects, Party};

/// Stanzas that go back to their senders at a time.
pub(super) const BOUNCE: usize = 64;

/// Whether a stanza that may have arrived is sent again: twice is better than never for what
/// somebody says or answers, and worse for what somebody wants done.
pub(super) fn may_be_sent_again(stanza: &Stanza) -> bool {
    !stanza.is_request()
}

impl Hub {
    /// Sends stanzas for other servers back to their senders, with `error`, and forgets what was
    /// kept of them.
    pub(super) async fn bounce(&self, deliveries: Vec<Delivery>, error: &StanzaError) {
        let mut effects = Effects::default();
        for Delivery { stanza, tag } in deliveries {
            let Some(from) = stanza.head.from.clone() else { continue };
            self.refuse_crossing(
                &Party::new(from.clone(), None),
                (&stanza, tag),
                error,
                &mut effects,
            );
            // A room hears what became of its word as it hears everything.
            if let Some(answer) = effects.returned.take() {
                Box::pin(self.bring_back(&from, *answer)).await;
            }
        }
        Box::pin(self.perform(effects)).await;
    }

    /// Tells the sender of a stanza for another server that it does not arrive, and forgets what
    /// was kept of it.
    pub(super) fn refuse_crossing(
        &self,
        from: &Party,
        (stanza, tag): (&Stanza, Tag),
        error: &StanzaError,
        effects: &mut Effects,
    ) {
        if let Some(row) = row_of(tag) {
            effects.remember(row);
        }
        match stanza.head.kind {
            Kind::Presence(kind) if is_missed(kind, stanza) => {
                self.refuse_presence(from, stanza, error, effects);
            }
            _ => self.refuse(from, stanza, error, effects),
        }
    }
}

/// The statement that forgets what was kept under this tag.
fn row_of(tag: Tag) -> Option<Statement> {
    (tag != Tag(0)).then(|| Outgoing::remove(tag.0.cast_signed()))
}

/// Whether the sender of a presence wants to know that it does not arrive: who asks to see
/// somebody, who enters a room, and a room with somebody in it, whose addresses are full ones. Who
/// merely says to contacts that it is here does not.
fn is_missed(kind: PresenceType, stanza: &Stanza) -> bool {
    let is_full = || stanza.head.to.as_ref().is_some_and(|to| to.resource().is_some());
    match kind {
        PresenceType::Error => false,
        PresenceType::Available | PresenceType::Unavailable => is_full(),
        _ => kind.is_subscription(),
    }
}

/// Whether a message of a sender whom we owe that must not be lost: it is written down before it
/// counts. Errors and headlines are soon stale, and what says so is not written down (XEP-0334).
pub(super) fn is_kept(stanza: &Stanza) -> bool {
    use waxwing_stanza::MessageType::{Chat, Groupchat, Normal};
    matches!(stanza.head.kind, Kind::Message(Normal | Chat | Groupchat))
        && !stanza.body.has("no-store", HINTS)
        && (stanza.body.has("store", HINTS)
            || stanza.body.children().any(|child| {
                let is_thread = child.is("thread", waxwing_stanza::CLIENT);
                !is_thread && !FLEETING.contains(&child.namespace())
            }))
}

const HINTS: &str = "urn:xmpp:hints";

/// Namespaces of what means nothing on its own, or nothing later.
const FLEETING: [&str; 4] =
    ["http://jabber.org/protocol/chatstates", HINTS, "urn:xmpp:sid:0", "urn:xmpp:carbons:2"];

#[cfg(test)]
mod tests {
    use waxwing_stanza::IqType;

    use super::*;

    fn stanza(xml: &str) -> Stanza {
        Stanza::parse(xml).unwrap()
    }

    #[test]
    fn what_somebody_wants_done_is_not_done_twice() {
        for (xml, is_again) in [
            ("<message to='a@b' xmlns='jabber:client'><body>x</body></message>", true),
            ("<presence to='a@b' xmlns='jabber:client'/>", true),
            ("<iq type='result' id='1' to='a@b' xmlns='jabber:client'/>", true),
            ("<iq type='set' id='1' to='a@b' xmlns='jabber:client'><x xmlns='y'/></iq>", false),
        ] {
            assert_eq!(may_be_sent_again(&stanza(xml)), is_again, "{xml}");
        }
        let iq = Stanza::iq(IqType::Get);
        assert!(!may_be_sent_again(&iq));
    }

    #[test]
    fn who_enters_a_room_hears_that_it_cannot_be_reached_and_who_greets_contacts_does_not() {
        for (xml, is_told) in [
            ("<presence to='room@b/nick' xmlns='jabber:client'/>", true),
            ("<presence to='room@b/nick' type='unavailable' xmlns='jabber:client'/>", true),
            ("<presence to='a@b' xmlns='jabber:client'/>", false),
            ("<presence to='a@b' type='subscribe' xmlns='jabber:client'/>", true),
            ("<presence to='a@b' type='probe' xmlns='jabber:client'/>", false),
            ("<presence to='a@b/c' type='error' xmlns='jabber:client'/>", false),
        ] {
            let stanza = stanza(xml);
            let Kind::Presence(kind) = stanza.head.kind else { panic!("{xml}") };
            assert_eq!(is_missed(kind, &stanza), is_told, "{xml}");
        }
    }

    #[test]
    fn what_is_said_is_kept_and_what_is_stale_at_once_is_not() {
        for (body, is_it) in [
            ("<body>hello</body>", true),
            ("<composing xmlns='http://jabber.org/protocol/chatstates'/><thread>1</thread>", false),
            ("<body>x</body><no-store xmlns='urn:xmpp:hints'/>", false),
            ("<store xmlns='urn:xmpp:hints'/>", true),
        ] {
            for (kind, may) in [("chat", true), ("groupchat", true), ("headline", false)] {
                let xml = format!("<message type='{kind}' xmlns='jabber:client'>{body}</message>");
                assert_eq!(is_kept(&stanza(&xml)), is_it && may, "{xml}");
            }
        }
    }
}
