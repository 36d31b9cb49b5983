//! What certificates prove, and why they do not.

use aws_lc_rs::digest::{SHA256, SHA512, digest};
use rcgen::{GeneralSubtree, NameConstraints};
use rustls::crypto::aws_lc_rs::default_provider;
use x509_parser::prelude::FromDer;

use super::*;
use crate::names::{Fingerprint, Posh, Tlsa};
use crate::peers::dane::{self, Dane, is_announced, is_pinned};
use crate::peers::identity::Reference;
use crate::peers::judge::{Judge, Role, Shown};
use crate::peers::reproach::Reproach;

const SERVER: (Role, fn() -> UnixTime) = (Role::Server, today);

fn knowing(authority: &Authority) -> Judge {
    judge(std::slice::from_ref(&authority.der), Vec::new())
}

fn judge(system: &[CertificateDer<'_>], added: Vec<CertificateDer<'static>>) -> Judge {
    Judge::new(system, added, default_provider().signature_verification_algorithms)
}

fn whom(domains: &[&str]) -> Vec<Reference> {
    domains.iter().map(|domain| Reference::of(domain).unwrap()).collect()
}

fn verdict(judge: &Judge, issued: &Issued, domain: &str) -> Result<(), Reproach> {
    let (role, now) = SERVER;
    judge.judge(&Shown::read(&issued.chain)?, &whom(&[domain]), (role, now()))
}

#[test]
fn an_authority_vouches_for_a_domain() {
    let root = authority("Root", |_| {});
    let middle = root.below("Middle", |_| {});
    let judge = knowing(&root);
    let issued = middle.issue(&params(&["example.org", "*.example.org"])).under(&middle);
    assert_eq!(verdict(&judge, &issued, "example.org"), Ok(()));
    assert_eq!(verdict(&judge, &issued, "rooms.example.org"), Ok(()));
    let reproach = verdict(&judge, &issued, "a.rooms.example.org").unwrap_err();
    assert_eq!(reproach, Reproach::OtherName("example.org, *.example.org".to_owned()));
    let address = root.issue(&params(&["192.0.2.1", "2001:db8::1"]));
    assert_eq!(verdict(&judge, &address, "192.0.2.1"), Ok(()));
    assert_eq!(verdict(&judge, &address, "[2001:db8::1]"), Ok(()));
    let letters = root.issue(&params(&["xn--mnchen-3ya.example"]));
    assert_eq!(verdict(&judge, &letters, "münchen.example"), Ok(()));
}

#[test]
fn every_reason_has_its_word() {
    let root = authority("Root", |_| {});
    let strange = authority("Strange Root", |_| {});
    let judge = knowing(&root);
    let of = |issued: Issued| verdict(&judge, &issued, "example.org").unwrap_err();
    let timed = |from: i64, to: i64| {
        root.issue(&with(&["example.org"], |params| {
            params.not_before = OffsetDateTime::from_unix_timestamp(TODAY + from * DAY).unwrap();
            params.not_after = OffsetDateTime::from_unix_timestamp(TODAY + to * DAY).unwrap();
        }))
    };
    let expired = of(timed(-9, -2));
    assert_eq!(
        expired.words("example.org"),
        "The certificate of example.org expired on 30 December 2029."
    );
    let early = of(timed(2, 9));
    assert_eq!(
        early.words("example.org"),
        "The certificate of example.org is not valid before 3 January 2030."
    );
    assert_eq!(of(Issued::itself(&params(&["example.org"]))), Reproach::SelfSigned);
    let itself = with(&["example.org"], |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    assert_eq!(of(Issued::itself(&itself)), Reproach::SelfSigned, "as openssl makes them");
    let unknown = Reproach::UnknownAuthority("Strange Root".to_owned());
    assert_eq!(of(strange.issue(&params(&["example.org"]))), unknown);
    assert_eq!(of(strange.issue(&params(&["example.org"])).under(&strange)), unknown);
    let middle = root.below("Middle", |_| {});
    let alone = middle.issue(&params(&["example.org"]));
    assert_eq!(of(alone), Reproach::UnknownAuthority("Middle".to_owned()));
    let other = of(root.issue(&params(&["a.example", "b.example", "c.example", "d.example"])));
    assert_eq!(other, Reproach::OtherName("a.example, b.example, c.example and 1 more".to_owned()));
    // RFC 9525 §2: the common name says nothing.
    let common = with(&[], |params| {
        params.distinguished_name.push(DnType::CommonName, "example.org");
    });
    assert_eq!(of(root.issue(&common)), Reproach::NoName);
    let late = root.below("Late", |params| {
        params.not_after = OffsetDateTime::from_unix_timestamp(TODAY - DAY).unwrap();
    });
    let issued = late.issue(&params(&["example.org"])).under(&late);
    assert_eq!(of(issued), Reproach::AuthorityExpired);
    let forged = Authority { key: KeyPair::generate().unwrap(), ..authority("Root", |_| {}) };
    let broken = of(forged.issue(&params(&["example.org"])));
    assert!(matches!(broken, Reproach::Broken(_) | Reproach::UnknownAuthority(_)), "{broken:?}");
    let no_chain = Issued { chain: Vec::new(), key: KeyPair::generate().unwrap() };
    assert_eq!(of(no_chain), Reproach::Missing);
    let rubbish = Issued { chain: vec![b"rubbish".to_vec()], key: KeyPair::generate().unwrap() };
    assert!(matches!(of(rubbish), Reproach::Unreadable(_)));
}

/// Certificates of an end server cannot make others.
#[test]
fn a_server_is_no_authority() {
    let root = authority("Root", |_| {});
    let server = root.below("server", |params| params.is_ca = IsCa::NoCa);
    let issued = server.issue(&params(&["example.org"])).under(&server);
    assert!(verdict(&knowing(&root), &issued, "example.org").is_err());
}

#[test]
fn usages_are_those_of_servers_and_for_callers_those_of_clients_too() {
    use ExtendedKeyUsagePurpose::{Any, ClientAuth, CodeSigning, ServerAuth};
    let root = authority("Root", |_| {});
    let judge = knowing(&root);
    for (uses, as_server, as_caller) in [
        (vec![], true, true),
        (vec![ServerAuth], true, true),
        (vec![ServerAuth, ClientAuth], true, true),
        (vec![ClientAuth], false, true),
        (vec![Any], true, true),
        (vec![CodeSigning], false, false),
    ] {
        let issued = root.issue(&with(&["example.org"], used_for(&uses)));
        let shown = Shown::read(&issued.chain).unwrap();
        for (role, is_fine) in [(Role::Server, as_server), (Role::Caller, as_caller)] {
            let verdict = judge.judge(&shown, &whom(&["example.org"]), (role, today()));
            let expected = if is_fine { Ok(()) } else { Err(Reproach::WrongUse) };
            assert_eq!(verdict, expected, "{uses:?} {role:?}");
        }
    }
}

/// RFC 6120 §13.7.1.2.1: identifiers beside the DNS-ID.
#[test]
fn srv_names_and_xmpp_addresses_count() {
    let root = authority("Root", |_| {});
    let judge = knowing(&root);
    let named = |kind, text: &str| {
        root.issue(&with(&["host.example"], |params| {
            params.subject_alt_names.push(other_name(kind, text));
        }))
    };
    for (kind, text) in [(7, "_xmpp-server.example.org"), (5, "example.org"), (5, "Example.ORG")] {
        assert_eq!(verdict(&judge, &named(kind, text), "example.org"), Ok(()), "{text}");
    }
    for (kind, text) in [
        (7, "_xmpp-client.example.org"),
        (7, "example.org"),
        (5, "me@example.org"),
        (5, "*.org"),
        (6, "example.org"),
    ] {
        assert!(verdict(&judge, &named(kind, text), "example.org").is_err(), "{text}");
    }
}

/// Whoever may make certificates for its own domains only cannot get around that by names that
/// its constraints do not speak of.
#[test]
fn constrained_authorities_vouch_for_domains_only() {
    let root = authority("Root", |_| {});
    let judge = knowing(&root);
    let middle = root.below("Middle", |params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("middle.example".to_owned())],
            excluded_subtrees: Vec::new(),
        });
    });
    let fine = middle.issue(&params(&["chat.middle.example"])).under(&middle);
    assert_eq!(verdict(&judge, &fine, "chat.middle.example"), Ok(()));
    let outside = middle.issue(&params(&["example.org"])).under(&middle);
    assert!(verdict(&judge, &outside, "example.org").is_err());
    let sly = with(&["chat.middle.example"], |params| {
        params.subject_alt_names.push(other_name(5, "example.org"));
    });
    let sly = middle.issue(&sly).under(&middle);
    assert!(verdict(&judge, &sly, "example.org").is_err());
}

#[test]
fn the_operator_may_add_the_certificate_of_one_server() {
    for is_authority in [false, true] {
        let itself = with(&["example.org"], |params| {
            if is_authority {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            }
        });
        let issued = Issued::itself(&itself);
        let added: CertificateDer<'static> = issued.chain[0].clone().into();
        let judge = judge(&[], vec![added]);
        assert_eq!(verdict(&judge, &issued, "example.org"), Ok(()));
        assert!(verdict(&judge, &issued, "example.net").is_err());
        let another = Issued::itself(&itself);
        assert!(verdict(&judge, &another, "example.org").is_err());
    }
}

/// The operator has added it as a server's own, which is no leave to make others.
#[test]
fn an_added_server_vouches_for_nobody_else() {
    let server = authority("server", |params| params.is_ca = IsCa::NoCa);
    let judge = judge(&[], vec![server.der.clone()]);
    for names in [&["example.org"][..], &["bank.example"]] {
        let issued = server.issue(&params(names));
        let reproach = verdict(&judge, &issued, names[0]).unwrap_err();
        assert_eq!(reproach, Reproach::UnknownAuthority("server".to_owned()));
        assert!(verdict(&judge, &issued.under(&server), names[0]).is_err());
    }
}

#[test]
fn names_that_no_domain_can_have_are_not_told() {
    let root = authority("Root", |_| {});
    let sly = with(&["example.net"], |params| {
        let names = ["a\u{1b}[31m.example", "a\0b.example", "a b.example"];
        params.subject_alt_names.extend(names.map(|name| other_name(5, name)));
    });
    let reproach = verdict(&knowing(&root), &root.issue(&sly), "example.org").unwrap_err();
    assert_eq!(reproach, Reproach::OtherName("example.net".to_owned()));
}

fn tlsa(usage: u8, selector: u8, matching: u8, der: &[u8]) -> Tlsa {
    let (_, read) = x509_parser::certificate::X509Certificate::from_der(der).unwrap();
    let content = if selector == 0 { der } else { read.public_key().raw };
    let data = match matching {
        0 => content.to_vec(),
        1 => digest(&SHA256, content).as_ref().to_vec(),
        _ => digest(&SHA512, content).as_ref().to_vec(),
    };
    Tlsa { usage, selector, matching, data }
}

fn ask(records: &[Tlsa], judge: &Judge, issued: &Issued) -> Dane {
    let shown = Shown::read(&issued.chain).unwrap();
    let whom = whom(&["example.org", "host.example"]);
    dane::ask(records, judge, &shown, &whom, (Role::Server, today()))
}

/// RFC 7671 §5.1: "the TLSA record alone suffices", with neither name nor time.
#[test]
fn dane_names_the_certificate_itself() {
    let judge = judge(&[], Vec::new());
    let issued = Issued::itself(&with(&["other.example"], |params| {
        params.not_after = OffsetDateTime::from_unix_timestamp(TODAY - DAY).unwrap();
    }));
    let another = Issued::itself(&params(&["example.org"]));
    for selector in [0, 1] {
        for matching in [0, 1, 2] {
            let record = tlsa(3, selector, matching, &issued.chain[0]);
            assert_eq!(ask(std::slice::from_ref(&record), &judge, &issued), Dane::Proven);
            let says = ask(&[record], &judge, &another);
            assert_eq!(says, Dane::Contradicts, "{selector} {matching}");
        }
    }
    let two = [tlsa(3, 1, 1, &another.chain[0]), tlsa(3, 1, 1, &issued.chain[0])];
    assert_eq!(ask(&two, &judge, &issued), Dane::Proven, "one of several is enough");
    assert_eq!(ask(&[], &judge, &issued), Dane::Silent);
}

/// RFC 7671 §5.2: names and times count, the authority is in the chain.
#[test]
fn dane_names_an_authority() {
    let (root, judge) = (authority("Private Root", |_| {}), judge(&[], Vec::new()));
    let record = || [tlsa(2, 1, 1, &root.der)];
    for name in ["example.org", "host.example"] {
        let issued = root.issue(&params(&[name])).under(&root);
        assert_eq!(ask(&record(), &judge, &issued), Dane::Proven, "{name}");
    }
    let other = root.issue(&params(&["other.example"])).under(&root);
    assert_eq!(ask(&record(), &judge, &other), Dane::Contradicts);
    let late = with(&["example.org"], |params| {
        params.not_after = OffsetDateTime::from_unix_timestamp(TODAY - DAY).unwrap();
    });
    assert_eq!(ask(&record(), &judge, &root.issue(&late).under(&root)), Dane::Contradicts);
    // The authority's certificate beside one that it did not issue.
    let stranger = authority("Stranger", |_| {}).issue(&params(&["example.org"])).under(&root);
    assert_eq!(ask(&record(), &judge, &stranger), Dane::Contradicts);
}

#[test]
fn dane_may_ask_for_a_known_authority_as_well() {
    let (root, private) = (authority("Root", |_| {}), authority("Private", |_| {}));
    let judge = knowing(&root);
    let issued = root.issue(&params(&["example.org"])).under(&root);
    assert_eq!(ask(&[tlsa(1, 1, 1, &issued.chain[0])], &judge, &issued), Dane::Proven);
    assert_eq!(ask(&[tlsa(0, 0, 1, &root.der)], &judge, &issued), Dane::Proven);
    let unknown = private.issue(&params(&["example.org"])).under(&private);
    assert_eq!(ask(&[tlsa(1, 1, 1, &unknown.chain[0])], &judge, &unknown), Dane::Contradicts);
    assert_eq!(ask(&[tlsa(0, 0, 1, &private.der)], &judge, &unknown), Dane::Contradicts);
}

/// RFC 7671 §4: records that cannot be used are as if they were not there.
#[test]
fn dane_leaves_out_what_nobody_understands() {
    let judge = judge(&[], Vec::new());
    let issued = Issued::itself(&params(&["example.org"]));
    let good = tlsa(3, 1, 1, &issued.chain[0]);
    for record in [
        Tlsa { usage: 4, ..good.clone() },
        Tlsa { selector: 2, ..good.clone() },
        Tlsa { matching: 3, ..good.clone() },
        Tlsa { data: good.data[1..].to_vec(), ..good.clone() },
        Tlsa { matching: 0, data: Vec::new(), ..good.clone() },
    ] {
        assert_eq!(ask(&[record], &judge, &issued), Dane::Silent);
    }
}

/// RFC 7711 §5: "the POSH client … compares the fingerprint(s)".
#[test]
fn posh_names_the_certificate_itself() {
    let issued = Issued::itself(&params(&["host.example"]));
    let shown = Shown::read(&issued.chain).unwrap();
    let sha256 = |der: &[u8]| digest(&SHA256, der).as_ref().try_into().ok();
    let sha512 = |der: &[u8]| digest(&SHA512, der).as_ref().try_into().ok();
    let own = &issued.chain[0];
    let says =
        |fingerprints: Vec<Fingerprint>| is_announced(&Posh { fingerprints }, &shown, today());
    let good = Fingerprint { sha256: sha256(own), sha512: sha512(own) };
    assert_eq!(says(vec![good.clone()]), Ok(true));
    assert_eq!(says(vec![Fingerprint { sha512: None, ..good.clone() }]), Ok(true));
    let half = Fingerprint { sha512: sha512(b"another"), ..good.clone() };
    assert_eq!(says(vec![half.clone()]), Ok(false), "each that is there must match");
    assert_eq!(says(vec![half, good]), Ok(true));
    assert_eq!(says(vec![Fingerprint { sha256: None, sha512: None }]), Ok(false));
    assert_eq!(says(Vec::new()), Ok(false));
    let late = Issued::itself(&with(&["host.example"], |params| {
        params.not_after = OffsetDateTime::from_unix_timestamp(TODAY - DAY).unwrap();
    }));
    let fingerprints = vec![Fingerprint { sha256: sha256(&late.chain[0]), sha512: None }];
    let says = is_announced(&Posh { fingerprints }, &Shown::read(&late.chain).unwrap(), today());
    assert_eq!(says, Err(Reproach::Expired(TODAY - DAY)));
}

#[test]
fn a_pin_names_the_key() {
    let issued = Issued::itself(&params(&["host.example"]));
    let shown = Shown::read(&issued.chain).unwrap();
    let pin: [u8; 32] = tlsa(3, 1, 1, &issued.chain[0]).data.try_into().unwrap();
    assert!(is_pinned(&[[0; 32], pin], &shown));
    assert!(!is_pinned(&[[0; 32]], &shown) && !is_pinned(&[], &shown));
}
