use waxwing_stanza::Stanza;

use super::*;

fn read<P: Payload>(inside: &str) -> Result<P, StanzaError> {
    let ns = P::NS;
    let text = format!(
        "<iq xmlns='jabber:client' type='set' id='1'><pubsub xmlns='{ns}'>{inside}</pubsub></iq>"
    );
    Stanza::parse(&text).unwrap().body.payload::<P>().unwrap()
}

fn refusal<P: Payload>(inside: &str) -> (String, String) {
    let error = read::<P>(inside).err().expect("it is refused");
    assert!(error.text.is_some(), "every error says why");
    (error.condition.name().to_owned(), error.app.unwrap_or_default())
}

#[test]
fn a_payload_can_stand_alone() {
    let publish = "<publish node='n' xmlns:p='urn:p'><item id='1'><p:entry a='1'/></item>\
                   <item><b xmlns='urn:b'>x</b></item><item id=''/></publish>";
    let Set::Publish(publish) = read(publish).unwrap() else { panic!("it is published") };
    let payloads: Vec<&str> = publish.items.iter().map(|item| item.payload.as_str()).collect();
    let ids: Vec<Option<&str>> = publish.items.iter().map(|item| item.id.as_deref()).collect();
    assert_eq!(ids, [Some("1"), None, None]);
    assert!(payloads[0].contains("xmlns:p='urn:p'"), "{}", payloads[0]);
    assert_eq!((payloads[1], payloads[2]), ("<b xmlns='urn:b'>x</b>", ""));
}

#[test]
fn what_must_be_said_is_asked_for() {
    let cases = [
        (refusal::<Set>("<publish/>"), "bad-request", "nodeid-required"),
        (refusal::<Set>("<retract node='n'/>"), "bad-request", "item-required"),
        (refusal::<Set>("<retract node='n'><item/></retract>"), "bad-request", "item-required"),
        (refusal::<Set>("<retract><item id='1'/></retract>"), "bad-request", "nodeid-required"),
        (refusal::<Set>("<subscribe node='n'/>"), "bad-request", "jid-required"),
        (refusal::<Set>("<subscribe node='n' jid='@'/>"), "bad-request", "invalid-jid"),
        (
            refusal::<Set>("<publish node='n'><item><a/><b/></item></publish>"),
            "bad-request",
            "invalid-payload",
        ),
        (refusal::<Get>("<items/>"), "bad-request", "nodeid-required"),
        (refusal::<Get>("<items node='n' max_items='0'/>"), "bad-request", ""),
        (refusal::<Get>("<options node='n'/>"), "bad-request", "jid-required"),
        (refusal::<OwnerGet>("<configure/>"), "bad-request", "nodeid-required"),
        (refusal::<OwnerSet>("<configure node='n'/>"), "bad-request", ""),
        (refusal::<OwnerSet>("<delete/>"), "bad-request", "nodeid-required"),
        (refusal::<OwnerSet>("<purge/>"), "bad-request", "nodeid-required"),
        (refusal::<Set>(""), "bad-request", ""),
        (refusal::<Set>("<dance/>"), "bad-request", ""),
        (refusal::<Set>("<create node='n'/><configure node='n'/>"), "bad-request", ""),
    ];
    for ((condition, app), wanted, name) in cases {
        assert_eq!(condition, wanted, "{name}");
        assert!(app.contains(name), "{app} is no {name}");
    }
}

#[test]
fn names_have_a_bound() {
    let long = "n".repeat(NAME_MAX + 1);
    let (condition, _) = refusal::<Set>(&format!("<create node='{long}'/>"));
    assert_eq!(condition, "not-acceptable");
    assert!(read::<Set>(&format!("<create node='{}'/>", &long[1..])).is_ok());
}

#[test]
fn a_node_without_a_name_is_an_instant_one() {
    let Ok(Set::Create { node: None, form: None }) = read("<create/><configure/>") else {
        panic!("a node is made")
    };
    let form = "<create node='n'/><configure><x xmlns='jabber:x:data' type='submit'/></configure>";
    let Ok(Set::Create { node: Some(_), form: Some(_) }) = read(form) else {
        panic!("a node is made and configured")
    };
}
