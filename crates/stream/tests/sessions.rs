//! What a driver relies on besides the bytes: who keeps a stanza, what an idle stream costs,
//! what an unknown account shows.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod stage;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use stage::{Domains, HELLO, Output, Stage};
use waxwing_stanza::{MessageType, Stanza};
use waxwing_stream::{
    Acks, Entropy, Framing, Input, Limits, MarkKind, Outbox, Security, Stream, Tag,
};

fn stage(limits: Limits) -> Stage {
    let security = Security { tls: true, ..Security::default() };
    Stage::new(Framing::Tcp, security, Domains::new(limits))
}

fn managed(limits: Limits) -> Stage {
    let mut stage = stage(limits);
    stage.act("login");
    stage.receive(Input::Bytes(b"<enable xmlns='urn:xmpp:sm:3' resume='true'/>"));
    stage
}

fn tags(acks: Acks) -> Vec<Tag> {
    acks.into_unacked().map(|(_, tag)| tag).collect()
}

#[test]
fn unacknowledged_stanzas_come_back_however_the_stream_ends() {
    for ending in ["close", "end", "shutdown", "wait 500", "violation protocol"] {
        let mut stage = managed(Limits::default());
        stage.act("send 1 <message xmlns='jabber:client'/>");
        stage.act("send 2 <message xmlns='jabber:client'/>");
        stage.receive(Input::Bytes(b"<a xmlns='urn:xmpp:sm:3' h='1'/><message/>"));
        stage.act(ending);
        stage.act("send 3 <message xmlns='jabber:client'/>");
        stage.act("wait 500");
        let acks = stage.stream.take_acks().unwrap();
        assert_eq!(acks.h(), 0, "{ending}: nothing was handled");
        assert_eq!(acks.address().as_str(), "juliet@example.org/balcony");
        assert_eq!((acks.id(), acks.max_seconds()), (Some("sm-1"), 600));
        assert_eq!(tags(*acks), [Tag(2), Tag(3)], "{ending}");
        assert!(stage.stream.take_acks().is_none());
    }
}

#[test]
fn a_closing_stream_has_room_only_where_stanzas_are_kept() {
    for ending in ["close", "end", "shutdown", "redirect wss://other.example/ws"] {
        let mut kept = managed(Limits::default());
        kept.act(ending);
        assert!(kept.stream.has_room(), "{ending}: the queue takes it");
        let mut plain = stage(Limits::default());
        plain.act("login");
        assert!(plain.stream.has_room());
        plain.act(ending);
        assert!(!plain.stream.has_room(), "{ending}: what is sent now would be lost");
    }
}

#[test]
fn only_an_unfinished_session_is_resumable() {
    for (ending, resumable) in
        [("end", true), ("shutdown", true), ("wait 60", true), ("close", false)]
    {
        let mut stage = managed(Limits::default());
        stage.act(ending);
        stage.act("wait 60");
        assert_eq!(stage.stream.is_resumable(), resumable, "{ending}");
    }
    let mut stage = stage(Limits::default());
    stage.act("login");
    stage.receive(Input::Bytes(b"<enable xmlns='urn:xmpp:sm:3'/>"));
    stage.act("end");
    assert!(!stage.stream.is_resumable(), "resumption was not asked for");
}

#[test]
fn a_waiting_session_takes_stanzas_up_to_its_limits() {
    let mut stage = managed(Limits { sm_queue_stanzas: 2, ..Limits::default() });
    stage.act("end");
    let mut acks = stage.stream.take_acks().unwrap();
    let stanza = Stanza::message(MessageType::Chat).with("<body>while you were away</body>");
    assert!(acks.push(&stanza, Tag(1)).is_ok());
    assert!(acks.push(&stanza, Tag(2)).is_ok());
    assert!(acks.push(&stanza, Tag(3)).is_err());
    assert_eq!(acks.len(), 3);
    assert!(acks.bytes() > 60);
    assert_eq!(acks.unacked().count(), 3);
    assert_eq!(tags(*acks), [Tag(1), Tag(2), Tag(3)]);
}

#[test]
fn bytes_bound_the_queue_too() {
    let mut stage = managed(Limits { sm_queue_bytes: 10_000, ..Limits::default() });
    let body =
        format!("<message xmlns='jabber:client'><body>{}</body></message>", "x".repeat(9000));
    stage.act(&format!("send 1 {body}"));
    assert!(stage.stream.address().is_some());
    stage.act(&format!("send 2 {body}"));
    assert!(stage.stream.address().is_none());
    assert_eq!(stage.events.last().unwrap(), "closed resource-constraint");
    assert!(!stage.stream.is_resumable());
    assert_eq!(stage.stream.take_acks().unwrap().len(), 2);
}

#[test]
fn the_end_waits_behind_input_that_waits() {
    let mut stage = stage(Limits::default());
    stage.act("login");
    stage.prompt = false;
    stage.receive(Input::Bytes(b"<enable xmlns='urn:xmpp:sm:3'/><presence/></stream:stream>"));
    stage.act("end");
    assert_eq!(stage.events.len(), 1, "{:?}", stage.events);
    stage.settle();
    assert!(stage.events[1].starts_with("stanza 1"), "{:?}", stage.events);
    assert_eq!(stage.events[2], "closed footer");
}

#[test]
fn a_late_answer_to_a_dead_stream_is_ignored() {
    let mut stage = stage(Limits::default());
    stage.prompt = false;
    stage.receive(Input::Bytes(HELLO.as_bytes()));
    let login = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>\
                 AGp1bGlldAByMG0zMG15cjBtMzA=</auth>";
    stage.receive(Input::Bytes(login.as_bytes()));
    stage.act("wait 60");
    let said = stage.output.len();
    stage.settle();
    assert_eq!(stage.output.len(), said);
    assert_eq!(stage.events.last().unwrap(), "closed lost");
}

#[test]
fn a_stream_is_small_and_idle_without_buffers() {
    assert!(size_of::<Stream>() <= 320, "{}", size_of::<Stream>());
    assert!(size_of::<Acks>() <= 192, "{}", size_of::<Acks>());
    let mut outbox = Outbox { text: "sent".into(), marks: Vec::new() };
    outbox.clear();
    assert!(outbox.is_empty());
    assert_eq!(outbox.text.capacity() + outbox.marks.capacity(), 0);
}

#[test]
fn an_unknown_account_shows_a_stable_salt() {
    let salt = |name: &str| {
        let mut stage = stage(Limits::default());
        stage.receive(Input::Bytes(HELLO.as_bytes()));
        stage.output.clear();
        let first = BASE64.encode(format!("n,,n={name},r=x"));
        let text = format!(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'>\
             {first}</auth>"
        );
        stage.receive(Input::Bytes(text.as_bytes()));
        let [Output::Text(challenge)] = stage.output.as_slice() else { panic!("no challenge") };
        let data = challenge.split(['<', '>']).nth(2).unwrap();
        let data = String::from_utf8(BASE64.decode(data).unwrap()).unwrap();
        assert!(data.ends_with(",i=16"), "{data}");
        data.split(',').nth(1).unwrap().to_owned()
    };
    assert_eq!(salt("nobody"), salt("nobody"));
    assert_eq!(salt("nobody"), salt("NoBody"));
    assert_ne!(salt("nobody"), salt("noone"));
    assert_ne!(salt("nobody"), salt("juliet"));
}

#[test]
fn stream_ids_are_unique() {
    let domains = Arc::new(Domains::new(Limits::default()));
    let counter = AtomicU64::new(0);
    let entropy: Entropy = Arc::new(move |bytes| {
        let next = counter.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        bytes[..8].copy_from_slice(&next);
    });
    let now = stage(Limits::default()).now;
    let hello = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' version='1.0'/>";
    let ids: HashSet<String> = (0..1000)
        .map(|_| {
            let security = Security { trusted_proxy: true, ..Security::default() };
            let framing = Framing::WebSocket;
            let mut stream = Stream::new(now, framing, security, domains.clone(), entropy.clone());
            stream.receive(now, Input::Message(hello.as_bytes()));
            let outbox = stream.outbox();
            assert_eq!(outbox.marks.len(), 2);
            assert!(outbox.marks.iter().all(|mark| mark.kind == MarkKind::Text));
            outbox.text[..outbox.marks[0].end].to_owned()
        })
        .collect();
    assert_eq!(ids.len(), 1000);
}

#[test]
fn output_joins_what_the_driver_has_not_written() {
    let mut stage = stage(Limits::default());
    stage.act("login");
    let stanza = Stanza::message(MessageType::Normal).with("<body>1</body>");
    stage.stream.send(stage.now, &stanza, Tag(0));
    stage.stream.outbox().text.drain(..4); // half written
    stage.stream.send(stage.now, &stanza, Tag(0));
    let text = stage.stream.outbox().text.clone();
    assert_eq!(text, "sage><body>1</body></message><message><body>1</body></message>");
}
