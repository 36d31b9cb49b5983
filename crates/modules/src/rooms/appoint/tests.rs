//! Bounds, large lists, and what becomes of those who are in the room more than once.

mod random;

use waxwing_stanza::{Kind, PresenceType, Stanza};

use crate::rooms::admin::NS;
use crate::rooms::role::Affiliation;
use crate::rooms::room::Life;
use crate::rooms::settings::RoomsConfig;
use crate::rooms::tests::{Stage, codes, got};

const OWNER: &str = "owner@localhost/o";

async fn open(settings: RoomsConfig) -> Stage {
    let mut stage = Stage::with(settings).await;
    stage.enter(OWNER, "Owner");
    stage.room.life = Life::Open;
    stage
}

fn ask(kind: &str, items: &str) -> String {
    let query = format!("<query xmlns='{NS}'>{items}</query>");
    format!("<iq type='{kind}' id='i' to='garden@rooms.localhost'>{query}</iq>")
}

fn condition(sent: &[Stanza], to: &str) -> Option<&'static str> {
    got(sent, to).iter().find_map(|stanza| stanza.error()).map(|error| error.condition.name())
}

fn items(sent: &[Stanza], to: &str) -> Vec<String> {
    let own = got(sent, to);
    let query = own[0].body.child("query", NS).unwrap();
    let items = query.children().filter(|child| child.is("item", NS));
    items.map(|item| item.attribute("jid").unwrap().into_owned()).collect()
}

#[tokio::test]
async fn ten_thousand_members_are_listed_whole_and_in_pages() {
    let mut stage = open(RoomsConfig::default()).await;
    for number in 0..10_000 {
        stage.affiliate(&format!("m{number}@localhost"), Affiliation::Member);
    }
    let sent = stage.send(OWNER, &ask("get", "<item affiliation='member'/>"));
    let all = items(&sent, OWNER);
    assert_eq!(all.len(), 10_000);
    let (mut paged, mut after) = (Vec::new(), String::new());
    loop {
        let rsm = "http://jabber.org/protocol/rsm";
        let set = format!("<set xmlns='{rsm}'><max>999</max>{after}</set>");
        let page = ask("get", &format!("<item affiliation='member'/>{set}"));
        let page = items(&stage.send(OWNER, &page), OWNER);
        let Some(last) = page.last() else { break };
        after = format!("<after>{last}</after>");
        paged.extend(page);
    }
    assert_eq!(paged, all);
}

#[tokio::test]
async fn a_room_remembers_so_many_addresses_and_no_more() {
    let mut stage = open(RoomsConfig { affiliations: 3, changes: 2, ..Default::default() }).await;
    let member = |name: &str| format!("<item affiliation='member' jid='{name}@localhost'/>");
    let two = member("a") + &member("b");
    assert_eq!(condition(&stage.send(OWNER, &ask("set", &two)), OWNER), None);
    let full = Some("resource-constraint");
    assert_eq!(condition(&stage.send(OWNER, &ask("set", &member("c"))), OWNER), full);
    // Who stands there already may still be something else, and nobody takes a place.
    let outcast = "<item affiliation='outcast' jid='a@localhost'/>";
    assert_eq!(condition(&stage.send(OWNER, &ask("set", outcast)), OWNER), None);
    let three = two + &member("a");
    assert_eq!(condition(&stage.send(OWNER, &ask("set", &three)), OWNER), full);
}

#[tokio::test]
async fn a_ban_takes_every_nick_and_session() {
    let mut stage = open(RoomsConfig::default()).await;
    stage.enter("romeo@localhost/a", "Romeo");
    stage.enter("romeo@localhost/b", "Romeo");
    stage.enter("romeo@localhost/c", "Montague");
    let sent =
        stage.send(OWNER, &ask("set", "<item affiliation='outcast' jid='romeo@localhost'/>"));
    let gone = Kind::Presence(PresenceType::Unavailable);
    for session in ["a", "b", "c"] {
        let own = got(&sent, &format!("romeo@localhost/{session}"));
        let own = own.iter().find(|it| it.head.kind == gone && codes(it).contains(&110)).unwrap();
        assert!(codes(own).contains(&301), "{session}");
    }
    let to_owner = got(&sent, OWNER).into_iter().filter(|it| it.head.kind == gone).count();
    assert_eq!((to_owner, stage.room.occupants.len()), (2, 1));
}

#[tokio::test]
async fn old_invitations_make_room_for_new_ones() {
    let mut stage = open(RoomsConfig { invitations: 2, ..Default::default() }).await;
    let user = crate::rooms::table::USER;
    let message = |inner: &str| {
        format!(
            "<message id='m' to='garden@rooms.localhost'><x xmlns='{user}'>{inner}</x></message>"
        )
    };
    for name in ["a", "b", "c"] {
        stage.send(OWNER, &message(&format!("<invite to='{name}@localhost'/>")));
    }
    let mut decline = |name: &str| {
        let jid = format!("{name}@localhost/x");
        condition(&stage.send(&jid, &message("<decline to='owner@localhost'/>")), &jid)
    };
    let known = ["a", "b", "c", "c"].map(&mut decline);
    assert_eq!(known, [Some("item-not-found"), None, None, Some("item-not-found")]);
}

#[tokio::test]
async fn an_order_that_cannot_be_changes_nothing() {
    let mut stage = open(RoomsConfig::default()).await;
    stage.enter("romeo@localhost/a", "Romeo");
    let version = stage.room.version;
    let both = "<item affiliation='outcast' jid='romeo@localhost'/>\
                <item affiliation='none' jid='owner@localhost'/>";
    let sent = stage.send(OWNER, &ask("set", both));
    assert_eq!((condition(&sent, OWNER), sent.len()), (Some("conflict"), 1));
    assert_eq!((stage.room.version, stage.room.occupants.len()), (version, 2));
}
