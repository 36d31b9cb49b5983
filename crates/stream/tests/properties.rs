//! Whatever comes in, a stream neither panics nor hangs: it closes or waits with a deadline.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod stage;
#[path = "stage/words.rs"]
mod words;

use proptest::prelude::*;
use stage::{Domains, Stage};
use waxwing_stream::{Framing, Host, Input, Limits, Security, Violation};

/// Pieces that come together to something meaningful now and then.
const PIECES: &[&str] = &[
    stage::HELLO,
    stage::WS_HELLO,
    "<?xml version='1.0'?>",
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>\
     AGp1bGlldAByMG0zMG15cjBtMzA=</auth>",
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>\
     biwsbj11LHI9eA==</auth>",
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'/>",
    "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>biws</response>",
    "<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
    words::SASL2_PLAIN,
    words::SASL2_RESUME,
    words::SASL2_BIND,
    "<response xmlns='urn:xmpp:sasl:2'>Yz1iaXdzLHI9eCxwPXg=</response>",
    "<abort xmlns='urn:xmpp:sasl:2'/>",
    "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
    "<iq xmlns='jabber:client' type='set' id='b'>\
     <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
    "<enable xmlns='urn:xmpp:sm:3' resume='true'/>",
    "<resume xmlns='urn:xmpp:sm:3' previd='sm-1' h='0'/>",
    "<r xmlns='urn:xmpp:sm:3'/>",
    "<a xmlns='urn:xmpp:sm:3' h='1'/>",
    "<a xmlns='urn:xmpp:sm:3' h='0'/>",
    "<message xmlns='jabber:client' to='a@b'><body>x</body></message>",
    "<message xmlns='jabber:client' to='@'/>",
    "<presence xmlns='jabber:client'/>",
    "<inactive xmlns='urn:xmpp:csi:0'/>",
    "</stream:stream>",
    "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>",
    "<stream:error/>",
    " ",
    "<",
    "&",
    stage::COMPONENT_HELLO,
    stage::HANDSHAKE,
    "<message from='macbeth@plays.example.org' to='a@b'><body>x</body></message>",
    "<message to='a@b'/>",
];

const ACTIONS: &[&str] = &[
    "login",
    "tls",
    "wait 1",
    "wait 30",
    "wait 100",
    "handled 1",
    "handled 2",
    "handled 18446744073709551615",
    "send 1 <message xmlns='jabber:client'/>",
    "send 2 <presence xmlns='jabber:client'/>",
    "nonza <x xmlns='urn:x'/>",
    "alive",
    "close",
    "shutdown",
    "redirect elsewhere.example",
    "end",
    "reconnect",
];

#[derive(Clone, Debug)]
enum Step {
    Piece(&'static str),
    Bytes(Vec<u8>),
    Act(&'static str),
    Settle,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::sample::select(PIECES).prop_map(Step::Piece),
        1 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Step::Bytes),
        2 => prop::sample::select(ACTIONS).prop_map(Step::Act),
        1 => Just(Step::Settle),
    ]
}

fn stage(websocket: bool, clear: bool) -> Stage {
    let framing = if websocket { Framing::WebSocket } else { Framing::Tcp };
    let security = Security { tls: !clear, ..Security::default() };
    let limits = Limits { auth_attempts: 99, bind_attempts: 99, ..Limits::default() };
    let mut domains = Domains::new(limits);
    domains.host = Host { sasl2: true, ..stage::host() }.into();
    Stage::new(framing, security, domains)
}

fn put(stage: &mut Stage, websocket: bool, bytes: &[u8]) {
    match websocket {
        true => stage.receive(Input::Message(bytes)),
        false => stage.receive(Input::Bytes(bytes)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_stream_closes_or_waits(
        steps in prop::collection::vec(step(), 0..40),
        websocket: bool,
        clear: bool,
        prompt: bool,
        login: bool,
    ) {
        let mut stage = stage(websocket, clear);
        stage.prompt = prompt;
        if login && !clear {
            stage.act("login");
        }
        for step in steps {
            match step {
                Step::Piece(text) => put(&mut stage, websocket, text.as_bytes()),
                Step::Bytes(bytes) => put(&mut stage, websocket, &bytes),
                Step::Act("login") => {}
                Step::Act("reconnect") => {
                    stage.act("reconnect");
                    stage.events.clear();
                }
                Step::Act(action) => stage.act(action),
                Step::Settle => stage.settle(),
            }
            let closed = stage.events.iter().filter(|event| event.starts_with("closed")).count();
            prop_assert!(closed <= 1, "{:?}", stage.events);
            let last = stage.events.last();
            prop_assert!(closed == 0 || last.is_some_and(|event| event.starts_with("closed")));
            prop_assert_eq!(closed == 0, stage.stream.deadline().is_some(), "{:?}", stage.events);
        }
    }

    #[test]
    fn a_component_closes_or_waits(
        steps in prop::collection::vec(step(), 0..40),
        prompt: bool,
        login: bool,
    ) {
        let mut domains = Domains::new(Limits::default());
        domains.component = true;
        let mut stage = Stage::new(Framing::Tcp, Security::default(), domains);
        stage.prompt = prompt;
        if login {
            stage.act("login");
        }
        for step in steps {
            match step {
                Step::Piece(text) => put(&mut stage, false, text.as_bytes()),
                Step::Bytes(bytes) => put(&mut stage, false, &bytes),
                Step::Act("login" | "reconnect" | "tls") => {}
                Step::Act(action) => stage.act(action),
                Step::Settle => stage.settle(),
            }
            let closed = stage.events.iter().filter(|event| event.starts_with("closed")).count();
            prop_assert!(closed <= 1, "{:?}", stage.events);
            prop_assert_eq!(closed == 0, stage.stream.deadline().is_some(), "{:?}", stage.events);
        }
    }

    #[test]
    fn arbitrary_bytes_end_in_an_error_or_wait(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        websocket: bool,
    ) {
        let mut stage = stage(websocket, false);
        put(&mut stage, websocket, &bytes);
        stage.receive(Input::Violation(Violation::Binary));
        prop_assert!(stage.events.last().is_some_and(|event| event.starts_with("closed")));
    }
}
