//! Properties of arbitrary stanzas.

use proptest::prelude::*;
use waxwing_jid::Jid;
use waxwing_stanza::{CLIENT, IqType, MessageType, PresenceType, Stanza};
use waxwing_xml::{Limits, write};

fn kind() -> impl Strategy<Value = Stanza> {
    prop_oneof![
        Just(Stanza::message(MessageType::Normal)),
        Just(Stanza::message(MessageType::Chat)),
        Just(Stanza::message(MessageType::Groupchat)),
        Just(Stanza::message(MessageType::Error)),
        Just(Stanza::presence(PresenceType::Available)),
        Just(Stanza::presence(PresenceType::Subscribe)),
        Just(Stanza::iq(IqType::Get).id("1")),
        Just(Stanza::iq(IqType::Result).id("1")),
    ]
}

/// One child: its name, whether it has a namespace of its own, an attribute, and text.
fn child() -> impl Strategy<Value = String> {
    ("[a-z_][a-z0-9._-]{0,6}", any::<bool>(), "\\PC{0,8}", any::<String>()).prop_map(
        |(name, own, value, text)| {
            let mut xml = format!("<{name}");
            if own {
                write::attribute(&mut xml, "xmlns", "urn:example:own");
            }
            write::attribute(&mut xml, "a", &value);
            xml.push('>');
            write::text(&mut xml, &text);
            xml.push_str(&format!("<{name}/></{name}>"));
            xml
        },
    )
}

fn stanza() -> impl Strategy<Value = Stanza> {
    let address = prop_oneof![
        Just(None),
        ("[a-z]{1,5}", "\\PC{1,9}").prop_map(|(local, resource)| {
            Jid::new(&format!("{local}@example.com/{resource}")).ok()
        }),
    ];
    let id = proptest::option::of(any::<String>());
    let children = proptest::collection::vec(child(), 0..4);
    (kind(), address.clone(), address, id, children).prop_map(|(mut it, from, to, id, children)| {
        it.head.from = from;
        it.head.to = to;
        if let Some(id) = id.filter(|id| write::is_legal(id)) {
            it.head.id = Some(id.into());
        }
        let only_one = it.is_request();
        if only_one && children.is_empty() {
            it = it.with("<q xmlns='urn:example:q'/>");
        }
        let count = if only_one { 1 } else { children.len() };
        children.into_iter().take(count).fold(it, Stanza::with)
    })
}

/// The text of something that is nearly a stanza.
fn raw() -> impl Strategy<Value = String> {
    let attributes = "( (to|from|id|type|xml:lang)='\\PC{0,6}'){0,3}";
    let children = "(<[a-z]{1,3} xmlns='[a-z:]{0,5}'/>){0,3}";
    ("message|presence|iq", attributes, children)
        .prop_map(|(name, head, body)| format!("<{name} xmlns='{CLIENT}'{head}>{body}</{name}>"))
}

proptest! {
    #[test]
    fn writing_and_reading_is_stable(stanza in stanza()) {
        let mut once = String::new();
        stanza.write(&mut once, Some(CLIENT));
        let element = waxwing_xml::parse(once.as_bytes(), &Limits::default(), CLIENT, false);
        let again = Stanza::read(element.expect("what we write is well-formed"));
        let again = again.expect("what we write is a stanza");
        prop_assert_eq!(&again.head, &stanza.head);
        let mut twice = String::new();
        again.write(&mut twice, Some(CLIENT));
        prop_assert_eq!(&twice, &once);
        prop_assert_eq!(again.body.len_bytes(), stanza.body.len_bytes());
        let texts = |stanza: &Stanza| -> Vec<(String, String, String)> {
            (stanza.body.children())
                .map(|it| (it.name().into(), it.namespace().into(), it.text().into()))
                .collect()
        };
        prop_assert_eq!(texts(&again), texts(&stanza));
    }

    #[test]
    fn nothing_that_arrives_panics(xml in raw()) {
        let Ok(element) =
            waxwing_xml::parse(xml.as_bytes(), &Limits::default(), CLIENT, false) else {
            return Ok(());
        };
        match Stanza::read(element) {
            Ok(stanza) => {
                let mut out = String::new();
                stanza.write(&mut out, Some(CLIENT));
                prop_assert!(Stanza::parse(&out).is_ok(), "{}", out);
            }
            Err(waxwing_stanza::Malformed::Stanza(mistake)) => {
                let (stanza, error) = *mistake;
                let reply = stanza.error_reply(&error);
                prop_assert!(reply.is_some_and(|reply| reply.is_error()));
            }
            Err(_) => {}
        }
    }
}
