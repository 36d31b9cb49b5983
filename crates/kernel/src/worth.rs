//! Which messages are worth keeping, in whatever archive.

use waxwing_stanza::{Body, CLIENT, Kind, MessageType, Stanza};

const HINTS: &str = "urn:xmpp:hints";
const MUC_USER: &str = "http://jabber.org/protocol/muc#user";

/// The elements that make a message a part of a conversation, by namespace; without a name any.
/// XEP-0313 §3: "all messages that hold meaningful content, rather than state changes".
const LASTING: &[(&str, Option<&str>)] = &[
    // §6.1.1: "a server SHOULD include … all of the messages … that contain a <body> element". With
    // it come corrections (XEP-0308), replies (0461), and whatever else says something.
    (CLIENT, Some("body")),
    (CLIENT, Some("subject")),
    // XEP-0334 §4.4: "SHOULD be stored by the entity."
    (HINTS, Some("store")),
    // Ends of what was said: seen on one device, they are seen on all. That something is markable,
    // or that a receipt is wanted, says nothing by itself.
    ("urn:xmpp:receipts", Some("received")),
    ("urn:xmpp:chat-markers:0", Some("received")),
    ("urn:xmpp:chat-markers:0", Some("displayed")),
    ("urn:xmpp:chat-markers:0", Some("acknowledged")),
    // What changes earlier messages: XEP-0444, 0308, 0424 ("the archiving service MUST store the
    // retraction message").
    ("urn:xmpp:reactions:0", Some("reactions")),
    ("urn:xmpp:message-correct:0", Some("replace")),
    ("urn:xmpp:message-retract:1", Some("retract")),
    ("urn:xmpp:message-retract:0", Some("retract")),
    ("urn:xmpp:fasten:0", Some("apply-to")),
    // What is encrypted may be anything: XEP-0380, 0384, 0373, 0027.
    ("urn:xmpp:eme:0", Some("encryption")),
    ("urn:xmpp:omemo:2", Some("encrypted")),
    ("urn:xmpp:omemo:1", Some("encrypted")),
    ("eu.siacs.conversations.axolotl", Some("encrypted")),
    ("urn:xmpp:openpgp:0", Some("openpgp")),
    ("jabber:x:encrypted", Some("x")),
    // Invitations (XEP-0249) and calls (0353, 0482): who was away wants to know.
    ("jabber:x:conference", Some("x")),
    ("urn:xmpp:jingle-message:0", None),
    ("urn:xmpp:jingle-message:1", None),
    ("urn:xmpp:call-invites:0", None),
    // Files: XEP-0066, 0447.
    ("jabber:x:oob", Some("x")),
    ("urn:xmpp:sfs:0", Some("file-sharing")),
];

/// What says that the text of a message is not what was said.
const ENCRYPTED: &[&str] = &[
    "urn:xmpp:eme:0",
    "urn:xmpp:omemo:2",
    "urn:xmpp:omemo:1",
    "eu.siacs.conversations.axolotl",
    "urn:xmpp:openpgp:0",
    "jabber:x:encrypted",
];

/// Whether a message is for the eyes of its recipient only.
pub fn is_encrypted(stanza: &Stanza) -> bool {
    stanza.body.children().any(|child| ENCRYPTED.contains(&child.namespace()))
}

/// Whether a message should be found again by those who sent and received it.
///
/// XEP-0313 §6.1.1 names types `normal` and `chat`; headlines are "not generally suggested", rooms
/// have archives of their own, and errors answer a client that waits for them.
pub fn is_lasting(stanza: &Stanza) -> bool {
    let is_kind =
        matches!(stanza.head.kind, Kind::Message(MessageType::Normal | MessageType::Chat));
    is_kind && says_something(&stanza.body)
}

/// Whether what a message carries is a part of a conversation, and not of this moment only.
pub fn says_something(body: &Body) -> bool {
    let mut is_lasting = false;
    for child in body.children() {
        let (name, ns) = (child.name(), child.namespace());
        // XEP-0334 §4.1, §4.2: entities "shouldn't store the message in any permanent or
        // semi-permanent … archive".
        if ns == HINTS && matches!(name, "no-store" | "no-permanent-store") {
            return false;
        }
        // Mediated invitations (XEP-0045 §7.8.2), but not what else rooms tell.
        let is_invitation =
            || ns == MUC_USER && child.children().any(|inner| matches!(inner.name(), "invite"));
        let is_listed = || {
            let is_it = |(of, what): &(&str, Option<&str>)| {
                *of == ns && what.is_none_or(|what| what == name)
            };
            LASTING.iter().any(is_it)
        };
        is_lasting = is_lasting || is_listed() || is_invitation();
    }
    is_lasting
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_kept(kind: &str, children: &str) -> bool {
        let text = format!("<message xmlns='jabber:client' type='{kind}'>{children}</message>");
        is_lasting(&Stanza::parse(&text).unwrap())
    }

    #[test]
    fn only_conversations_between_two_are_kept() {
        let body = "<body>Ay me!</body>";
        assert!(is_kept("chat", body) && is_kept("normal", body) && is_kept("unheard-of", body));
        assert!(!["groupchat", "headline", "error"].iter().any(|kind| is_kept(kind, body)));
    }

    #[test]
    fn what_means_something_without_a_body_is_kept() {
        for child in [
            "<subject>Verona</subject>",
            "<store xmlns='urn:xmpp:hints'/>",
            "<received xmlns='urn:xmpp:receipts' id='m1'/>",
            "<displayed xmlns='urn:xmpp:chat-markers:0' id='m1'/>",
            "<reactions xmlns='urn:xmpp:reactions:0' id='m1'><reaction>x</reaction></reactions>",
            "<replace xmlns='urn:xmpp:message-correct:0' id='m1'/>",
            "<retract xmlns='urn:xmpp:message-retract:1' id='m1'/>",
            "<encryption xmlns='urn:xmpp:eme:0' namespace='urn:xmpp:otr:0'/>",
            "<encrypted xmlns='urn:xmpp:omemo:2'/>",
            "<encrypted xmlns='eu.siacs.conversations.axolotl'/>",
            "<x xmlns='jabber:x:conference' jid='ball@rooms.example'/>",
            "<x xmlns='http://jabber.org/protocol/muc#user'><invite to='a@b'/></x>",
            "<propose xmlns='urn:xmpp:jingle-message:0' id='a'/>",
            "<x xmlns='jabber:x:oob'><url>https://verona.example/</url></x>",
        ] {
            assert!(is_kept("chat", child), "{child}");
        }
    }

    #[test]
    fn what_is_soon_stale_is_not_kept() {
        for child in [
            "",
            "<composing xmlns='http://jabber.org/protocol/chatstates'/>",
            "<request xmlns='urn:xmpp:receipts'/>",
            "<markable xmlns='urn:xmpp:chat-markers:0'/>",
            "<thread>t1</thread>",
            "<no-copy xmlns='urn:xmpp:hints'/>",
            "<x xmlns='http://jabber.org/protocol/muc#user'><status code='104'/></x>",
            "<event xmlns='http://jabber.org/protocol/pubsub#event'/>",
            "<body xmlns='urn:example:other'>Not a body.</body>",
            "<result xmlns='urn:xmpp:mam:2' id='x'/>",
        ] {
            assert!(!is_kept("chat", child), "{child}");
        }
    }

    #[test]
    fn hints_decide_wherever_they_stand() {
        for hint in ["no-store", "no-permanent-store"] {
            let hint = format!("<{hint} xmlns='urn:xmpp:hints'/>");
            let store = "<store xmlns='urn:xmpp:hints'/>";
            assert!(!is_kept("chat", &format!("<body>Hush</body>{hint}")));
            assert!(!is_kept("chat", &format!("{hint}<body>Hush</body>{store}")));
        }
    }
}
