//! Conversations with small changes: the comparison of `fuzz/fuzz_targets/stream.rs` over fixed
//! seeds.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "stage/cuts.rs"]
mod cuts;
#[path = "../../xml/tests/support/random.rs"]
mod random;
mod stage;
#[path = "stage/words.rs"]
mod words;

use cuts::{Start, check};
use random::{Random, mutate};

const ROUNDS: usize = 4000;

/// What a client says after its header, or once it is signed in.
const LINES: [&str; 31] = [
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>\
     AGp1bGlldAByMG0zMG15cjBtMzA=</auth>",
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>\
     biwsbj1qdWxpZXQscj14</auth>",
    "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>Yz1iaXdzLHI9eCxwPXg=</response>",
    "<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
    words::SASL2_PLAIN,
    words::SASL2_RESUME,
    words::SASL2_BIND,
    "<response xmlns='urn:xmpp:sasl:2'>Yz1iaXdzLHI9eCxwPXg=</response>",
    "<abort xmlns='urn:xmpp:sasl:2'/>",
    "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
    "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
     <resource>orchard</resource></bind></iq>",
    "<enable xmlns='urn:xmpp:sm:3' resume='true'/>",
    "<resume xmlns='urn:xmpp:sm:3' previd='sm-1' h='0'/>",
    "<r xmlns='urn:xmpp:sm:3'/>",
    "<a xmlns='urn:xmpp:sm:3' h='0'/>",
    "<a xmlns='urn:xmpp:sm:3' h='4294967295'/>",
    "<message to='romeo@example.org' type='chat'><body>O &amp; <![CDATA[<O>]]></body></message>",
    "<message to='@' id='1'/>",
    "<message from='romeo@example.org'/>",
    "<presence><show>away</show><c xmlns='http://jabber.org/protocol/caps' node='x'/></presence>",
    "<iq type='get' id='1' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>",
    "<iq type='get'/>",
    "<inactive xmlns='urn:xmpp:csi:0'/>",
    "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
    "<unknown xmlns='urn:x'/>",
    " \n ",
    "</stream:stream>",
    stage::HANDSHAKE,
    "<handshake>29eecc9e456895a466b8c89f6c2150e929401f18</handshake>",
    "<message from='macbeth@plays.example.org' to='romeo@example.org'><body>Hail</body></message>",
    "<iq from='plays.example.org' to='example.org' id='waxwing-ping-1' type='result'/>",
];

fn hello(start: Start) -> &'static str {
    if start.is_component { stage::COMPONENT_HELLO } else { stage::HELLO }
}

/// Every cut of every line is in `transcripts.rs`; here lines meet that were not made for each
/// other, with changes in them.
#[test]
fn changed_conversations_do_not_depend_on_cuts() {
    let mut random = Random(0x5EED_0002);
    for _ in 0..ROUNDS {
        let start = Start {
            is_clear: random.below(6) == 0,
            is_signed_in: random.below(2) == 0,
            is_component: random.below(4) == 0,
        };
        let mut bytes = Vec::new();
        if !start.is_signed_in || start.is_clear && !start.is_component {
            bytes.extend(hello(start).bytes());
        }
        for _ in 0..1 + random.below(6) {
            bytes.extend(random.pick(&LINES).bytes());
            if random.below(4) == 0 {
                bytes.extend(hello(start).bytes());
            }
        }
        if random.below(3) > 0 {
            mutate(&mut bytes, &mut random);
        }
        let cuts: Vec<usize> = (0..random.below(8)).map(|_| random.below(1 << 20)).collect();
        check(start, &bytes, &cuts);
    }
}
