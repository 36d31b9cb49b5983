use std::sync::Arc;

use super::world::{Client, World};

const CAME: &str = "<message type='headline'><came/></message>";
const WENT: &str = "<message type='headline'><went/></message>";

/// Romeo and Juliet see each other; only Juliet is signed in.
async fn lovers() -> (Arc<World>, Client) {
    let world = World::new(&["romeo", "juliet", "nurse"]).await;
    let mut romeo = world.sign_in("romeo@localhost/orchard").await;
    let mut juliet = world.sign_in("juliet@localhost/balcony").await;
    romeo.presence("subscribe", "juliet@localhost").await;
    juliet.presence("subscribed", "romeo@localhost").await;
    juliet.presence("subscribe", "romeo@localhost").await;
    romeo.presence("subscribed", "juliet@localhost").await;
    romeo.presence("unavailable", "").await;
    romeo.session.end(Vec::new()).await;
    juliet.received();
    (world, juliet)
}

#[tokio::test]
async fn section_4_2_2_initial_presence_is_broadcast_and_contacts_are_probed() {
    let (world, juliet) = lovers().await;
    let mut romeo = world.bind("romeo@localhost/orchard").await;
    romeo.send("<presence xmlns='jabber:client' id='p'><show>chat</show></presence>").await;
    romeo.gets([
        "<presence from='romeo@localhost/orchard' to='romeo@localhost' \
         id='p'><show>chat</show></presence>",
        "<presence from='juliet@localhost/balcony' to='romeo@localhost/orchard'/>",
        CAME,
    ]);
    let seen = "<presence from='romeo@localhost/orchard' to='juliet@localhost' \
                id='p'><show>chat</show></presence>";
    juliet.gets([seen]);
}

#[tokio::test]
async fn section_4_2_2_siblings_see_each_other() {
    let world = World::new(&["romeo"]).await;
    let orchard = world.sign_in("romeo@localhost/orchard").await;
    let silent = world.bind("romeo@localhost/tomb").await;
    let mut street = world.bind("romeo@localhost/street").await;
    street.presence("", "").await;
    let seen = "<presence from='romeo@localhost/street' to='romeo@localhost'/>";
    orchard.gets([seen]);
    silent.gets([]);
    street.gets([seen, "<presence from='romeo@localhost/orchard' to='romeo@localhost'/>", CAME]);
}

#[tokio::test]
async fn section_4_4_2_later_presence_is_broadcast_without_probes() {
    let (world, juliet) = lovers().await;
    let mut romeo = world.sign_in("romeo@localhost/orchard").await;
    juliet.received();
    romeo.send("<presence xmlns='jabber:client'><show>dnd</show></presence>").await;
    romeo.gets([
        "<presence from='romeo@localhost/orchard' to='romeo@localhost'><show>dnd</show></presence>",
    ]);
    juliet.gets(["<presence from='romeo@localhost/orchard' \
         to='juliet@localhost'><show>dnd</show></presence>"]);
}

#[tokio::test]
async fn section_4_5_2_unavailable_is_broadcast_once() {
    let (world, juliet) = lovers().await;
    let mut romeo = world.sign_in("romeo@localhost/orchard").await;
    juliet.received();
    romeo
        .send("<presence xmlns='jabber:client' type='unavailable'><status>x</status></presence>")
        .await;
    let gone = "<presence from='romeo@localhost/orchard' to='juliet@localhost' \
                type='unavailable'><status>x</status></presence>";
    juliet.gets([gone]);
    assert_eq!(romeo.received().len(), 2, "its own presence, and the witness");
    romeo.presence("unavailable", "").await;
    romeo.gets([]);
    romeo.session.end(Vec::new()).await;
    juliet.gets([]);
}

#[tokio::test]
async fn section_4_5_2_a_lost_session_is_told_unavailable() {
    let (world, juliet) = lovers().await;
    let romeo = world.sign_in("romeo@localhost/orchard").await;
    juliet.received();
    romeo.session.end(Vec::new()).await;
    juliet.gets([
        "<presence from='romeo@localhost/orchard' to='juliet@localhost' type='unavailable'/>",
    ]);
}

#[tokio::test]
async fn a_replaced_session_does_not_hide_its_successor() {
    let (world, juliet) = lovers().await;
    let older = world.sign_in("romeo@localhost/orchard").await;
    let mut newer = world.bind("romeo@localhost/orchard").await;
    juliet.received();
    // However quick the newer one is, nobody takes the older one's farewell for its own.
    tokio::join!(newer.presence("", ""), older.session.end(Vec::new()));
    juliet.gets([
        "<presence from='romeo@localhost/orchard' to='juliet@localhost' type='unavailable'/>",
        "<presence from='romeo@localhost/orchard' to='juliet@localhost'/>",
    ]);
    let silent = world.bind("romeo@localhost/orchard").await;
    newer.session.end(Vec::new()).await;
    juliet.gets([
        "<presence from='romeo@localhost/orchard' to='juliet@localhost' type='unavailable'/>",
    ]);
    silent.session.end(Vec::new()).await;
    juliet.gets([]);
}

#[tokio::test]
async fn section_4_6_3_directed_presence_ends_with_the_session() {
    let (world, juliet) = lovers().await;
    let nurse = world.sign_in("nurse@localhost/kitchen").await;
    let mut romeo = world.sign_in("romeo@localhost/orchard").await;
    juliet.received();
    romeo.presence("", "nurse@localhost").await;
    romeo.presence("", "juliet@localhost").await;
    nurse.gets(["<presence from='romeo@localhost/orchard' to='nurse@localhost'/>"]);
    juliet.received();
    romeo.session.end(Vec::new()).await;
    nurse.gets([
        "<presence from='romeo@localhost/orchard' to='nurse@localhost' type='unavailable'/>",
    ]);
    assert_eq!(juliet.received().len(), 1, "a contact learns it by the broadcast alone");
}

#[tokio::test]
async fn section_4_6_3_also_without_any_broadcast() {
    let world = World::new(&["romeo", "nurse"]).await;
    let nurse = world.sign_in("nurse@localhost/kitchen").await;
    let mut romeo = world.bind("romeo@localhost/orchard").await;
    romeo.presence("", "nurse@localhost").await;
    nurse.received();
    romeo.presence("unavailable", "").await;
    nurse.gets([
        "<presence from='romeo@localhost/orchard' to='nurse@localhost' type='unavailable'/>",
    ]);
    romeo.gets([]);
    romeo.session.end(Vec::new()).await;
    nurse.gets([]);
}

#[tokio::test]
async fn a_session_comes_when_it_first_takes_messages() {
    let world = World::new(&["romeo"]).await;
    let mut romeo = world.bind("romeo@localhost/orchard").await;
    let mut came = Vec::new();
    for priority in ["-1", "-2", "0", "5", "-1", "3"] {
        let xml = "<presence xmlns='jabber:client'><priority>";
        romeo.send(&format!("{xml}{priority}</priority></presence>")).await;
        came.push(romeo.received().contains(&CAME.to_owned()));
    }
    assert_eq!(came, [false, false, true, false, false, true]);
    romeo.presence("unavailable", "").await;
    assert!(romeo.received().contains(&WENT.to_owned()));
}

#[tokio::test]
async fn section_4_7_2_3_a_priority_out_of_range_is_refused() {
    let (world, juliet) = lovers().await;
    let mut romeo = world.bind("romeo@localhost/orchard").await;
    romeo.send("<presence xmlns='jabber:client' id='x'><priority>128</priority></presence>").await;
    let [refusal] = &romeo.received()[..] else { panic!("one answer") };
    let head = "<presence to='romeo@localhost/orchard' id='x' type='error'><error type='modify'>";
    assert!(refusal.starts_with(head) && refusal.contains("<bad-request"), "{refusal}");
    juliet.gets([]);
    assert!(!world.hub.directory().session(&romeo.session.jid).unwrap().is_available());
}

#[tokio::test]
async fn a_subscription_needs_an_address() {
    let world = World::new(&["romeo"]).await;
    let mut romeo = world.bind("romeo@localhost/orchard").await;
    romeo.presence("subscribe", "").await;
    assert!(romeo.received()[0].contains("<bad-request"));
}

#[tokio::test]
async fn section_4_4_2_copies_share_one_body() {
    let (world, juliet) = lovers().await;
    let mut romeo = world.bind("romeo@localhost/orchard").await;
    romeo.send("<presence xmlns='jabber:client'><show>away</show></presence>").await;
    let kept = world.hub.directory().session(&romeo.session.jid).unwrap().presence.unwrap();
    let seen = juliet.session.mailbox.try_next_delivery().unwrap();
    assert!(Arc::ptr_eq(&kept.body, &seen.stanza.body));
}

/// A full disk must not leave people looking as if they were there.
#[tokio::test]
async fn section_4_5_2_who_leaves_is_gone_also_when_nothing_can_be_written() {
    let (world, juliet) = lovers().await;
    let mut romeo = world.sign_in("romeo@localhost/orchard").await;
    juliet.received();
    world.hub.db().clone().close().await.unwrap();
    romeo.presence("unavailable", "").await;
    let seen = juliet.received();
    assert!(matches!(&seen[..], [one] if one.contains("unavailable")), "{seen:?}");
}
