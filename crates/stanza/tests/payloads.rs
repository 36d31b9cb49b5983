//! The payloads that modules share, and the two macros.

use waxwing_jid::{BareJid, Jid};
use waxwing_stanza::payload::dataform::{self, DataForm, Field, FieldType, FormType, Row};
use waxwing_stanza::payload::{delay, forward, rsm};
use waxwing_stanza::{
    CLIENT, Condition, IqType, MessageType, Payload, Reply, Stanza, payload, reply, to_xml,
};
use xso::{AsXml, FromXml};

const NS: &str = "urn:xmpp:blocking";

/// As a module declares its payloads.
#[derive(FromXml, AsXml, Debug, PartialEq)]
#[xml(namespace = NS, name = "block", on_unknown_attribute = Discard, on_unknown_child = Discard)]
struct Block {
    #[xml(child(n = ..))]
    items: Vec<Item>,
    #[xml(lang(default))]
    lang: Option<String>,
}

#[derive(FromXml, AsXml, Debug, PartialEq)]
#[xml(namespace = NS, name = "item")]
struct Item {
    #[xml(attribute)]
    jid: BareJid,
}

payload!(Block, "block", NS);
reply!(Block);

fn parse<P: Payload>(xml: &str) -> Result<P, waxwing_stanza::StanzaError> {
    let iq = Stanza::iq(IqType::Set).id("1").with(xml);
    let mut text = String::new();
    iq.write(&mut text, Some(CLIENT));
    let iq = Stanza::parse(&text).expect("what we wrote");
    iq.body.payload::<P>().expect("the payload is there")
}

#[test]
fn a_payload_is_read_and_written() {
    let block = Block {
        items: vec![
            Item { jid: BareJid::new("a@b").unwrap() },
            Item { jid: BareJid::new("c").unwrap() },
        ],
        lang: Some("en".into()),
    };
    let xml = to_xml(&block);
    assert_eq!(
        xml,
        "<block xmlns='urn:xmpp:blocking' xml:lang='en'><item jid='a@b'/><item jid='c'/></block>"
    );
    assert_eq!(parse::<Block>(&xml).unwrap(), block);
    let spaced = "<block xmlns='urn:xmpp:blocking' x='1' xml:lang='en'>\n <item jid='A@b'/>\n\
         <other xmlns='urn:o'/><item jid='c'/> </block>";
    assert_eq!(parse::<Block>(spaced).unwrap(), block);
    let prefixed = "<p:block xmlns:p='urn:xmpp:blocking' xml:lang='en'><p:item jid='a@b'/>\
         <p:item jid='c'/></p:block>";
    assert_eq!(parse::<Block>(prefixed).unwrap(), block);
    assert!(Stanza::iq(IqType::Get).body.payload::<Block>().is_none());
}

#[test]
fn what_cannot_be_read_is_a_bad_request() {
    for xml in [
        "<block xmlns='urn:xmpp:blocking'><item/></block>",
        "<block xmlns='urn:xmpp:blocking'><item jid='a b@c'/></block>",
        "<block xmlns='urn:xmpp:blocking'><item jid='a@b/c'/></block>",
        "<block xmlns='urn:xmpp:blocking'>text</block>",
    ] {
        let error = parse::<Block>(xml).unwrap_err();
        assert_eq!(error.condition, Condition::BadRequest, "{xml}");
        assert!(error.text.unwrap().starts_with("in <block/>: "), "{xml}");
    }
}

#[test]
fn replies() {
    assert_eq!(().into_xml(), None);
    assert_eq!(String::from("<a/>").into_xml().as_deref(), Some("<a/>"));
    assert_eq!(Some(String::from("<a/>")).into_xml().as_deref(), Some("<a/>"));
    assert_eq!(None::<Block>.into_xml(), None);
    let block = Block { items: Vec::new(), lang: None };
    assert_eq!(block.into_xml().as_deref(), Some("<block xmlns='urn:xmpp:blocking'/>"));
}

/// What a strict parser would refuse is left out instead of breaking the stream.
#[test]
fn illegal_characters_are_not_written() {
    let form = DataForm::new(FormType::Form).title("a\u{1}b<\u{FFFF}");
    assert_eq!(to_xml(&form), "<x xmlns='jabber:x:data' type='form'><title>ab&lt;</title></x>");
}

/// A token longer than the usual limits of a parser, such as a picture in a vCard.
#[test]
fn long_values_are_read() {
    let long = "x".repeat(100_000);
    let form = DataForm::new(FormType::Submit).with(Field::new(FieldType::TextSingle, &*long));
    let xml = to_xml(&form.clone().with(Field::fixed(&*long)));
    assert_eq!(parse::<DataForm>(&xml).unwrap().with(Field::fixed("")).fields[0], form.fields[0]);
}

#[test]
fn forms() {
    let mut form = DataForm::new(FormType::Form)
        .title("Bot & co")
        .instruction("Fill out")
        .instruction("all of it")
        .about("jabber:bot")
        .with(Field::fixed("Section 1"))
        .with(Field::new(FieldType::TextSingle, "botname").label("The name").required())
        .with(
            Field::new(FieldType::ListMulti, "features")
                .desc("which")
                .value("news")
                .value("search")
                .option("contests", "Contests")
                .option("news", "News"),
        )
        .with(Field::new(FieldType::Boolean, "public").value("1"));
    let row = |value: &str| Row {
        fields: vec![Field { var: Some("name".into()), ..Field::default() }.value(value)],
    };
    form.reported = Some(dataform::Reported {
        fields: vec![Field::new(FieldType::TextSingle, "name").label("Name")],
    });
    form.items = vec![row("a"), row("b")];

    let xml = to_xml(&form);
    assert_eq!(parse::<DataForm>(&xml).unwrap(), form);
    assert!(
        xml.contains(
            "<field var='botname' type='text-single' label='The name'><required/></field>"
        )
    );
    assert!(xml.contains("<option label='News'><value>news</value></option>"));
    assert_eq!(form.form_type(), Some("jabber:bot"));
    assert_eq!(form.values("features"), ["news", "search"]);
    assert_eq!(form.value("features"), Some("news"));
    assert_eq!(form.flag("public"), Some(true));
    assert_eq!(form.flag("botname"), None);
    assert_eq!(form.value("missing"), None);
    assert!(form.values("missing").is_empty());
}

/// XEP-0004 §3.2: in a submission "the recieving entity can infer the 'type' attribute".
#[test]
fn a_submission_as_clients_write_it() {
    let form = parse::<DataForm>(
        "<x xmlns='jabber:x:data' type='submit'>\n\
         <field var='FORM_TYPE' type='hidden'><value>urn:x</value></field>\n\
         <field var='public' type='new-kind' x='y'><value xml:lang='en'>false</value></field>\n\
         <field var='empty'/><field var='blank'><value/></field>\n\
         <extra xmlns='urn:e'/></x>",
    )
    .unwrap();
    assert_eq!(form.kind, FormType::Submit);
    assert_eq!(form.form_type(), Some("urn:x"));
    assert_eq!(form.flag("public"), Some(false));
    assert_eq!(form.field("public").unwrap().kind, Some(FieldType::TextSingle));
    assert_eq!(form.value("empty"), None);
    assert_eq!(form.value("blank"), Some(""));
    let error = parse::<DataForm>("<x xmlns='jabber:x:data' type='dance'/>").unwrap_err();
    assert_eq!(error.condition, Condition::BadRequest);
    assert!(parse::<DataForm>("<x xmlns='jabber:x:data'/>").is_err());
}

#[test]
fn result_sets() {
    let ask = |inside: &str| {
        parse::<rsm::Request>(&format!(
            "<set xmlns='http://jabber.org/protocol/rsm'>{inside}</set>"
        ))
    };
    assert_eq!(ask("").unwrap(), rsm::Request::default());
    let next = ask("<max>10</max><after>x@y</after>").unwrap();
    assert_eq!((next.max, next.after.as_deref()), (Some(10), Some("x@y")));
    let last = ask("<max>10</max><before/>").unwrap();
    assert_eq!(last.before.as_deref(), Some(""));
    assert_eq!(ask("<index>371</index><max>10</max>").unwrap().index, Some(371));
    assert!(ask("<max>-1</max>").is_err());
    assert!(ask("<max>ten</max>").is_err());

    assert_eq!(
        to_xml(&rsm::Page::new("a", "b", Some(0), Some(800))),
        "<set xmlns='http://jabber.org/protocol/rsm'><first index='0'>a</first>\
         <last>b</last><count>800</count></set>"
    );
    assert_eq!(
        to_xml(&rsm::Page::empty(Some(0))),
        "<set xmlns='http://jabber.org/protocol/rsm'><count>0</count></set>"
    );
}

/// XEP-0297 §3.1, the example "Forwarding a message".
#[test]
fn forwarding() {
    let message = Stanza::message(MessageType::Chat)
        .from(Jid::new("juliet@capulet.lit/orchard").unwrap())
        .to(Jid::new("romeo@montague.lit").unwrap())
        .id("0202197")
        .with("<body>Yet I should kill thee with much cherishing.</body>");
    let stamp = delay::delay("2010-07-10T23:08:25Z", "montague.lit");
    assert_eq!(
        stamp,
        "<delay xmlns='urn:xmpp:delay' from='montague.lit' stamp='2010-07-10T23:08:25Z'/>"
    );
    let wrapped = forward::forwarded(&message, CLIENT, Some(&stamp));
    let outer = Stanza::message(MessageType::Normal).with(wrapped);
    let forwarded = outer.body.child("forwarded", forward::NS).unwrap();
    let delay = forwarded.child("delay", delay::NS).unwrap();
    assert_eq!(delay.attribute("stamp").as_deref(), Some("2010-07-10T23:08:25Z"));
    let inner = forwarded.child("message", CLIENT).unwrap();
    let again = Stanza::parse(inner.as_str()).unwrap();
    assert_eq!(again.head, message.head);
    assert!(again.body.text_of("body").unwrap().starts_with("Yet I should"));
}
