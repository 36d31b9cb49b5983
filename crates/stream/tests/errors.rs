//! What bad input gets: one stream error, said on an open stream, and nothing else.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod stage;

use stage::{Domains, HELLO, Output, Stage, WS_HELLO};
use waxwing_stream::{Condition, Framing, Input, Limits, Security, StreamError};

/// When the input comes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    /// Before any header.
    First,
    /// After the features that offer SASL.
    Sasl,
    /// With a resource bound.
    Open,
}
use When::{First, Open, Sasl};

const TCP: &[(When, &str, &str)] = &[
    (First, "GET / HTTP/1.1\r\n\r\n", "not-well-formed"),
    (First, "\u{16}\u{3}\u{1}", "not-well-formed"),
    (First, "<stream:stream", ""),
    (First, "<stream:stream to='example.org' version='1.0'>", "bad-namespace-prefix"),
    (First, "<stream xmlns='http://etherx.jabber.org/streams' version='1.0' to='example.org'>", ""),
    (First, "<a:stream xmlns:a='urn:x' version='1.0'>", "invalid-namespace"),
    (First, "<a:flow xmlns:a='http://etherx.jabber.org/streams' version='1.0'>", "bad-format"),
    (First, "<!DOCTYPE a><a>", "restricted-xml"),
    (First, "<?xml version='1.0' encoding='ISO-8859-1'?><a>", "unsupported-encoding"),
    (First, "<!-- hello --><a>", "restricted-xml"),
    (Sasl, "<message/>", "not-authorized"),
    (Sasl, "<iq type='get' id='1'><query xmlns='jabber:iq:auth'/></iq>", "not-authorized"),
    (Sasl, "<message xmlns='jabber:server'/>", "invalid-namespace"),
    (Sasl, "<what xmlns='urn:example'/>", "unsupported-stanza-type"),
    (Sasl, "<compress xmlns='http://jabber.org/protocol/compress'/>", "unsupported-stanza-type"),
    (Open, "<message>", ""),
    (Open, "<message></presence>", "not-well-formed"),
    (Open, "<message a='1' a='2'/>", "not-well-formed"),
    (Open, "<message><body>&nbsp;</body></message>", "restricted-xml"),
    (Open, "<message><!-- no --></message>", "restricted-xml"),
    (Open, "<message><?no?></message>", "restricted-xml"),
    (Open, "<message><a:b/></message>", "bad-namespace-prefix"),
    (Open, "<message><body>\u{1}</body></message>", "not-well-formed"),
    (Open, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "unsupported-stanza-type"),
    (Open, "<letter/>", "unsupported-stanza-type"),
    (Open, "<letter xmlns='urn:example'/>", "unsupported-stanza-type"),
    (Open, "<what xmlns='urn:xmpp:sm:3'/>", "unsupported-stanza-type"),
    (Open, "<message xmlns='jabber:server'/>", "invalid-namespace"),
    (Open, "<message from='mallory@example.org'/>", "invalid-from"),
    (Open, "<message from='@'/>", "invalid-from"),
    (Open, "<message from='' to='@'/>", "invalid-from"),
    (Open, "<message from='juliet@example.net/balcony'/>", "invalid-from"),
];

const HEADERS: &[(&str, &str)] = &[
    ("version='1.0'", ""),
    ("version='1.0' to='example.org'", ""),
    ("version='2.0' to='example.org'", ""),
    ("version='01.00' to='example.org'", ""),
    ("to='example.org'", "unsupported-version"),
    ("version='0.9' to='example.org'", "unsupported-version"),
    ("version='1' to='example.org'", "unsupported-version"),
    ("version='one.two' to='example.org'", "unsupported-version"),
    ("version='1.0' to='elsewhere.example'", "host-unknown"),
    ("version='1.0' to='juliet@example.org'", "host-unknown"),
    ("version='1.0' to='example.org/x'", "host-unknown"),
    ("version='1.0' to=''", "host-unknown"),
    ("version='1.0' to='..'", "host-unknown"),
    ("version='1.0' to='example.org' from='@'", "invalid-from"),
    ("version='1.0' to='example.org' from=''", "invalid-from"),
];

const WEBSOCKET: &[(When, &str, &str)] = &[
    (First, "", "not-well-formed"),
    (First, " <open xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>", "not-well-formed"),
    (First, "<open xmlns='wrong' version='1.0'/>", "invalid-namespace"),
    (First, "<stream:stream to='example.org'>", "*"),
    (First, "<shut xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>", "bad-format"),
    (First, "<message xmlns='jabber:client'/>", "not-authorized"),
    (First, "<message/>", "invalid-namespace"),
    (Sasl, "<presence xmlns='jabber:client'/>", "not-authorized"),
    (Sasl, "<close xmlns='wrong'/>", "unsupported-stanza-type"),
    (Open, "<presence/>", "invalid-namespace"),
    (Open, " ", "not-well-formed"),
    (Open, "\n<presence xmlns='jabber:client'/>", "not-well-formed"),
    (Open, "\u{feff}<presence xmlns='jabber:client'/>", "not-well-formed"),
    (Open, "<presence xmlns='jabber:client'/><presence xmlns='jabber:client'/>", "not-well-formed"),
    (Open, "<presence xmlns='jabber:client'>", "not-well-formed"),
    (Open, "<?xml version='1.0'?><presence xmlns='jabber:client'/>", "*"),
    (Open, "<!-- --><presence xmlns='jabber:client'/>", "restricted-xml"),
    (Open, "<presence xmlns='jabber:client'><!-- --></presence>", "restricted-xml"),
];

fn stage(framing: Framing, when: When) -> Stage {
    let security = Security { tls: true, ..Security::default() };
    let mut stage = Stage::new(framing, security, Domains::new(Limits::default()));
    match (when, framing) {
        (First, _) => {}
        (Sasl, Framing::Tcp) => stage.receive(Input::Bytes(HELLO.as_bytes())),
        (Sasl, Framing::WebSocket) => stage.receive(Input::Message(WS_HELLO.as_bytes())),
        (Open, _) => stage.act("login"),
    }
    stage.events.clear();
    if when == Open {
        stage.output.clear();
    }
    stage
}

/// `wanted` is a condition, "*" for any, or nothing if the stream must live on.
fn check(stage: &Stage, when: When, text: &str, wanted: &str) {
    let said: Vec<&str> = stage
        .output
        .iter()
        .map(|output| match output {
            Output::Text(text) => text.as_str(),
            Output::Mark(_) => "",
        })
        .collect();
    let said = said.concat();
    let errors: Vec<&str> = Condition::ALL
        .iter()
        .map(|condition| condition.name())
        .filter(|name| said.contains(&format!("<{name} xmlns='urn:ietf:params:xml:ns:xmpp-str")))
        .collect();
    match wanted {
        "" => assert!(errors.is_empty() && stage.events.is_empty(), "{text}: {said}"),
        _ => {
            assert_eq!(errors.len(), 1, "{text}: {said}");
            assert!(wanted == "*" || errors[0] == wanted, "{text}: {said}");
            assert_eq!(stage.events, [format!("closed {}", errors[0])], "{text}");
            let opened = said.find("<stream:stream").or_else(|| said.find("<open "));
            assert!(when == Open || opened < said.find("<stream:error"), "{text}: {said}");
            assert!(said.matches("<stream:error").count() == 1, "{text}: {said}");
            let closed = said.ends_with("</stream:stream>")
                || said.ends_with("<close xmlns=\"urn:ietf:params:xml:ns:xmpp-framing\" />");
            assert!(closed, "{text}: {said}");
        }
    }
}

#[test]
fn bad_bytes_on_tcp() {
    for &(when, text, wanted) in TCP {
        let mut stage = stage(Framing::Tcp, when);
        stage.receive(Input::Bytes(text.as_bytes()));
        check(&stage, when, text, wanted);
    }
}

#[test]
fn bad_headers_on_both_framings() {
    for &(attributes, wanted) in HEADERS {
        let mut tcp = stage(Framing::Tcp, First);
        let text = format!(
            "<stream:stream xmlns='jabber:client' \
             xmlns:stream='http://etherx.jabber.org/streams' {attributes}>"
        );
        tcp.receive(Input::Bytes(text.as_bytes()));
        check(&tcp, First, attributes, wanted);
        let mut websocket = stage(Framing::WebSocket, First);
        let text = format!("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' {attributes}/>");
        websocket.receive(Input::Message(text.as_bytes()));
        check(&websocket, First, attributes, wanted);
    }
}

#[test]
fn another_content_namespace_is_refused_in_the_header() {
    let mut stage = stage(Framing::Tcp, First);
    let text = "<stream:stream xmlns='jabber:server' to='example.org' version='1.0' \
                xmlns:stream='http://etherx.jabber.org/streams'>";
    stage.receive(Input::Bytes(text.as_bytes()));
    check(&stage, First, text, "invalid-namespace");
}

#[test]
fn bad_messages_on_a_websocket() {
    for &(when, text, wanted) in WEBSOCKET {
        let mut stage = stage(Framing::WebSocket, when);
        stage.receive(Input::Message(text.as_bytes()));
        check(&stage, when, text, wanted);
    }
}

#[test]
fn elements_over_the_limit() {
    let big = format!("<message><body>{}</body></message>", "x".repeat(300_000));
    let mut tcp = stage(Framing::Tcp, Open);
    tcp.receive(Input::Bytes(big.as_bytes()));
    check(&tcp, Open, "big", "policy-violation");
    let mut early = stage(Framing::Tcp, Sasl);
    early.receive(Input::Bytes(&big.as_bytes()[..20_000]));
    check(&early, Sasl, "early", "policy-violation");
    let mut websocket = stage(Framing::WebSocket, Open);
    websocket.receive(Input::Message(big.as_bytes()));
    check(&websocket, Open, "message", "policy-violation");
}

#[test]
fn bytes_that_are_not_utf8() {
    let mut stage = stage(Framing::Tcp, Open);
    stage.receive(Input::Bytes(b"<message><body>\xc3\x28</body></message>"));
    check(&stage, Open, "latin", "unsupported-encoding");
}

#[test]
fn input_that_piles_up_behind_a_question_is_bounded() {
    let mut stage = stage(Framing::Tcp, Open);
    stage.prompt = false;
    stage.receive(Input::Bytes(b"<enable xmlns='urn:xmpp:sm:3'/>"));
    stage.events.clear();
    assert!(stage.stream.is_waiting());
    for _ in 0..300 {
        stage.receive(Input::Bytes(&[b' '; 1024]));
    }
    check(&stage, Open, "pile", "policy-violation");
}

#[test]
fn every_condition_can_be_said() {
    for &condition in Condition::ALL {
        let mut stage = stage(Framing::WebSocket, First);
        let error = StreamError::new(condition).text("a < b").with("<x xmlns='urn:x'/>");
        let reason = waxwing_stream::Closing::Error(error);
        stage.stream.close(stage.now, reason);
        stage.act("nonza <x/>");
        check(&stage, First, condition.name(), condition.name());
    }
}
