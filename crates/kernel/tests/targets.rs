//! RFC 6121 §8.5, row by row: which sessions of an existing account get a stanza. The rows of
//! Table 1 for accounts that do not exist are in `src/presence/tests.rs`, where there is a hub.

use waxwing_jid::Jid;
use waxwing_kernel::directory::{Flags, Resource, Resources};
use waxwing_kernel::mailbox::Mailbox;
use waxwing_kernel::route::targets::{self, Landing};
use waxwing_kernel::wire::Transport;
use waxwing_stanza::{Condition, IqType, Kind, MessageType, PresenceType, Stanza};

const ACCOUNT: &str = "juliet@capulet.lit";

/// Sessions from words such as `balcony:5`, `cellar:-1`, and `attic` for one that is connected but
/// has not sent presence.
fn sessions(words: &str) -> Resources {
    let session = |word: &str| {
        let (name, priority) = word.split_once(':').unwrap_or((word, "none"));
        let presence = Stanza::presence(PresenceType::Available);
        Resource {
            jid: Jid::new(&format!("{ACCOUNT}/{name}")).expect("an address"),
            mailbox: Mailbox::new(1),
            presence: priority.parse::<i8>().is_ok().then_some(presence),
            priority: priority.parse().unwrap_or(0),
            flags: Flags::default(),
            is_live: true,
            transport: Transport::Memory,
            since_millis: 0,
            client: None,
            interests: None,
        }
    };
    words.split_whitespace().map(session).collect()
}

/// What becomes of a stanza, in words: the resources that get it, or `O`, `E`, `S` as in Table 1:
/// stored offline, an error, silently ignored.
fn landing(kind: Kind, to: &str, online: &str) -> String {
    let to = match to {
        "bare" => Jid::new(ACCOUNT).expect("an address"),
        resource => Jid::new(&format!("{ACCOUNT}/{resource}")).expect("an address"),
    };
    match targets::of(kind, &to, sessions(online)) {
        Landing::Sessions(targets) => {
            let names: Vec<_> = targets.iter().filter_map(|it| it.jid.resource()).collect();
            names.join(" ")
        }
        Landing::Spool => "O".into(),
        Landing::Refuse(error) => {
            assert_eq!(error.condition, Condition::ServiceUnavailable);
            "E".into()
        }
        Landing::Ignore => "S".into(),
    }
}

/// One row of Table 1: its condition, what the RFC allows and what we do, for the types normal,
/// chat, groupchat and headline.
fn row(condition: &str, to: &str, online: &str, allowed: [&str; 4], expected: [&str; 4]) {
    let kinds =
        [MessageType::Normal, MessageType::Chat, MessageType::Groupchat, MessageType::Headline];
    for ((kind, allowed), expected) in kinds.into_iter().zip(allowed).zip(expected) {
        let found = landing(Kind::Message(kind), to, online);
        assert_eq!(found, expected, "{condition}: {kind:?} to {to}");
        // D: delivered to the resource, M: to the most available, A: to all non-negative ones.
        let letter = match found.as_str() {
            "O" | "E" | "S" => found.as_str(),
            several if several.contains(' ') => "A",
            _ => "D",
        };
        assert!(allowed.split('/').any(|it| it == letter), "{condition}: {kind:?} {letter}");
    }
}

#[test]
fn table_1_account_exists_but_no_active_resources() {
    let condition = "no active resources";
    row(condition, "bare", "", ["O/E", "O/E", "E", "S"], ["O", "O", "E", "S"]);
    row(condition, "gone", "", ["S/E", "O/E", "S/E", "S/E"], ["E", "O", "E", "S"]);
}

#[test]
fn table_1_connected_resources_without_presence_are_not_active() {
    let condition = "connected only";
    row(condition, "bare", "attic", ["O/E", "O/E", "E", "S"], ["O", "O", "E", "S"]);
    row(condition, "gone", "attic", ["S/E", "O/E", "S/E", "S/E"], ["E", "O", "E", "S"]);
    // §8.5.3.1: "If an available resource or connected resource exactly matches the full JID".
    row(condition, "attic", "attic", ["D"; 4], ["attic"; 4]);
}

#[test]
fn table_1_negative_resources_but_zero_non_negative_resources() {
    let (condition, online) = ("negative only", "cellar:-1 crypt:-128");
    row(condition, "bare", online, ["O/E", "O/E", "E", "S"], ["O", "O", "E", "S"]);
    row(condition, "cellar", online, ["D"; 4], ["cellar"; 4]);
    row(condition, "gone", online, ["S/E", "O/E", "S/E", "S/E"], ["E", "O", "E", "S"]);
}

#[test]
fn table_1_one_non_negative_resource() {
    let (condition, online) = ("one non-negative", "cellar:-1 balcony:0 attic");
    row(condition, "bare", online, ["D", "D", "E", "D"], ["balcony", "balcony", "E", "balcony"]);
    row(condition, "balcony", online, ["D"; 4], ["balcony"; 4]);
    row(condition, "cellar", online, ["D"; 4], ["cellar"; 4]);
    row(condition, "gone", online, ["S/E", "D", "S/E", "S/E"], ["E", "balcony", "E", "S"]);
}

#[test]
fn table_1_several_non_negative_resources() {
    let (condition, online) = ("several non-negative", "cellar:-1 balcony:0 attic chamber:127");
    let all = "balcony chamber";
    row(condition, "bare", online, ["M/A", "M/A", "E", "A"], [all, all, "E", all]);
    row(condition, "chamber", online, ["D", "D/A", "D", "D"], ["chamber"; 4]);
    row(condition, "gone", online, ["S/E", "M/A", "S/E", "S/E"], ["E", all, "E", "S"]);
}

#[test]
fn message_errors_go_to_their_resource_or_nowhere() {
    let error = Kind::Message(MessageType::Error);
    for online in ["", "cellar:-1", "balcony:0", "balcony:0 chamber:1"] {
        // §8.5.2.1.1: "For a message stanza of type 'error', the server MUST silently ignore".
        assert_eq!(landing(error, "bare", online), "S");
        assert_eq!(landing(error, "gone", online), "S");
    }
    assert_eq!(landing(error, "balcony", "balcony:0 chamber:1"), "balcony");
}

#[test]
fn presence_goes_to_all_available_resources_whatever_their_priority() {
    let online = "cellar:-1 balcony:0 attic";
    for kind in [PresenceType::Available, PresenceType::Unavailable, PresenceType::Error] {
        let kind = Kind::Presence(kind);
        // §8.5.2.1.2
        assert_eq!(landing(kind, "bare", online), "cellar balcony");
        // §8.5.2.2.2
        assert_eq!(landing(kind, "bare", ""), "S");
        assert_eq!(landing(kind, "bare", "attic"), "S");
        // §8.5.3.1, §8.5.3.2.2
        for resource in ["cellar", "balcony", "attic"] {
            assert_eq!(landing(kind, resource, online), resource);
        }
        assert_eq!(landing(kind, "gone", online), "S");
    }
}

#[test]
fn subscriptions_and_probes_never_land_on_sessions_by_themselves() {
    let kinds = [
        PresenceType::Subscribe,
        PresenceType::Subscribed,
        PresenceType::Unsubscribe,
        PresenceType::Unsubscribed,
        PresenceType::Probe,
    ];
    for kind in kinds {
        for online in ["", "balcony:0", "cellar:-1 balcony:0"] {
            assert_eq!(landing(Kind::Presence(kind), "bare", online), "S", "{kind:?}");
            assert_eq!(landing(Kind::Presence(kind), "gone", online), "S", "{kind:?}");
        }
    }
}

#[test]
fn requests_go_to_their_resource_or_back() {
    for kind in [IqType::Get, IqType::Set] {
        // §8.5.3.2.3: "For an IQ stanza, the server MUST return a <service-unavailable/> stanza
        // error to the sender."
        assert_eq!(landing(Kind::Iq(kind), "gone", "balcony:0"), "E");
        assert_eq!(landing(Kind::Iq(kind), "gone", ""), "E");
        assert_eq!(landing(Kind::Iq(kind), "balcony", "balcony:0"), "balcony");
        assert_eq!(landing(Kind::Iq(kind), "attic", "attic"), "attic");
        // §8.5.2.1.3: "the server itself MUST reply on behalf of the user".
        // So there is nothing to land here.
        assert_eq!(landing(Kind::Iq(kind), "bare", "balcony:0"), "S");
    }
    for kind in [IqType::Result, IqType::Error] {
        assert_eq!(landing(Kind::Iq(kind), "balcony", "balcony:0"), "balcony");
        assert_eq!(landing(Kind::Iq(kind), "gone", "balcony:0"), "S");
        assert_eq!(landing(Kind::Iq(kind), "bare", "balcony:0"), "S");
    }
}
