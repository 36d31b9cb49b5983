//! What DNSSEC proves, and what it does not.

use std::path::PathBuf;

use hickory_resolver::proto::rr::RecordType;
use tempfile::TempDir;
use waxwing_kernel::clock::Clock;

use super::dns::{Habit, Server, Zone};
use super::{names, short};
use crate::limits::Limits;
use crate::names::{FoundBy, NameTrouble, Names, NamesOptions, Tlsa};

/// Names by a signed zone, with its anchors.
async fn signed(zone: Zone) -> (Names, Server, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let anchors = folder.path().join("anchors");
    let server = Server::start(zone.signed(&anchors)).await;
    let names = names(&options(&server, Some(anchors)), &Limits::default(), Clock::system());
    (names, server, folder)
}

fn options(server: &Server, anchors: Option<PathBuf>) -> NamesOptions {
    NamesOptions {
        servers: vec![server.address],
        anchors,
        private_addresses: true,
        ..NamesOptions::default()
    }
}

fn zone() -> Zone {
    Zone::default()
        .with("_xmpp-server._tcp.one.example.", "SRV", "0 0 5269 a.example.")
        .with("a.example.", "A", "127.0.0.1")
        .with("a.example.", "AAAA", "::1")
        .with("_5269._tcp.a.example.", "TLSA", "3 1 1 00112233445566778899aabbccddeeff")
}

/// RFC 7673 §3.1: DANE counts when the SRV records, the addresses and the TLSA records are secure.
#[tokio::test]
async fn signed_records_are_proven() {
    let (names, _server, _folder) = signed(zone()).await;
    let places = names.places("one.example").await.unwrap();
    assert_eq!(short(&places), [("a.example:5269".to_owned(), false)]);
    assert!(places.is_signed && places.targets[0].is_signed);
    let addresses = names.addresses(&places.targets[0]).await.unwrap();
    assert!(addresses.is_signed);
    let data: Vec<u8> = (0..16).map(|digit| digit * 17).collect();
    let tlsa = Tlsa { usage: 3, selector: 1, matching: 1, data };
    assert_eq!(names.tlsa("a.example", 5269).await, Ok(vec![tlsa]));
    assert_eq!(names.tlsa("a.example", 5270).await, Ok(vec![]));
}

#[tokio::test]
async fn that_there_is_nothing_is_proven() {
    let (names, _server, _folder) = signed(zone()).await;
    let places = names.places("a.example").await.unwrap();
    assert_eq!(places.targets[0].found_by, FoundBy::Fallback);
    assert!(places.is_signed);
    assert_eq!(names.tlsa("a.example", 443).await, Ok(vec![]));
}

/// RFC 4035 §5.5: an answer that should be signed and is not rightly so, is as none.
#[tokio::test]
async fn a_bogus_answer_leads_nowhere() {
    let service = "_xmpp-server._tcp.one.example.";
    let bogus = |name: &str| NameTrouble::Bogus(name.into());
    let (names, _server, _folder) = signed(zone().habit(service, Habit::Strips)).await;
    assert_eq!(names.places("one.example").await, Err(bogus("one.example")));

    let habits = zone()
        .habit("_xmpps-server._tcp.a.example.", Habit::Strips)
        .habit("_5269._tcp.a.example.", Habit::Strips)
        .habit("a.example.", Habit::Forges);
    let (names, _server, _folder) = signed(habits).await;
    // No place is made up where an answer was suppressed.
    assert_eq!(names.places("a.example").await, Err(bogus("a.example")));
    let places = names.places("one.example").await.unwrap();
    assert_eq!(names.addresses(&places.targets[0]).await, Err(bogus("a.example")));
    // RFC 7671 §2.1: who strips TLSA records must not gain by it.
    let tlsa = names.tlsa("a.example", 5269).await;
    assert_eq!(tlsa, Err(bogus("_5269._tcp.a.example")));
}

#[tokio::test]
async fn a_zone_that_is_not_signed_is_believed_but_proves_nothing() {
    let zone = zone()
        .unsigned("bare.")
        .with("_xmpp-server._tcp.bare.", "SRV", "0 0 5269 host.bare.")
        .with("host.bare.", "A", "127.0.0.1")
        .with("_5269._tcp.host.bare.", "TLSA", "3 1 1 00112233445566778899aabbccddeeff");
    let (names, _server, _folder) = signed(zone).await;
    let places = names.places("bare").await.unwrap();
    assert_eq!(short(&places), [("host.bare:5269".to_owned(), false)]);
    assert!(!places.is_signed);
    let addresses = names.addresses(&places.targets[0]).await.unwrap();
    assert!(!addresses.is_signed && addresses.v4.len() == 1);
    assert_eq!(names.tlsa("host.bare", 5269).await, Ok(vec![]));
    // A signed zone may name a server in one that is not.
    assert!(names.places("one.example").await.unwrap().is_signed);
}

/// Where DNS servers hand out no signatures that lead to the root, there is no DNSSEC, and the rest
/// works.
#[tokio::test]
async fn servers_without_signatures_are_found_out() {
    let zone = Zone::default()
        .with("_xmpp-server._tcp.one.net.", "SRV", "0 0 5269 a.one.net.")
        .with("a.one.net.", "A", "127.0.0.1")
        .with("_5269._tcp.a.one.net.", "TLSA", "3 1 1 00112233445566778899aabbccddeeff");
    let server = Server::start(zone).await;
    let names = names(&options(&server, None), &Limits::default(), Clock::system());
    let probes = || server.count(".", RecordType::SOA);
    for _ in 0..2 {
        let places = names.places("one.net").await.unwrap();
        assert!(!places.is_signed);
        assert!(!names.addresses(&places.targets[0]).await.unwrap().is_signed);
        assert_eq!(names.tlsa("a.one.net", 5269).await, Ok(vec![]));
    }
    // It was found out once, and the library may ask twice.
    assert!((1..=2).contains(&probes()), "{:?}", server.asked());
}

/// Below a name that only a network of one's own has, nothing can be signed.
#[tokio::test]
async fn private_names_are_not_checked() {
    let zone = Zone::default().with("_xmpp-server._tcp.a.lan.", "SRV", "0 0 5269 a.lan.");
    let server = Server::start(zone).await;
    let names = names(&options(&server, None), &Limits::default(), Clock::system());
    assert!(!names.places("a.lan").await.unwrap().is_signed);
    assert_eq!(server.count(".", RecordType::SOA), 0);
}

#[tokio::test]
async fn anchors_that_cannot_be_read_are_told_of() {
    let server = Server::start(Zone::default()).await;
    let options = options(&server, Some("/nonexistent/anchors".into()));
    let web = std::sync::Arc::new(super::NoWeb);
    let refused = Names::new(&options, &Limits::default(), web, Clock::system());
    let why = refused.err().unwrap();
    assert!(why.contains("/nonexistent/anchors"), "{why}");
}
