use std::sync::Arc;

use super::world::{Client, World};
use crate::limits::Limits;
use crate::roster::Roster;

const ROMEO: &str = "romeo@localhost";
const JULIET: &str = "juliet@localhost";

async fn verona() -> (Arc<World>, Client, Client) {
    let world = World::new(&["romeo", "juliet"]).await;
    let romeo = world.sign_in("romeo@localhost/orchard").await;
    let juliet = world.sign_in("juliet@localhost/balcony").await;
    (world, romeo, juliet)
}

/// Romeo sees Juliet.
async fn friends() -> (Arc<World>, Client, Client) {
    let (world, mut romeo, mut juliet) = verona().await;
    romeo.presence("subscribe", JULIET).await;
    juliet.presence("subscribed", ROMEO).await;
    romeo.received();
    juliet.received();
    (world, romeo, juliet)
}

async fn roster(world: &World, account: &str) -> Arc<Roster> {
    let jid = waxwing_jid::BareJid::new(account).unwrap();
    world.hub.account(&jid).await.unwrap().unwrap().fact(world.site.roster)
}

#[tokio::test]
async fn section_3_1_a_request_is_shown_and_approved() {
    let (_world, mut romeo, mut juliet) = verona().await;
    // §3.1.2: a resource of the contact plays no part.
    romeo
        .send(
            "<presence xmlns='jabber:client' to='juliet@localhost/balcony' id='1' \
             type='subscribe'><status>Hi</status></presence>",
        )
        .await;
    romeo.gets(["push <item jid='juliet@localhost' subscription='none' ask='subscribe'/>"]);
    juliet.gets(["<presence from='romeo@localhost' to='juliet@localhost' id='1' \
                  type='subscribe'><status>Hi</status></presence>"]);

    juliet.presence("subscribed", ROMEO).await;
    juliet.gets(["push <item jid='romeo@localhost' subscription='from'/>"]);
    romeo.gets([
        "<presence from='juliet@localhost' to='romeo@localhost' type='subscribed'/>",
        "push <item jid='juliet@localhost' subscription='to'/>",
        "<presence from='juliet@localhost/balcony' to='romeo@localhost'/>",
    ]);
    // §3.1.3: who has a subscription already is answered by the server.
    romeo.presence("subscribe", JULIET).await;
    juliet.gets([]);
}

#[tokio::test]
async fn section_3_1_3_a_request_waits_until_it_is_answered() {
    let world = World::new(&["romeo", "juliet"]).await;
    let mut romeo = world.sign_in("romeo@localhost/orchard").await;
    romeo.presence("subscribe", JULIET).await;
    romeo.presence("subscribe", JULIET).await;
    // Also across a restart.
    world.hub.forget(&waxwing_jid::BareJid::new(JULIET).unwrap());
    let request = "<presence from='romeo@localhost' to='juliet@localhost' type='subscribe'/>";
    for resource in ["balcony", "chamber"] {
        let mut juliet = world.bind(&format!("juliet@localhost/{resource}")).await;
        juliet.presence("", "").await;
        assert_eq!(juliet.received().iter().filter(|it| *it == request).count(), 1);
        // Later presence does not show it again.
        juliet.send("<presence xmlns='jabber:client'><show>away</show></presence>").await;
        assert!(!juliet.received().contains(&request.to_owned()));
    }
    let mut juliet = world.sign_in("juliet@localhost/balcony").await;
    juliet.presence("unsubscribed", ROMEO).await;
    // §3.2.1 "… or denying a subscription request": nobody became a contact.
    juliet.gets([]);
    let came = romeo.received();
    assert!(
        came.contains(&format!("<presence from='{JULIET}' to='{ROMEO}' type='unsubscribed'/>"))
    );
    assert!(came.contains(&"push <item jid='juliet@localhost' subscription='none'/>".to_owned()));
    let mut juliet = world.bind("juliet@localhost/attic").await;
    juliet.presence("", "").await;
    assert!(!juliet.received().contains(&request.to_owned()));
    assert_eq!(roster(&world, JULIET).await.contacts().len(), 0);
}

#[tokio::test]
async fn section_3_2_a_subscription_is_cancelled_by_the_contact() {
    let (_world, romeo, mut juliet) = friends().await;
    juliet.presence("unsubscribed", ROMEO).await;
    juliet.gets(["push <item jid='romeo@localhost' subscription='none'/>"]);
    romeo.gets([
        "<presence from='juliet@localhost' to='romeo@localhost' type='unsubscribed'/>",
        "push <item jid='juliet@localhost' subscription='none'/>",
        "<presence from='juliet@localhost/balcony' to='romeo@localhost' type='unavailable'/>",
    ]);
}

#[tokio::test]
async fn section_3_3_a_user_unsubscribes() {
    let (_world, mut romeo, juliet) = friends().await;
    romeo.presence("unsubscribe", JULIET).await;
    romeo.gets([
        "push <item jid='juliet@localhost' subscription='none'/>",
        "<presence from='juliet@localhost/balcony' to='romeo@localhost' type='unavailable'/>",
    ]);
    juliet.gets([
        "<presence from='romeo@localhost' to='juliet@localhost' type='unsubscribe'/>",
        "push <item jid='romeo@localhost' subscription='none'/>",
    ]);
}

#[tokio::test]
async fn section_3_4_an_approval_given_beforehand_answers_the_request() {
    let (_world, mut romeo, mut juliet) = verona().await;
    juliet.presence("subscribed", ROMEO).await;
    let approved = "push <item jid='romeo@localhost' subscription='none' approved='true'/>";
    juliet.gets([approved]);
    romeo.gets([]);
    romeo.presence("subscribe", JULIET).await;
    juliet.gets(["push <item jid='romeo@localhost' subscription='from'/>"]);
    romeo.gets([
        "push <item jid='juliet@localhost' subscription='none' ask='subscribe'/>",
        "<presence from='juliet@localhost' to='romeo@localhost' type='subscribed'/>",
        "push <item jid='juliet@localhost' subscription='to'/>",
        "<presence from='juliet@localhost/balcony' to='romeo@localhost'/>",
    ]);
    // §3.4.2: taken back by 'unsubscribed'.
    romeo.presence("subscribed", JULIET).await;
    romeo.presence("unsubscribed", JULIET).await;
    romeo.gets([
        "push <item jid='juliet@localhost' subscription='to' approved='true'/>",
        "push <item jid='juliet@localhost' subscription='to'/>",
    ]);
    juliet.gets([]);
}

#[tokio::test]
async fn section_8_5_1_nobody_is_silence() {
    let world = World::new(&["romeo"]).await;
    let mut romeo = world.sign_in("romeo@localhost/orchard").await;
    romeo.presence("subscribe", JULIET).await;
    romeo.gets(["push <item jid='juliet@localhost' subscription='none' ask='subscribe'/>"]);
    for kind in ["subscribed", "unsubscribed", "unavailable", ""] {
        romeo.presence(kind, JULIET).await;
    }
    let pushes = romeo.received();
    assert!(pushes.iter().all(|it| it.starts_with("push")), "{pushes:?}");
}

#[tokio::test]
async fn what_cannot_be_stored_does_not_happen() {
    let (world, mut romeo, juliet) = verona().await;
    world.hub.db().clone().close().await.unwrap();
    romeo.presence("subscribe", JULIET).await;
    let [refusal] = &romeo.received()[..] else { panic!("one answer") };
    assert!(refusal.contains("type='error'") && refusal.contains("<internal-server-error"));
    assert!(refusal.contains("to='romeo@localhost/orchard'"), "{refusal}");
    juliet.gets([]);
    assert_eq!(roster(&world, ROMEO).await.contacts().len(), 0);
}

#[tokio::test]
async fn rosters_and_requests_are_bounded() {
    let limits = Limits { roster_items: 1, subscription_requests: 1, ..Limits::default() };
    let world = World::within(limits, &["romeo", "juliet", "tybalt"]).await;
    let mut romeo = world.sign_in("romeo@localhost/orchard").await;
    let mut tybalt = world.sign_in("tybalt@localhost/street").await;
    let juliet = world.sign_in("juliet@localhost/balcony").await;
    romeo.presence("subscribe", JULIET).await;
    assert_eq!((romeo.received().len(), juliet.received().len()), (1, 1));
    tybalt.presence("subscribe", JULIET).await;
    let [push, refusal] = &tybalt.received()[..] else { panic!("a push and a refusal") };
    assert!(push.starts_with("push") && refusal.contains("<resource-constraint"), "{refusal}");
    juliet.gets([]);
    romeo.presence("subscribe", "tybalt@localhost").await;
    let [refusal] = &romeo.received()[..] else { panic!("one answer") };
    assert!(refusal.contains("<resource-constraint"), "{refusal}");
    tybalt.gets([]);
}

#[tokio::test]
async fn nobody_subscribes_to_themselves() {
    let (world, mut romeo, _juliet) = verona().await;
    romeo.presence("subscribe", ROMEO).await;
    let [refusal] = &romeo.received()[..] else { panic!("one answer") };
    assert!(refusal.contains("<not-allowed"), "{refusal}");
    assert_eq!(roster(&world, ROMEO).await.contacts().len(), 0);
}

#[tokio::test]
async fn a_request_to_another_server_is_answered_while_there_is_no_way_there() {
    let world = World::new(&["romeo"]).await;
    let mut romeo = world.sign_in("romeo@localhost/orchard").await;
    romeo.presence("subscribe", "juliet@capulet.lit").await;
    let [push, refusal] = &romeo.received()[..] else { panic!("a push and a refusal") };
    assert!(push.starts_with("push") && refusal.contains("<remote-server-not-found"), "{refusal}");
}

/// Whatever two people send each other, both rosters tell the same story, and the database tells
/// it like the memory.
#[tokio::test]
async fn both_ends_agree_after_any_conversation() {
    let (world, romeo, juliet) = verona().await;
    let mut people = [(romeo, ROMEO, JULIET), (juliet, JULIET, ROMEO)];
    let mut history = Vec::new();
    for _ in 0..400 {
        let mut bytes = [0; 8];
        world.hub.clock().random(&mut bytes);
        let kinds = ["subscribe", "subscribed", "unsubscribe", "unsubscribed"];
        let kind = kinds[usize::from(bytes[0]) % kinds.len()];
        let (client, _, to) = &mut people[usize::from(bytes[1]) % 2];
        client.presence(kind, to).await;
        history.push(format!("{kind} to {to}"));

        let mut states = Vec::new();
        for (client, owner, other) in &people {
            client.received();
            let other = waxwing_jid::BareJid::new(other).unwrap();
            let roster = roster(&world, owner).await;
            let owner = waxwing_jid::BareJid::new(owner).unwrap();
            let stored = <Roster as crate::account::Fact>::load(world.hub.db(), &owner).await;
            let stored = stored.unwrap();
            assert!(roster.contacts().eq(stored.contacts()), "{history:?}");
            assert_eq!(roster.state(&other), stored.state(&other), "{history:?}");
            assert_eq!(roster.version(), stored.version(), "{history:?}");
            states.push(roster.state(&other));
        }
        let (romeo, juliet) = (states[0], states[1]);
        for (one, other) in [(romeo, juliet), (juliet, romeo)] {
            assert_eq!(one.subscription.sees(), other.subscription.shows(), "{history:?}");
            assert_eq!(one.is_asking, other.is_asked, "{history:?}");
            assert!(!(one.is_asking && one.subscription.sees()), "{history:?}");
            assert!(!(one.is_asked && one.subscription.shows()), "{history:?}");
            assert!(!(one.is_approved && one.subscription.shows()), "{history:?}");
        }
    }
}

/// No two turns are ever held together, so two people who talk at once cannot wait for each other.
#[tokio::test]
async fn talking_at_once_never_stalls() {
    let (_world, mut romeo, mut juliet) = verona().await;
    let talk = async |client: &mut Client, to: &str| {
        for _ in 0..50 {
            for kind in ["subscribe", "subscribed", "unsubscribe", "unsubscribed"] {
                client.presence(kind, to).await;
            }
            client.received();
        }
    };
    let both = async { tokio::join!(talk(&mut romeo, JULIET), talk(&mut juliet, ROMEO)) };
    let patience = std::time::Duration::from_secs(20);
    Box::pin(tokio::time::timeout(patience, both)).await.unwrap();
}
