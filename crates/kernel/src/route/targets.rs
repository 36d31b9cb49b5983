//! RFC 6121 §8.5: which sessions of an account get a stanza. A pure function, tested row by row.

use waxwing_jid::Jid;
use waxwing_stanza::{IqType, Kind, MessageType, PresenceType, StanzaError};

use crate::directory::{Resource, Resources};
use crate::stage::Targets;

/// Where a stanza for an existing account ends up.
pub enum Landing {
    /// With these sessions; there is at least one.
    Sessions(Targets),
    /// With nobody now: in the spool, if it is of a kind that may wait.
    Spool,
    /// Back at its sender.
    Refuse(StanzaError),
    /// Nowhere, silently.
    Ignore,
}

/// Applies the rules of RFC 6121 §8.5.2 (bare address) and §8.5.3 (full address).
pub fn of(kind: Kind, to: &Jid, mut sessions: Resources) -> Landing {
    if to.resource().is_some() {
        match sessions.iter().position(|session| session.jid == *to) {
            // §8.5.3.1: "the server MUST deliver the stanza to the resource."
            Some(index) => {
                sessions.swap(0, index);
                sessions.truncate(1);
                Landing::Sessions(sessions)
            }
            None => unmatched(kind, sessions),
        }
    } else {
        bare(kind, sessions)
    }
}

/// §8.5.3.2, the full address of no connected resource.
fn unmatched(kind: Kind, sessions: Resources) -> Landing {
    match kind {
        // A chat message goes where it would go under the bare address: it may be meant for an
        // earlier session of the same person, and messages are not lost here.
        Kind::Message(MessageType::Chat) => bare(kind, sessions),
        // §8.5.3.2.1: for normal, groupchat and headline "the server MUST either (a) silently
        // ignore the stanza or (b) return an error stanza". Nobody waits for the answer to a
        // headline, so there it would only tell who is online.
        Kind::Message(MessageType::Normal | MessageType::Groupchat)
        | Kind::Iq(IqType::Get | IqType::Set) => {
            Landing::Refuse(StanzaError::service_unavailable())
        }
        Kind::Message(MessageType::Headline | MessageType::Error)
        | Kind::Iq(IqType::Result | IqType::Error)
        | Kind::Presence(_) => Landing::Ignore,
    }
}

/// §8.5.2, the bare address.
fn bare(kind: Kind, sessions: Resources) -> Landing {
    match kind {
        Kind::Message(MessageType::Normal | MessageType::Chat) => {
            // §8.5.2.1.1: of several, "deliver the message to the "most available" resource or
            // resources (according to the server's implementation-specific algorithm …)". All that
            // are not negative count as such here: nobody can know where the person sits. And "for
            // any message type the server MUST NOT deliver the stanza to any available resource
            // with a negative priority".
            chosen(sessions, |session| session.priority >= 0)
                .map_or(Landing::Spool, Landing::Sessions)
        }
        // "For a message stanza of type "groupchat", the server MUST NOT deliver the stanza to any
        // of the available resources but instead MUST return a stanza error to the sender".
        Kind::Message(MessageType::Groupchat) => {
            Landing::Refuse(StanzaError::service_unavailable())
        }
        // "the server MUST deliver the message to all of the non-negative resources"; without any
        // it "MUST silently ignore the stanza".
        Kind::Message(MessageType::Headline) => chosen(sessions, |session| session.priority >= 0)
            .map_or(Landing::Ignore, Landing::Sessions),
        // "For a message stanza of type "error", the server MUST silently ignore the message."
        Kind::Message(MessageType::Error) => Landing::Ignore,
        // §8.5.2.1.2: "the server MUST deliver it to all available resources."
        Kind::Presence(
            PresenceType::Available | PresenceType::Unavailable | PresenceType::Error,
        ) => chosen(sessions, |_| true).map_or(Landing::Ignore, Landing::Sessions),
        // Subscriptions and probes are the account's, and requests are answered for it.
        Kind::Presence(_) | Kind::Iq(_) => Landing::Ignore,
    }
}

/// The available sessions that `wanted` picks, if any.
fn chosen(mut sessions: Resources, wanted: impl Fn(&Resource) -> bool) -> Option<Targets> {
    sessions.retain(|session| session.is_available() && wanted(session));
    (!sessions.is_empty()).then_some(sessions)
}
