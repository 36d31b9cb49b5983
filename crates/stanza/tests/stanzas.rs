//! Building, writing and reading back; and what is refused, rule by rule.

use waxwing_jid::{BareJid, Jid};
use waxwing_stanza::{
    CLIENT, Condition, ErrorKind, IqType, Kind, Malformed, MessageType, PresenceType, SERVER,
    Stanza, StanzaError, StoredError,
};
use waxwing_xml::Limits;

fn jid(text: &str) -> Jid {
    Jid::new(text).expect("an address")
}

/// Reads a stanza as it stands inside a client stream.
fn read(xml: &str) -> Result<Stanza, Malformed> {
    read_in(xml, CLIENT)
}

fn read_in(xml: &str, ns: &str) -> Result<Stanza, Malformed> {
    let end = xml.find(['>', '/', ' ']).expect("a start tag");
    let xml = format!("{} xmlns='{ns}'{}", &xml[..end], &xml[end..]);
    let element = waxwing_xml::parse(xml.as_bytes(), &Limits::default(), ns, false);
    Stanza::read(element.expect("well-formed XML"))
}

fn write(stanza: &Stanza) -> String {
    let mut out = String::new();
    stanza.write(&mut out, None);
    out
}

fn refusal(xml: &str) -> (Stanza, StanzaError) {
    match read(xml) {
        Err(Malformed::Stanza(mistake)) => *mistake,
        other => panic!("{xml}: {other:?}"),
    }
}

#[test]
fn every_builder_round_trips() {
    let messages = [
        MessageType::Normal,
        MessageType::Chat,
        MessageType::Groupchat,
        MessageType::Headline,
        MessageType::Error,
    ];
    let presences = [
        PresenceType::Available,
        PresenceType::Unavailable,
        PresenceType::Subscribe,
        PresenceType::Subscribed,
        PresenceType::Unsubscribe,
        PresenceType::Unsubscribed,
        PresenceType::Probe,
        PresenceType::Error,
    ];
    let iqs = [IqType::Get, IqType::Set, IqType::Result, IqType::Error];
    let built = (messages.into_iter().map(Stanza::message))
        .chain(presences.into_iter().map(Stanza::presence))
        .chain(iqs.into_iter().map(Stanza::iq));
    for bare in built {
        let stanza = bare
            .from(jid("romeo@example.net/o'ch<ard&"))
            .to(BareJid::new("juliet@example.com").unwrap())
            .id("a'\"<>&\tb")
            .with("<x xmlns='urn:example:x'>&lt;</x>");
        let xml = write(&stanza);
        let again = read(&xml).unwrap();
        assert_eq!(again.head, stanza.head, "{xml}");
        assert_eq!(write(&again), xml);
        assert_eq!(stanza.is_error(), xml.contains("type='error'"));

        let mut stored = String::new();
        stanza.write(&mut stored, Some(CLIENT));
        assert_eq!(Stanza::parse(&stored).unwrap().head, stanza.head);
    }
}

#[test]
fn the_bytes_written() {
    let presence = Stanza::presence(PresenceType::Available);
    assert_eq!(write(&presence), "<presence/>");
    let mut message = Stanza::message(MessageType::Chat)
        .from(jid("a@b/c"))
        .to(jid("d@e"))
        .id("1")
        .with("<body>hi</body>");
    message.head.lang = Some("en".into());
    let mut out = String::new();
    message.write(&mut out, Some(CLIENT));
    assert_eq!(
        out,
        "<message xmlns='jabber:client' from='a@b/c' to='d@e' id='1' type='chat' \
         xml:lang='en'><body>hi</body></message>"
    );
    assert_eq!(message.body.len_bytes(), "<body>hi</body>".len());
    assert!(size_of::<Stanza>() <= 96);
}

#[test]
fn a_stanza_of_a_server_stream_is_written_for_any_stream() {
    let xml = "<message from='a@b' to='c@d'><body>hi</body><x xmlns='urn:x'/></message>";
    let stanza = read_in(xml, SERVER).unwrap();
    assert_eq!(stanza.body.text_of("body").as_deref(), Some("hi"));
    assert_eq!(write(&stanza), xml);
}

#[test]
fn what_is_no_stanza() {
    for xml in ["<a/>", "<iqs id='1'/>", "<Message/>"] {
        assert!(matches!(read(xml), Err(Malformed::UnknownElement)), "{xml}");
    }
    assert!(matches!(read_in("<message/>", "urn:other"), Err(Malformed::UnknownElement)));
}

/// RFC 6121 §5.2.2: an unknown type of message is "normal".
#[test]
fn unknown_message_type_is_normal() {
    let stanza = read("<message type='shout'/>").unwrap();
    assert_eq!(stanza.head.kind, Kind::Message(MessageType::Normal));
    assert_eq!(write(&stanza), "<message/>");
}

#[test]
fn mistakes_and_their_answers() {
    use Condition::{BadRequest, JidMalformed};
    for (xml, condition, reply) in [
        ("<presence type='here' id='1'/>", BadRequest, "<presence id='1' type='error'>"),
        // RFC 6120 §8.2.3: "if the value is other than one of the following, the recipient or an
        // intermediate router MUST return a stanza error of <bad-request/>"
        ("<iq type='ask' id='1'><q xmlns='u'/></iq>", BadRequest, "<iq id='1' type='error'>"),
        ("<iq id='1'><q xmlns='u'/></iq>", BadRequest, "<iq id='1' type='error'>"),
        // "The 'id' attribute is REQUIRED for IQ stanzas."
        ("<iq type='get' to='a@b'><q xmlns='u'/></iq>", BadRequest, "<iq from='a@b' type='error'>"),
        // "MUST contain exactly one child element"
        ("<iq type='get' id='1'/>", BadRequest, "<iq id='1' type='error'>"),
        ("<iq type='set' id='1'><q xmlns='u'/><q xmlns='u'/></iq>", BadRequest, "<iq id='1' "),
        // RFC 6120 §8.3.3.8: "an address found in the 'to' attribute"
        ("<message id='1' to='a b@c'/>", JidMalformed, "<message id='1' type='error'>"),
        ("<message id='1' to=''/>", JidMalformed, "<message id='1' type='error'>"),
        ("<message id='1' from='@'/>", JidMalformed, "<message id='1' type='error'>"),
        ("<presence from='a@b' to='c@'/>", JidMalformed, "<presence to='a@b' type='error'>"),
        ("<iq type='set' id='1' to='[]'><q xmlns='u'/></iq>", JidMalformed, "<iq id='1' "),
    ] {
        let (stanza, error) = refusal(xml);
        assert_eq!(error.condition, condition, "{xml}");
        assert!(error.text.is_some(), "{xml}");
        let answer = write(&stanza.error_reply(&error).unwrap());
        assert!(answer.starts_with(reply), "{xml}: {answer}");
        assert!(answer.contains(condition.name()), "{xml}: {answer}");
    }
}

#[test]
fn mistakes_in_answers_are_ignored() {
    for xml in [
        "<message type='error' to='@'/>",
        "<presence type='error' to='@'/>",
        "<iq type='result' id='1' to='@'/>",
        "<iq type='error' id='1' to='@'/>",
        "<iq type='result'/>",
    ] {
        assert!(matches!(read(xml), Err(Malformed::Ignore)), "{xml}");
    }
}

#[test]
fn error_replies() {
    let error = StanzaError::service_unavailable();
    let payload = "<error type='cancel'>\
         <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
    for (sent, answer) in [
        (
            "<message from='a@b/c' to='d@e' id='1' type='chat'><body>x</body></message>",
            Some("<message from='d@e' to='a@b/c' id='1' type='error'>"),
        ),
        ("<message/>", Some("<message type='error'>")),
        ("<message type='groupchat' to='r@m/n'/>", Some("<message from='r@m/n' type='error'>")),
        ("<message type='error'/>", None),
        ("<presence to='d@e' id='1'/>", Some("<presence from='d@e' id='1' type='error'>")),
        ("<presence type='probe'/>", Some("<presence type='error'>")),
        ("<presence type='error'/>", None),
        (
            "<iq from='a@b/c' type='get' id='1'><q xmlns='u'/></iq>",
            Some("<iq to='a@b/c' id='1' type='error'>"),
        ),
        ("<iq type='set' id='1'><q xmlns='u'/></iq>", Some("<iq id='1' type='error'>")),
        ("<iq type='result' id='1'><q xmlns='u'/></iq>", None),
        ("<iq type='error' id='1'><q xmlns='u'/></iq>", None),
    ] {
        let stanza = read(sent).unwrap();
        let reply = stanza.error_reply(&error);
        let name = stanza.head.kind.element();
        let expected = answer.map(|start| format!("{start}{payload}</{name}>"));
        assert_eq!(reply.as_ref().map(write), expected, "{sent}");
        assert_eq!(stanza.is_answerable(), answer.is_some());
        let Some(reply) = reply else { continue };
        assert_eq!(reply.error(), Some(error.clone()));
        assert!(reply.error_reply(&error).is_none(), "no answer to an answer");
        assert_eq!(write(&read(&write(&reply)).unwrap()), write(&reply));
    }
}

#[test]
fn results() {
    let request = read("<iq from='a@b/c' to='b' type='get' id='1'><q xmlns='u'/></iq>").unwrap();
    assert!(request.is_request());
    let empty = request.result(None);
    assert_eq!(write(&empty), "<iq from='b' to='a@b/c' id='1' type='result'/>");
    let full = request.result(Some("<q xmlns='u'>1</q>".into()));
    assert_eq!(
        write(&full),
        "<iq from='b' to='a@b/c' id='1' type='result'><q xmlns='u'>1</q></iq>"
    );
    assert!(!full.is_request() && !full.is_answerable() && !full.is_error());
    assert_eq!(full.error(), None);
}

#[test]
fn children_that_arrived_and_that_were_added() {
    let sent = "<message><body>a&amp;b</body><x xmlns='urn:x'/><y xmlns='urn:y'/></message>";
    let mut stanza = read(sent).unwrap();
    let copy = stanza.clone();
    stanza.body_mut().append("<z xmlns='urn:z' id='1'/>");
    stanza.body_mut().append("<thread>t</thread><y xmlns='urn:y'/>");
    let names = |stanza: &Stanza| -> String {
        stanza.body.children().map(|child| child.name().to_owned() + " ").collect()
    };
    assert_eq!(names(&stanza), "body x y z thread y ");
    assert_eq!(stanza.body.text_of("body").as_deref(), Some("a&b"));
    assert_eq!(stanza.body.text_of("thread").as_deref(), Some("t"));
    assert_eq!(stanza.body.text_of("x"), None);
    assert!(stanza.body.has("z", "urn:z") && !stanza.body.has("z", "urn:x"));
    let id = stanza.body.child("z", "urn:z").unwrap().attribute("id");
    assert_eq!(id.as_deref(), Some("1"));

    stanza.body_mut().remove("y", "urn:y");
    assert_eq!(names(&stanza), "body x z thread ");
    stanza.body_mut().retain(|child| child.name() == "body");
    assert_eq!(write(&stanza), "<message><body>a&amp;b</body></message>");
    stanza.body_mut().retain(|_| false);
    assert!(stanza.body.is_empty());
    assert_eq!(write(&stanza), "<message/>");
    assert_eq!(write(&copy), sent, "copies share nothing that is changed");
}

#[test]
fn every_condition_round_trips() {
    assert_eq!(Condition::ALL.len(), 22);
    for &condition in Condition::ALL {
        for kind in ["auth", "cancel", "continue", "modify", "wait"] {
            let error = StanzaError::new(condition)
                .kind(ErrorKind::read(kind).unwrap())
                .text("it's <wrong> & \"bad\"")
                .by(jid("example.com"))
                .uri("xmpp:new@example.com?a;b=1&c")
                .with("<too-many xmlns='urn:example:errors' n='1'><a/></too-many>");
            let reply = Stanza::message(MessageType::Normal).error_reply(&error).unwrap();
            let again = read(&write(&reply)).unwrap();
            assert_eq!(again.error(), Some(error));
        }
    }
}

/// RFC 6120 §8.3.3: "The associated error type SHOULD be …", one row for each condition.
#[test]
fn default_types_of_the_conditions() {
    for (error, name, kind) in [
        (StanzaError::bad_request(), "bad-request", "modify"),
        (StanzaError::conflict(), "conflict", "cancel"),
        (StanzaError::feature_not_implemented(), "feature-not-implemented", "cancel"),
        (StanzaError::forbidden(), "forbidden", "auth"),
        (StanzaError::gone(), "gone", "cancel"),
        (StanzaError::internal_server_error(), "internal-server-error", "cancel"),
        (StanzaError::item_not_found(), "item-not-found", "cancel"),
        (StanzaError::jid_malformed(), "jid-malformed", "modify"),
        (StanzaError::not_acceptable(), "not-acceptable", "modify"),
        (StanzaError::not_allowed(), "not-allowed", "cancel"),
        (StanzaError::not_authorized(), "not-authorized", "auth"),
        (StanzaError::policy_violation(), "policy-violation", "modify"),
        (StanzaError::recipient_unavailable(), "recipient-unavailable", "wait"),
        (StanzaError::redirect(), "redirect", "modify"),
        (StanzaError::registration_required(), "registration-required", "auth"),
        (StanzaError::remote_server_not_found(), "remote-server-not-found", "cancel"),
        (StanzaError::remote_server_timeout(), "remote-server-timeout", "wait"),
        (StanzaError::resource_constraint(), "resource-constraint", "wait"),
        (StanzaError::service_unavailable(), "service-unavailable", "cancel"),
        (StanzaError::subscription_required(), "subscription-required", "auth"),
        (StanzaError::undefined_condition(), "undefined-condition", "cancel"),
        (StanzaError::unexpected_request(), "unexpected-request", "wait"),
    ] {
        let mut xml = String::new();
        error.write(&mut xml);
        let expected = format!(
            "<error type='{kind}'><{name} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
        );
        assert_eq!(xml, expected);
    }
}

#[test]
fn foreign_errors_are_read_kindly() {
    let read_error = |inside: &str| {
        read(&format!("<iq type='error' id='1'><query xmlns='u'/>{inside}</iq>")).unwrap().error()
    };
    let error = read_error(
        "<error type='odd' by='not a jid@'><new-one xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
         <text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>why</text></error>",
    );
    assert_eq!(error, Some(StanzaError::undefined_condition().text("why")));
    assert_eq!(read_error("<error/>"), Some(StanzaError::undefined_condition()));
    assert_eq!(read_error(""), None);
    assert_eq!(read_error("<error xmlns='urn:other'/>"), None);
    assert_eq!(error.unwrap().to_string(), "undefined-condition: why");
}

#[test]
fn stored_text_that_is_no_stanza() {
    assert!(matches!(Stanza::parse("<message"), Err(StoredError::Xml(_))));
    assert!(matches!(
        Stanza::parse("<a xmlns='jabber:client'/>"),
        Err(StoredError::Malformed(Malformed::UnknownElement))
    ));
    let error = Stanza::parse("<iq xmlns='jabber:client' type='get'/>").unwrap_err();
    assert_eq!(error.to_string(), "bad-request: an iq must have an id");
}

/// What is stored may be larger than what one client may send.
#[test]
fn a_large_stored_stanza_is_read() {
    let text = "x".repeat(1 << 20);
    let stanza = Stanza::message(MessageType::Chat).with(format!("<body>{text}</body>"));
    let mut xml = String::new();
    stanza.write(&mut xml, Some(CLIENT));
    assert_eq!(Stanza::parse(&xml).unwrap().body.text_of("body").unwrap(), text);
}

/// Who passes an error on writes it into another stream, where what its `<error/>` declared is not
/// declared.
#[test]
fn a_condition_that_cannot_stand_alone_is_not_passed_on() {
    let of = |attributes: &str, app: &str| {
        let gone = "<gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>";
        let error = format!("<error {attributes} type='cancel'>{gone}{app}</error>");
        let stanza = read(&format!("<iq type='error' id='1' from='a@b'>{error}</iq>"));
        stanza.expect("a stanza").error().expect("an error").app
    };
    assert_eq!(of("xmlns:q='urn:q'", "<q:z/>"), None);
    assert_eq!(of("xmlns:q='urn:q'", "<z xmlns='urn:z' q:a='1'/>"), None);
    assert_eq!(
        of("xmlns:q='urn:q'", "<q:z/><z xmlns='urn:z'/>").as_deref(),
        Some("<z xmlns='urn:z'/>")
    );
    assert_eq!(of("", "<q:z xmlns:q='urn:q'/>").as_deref(), Some("<q:z xmlns:q='urn:q'/>"));
}
