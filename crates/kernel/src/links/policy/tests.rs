//! Who may talk with this server.

use super::*;
use crate::config::{DomainName, Preset};

fn names(texts: &[&str]) -> Vec<DomainName> {
    texts.iter().map(|text| DomainName::new(text).unwrap()).collect()
}

fn policy(change: impl FnOnce(&mut FederationConfig)) -> Policy {
    let mut config = FederationConfig { enabled: Some(true), ..Default::default() };
    change(&mut config);
    let policy = Policy::default();
    policy.set(Rules::new(&config, &[], false));
    policy
}

#[test]
fn a_server_for_this_machine_only_talks_to_no_others() {
    assert_eq!(Policy::default().judge("verona.example"), Err(Barred::Off));
    let public = Policy::default();
    public.set(Rules::new(&FederationConfig::default(), &[], true));
    let terms = public.judge("verona.example").unwrap();
    assert!(terms.tls_required && terms.dialback_allowed && !terms.certificate_required);
}

#[test]
fn a_name_means_all_below_it_and_the_longest_counts() {
    let policy = policy(|it| {
        it.block = names(&["example", "evil.org"]);
        it.allow = names(&["verona.example"]);
    });
    let blocked = Err(Barred::Blocked(By::File));
    for domain in ["mantua.example", "evil.org", "rooms.evil.org"] {
        assert_eq!(policy.judge(domain).map(drop), blocked, "{domain}");
    }
    for domain in ["verona.example", "rooms.verona.example", "devil.org", "org"] {
        assert!(policy.judge(domain).is_ok(), "{domain}");
    }
    policy.order("rooms.verona.example", Some(Order::Block));
    let by_command = Err(Barred::Blocked(By::Command));
    assert_eq!(policy.judge("rooms.verona.example").map(drop), by_command);
    policy.order("rooms.verona.example", None);
    assert!(policy.judge("rooms.verona.example").is_ok());
}

#[test]
fn of_the_same_name_the_file_wins_and_a_block_over_an_allowance() {
    let policy = policy(|it| {
        it.block = names(&["evil.org", "both.org"]);
        it.allow = names(&["both.org"]);
    });
    policy.order("evil.org", Some(Order::Allow));
    assert_eq!(policy.judge("evil.org").map(drop), Err(Barred::Blocked(By::File)));
    assert_eq!(policy.judge("both.org").map(drop), Err(Barred::Blocked(By::File)));
    assert_eq!(policy.orders(), [("evil.org".into(), Order::Allow)]);
}

#[test]
fn a_closed_server_talks_to_chosen_domains() {
    let policy = policy(|it| {
        it.open = false;
        it.allow = names(&["verona.example"]);
    });
    assert!(policy.judge("verona.example").is_ok());
    assert_eq!(policy.judge("mantua.example").map(drop), Err(Barred::Closed));
    policy.order("mantua.example", Some(Order::Allow));
    assert!(policy.judge("mantua.example").is_ok());
}

#[test]
fn a_peer_has_terms_of_its_own() {
    let peer = PeerConfig {
        domain: DomainName::new("verona.example").unwrap(),
        trust: Some(Trust::Certificate),
        address: Some(PeerAddress::preset("xmpp.verona.example")),
        direct_tls: true,
        ..PeerConfig::default()
    };
    let config = FederationConfig {
        enabled: Some(true),
        tls: Need::Optional,
        ..FederationConfig::default()
    };
    let policy = Policy::default();
    policy.set(Rules::new(&config, &[peer], false));
    let plain = policy.judge("mantua.example").unwrap();
    assert!(!plain.tls_required && plain.dialback_allowed && plain.place.is_none());
    for domain in ["verona.example", "rooms.verona.example"] {
        let terms = policy.judge(domain).unwrap();
        assert!(terms.tls_required && terms.certificate_required && !terms.dialback_allowed);
        let place = terms.place.unwrap();
        assert_eq!((&*place.host, place.port), ("xmpp.verona.example", 5270));
    }
}

#[test]
fn a_name_of_dots_alone_costs_little_and_harms_nobody() {
    let policy = policy(|it| it.block = names(&["evil.org"]));
    assert!(policy.judge(&".".repeat(1000)).is_ok());
    assert!(policy.judge("").is_ok());
}
