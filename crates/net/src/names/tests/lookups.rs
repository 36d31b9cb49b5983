//! Records without signatures.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::RecordType;
use waxwing_kernel::clock::Clock;

use super::dns::{Habit, NEGATIVE_TTL, Server, TTL, Zone};
use super::{names, plain, quick, short};
use crate::limits::Limits;
use crate::names::{Dnssec, FoundBy, NameTrouble, Names, NamesOptions};

/// XEP-0368 §3.
#[tokio::test]
async fn both_services_are_one_list() {
    let zone = Zone::default()
        .with("_xmpp-server._tcp.one.example.", "SRV", "20 0 5269 b.example.")
        .with("_xmpps-server._tcp.one.example.", "SRV", "10 0 5270 A.Example.")
        .with("_xmpps-server._tcp.one.example.", "SRV", "30 0 443 c.example.")
        .with("a.example.", "A", "127.0.0.1")
        .with("a.example.", "AAAA", "::1")
        .with("a.example.", "A", "127.0.0.2");
    let (names, _server) = plain(zone).await;
    let places = names.places("one.example").await.unwrap();
    let expected = [("a.example:5270", true), ("b.example:5269", false), ("c.example:443", true)];
    assert_eq!(short(&places), expected.map(|(place, is_direct)| (place.to_owned(), is_direct)));
    let found_by: Vec<_> = places.targets.iter().map(|target| target.found_by).collect();
    assert_eq!(found_by, [FoundBy::SrvTls, FoundBy::Srv, FoundBy::SrvTls]);
    assert!(!places.is_signed);
    let mut addresses = names.addresses(&places.targets[0]).await.unwrap();
    addresses.v4.sort();
    assert_eq!(addresses.v6, ["::1".parse::<Ipv6Addr>().unwrap()]);
    assert_eq!(addresses.v4, ["127.0.0.1", "127.0.0.2"].map(|it| it.parse::<Ipv4Addr>().unwrap()));
    assert!(!addresses.is_signed);
}

/// RFC 6120 §3.2.2.
#[tokio::test]
async fn without_records_a_domain_is_its_own_server() {
    let zone = Zone::default().with("xn--bcher-kva.example.", "A", "127.0.0.1").with(
        "empty.example.",
        "TXT",
        "nothing",
    );
    let (names, _server) = plain(zone).await;
    let places = names.places("bücher.example").await.unwrap();
    assert_eq!(short(&places), [("xn--bcher-kva.example:5269".to_owned(), false)]);
    assert_eq!(places.targets[0].found_by, FoundBy::Fallback);
    assert_eq!(names.addresses(&places.targets[0]).await.unwrap().v4.len(), 1);
    for (domain, trouble) in [
        ("empty.example", NameTrouble::NoAddress("empty.example".into())),
        ("absent.example", NameTrouble::NoSuchName("absent.example".into())),
    ] {
        let places = names.places(domain).await.unwrap();
        let found = names.addresses(&places.targets[0]).await;
        assert_eq!(found, Err(trouble.clone()), "{domain}");
        assert!(trouble.is_absence());
    }
}

/// RFC 2782: "A Target of "." means that the service is decidedly not available at this domain."
#[tokio::test]
async fn who_declines_is_not_called() {
    let zone = Zone::default()
        .with("_xmpp-server._tcp.no.example.", "SRV", "0 0 0 .")
        .with("no.example.", "A", "127.0.0.1")
        .with("_xmpps-server._tcp.half.example.", "SRV", "0 0 0 .")
        .with("_xmpp-server._tcp.half.example.", "SRV", "0 0 5269 half.example.")
        .with("_xmpps-server._tcp.odd.example.", "SRV", "0 0 0 .")
        .with("odd.example.", "A", "127.0.0.1");
    let (names, _server) = plain(zone).await;
    let declined = |name: &str| Err(NameTrouble::Declined(name.into()));
    assert_eq!(names.places("no.example").await, declined("no.example"));
    let half = names.places("half.example").await.unwrap();
    assert_eq!(short(&half), [("half.example:5269".to_owned(), false)]);
    // XEP-0368 §3: "The initiating party MUST NOT perform A/AAAA fallback as per RFC 6120".
    assert_eq!(names.places("odd.example").await, declined("odd.example"));
}

#[tokio::test]
async fn an_address_as_a_domain_needs_no_dns() {
    let (names, server) = plain(Zone::default()).await;
    for (domain, host) in [("127.0.0.1", "127.0.0.1"), ("[::1]", "::1")] {
        let places = names.places(domain).await.unwrap();
        assert_eq!((&*places.targets[0].host, places.targets[0].port), (host, 5269));
        assert!(!names.addresses(&places.targets[0]).await.unwrap().is_empty());
        assert!(names.tlsa(host, 5269).await.unwrap().is_empty());
    }
    assert_eq!(names.places("a..b").await, Err(NameTrouble::BadDomain("a..b".into())));
    assert_eq!(server.asked(), []);
}

#[tokio::test]
async fn a_truncated_answer_is_read_over_tcp() {
    let zone = Zone::default()
        .with("_xmpp-server._tcp.big.example.", "SRV", "0 0 5269 a.example.")
        .habit("_xmpp-server._tcp.big.example.", Habit::Truncates);
    let (names, server) = plain(zone).await;
    let places = names.places("big.example").await.unwrap();
    assert_eq!(short(&places), [("a.example:5269".to_owned(), false)]);
    assert!(server.asked().iter().any(|asked| asked.is_tcp));
}

#[tokio::test]
async fn aliases_are_followed_and_rounds_are_left() {
    let zone = Zone::default()
        .with("_xmpp-server._tcp.x.example.", "CNAME", "_xmpp-server._tcp.y.example.")
        .with("_xmpp-server._tcp.y.example.", "SRV", "0 0 5269 a.example.")
        .with("a.example.", "CNAME", "b.example.")
        .with("b.example.", "A", "127.0.0.1")
        .with("round.example.", "CNAME", "about.example.")
        .with("about.example.", "CNAME", "round.example.");
    let (names, _server) = plain(zone).await;
    let places = names.places("x.example").await.unwrap();
    assert_eq!(short(&places), [("a.example:5269".to_owned(), false)]);
    assert_eq!(names.addresses(&places.targets[0]).await.unwrap().v4.len(), 1);
    let places = names.places("round.example").await.unwrap();
    let trouble = names.addresses(&places.targets[0]).await.unwrap_err();
    let expected = matches!(trouble, NameTrouble::Failed { .. } | NameTrouble::NoAddress(_));
    assert!(expected, "{trouble:?}");
}

#[tokio::test]
async fn a_server_that_fails_is_no_server_without_records() {
    let servfail = Habit::Says(ResponseCode::ServFail);
    let zone = Zone::default()
        .with("bad.example.", "A", "127.0.0.1")
        .habit("_xmpp-server._tcp.bad.example.", servfail)
        .habit("_xmpps-server._tcp.bad.example.", servfail)
        .with("half.example.", "A", "127.0.0.1")
        .habit("_xmpps-server._tcp.half.example.", servfail);
    let (names, _server) = plain(zone).await;
    let trouble = names.places("bad.example").await.unwrap_err();
    let NameTrouble::Failed { name, why } = &trouble else { panic!("{trouble:?}") };
    assert_eq!(&**name, "bad.example");
    assert!(why.contains("Server Failure"), "{why}");
    assert!(!trouble.is_absence());
    assert!(!trouble.to_string().is_empty() && !trouble.advice().is_empty());
    // Who knows nothing of direct TLS, and says it badly.
    let places = names.places("half.example").await.unwrap();
    assert_eq!(places.targets[0].found_by, FoundBy::Fallback);
}

#[tokio::test]
async fn who_is_silent_is_not_waited_for_long() {
    let zone = Zone::default()
        .habit("_xmpp-server._tcp.mute.example.", Habit::Silent)
        .habit("_xmpps-server._tcp.mute.example.", Habit::Silent)
        .habit("mute.example.", Habit::Silent)
        .with("half.example.", "A", "127.0.0.1")
        .with("_xmpp-server._tcp.half.example.", "SRV", "0 0 5269 half.example.");
    let (names, server) = plain(zone).await;
    // RFC 6120 §3.2.1: without a response the fallback is attempted.
    let places = names.places("mute.example").await.unwrap();
    assert_eq!(places.targets[0].found_by, FoundBy::Fallback);
    let silent = Err(NameTrouble::NoAnswer("mute.example".into()));
    assert_eq!(names.addresses(&places.targets[0]).await, silent);
    // It stays known for a while.
    let before = server.asked().len();
    assert_eq!(names.addresses(&places.targets[0]).await, silent);
    assert_eq!(server.asked().len(), before);
}

#[tokio::test]
async fn nobody_is_led_into_our_own_network() {
    let zone = Zone::default()
        .with("in.example.", "A", "10.1.2.3")
        .with("in.example.", "AAAA", "fd00::1")
        .with("both.example.", "A", "10.1.2.3")
        .with("both.example.", "AAAA", "2001:4860::1");
    let server = Server::start(zone).await;
    let options =
        NamesOptions { servers: vec![server.address], dnssec: Dnssec::Off, ..Default::default() };
    let names = names(&options, &quick(), Clock::system());
    let places = names.places("in.example").await.unwrap();
    let refused = Err(NameTrouble::NotPublic("in.example".into()));
    assert_eq!(names.addresses(&places.targets[0]).await, refused);
    let places = names.places("both.example").await.unwrap();
    let addresses = names.addresses(&places.targets[0]).await.unwrap();
    assert_eq!((addresses.v6.len(), addresses.v4.len()), (1, 0));
    let places = names.places("[::1]").await.unwrap();
    assert_eq!(
        names.addresses(&places.targets[0]).await,
        Err(NameTrouble::NotPublic("::1".into()))
    );
}

#[tokio::test]
async fn what_was_not_asked_for_is_not_believed() {
    let zone =
        Zone::default().with("a.example.", "A", "127.0.0.1").habit("a.example.", Habit::Babbles);
    let (names, _server) = plain(zone).await;
    let places = names.places("a.example").await.unwrap();
    let addresses = names.addresses(&places.targets[0]).await.unwrap();
    assert_eq!(addresses.v4, ["127.0.0.1".parse::<Ipv4Addr>().unwrap()]);
}

#[tokio::test]
async fn a_long_list_is_cut() {
    let many = |zone: Zone, number: u16| {
        let value = format!("{number} 0 5269 a{number}.example.");
        let address = format!("127.0.1.{number}");
        zone.with("_xmpp-server._tcp.many.example.", "SRV", &value).with(
            "a0.example.",
            "A",
            &address,
        )
    };
    let (names, _server) = plain((0..60).fold(Zone::default(), many)).await;
    let places = names.places("many.example").await.unwrap();
    let limits = Limits::default();
    assert_eq!(places.targets.len(), limits.targets_max);
    assert_eq!(&*places.targets[0].host, "a0.example");
    let addresses = names.addresses(&places.targets[0]).await.unwrap();
    assert_eq!(addresses.v4.len(), limits.addresses_max);
}

/// RFC 2308: that there is nothing is an answer, too, and is kept for its own time.
#[tokio::test]
async fn answers_are_kept_as_long_as_they_hold() {
    let zone = Zone::default().with("_xmpp-server._tcp.x.example.", "SRV", "0 0 5269 a.example.");
    let server = Server::start(zone).await;
    let clock = Clock::simulated(0, 7);
    let options =
        NamesOptions { servers: vec![server.address], dnssec: Dnssec::Off, ..Default::default() };
    let names = names(&options, &quick(), clock.clone());
    let counts = || {
        let srv = |name| server.count(name, RecordType::SRV);
        (srv("_xmpp-server._tcp.x.example."), srv("_xmpps-server._tcp.x.example."))
    };
    for expected in [(1, 1), (1, 1)] {
        names.places("x.example").await.unwrap();
        assert_eq!(counts(), expected);
    }
    clock.advance(Duration::from_secs(NEGATIVE_TTL.into()));
    names.places("x.example").await.unwrap();
    assert_eq!(counts(), (1, 2));
    clock.advance(Duration::from_secs((TTL - NEGATIVE_TTL).into()));
    names.places("x.example").await.unwrap();
    assert_eq!(counts(), (2, 2));
    names.configure(&options).unwrap();
    names.places("x.example").await.unwrap();
    assert_eq!(counts(), (3, 3));
}

/// resolv.conf(5), which may also be missing.
#[tokio::test]
async fn the_servers_of_this_machine_are_asked_unless_others_are_named() {
    let web = std::sync::Arc::new(super::NoWeb);
    let names = Names::new(&NamesOptions::default(), &quick(), web, Clock::system());
    assert!(names.is_ok());
}
