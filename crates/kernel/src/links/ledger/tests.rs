//! What is noted is told.

use std::net::IpAddr;

use waxwing_stanza::{Kind, MessageType};

use super::*;
use crate::metrics::Process;

const CHAT: Kind = Kind::Message(MessageType::Chat);

fn ledger() -> (Ledger, Clock, Arc<Metrics>) {
    let clock = Clock::simulated(1_000_000, 1);
    let metrics = Arc::new(Metrics::new("1", "a"));
    (Ledger::new(Arc::clone(&metrics), clock.clone()), clock, metrics)
}

fn opened(theirs: &str, direction: Direction) -> Opened<'_> {
    Opened {
        ours: "localhost",
        theirs,
        direction,
        proof: Proof::Certificate,
        tls: Some("TLS 1.3".into()),
        cipher: None,
        transport: Transport::StartTls,
        address: Some("192.0.2.1:5269".parse().unwrap()),
        found_by: None,
        resumable: true,
    }
}

fn failure(words: &str) -> Failure {
    Failure::new(Reason::Certificate, words, "Ask its operator to renew the certificate.")
}

fn has(metrics: &Metrics, line: &str) -> bool {
    metrics.to_text(&Process::default()).lines().any(|told| told == line)
}

#[test]
fn a_link_is_seen_from_the_first_attempt_to_its_end() {
    let (ledger, _, metrics) = ledger();
    let state = || ledger.show("verona.example").map(|record| record.summary.state);
    assert_eq!(state(), None);
    let line = ledger.line("localhost", "verona.example");
    line.dialling();
    line.queued(3);
    assert_eq!(state(), Some(PeerState::Dialling));
    assert!(has(&metrics, "waxwing_federation_dialling 1"));
    assert!(has(&metrics, "waxwing_federation_queued 3"));
    let way = ledger.opened(opened("verona.example", Direction::Out));
    line.queued(0);
    way.sent(CHAT);
    way.sent(CHAT);
    let record = ledger.show("verona.example").unwrap();
    assert_eq!((record.summary.state, record.summary.sent), (PeerState::Open, 2));
    assert!(record.summary.goes_out && !record.summary.comes_in);
    assert_eq!(record.ways[0].address, Some("192.0.2.1:5269".parse().unwrap()));
    assert!(has(&metrics, "waxwing_federation_dialling 0"));
    assert!(has(&metrics, "waxwing_federation_links{direction=\"out\",proof=\"certificate\"} 1"));
    assert!(has(&metrics, "waxwing_federation_stanzas_sent_total{kind=\"message\"} 2"));
    way.end(None);
    drop(line);
    let record = ledger.show("verona.example").unwrap();
    assert_eq!((record.summary.state, record.summary.sent), (PeerState::Idle, 2));
    let words: Vec<_> = record.history.iter().map(|it| &*it.words).collect();
    assert_eq!(
        words,
        [
            "The way out was closed (localhost).",
            "The way out opened (localhost) to 192.0.2.1:5269: STARTTLS, TLS 1.3, proven by \
             certificate."
        ]
    );
    assert!(has(&metrics, "waxwing_federation_links{direction=\"out\",proof=\"certificate\"} 0"));
}

#[test]
fn a_failure_stays_until_the_way_out_is_open() {
    let (ledger, clock, metrics) = ledger();
    let line = ledger.line("localhost", "verona.example");
    for _ in 0..100 {
        line.dialling();
        line.failed(&failure("The certificate expired."), Some(Duration::from_secs(60)));
    }
    let record = ledger.show("verona.example").unwrap();
    assert_eq!(record.summary.state, PeerState::Resting { until_millis: 1_060_000 });
    assert_eq!((record.history.len(), record.history[0].times), (1, 100));
    assert!(has(
        &metrics,
        "waxwing_federation_failures_total{direction=\"out\",reason=\"certificate\"} 100"
    ));
    drop(line);
    clock.advance(Duration::from_secs(61));
    assert_eq!(ledger.counts(), Counts { failed: 1, ..Counts::default() });
    let came = ledger.opened(opened("verona.example", Direction::In));
    assert_eq!(&*ledger.last_failure("verona.example").unwrap().words, "The certificate expired.");
    let went = ledger.opened(opened("verona.example", Direction::Both));
    assert_eq!(ledger.last_failure("verona.example"), None);
    let ways = vec![Direction::In, Direction::Both];
    assert_eq!(ledger.links_of("localhost"), [("verona.example".into(), ways)]);
    assert_eq!(ledger.links_of("mantua.example"), []);
    came.end(Some(&failure("It broke.")));
    assert_eq!(ledger.last_failure("verona.example"), None, "it says nothing of the way there");
    went.end(Some(&failure("It broke.")));
    assert!(ledger.last_failure("verona.example").is_some());
}

#[test]
fn who_claims_to_be_somebody_changes_nothing_of_what_is_known_of_them() {
    let (ledger, ..) = ledger();
    let evil = IpAddr::from([203, 0, 113, 7]);
    let way = ledger.opened(opened("verona.example", Direction::Out));
    for number in 0..100 {
        let failure = failure(&format!("wrong key {number}"));
        ledger.refused(Some("verona.example"), Some("localhost"), evil, failure);
    }
    let record = ledger.show("verona.example").unwrap();
    assert_eq!((record.summary.state, record.history.len()), (PeerState::Open, 1));
    assert_eq!(record.claims.len(), 4);
    assert_eq!(&*record.claims[0].words, "Refused from 203.0.113.7 for localhost: wrong key 99");
    assert_eq!(ledger.last_failure("verona.example"), None);
    drop(way);
    ledger.refused(None, None, evil, failure("said nothing"));
    ledger.refused(Some("mantua.example"), None, evil, failure("wrong key"));
    let states: Vec<_> = ledger.list().iter().map(|it| it.state.word()).collect();
    assert_eq!(states, ["refused", "idle"]);
}

#[test]
fn thousands_of_hostile_names_push_nobody_out() {
    let (ledger, ..) = ledger();
    ledger.bound(64);
    let held: Vec<_> = (0..1000)
        .map(|number| ledger.opened(opened(&format!("{number}.living"), Direction::In)))
        .collect();
    drop(ledger.opened(opened("proven.example", Direction::Out)));
    let evil = IpAddr::from([203, 0, 113, 7]);
    for number in 0..10_000 {
        let name = format!("{number}.hostile");
        ledger.refused(Some(&name), None, evil, failure(&"x".repeat(10_000)));
        drop(ledger.line("localhost", &format!("{number}.tried")));
    }
    assert_eq!(ledger.list().len(), 1000 + 1 + 8 + 24);
    assert!(ledger.show("proven.example").is_some());
    assert!(
        held.iter()
            .enumerate()
            .all(|(number, _)| { ledger.show(&format!("{number}.living")).is_some() })
    );
    drop(held);
    assert_eq!(ledger.list().len(), 32 + 8 + 24);
    let claimed = ledger.show("9999.hostile").unwrap();
    assert!(claimed.claims[0].words.len() < 600);
}

#[test]
fn a_stream_that_goes_both_ways_later_is_one_stream() {
    let (ledger, _, metrics) = ledger();
    let out = ledger.opened(opened("verona.example", Direction::Out));
    out.sent(CHAT);
    let both = ledger.widened(out, &opened("verona.example", Direction::Both));
    both.received(CHAT);
    let record = ledger.show("verona.example").unwrap();
    assert_eq!((record.summary.sent, record.summary.received), (1, 1));
    assert_eq!((record.ways.len(), record.ways[0].direction), (1, Direction::Both));
    assert_eq!(&*record.history[0].words, "The stream goes both ways from now on (localhost).");
    let count = |direction, count| {
        let links = "waxwing_federation_links";
        has(
            &metrics,
            &format!("{links}{{direction=\"{direction}\",proof=\"certificate\"}} {count}"),
        )
    };
    assert!(count("out", 0) && count("both", 1));
    drop(both);
    let record = ledger.show("verona.example").unwrap();
    assert_eq!((record.summary.sent, record.summary.received), (1, 1));
    assert!(count("both", 0));
}

#[test]
fn what_was_only_a_rule_is_forgotten_with_it() {
    let (ledger, ..) = ledger();
    for (name, reason) in [("a.example", Reason::Policy), ("b.example", Reason::Name)] {
        ledger.line("localhost", name).failed(&Failure::new(reason, "No.", ""), None);
    }
    ledger.pardon(|_| true);
    assert_eq!(ledger.last_failure("a.example"), None);
    assert!(ledger.last_failure("b.example").is_some());
}
