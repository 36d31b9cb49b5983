//! What a person is told.

use waxwing_kernel::links::survey::{Survey, Verdict};

use super::dns::{Habit, Zone};
use super::plain;
use crate::names::{Names, Table, Tlsa};

fn found<'a>(survey: &'a Survey, what: &str) -> (&'a str, Verdict) {
    let step = survey.steps.iter().find(|step| step.what == what);
    let step = step.unwrap_or_else(|| panic!("{what} in {survey:#?}"));
    (&step.found, step.verdict)
}

#[tokio::test]
async fn a_domain_as_it_should_be() {
    let tlsa = Tlsa { usage: 3, selector: 1, matching: 1, data: vec![0; 32] };
    let table = Table::default()
        .signed()
        .srv("one.example", &[("a.example", 5269, false), ("a.example", 5270, true)])
        .ip("a.example", "127.0.0.1")
        .ip("a.example", "::1")
        .tlsa("a.example", 5269, tlsa);
    let survey = Names::table(table).survey("one.example").await;
    assert_eq!(
        found(&survey, "SRV _xmpp-server._tcp.one.example"),
        ("a.example:5269 (priority 0, weight 0)", Verdict::Good)
    );
    assert_eq!(found(&survey, "addresses of a.example"), ("::1, 127.0.0.1", Verdict::Good));
    assert_eq!(found(&survey, "TLSA _5269._tcp.a.example"), ("1 record: 3 1 1", Verdict::Good));
    assert_eq!(found(&survey, "TLSA _5270._tcp.a.example").1, Verdict::Note);
    assert_eq!(found(&survey, "DNSSEC of one.example").1, Verdict::Good);
    assert_eq!(survey.verdict(), Verdict::Good);
    let once = survey.steps.iter().filter(|step| step.what.starts_with("addresses")).count();
    assert_eq!(once, 1);
}

#[tokio::test]
async fn what_is_missing_is_said_with_the_record_to_add() {
    let zone = Zone::default()
        .with("bare.example.", "A", "127.0.0.1")
        .with("_xmpp-server._tcp.no.example.", "SRV", "0 0 0 .")
        .with("_xmpp-server._tcp.lost.example.", "SRV", "0 0 5269 gone.example.")
        .habit("_xmpp-server._tcp.mute.example.", Habit::Silent);
    let (names, _server) = plain(zone).await;
    let survey = names.survey("bare.example").await;
    let step = &survey.steps[0];
    assert_eq!(step.found, "none: other servers try bare.example itself on port 5269");
    let remedy = step.remedy.as_deref().unwrap();
    assert!(remedy.contains("_xmpp-server._tcp.bare.example. 3600 IN SRV"), "{remedy}");
    assert_eq!(found(&survey, "addresses of bare.example"), ("127.0.0.1; no IPv6", Verdict::Poor));
    for (domain, what) in [
        ("no.example", "SRV _xmpp-server._tcp.no.example"),
        ("lost.example", "addresses of gone.example"),
        ("mute.example", "SRV _xmpp-server._tcp.mute.example"),
        ("not a name", "the name not a name"),
    ] {
        let survey = names.survey(domain).await;
        assert_eq!(found(&survey, what).1, Verdict::Bad, "{domain}");
        assert_eq!(survey.verdict(), Verdict::Bad);
    }
}
