//! Streams between servers: our two ends against each other, and against noise.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "servers/cable.rs"]
mod cable;
#[path = "stage/servers.rs"]
mod ends;
#[path = "servers/noise.rs"]
mod noise;
#[path = "../../xml/tests/support/random.rs"]
mod random;
mod stage;

use cable::{Cable, Cut, End};
use stage::peers::Peer;
use stage::{Domains, Stage};
use waxwing_stanza::Stanza;
use waxwing_stream::{Demand, Framing, Input, Limits, Security, Tag, Unsent};

/// What is said once both are in.
const TALK: &str = "<message xmlns='jabber:client' from='romeo@montague.example' \
    to='juliet@capulet.example' type='chat'><body>O &amp; o</body><x xmlns='urn:x'><y/></x>\
    </message>";
const TALK_BACK: &str = "<iq xmlns='jabber:client' from='juliet@capulet.example/balcony' \
    to='romeo@montague.example/orchard' type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>";

/// Runs a conversation in every cut, and gives what both ends saw.
fn in_every_cut(cable: impl Fn() -> Cable) -> (Vec<String>, Vec<String>) {
    let whole = converse(cable(), Cut::Whole);
    let same = |cut| {
        let (caller, called, _) = converse(cable(), cut);
        assert_eq!((&caller, &called), (&whole.0, &whole.1), "{cut:?}");
    };
    same(Cut::Bytes);
    (1..whole.2).for_each(|at| same(Cut::At(at)));
    (whole.0, whole.1)
}

fn converse(mut cable: Cable, cut: Cut) -> (Vec<String>, Vec<String>, usize) {
    cable.cut = cut;
    cable.settle();
    cable.caller.act(&format!("deliver 1 {TALK}"));
    cable.called.act(&format!("deliver 2 {TALK_BACK}"));
    cable.settle();
    cable.called.act("handled 1");
    cable.caller.act("handled 1");
    cable.settle();
    cable.caller.act("close");
    cable.settle();
    (cable.caller.events, cable.called.events, cable.carried)
}

fn strings(events: &[&str]) -> Vec<String> {
    events.iter().map(|event| (*event).to_owned()).collect()
}

#[test]
fn starttls_certificates_both_ways_and_acknowledgements() {
    let (caller, called) = in_every_cut(|| {
        let mut caller = Peer::outgoing();
        caller.set("bidi", "");
        caller.set("acks", "");
        caller.set("certificate-required", "");
        let mut called = cable::capulet();
        called.set("certificate-required", "");
        Cable::new(Framing::Tcp, (End::trusted(caller).clear(), End::shown(called).clear()))
    });
    let wanted = strings(&[
        "starttls",
        "linked out montague.example -> capulet.example by certificate",
        "linked in capulet.example -> montague.example by certificate",
        "stanza 1 <iq from='juliet@capulet.example/balcony' to='romeo@montague.example/orchard' \
         id='1' type='get'><ping xmlns='urn:xmpp:ping'/></iq>",
        "confirmed 1",
        "closed footer",
    ]);
    assert_eq!(caller, wanted);
    let wanted = strings(&[
        "starttls",
        "ask vouch montague.example",
        "linked in montague.example -> capulet.example by certificate",
        "linked out capulet.example -> montague.example by certificate",
        "stanza 1 <message from='romeo@montague.example' to='juliet@capulet.example' \
         type='chat'><body>O &amp; o</body><x xmlns='urn:x'><y/></x></message>",
        "confirmed 2",
        "closed footer",
    ]);
    assert_eq!(called, wanted);
}

#[test]
fn dialback_over_tls() {
    let (caller, called) = in_every_cut(|| {
        let called = cable::capulet();
        Cable::new(Framing::Tcp, (End::of(Peer::outgoing()), End::of(called)))
    });
    let wanted = ["linked out montague.example -> capulet.example by dialback", "closed footer"];
    assert_eq!(caller, strings(&wanted));
    assert!(
        called[0].starts_with("dialback montague.example -> capulet.example 2a2a"),
        "{called:?}"
    );
    assert_eq!(called[1], "linked in montague.example -> capulet.example by dialback");
    assert_eq!(called[2], "unsent NotProven");
    assert!(called[3].starts_with("stanza 1 <message"));
    assert_eq!(called[4], "closed footer");
}

/// The certificate of the caller does not do, and its key does.
#[test]
fn a_refused_certificate_leaves_dialback() {
    let (caller, called) = in_every_cut(|| {
        let mut caller = Peer::outgoing();
        caller.set("bidi", "");
        let caller = End::of(caller).showing("verona.example");
        Cable::new(Framing::Tcp, (caller, End::of(cable::capulet())))
    });
    assert_eq!(caller[0], "linked out montague.example -> capulet.example by dialback");
    assert_eq!(caller[1], "linked in capulet.example -> montague.example by address");
    assert_eq!(called[0], "ask vouch montague.example");
    assert!(called[1].starts_with("dialback "), "{called:?}");
}

#[test]
fn over_websockets() {
    let mut caller = Peer::outgoing();
    caller.set("bidi", "");
    caller.set("acks", "");
    let ends = (End::trusted(caller), End::shown(cable::capulet()));
    let (caller, called, _) = converse(Cable::new(Framing::WebSocket, ends), Cut::Whole);
    assert_eq!(caller[0], "linked out montague.example -> capulet.example by certificate");
    assert!(caller[2].starts_with("stanza 1 <iq"), "{caller:?}");
    assert_eq!(caller.last().unwrap(), "closed footer");
    assert!(called.contains(&"confirmed 2".to_owned()), "{called:?}");
}

/// A key that was overheard on one stream opens no other.
#[test]
fn a_replayed_key_is_invalid() {
    let called = cable::capulet();
    let mut first = Cable::new(Framing::Tcp, (End::of(Peer::outgoing()), End::of(called.clone())));
    first.verifies = false;
    first.settle();
    let overheard = first.called.events.last().unwrap().rsplit(' ').next().unwrap().to_owned();
    let right = first.verify("montague.example", "capulet.example", &"2a".repeat(16), &overheard);
    assert_eq!(right, "verdict valid");
    for (from, to, id) in [
        ("montague.example", "capulet.example", "another"),
        ("chat.montague.example", "capulet.example", &"2a".repeat(16)),
        ("montague.example", "verona.example", &"2a".repeat(16)),
    ] {
        assert_eq!(first.verify(from, to, id, &overheard), "verdict invalid", "{from} {to} {id}");
    }
}

fn open(limits: Limits) -> Stage {
    let mut domains = Domains::new(limits);
    let mut peer = Peer::outgoing();
    peer.set("acks", "");
    domains.peer = Some(peer);
    let security = Security { tls: true, ..Security::default() };
    let mut stage = Stage::new(Framing::Tcp, security, domains);
    let said = "<stream:stream id='1' version='1.0' from='capulet.example' \
        xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
        xmlns:stream='http://etherx.jabber.org/streams'><stream:features>\
        <dialback xmlns='urn:xmpp:features:dialback'/><sm xmlns='urn:xmpp:sm:3'/>\
        </stream:features><db:result from='capulet.example' to='montague.example' \
        type='valid'/><enabled xmlns='urn:xmpp:sm:3'/>";
    stage.receive(Input::Bytes(said.as_bytes()));
    assert!(stage.stream.may_send("montague.example", "capulet.example"), "{:?}", stage.events);
    assert!(!stage.stream.may_send("capulet.example", "montague.example"));
    assert!(stage.stream.is_managed());
    stage.output.clear();
    stage.events.clear();
    stage
}

#[test]
fn what_was_not_acknowledged_comes_back() {
    let mut stage = open(Limits::default());
    let stanza = Stanza::parse(TALK).unwrap();
    for tag in 1..=3 {
        stage.stream.deliver(stage.now, &stanza, Tag(tag)).unwrap();
    }
    stage.receive(Input::Bytes(b"<a xmlns='urn:xmpp:sm:3' h='1'/>"));
    assert_eq!(stage.events, ["confirmed 1"]);
    stage.act("end");
    assert_eq!(stage.events, ["confirmed 1", "closed lost"]);
    let acks = stage.stream.take_acks().unwrap();
    let tags: Vec<u64> = acks.into_unacked().map(|(_, tag)| tag.0).collect();
    assert_eq!(tags, [2, 3]);
    assert_eq!(stage.stream.deliver(stage.now, &stanza, Tag(4)), Err(Unsent::Closed));
}

#[test]
fn whose_stream_it_was_is_known_when_it_has_ended() {
    let mut domains = Domains::new(Limits::default());
    domains.peer = Some(Peer::incoming());
    let security = Security { tls: true, ..Security::default() };
    let mut stage = Stage::new(Framing::Tcp, security, domains);
    let said = format!(
        "<stream:stream version='1.0' from='montague.example' to='capulet.example' \
         xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams'>{TALK}"
    );
    stage.receive(Input::Bytes(said.as_bytes()));
    assert!(!stage.stream.may_send("capulet.example", "montague.example"));
    assert!(stage.events.iter().any(|event| event.starts_with("closed")), "{:?}", stage.events);
    assert_eq!(stage.stream.peer().map(|peer| &**peer), Some("montague.example"));
}

/// A driver that minds [`waxwing_stream::Stream::has_room`] never comes to this.
#[test]
fn what_waits_for_acknowledgement_is_bounded() {
    let mut stage = open(Limits { sm_queue_stanzas: 4, ..Limits::default() });
    let stanza = Stanza::parse(TALK).unwrap();
    let mut room = 0;
    while stage.stream.has_room() {
        room += 1;
        stage.stream.deliver(stage.now, &stanza, Tag(room)).unwrap();
    }
    assert_eq!(room, 2);
    for tag in 3..=5 {
        stage.stream.deliver(stage.now, &stanza, Tag(tag)).unwrap();
    }
    stage.act("alive");
    assert_eq!(stage.events, ["closed resource-constraint"]);
    assert_eq!(stage.stream.take_acks().unwrap().len(), 5);
}

/// An idle link holds neither input nor output, nor what proved who the peer is.
#[test]
fn an_idle_link_is_small() {
    let mut stage = open(Limits::default());
    stage.act("alive");
    assert_eq!(stage.stream.outbox().text.capacity(), 0);
    assert_eq!(stage.stream.outbox().marks.capacity(), 0);
    assert!(stage.stream.security().peer_chain.is_empty());
    assert!(size_of_val(&stage.stream) <= 320);
}

/// What must be shown before anything is said, when the transport is encrypted from the start.
#[test]
fn an_untrusted_server_hears_nothing() {
    let mut peer = Peer::outgoing();
    peer.call.as_mut().unwrap().demand = Demand { certificate_required: true, ..Demand::default() };
    let cable = Cable::new(Framing::Tcp, (End::of(peer), End::of(cable::capulet())));
    let mut caller = cable.caller;
    caller.act("alive");
    assert_eq!(caller.events, ["closed refused capulet.example has shown no certificate."]);
    assert!(caller.output.iter().all(|said| !matches!(said, stage::Output::Text(_))));
}

/// Each costs a question to DNS, a call and a line in the log.
#[test]
fn who_shows_one_bad_key_after_the_other_is_let_go() {
    let mut domains = Domains::new(Limits { server_dialbacks: 4, ..Limits::default() });
    domains.peer = Some(Peer::incoming());
    let security = Security { tls: true, ..Security::default() };
    let mut stage = Stage::new(Framing::Tcp, security, domains);
    stage.receive(Input::Bytes(
        b"<stream:stream version='1.0' from='0.example' to='montague.example' \
        xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
        xmlns:stream='http://etherx.jabber.org/streams'>",
    ));
    for number in 0..5 {
        assert!(!stage.events.iter().any(|event| event.starts_with("closed")), "{number}");
        let pair = format!("from='{number}.example' to='montague.example'");
        stage.receive(Input::Bytes(format!("<db:result {pair}>1</db:result>").as_bytes()));
        stage.act(&format!("verified failed {number}.example montague.example"));
    }
    assert_eq!(stage.events.last().unwrap(), "closed policy-violation");
}
