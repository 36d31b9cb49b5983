//! Nanoseconds per message: our splitter beside rxml, in the same run.
//!
//! `cargo bench -p waxwing-xml`

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use rxml::{Parse, Parser};
use waxwing_xml::{Event, Limits, Splitter};

const HEADER: &str = "<stream:stream xmlns='jabber:client' \
                      xmlns:stream='http://etherx.jabber.org/streams' to='example.org'>";

fn main() {
    println!("{:<14} {:>6} {:>12} {:>12} {:>7}", "message", "bytes", "ours ns", "rxml ns", "ratio");
    for (name, message) in [
        ("chat", chat(303)),
        ("chat", chat(400)),
        ("prefixed chat", prefixed_chat()),
        ("pubsub iq", pubsub(4096)),
    ] {
        let ours = time(|| ours(&message));
        let theirs = time(|| theirs(&message));
        let (bytes, ratio) = (message.len(), theirs / ours);
        println!("{name:<14} {bytes:>6} {ours:>12.0} {theirs:>12.0} {ratio:>7.1}");
    }
}

/// Messages read in one go; a read from a socket brings about so many.
const BATCH: usize = 32;

/// The median of several runs over a stream of [`BATCH`] messages, per message.
fn time(mut run: impl FnMut() -> Duration) -> f64 {
    let mut runs: Vec<Duration> = (0..400).map(|_| run()).collect();
    runs.sort_unstable();
    runs[runs.len() / 2].as_nanos() as f64 / BATCH as f64
}

/// Frames each message, takes what routing needs, and counts its children.
fn ours(message: &str) -> Duration {
    let mut splitter = Splitter::stream(Limits::default(), "jabber:client");
    splitter.next(&mut HEADER.as_bytes()).expect("the header is well-formed");
    let batch = message.repeat(BATCH);
    let mut input = batch.as_bytes();
    let start = now();
    while let Some(event) = splitter.next(&mut input).expect("the messages are well-formed") {
        if let Event::Element(element) = event {
            black_box((element.name(), element.namespace()));
            black_box((
                element.attribute("to"),
                element.attribute("type"),
                element.attribute("id"),
            ));
            black_box(element.children().map(|child| child.namespace().len()).sum::<usize>());
        }
    }
    start.elapsed()
}

/// Reads all events of each message.
fn theirs(message: &str) -> Duration {
    let mut parser = Parser::new();
    let mut header = HEADER.as_bytes();
    while !header.is_empty() {
        black_box(parser.parse(&mut header, false).expect("the header is well-formed"));
    }
    let batch = message.repeat(BATCH);
    let mut input = batch.as_bytes();
    let start = now();
    while let Ok(Some(event)) = parser.parse(&mut input, false) {
        black_box(event);
    }
    start.elapsed()
}

fn chat(bytes: usize) -> String {
    let write = |body: &str| {
        format!(
            "<message type='chat' to='juliet@capulet.example/balcony' id='a0b1c2' xml:lang='en'>\
             <body>{body}</body><active xmlns='http://jabber.org/protocol/chatstates'/>\
             <origin-id xmlns='urn:xmpp:sid:0' id='a0b1c2'/><request xmlns='urn:xmpp:receipts'/>\
             </message>"
        )
    };
    let text = "Neither, fair saint, if either thee dislike. ".repeat(8);
    write(&text[..bytes - write("").len()])
}

/// One that has to be rewritten: its children take a prefix from the stanza.
fn prefixed_chat() -> String {
    "<message to='juliet@capulet.example' xmlns:p='urn:p'><p:body p:x='1'>Wherefore?</p:body>\
     <body>Wherefore art thou?</body></message>"
        .to_owned()
}

fn pubsub(bytes: usize) -> String {
    let entry = "<entry xmlns='http://www.w3.org/2005/Atom'><title>Soliloquy</title>\
                 <link rel='alternate' type='text/html' href='http://denmark.example/a?b=1&amp;c'/>\
                 <summary>To be, or not to be: that is the question.</summary></entry>";
    let write = |items: &str, pad: &str| {
        format!(
            "<iq type='set' id='p1' to='pubsub.example'><pubsub \
             xmlns='http://jabber.org/protocol/pubsub'><publish node='musings'><item id='1'>{items}\
             {pad}</item></publish></pubsub></iq>"
        )
    };
    let items = entry.repeat((bytes - write("", "").len()) / entry.len());
    let pad = "x".repeat(bytes - write(&items, "").len());
    write(&items, &pad)
}

#[expect(clippy::disallowed_methods, reason = "a benchmark is about real time")]
fn now() -> Instant {
    Instant::now()
}
