use waxwing_stanza::PresenceType;
use waxwing_store::Location;

use super::*;

fn jid(text: &str) -> BareJid {
    BareJid::new(text).unwrap()
}

fn named(address: &str, name: &str) -> Contact {
    Contact { name: Some(name.into()), ..Contact::new(jid(address)) }
}

async fn open() -> Db {
    let db = Db::open(&Location::Memory, waxwing_store::Limits::default()).await.unwrap();
    db.migrate(rows::Roster::TABLES).await.unwrap();
    db
}

#[tokio::test]
async fn what_was_written_is_loaded_again() {
    let (db, owner, limits) = (open().await, jid("juliet@capulet.lit"), Limits::default());
    let mut draft = Roster::default().draft(&owner, 7);
    let romeo = Contact {
        groups: ["Friends".into(), "Lovers".into()].into(),
        subscription: Subscription::To,
        is_approved: true,
        ..named("romeo@montague.lit", "Roméo")
    };
    draft.put(romeo.clone(), &limits).unwrap();
    draft.put(Contact { is_asking: true, ..Contact::new(jid("a@b")) }, &limits).unwrap();
    let nurse = jid("nurse@capulet.lit");
    let asks = Stanza::presence(PresenceType::Subscribe).from(nurse.to_jid());
    draft.keep(&nurse, &asks.with("<status>hi</status>"), &limits).unwrap();
    let (roster, writes) = draft.finish();
    db.batch(writes).await.unwrap();

    let loaded = Roster::load(&db, &owner).await.unwrap();
    assert_eq!(loaded.version(), 7);
    assert_eq!(loaded.contact(&romeo.jid), Some(&romeo));
    assert!(loaded.contacts().eq(roster.contacts()));
    assert!(loaded.state(&nurse).is_asked && !loaded.state(&romeo.jid).is_asked);
    let request = loaded.requests().next().unwrap();
    assert_eq!(request.head.from, Some(nurse.to_jid()));
    assert_eq!(request.body.text_of("status").as_deref(), Some("hi"));
}

#[tokio::test]
async fn removal_takes_contact_and_request() {
    let (db, owner, limits) = (open().await, jid("juliet@capulet.lit"), Limits::default());
    let romeo = jid("romeo@montague.lit");
    let mut draft = Roster::default().draft(&owner, 1);
    draft.put(named(romeo.as_str(), "R"), &limits).unwrap();
    draft.keep(&romeo, &Stanza::presence(PresenceType::Subscribe), &limits).unwrap();
    let (roster, writes) = draft.finish();
    db.batch(writes).await.unwrap();

    let mut draft = roster.draft(&owner, 1);
    assert_eq!(draft.version(), 2, "versions only rise");
    assert_eq!(draft.remove(&romeo).unwrap().jid, romeo);
    assert!(draft.remove(&romeo).is_none());
    let (_, writes) = draft.finish();
    db.batch(writes).await.unwrap();
    let loaded = Roster::load(&db, &owner).await.unwrap();
    assert_eq!((loaded.version(), loaded.contacts().len()), (2, 0));
    assert_eq!(loaded.state(&romeo), State::default());
}

#[test]
fn rosters_and_requests_are_bounded() {
    let limits = Limits { roster_items: 1, subscription_requests: 1, ..Limits::default() };
    let mut draft = Roster::default().draft(&jid("juliet@capulet.lit"), 1);
    draft.put(named("a@b", "A"), &limits).unwrap();
    draft.put(named("a@b", "again"), &limits).unwrap();
    draft.put(named("c@d", "C"), &limits).unwrap_err();
    let asks = Stanza::presence(PresenceType::Subscribe);
    draft.keep(&jid("a@b"), &asks, &limits).unwrap();
    draft.keep(&jid("a@b"), &asks, &limits).unwrap();
    draft.keep(&jid("c@d"), &asks, &limits).unwrap_err();
}

#[test]
fn a_request_too_large_to_keep_loses_its_children() {
    let limits = Limits::default();
    let mut draft = Roster::default().draft(&jid("juliet@capulet.lit"), 1);
    let long = format!("<status>{}</status>", "x".repeat(REQUEST_BYTES));
    let asks = Stanza::presence(PresenceType::Subscribe).with(long);
    draft.keep(&jid("a@b"), &asks, &limits).unwrap();
    let (roster, _) = draft.finish();
    assert!(roster.requests().next().unwrap().body.is_empty());
    assert_eq!(roster.version(), 0, "requests are not part of the roster that clients see");
}

#[test]
fn items_are_written_as_section_2_1_2_asks() {
    let mut out = String::new();
    let mut contact = named("a@b", "A & 'B'");
    contact.write(&mut out);
    assert_eq!(out, "<item jid='a@b' name='A &amp; &apos;B&apos;' subscription='none'/>");
    contact.groups = ["x<y".into()].into();
    (contact.is_asking, contact.is_approved) = (true, true);
    out.clear();
    contact.write(&mut out);
    let rest = " subscription='none' ask='subscribe' approved='true'><group>x&lt;y</group></item>";
    assert!(out.ends_with(rest), "{out}");
}
