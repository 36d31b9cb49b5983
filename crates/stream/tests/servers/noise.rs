//! What no server says: lines that were not made for each other, with changes in them.
//!
//! The stage checks every stanza that comes out against the pairs that were proven.

use waxwing_stream::{Framing, Input, Limits, Security};

use crate::cable::{Cable, End, capulet};
use crate::random::{Random, mutate};
use crate::stage::peers::Peer;
use crate::stage::{Domains, Output, Stage};

const ROUNDS: usize = 3000;

const HELLO: &str = "<?xml version='1.0'?><stream:stream from='capulet.example' \
    to='montague.example' id='417GAF25' version='1.0' xmlns='jabber:server' \
    xmlns:db='jabber:server:dialback' xmlns:stream='http://etherx.jabber.org/streams'>";

const LINES: [&str; 33] = [
    "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>",
    "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
     <mechanism>EXTERNAL</mechanism></mechanisms><bidi xmlns='urn:xmpp:features:bidi'/>\
     <dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback></stream:features>",
    "<stream:features><sm xmlns='urn:xmpp:sm:3'/><limits xmlns='urn:xmpp:stream-limits:0'>\
     <max-bytes>1000</max-bytes></limits></stream:features>",
    "<stream:features/>",
    "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
    "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
    "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>",
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>\
     Y2FwdWxldC5leGFtcGxl</auth>",
    "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
    "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>",
    "<bidi xmlns='urn:xmpp:bidi'/>",
    "<db:result from='capulet.example' to='montague.example'>b4835385</db:result>",
    "<db:result from='rooms.capulet.example' to='chat.montague.example'>b4835385</db:result>",
    "<db:result from='capulet.example' to='montague.example' type='valid'/>",
    "<db:result from='verona.example' to='montague.example' type='valid'/>",
    "<db:result from='capulet.example' to='montague.example' type='error'><error>\
     <forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>",
    "<db:verify from='capulet.example' to='montague.example' id='417GAF25'>1</db:verify>",
    "<db:verify from='capulet.example' to='montague.example' id='417GAF25' type='valid'/>",
    "<enable xmlns='urn:xmpp:sm:3'/>",
    "<enabled xmlns='urn:xmpp:sm:3'/>",
    "<failed xmlns='urn:xmpp:sm:3'/>",
    "<r xmlns='urn:xmpp:sm:3'/>",
    "<a xmlns='urn:xmpp:sm:3' h='0'/>",
    "<message from='juliet@capulet.example' to='romeo@montague.example'><body>O</body></message>",
    "<message from='a@rooms.capulet.example' to='b@chat.montague.example'/>",
    "<presence from='mercutio@verona.example' to='romeo@montague.example'/>",
    "<iq from='romeo@montague.example' to='romeo@montague.example' id='1' type='result'/>",
    "<message from='juliet@capulet.example' to='@'/>",
    "<message xmlns='jabber:client' from='juliet@capulet.example' to='montague.example'/>",
    "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
    " \n ",
    "</stream:stream>",
];

const ACTIONS: [&str; 13] = [
    "tls",
    "verified valid capulet.example montague.example",
    "verified invalid capulet.example montague.example",
    "verified failed capulet.example montague.example",
    "verified valid rooms.capulet.example chat.montague.example",
    "verified valid verona.example montague.example",
    "deliver 1 <message xmlns='jabber:client' from='montague.example' to='capulet.example'/>",
    "handled 1",
    "handled 18446744073709551615",
    "wait 1",
    "wait 60",
    "close",
    "end",
];

/// One round, drawn once and played in several cuts.
#[derive(Clone, Debug)]
enum Move {
    Bytes(Vec<u8>),
    Act(&'static str),
}

fn draw(random: &mut Random) -> (Peer, Security, Vec<Move>) {
    let mut peer = if random.below(2) == 0 { Peer::incoming() } else { Peer::outgoing() };
    if let Some(call) = &mut peer.call {
        (call.bidi, call.acks) = (random.below(2) == 0, random.below(2) == 0);
        if random.below(6) == 0 {
            peer.set("verify", "417GAF25 b4835385");
        }
    }
    if random.below(4) == 0 {
        peer.set("optional-tls", "");
    }
    let peer_chain = match random.below(3) {
        0 => vec![b"capulet.example".to_vec()],
        1 => vec![b"verona.example".to_vec()],
        _ => Vec::new(),
    };
    let is_in = random.below(2) == 0;
    let tls = is_in || random.below(5) > 0;
    let security = Security { tls, peer_chain, ..Security::default() };
    let mut moves = vec![Move::Bytes(HELLO.into())];
    if is_in {
        moves.extend(entering(peer.call.is_some()));
    }
    for _ in 0..1 + random.below(9) {
        if random.below(3) == 0 {
            moves.push(Move::Act(random.pick(&ACTIONS)));
            continue;
        }
        let mut bytes = random.pick(&LINES).as_bytes().to_vec();
        if random.below(4) == 0 {
            bytes.extend(HELLO.bytes());
        }
        if random.below(4) == 0 {
            mutate(&mut bytes, random);
        }
        moves.push(Move::Bytes(bytes));
    }
    (peer, security, moves)
}

/// What opens a stream.
fn entering(is_called: bool) -> Vec<Move> {
    let line = |at: usize| Move::Bytes(LINES[at].into());
    match is_called {
        true => vec![line(1), line(10), line(14)],
        false => vec![line(11), line(12), Move::Act(ACTIONS[1])],
    }
}

/// What was said and what was seen, when every piece of bytes is cut into pieces of `size`.
fn play(
    (peer, security, moves): &(Peer, Security, Vec<Move>),
    size: usize,
) -> (String, Vec<String>) {
    let mut domains = Domains::new(Limits::default());
    domains.peer = Some(peer.clone());
    let mut stage = Stage::new(Framing::Tcp, security.clone(), domains);
    for step in moves {
        match step {
            Move::Bytes(bytes) => {
                bytes.chunks(size).for_each(|piece| stage.receive(Input::Bytes(piece)));
            }
            Move::Act(action) => stage.act(action),
        }
        check(&stage);
    }
    (said(&stage), stage.events)
}

/// It closes, once, or waits with a deadline.
fn check(stage: &Stage) {
    // What the driver tried later is not the stream's.
    let mut events = stage.events.iter().filter(|event| !event.starts_with("unsent"));
    let is_closed = |event: &&String| event.starts_with("closed");
    let closed = events.clone().filter(is_closed).count();
    assert_eq!(closed == 1, stage.stream.deadline().is_none(), "{:?}", stage.events);
    let last = events.next_back();
    assert!(closed == 0 || last.as_ref().is_some_and(is_closed), "{:?}", stage.events);
}

fn said(stage: &Stage) -> String {
    let text = |said: &Output| match said {
        Output::Text(text) => text.clone(),
        Output::Mark(mark) => format!("[{mark}]"),
    };
    stage.output.iter().map(text).collect()
}

#[test]
fn whatever_is_said_in_whatever_cuts() {
    let mut random = Random(0x5EED_0006);
    let mut linked = 0;
    for _ in 0..ROUNDS {
        let round = draw(&mut random);
        let whole = play(&round, usize::MAX);
        for size in [1, 2 + random.below(60)] {
            assert_eq!(play(&round, size), whole, "{size} {round:?}");
        }
        linked += usize::from(whole.1.iter().any(|event| event.starts_with("linked in")));
    }
    assert!(linked > ROUNDS / 50, "some conversations come to something: {linked}");
}

/// Our two ends, with a cable that changes what it carries.
#[test]
fn a_broken_cable() {
    let mut random = Random(0x5EED_0007);
    for _ in 0..300 {
        let mut caller = Peer::outgoing();
        caller.set("bidi", "");
        caller.set("acks", "");
        let ends = (End::trusted(caller).clear(), End::shown(capulet()).clear());
        let mut cable = Cable::new(Framing::Tcp, ends);
        cable.harm = Some((random.below(3000), random.below(256) as u8));
        cable.settle();
        cable.called.act(
            "deliver 1 <presence xmlns='jabber:client' from='capulet.example' \
            to='montague.example'/>",
        );
        cable.settle();
        check(&cable.caller);
        check(&cable.called);
    }
}

#[test]
fn whatever_comes_on_a_websocket() {
    let mut random = Random(0x5EED_0008);
    for _ in 0..ROUNDS {
        let (peer, security, moves) = draw(&mut random);
        let mut domains = Domains::new(Limits::default());
        domains.peer = Some(peer);
        let security = Security { tls: true, ..security };
        let mut stage = Stage::new(Framing::WebSocket, security, domains);
        let open = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing-server' \
            from='capulet.example' to='montague.example' version='1.0' id='1'/>";
        stage.receive(Input::Message(open.as_bytes()));
        for step in &moves[1..] {
            match step {
                Move::Bytes(bytes) => stage.receive(Input::Message(&standing_alone(bytes))),
                Move::Act(action) => stage.act(action),
            }
            check(&stage);
        }
    }
}

/// The same with the namespaces that TCP gives in the header.
fn standing_alone(bytes: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let mut text = text.replacen("<db:", "<db:x xmlns:db='jabber:server:dialback' ", 1);
    for name in ["result", "verify"] {
        let wrong = format!("<db:x xmlns:db='jabber:server:dialback' {name}");
        let right = format!("<db:{name} xmlns:db='jabber:server:dialback' xmlns='jabber:server'");
        text = text.replace(&wrong, &right);
    }
    for name in ["features", "error"] {
        let right = format!("<stream:{name} xmlns:stream='http://etherx.jabber.org/streams'");
        text = text.replacen(&format!("<stream:{name}"), &right, 1);
    }
    for name in ["message", "presence", "iq"] {
        let right = format!("<{name} xmlns='jabber:server' from");
        text = text.replacen(&format!("<{name} from"), &right, 1);
    }
    text.into_bytes()
}
