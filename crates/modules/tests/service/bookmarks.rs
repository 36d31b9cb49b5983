//! Bookmarks that stood in private storage before they had a node.

use std::sync::Arc;

use waxwing_kernel::request::{Happening, Signal};
use waxwing_store::Statement;

use crate::world::{Client, World};

const PRIVATE: &str =
    "<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'/></query>";
const ITEMS: &str = "<pubsub xmlns='http://jabber.org/protocol/pubsub'>\
     <items node='urn:xmpp:bookmarks:1'/></pubsub>";
const OLD: &str = "<storage xmlns='storage:bookmarks'><conference jid='orchard@rooms.localhost' \
     name='Orchard'/><url name='W' url='https://www.w3.org/'/></storage>";

/// With a row as it was written before.
async fn world() -> (World, Client) {
    let world = World::new().await;
    let row = "INSERT INTO private (owner, ns, name, data) VALUES (?1, ?2, ?3, ?4)";
    let row = Statement::new(row).with("romeo@localhost").with("storage:bookmarks");
    world.hub.db().batch(vec![row.with("storage").with(OLD)]).await.unwrap();
    let romeo = world.bind("romeo@localhost/desk").await;
    (world, romeo)
}

/// What is left in private storage.
async fn left(world: &World) -> String {
    let left = Statement::new("SELECT data FROM private WHERE owner = ?1");
    let row = world.hub.db().query_one(left.with("romeo@localhost")).await.unwrap();
    row.unwrap().text(0).unwrap().to_owned()
}

async fn has_moved(world: &World, romeo: &Client) {
    let items = romeo.ask_at("romeo@localhost", "get", ITEMS).await;
    assert!(items.contains("<item id='orchard@rooms.localhost'>"), "{items}");
    assert!(items.contains("name='Orchard'") && !items.contains("w3.org"), "{items}");
    let left = left(world).await;
    assert!(left.contains("w3.org") && !left.contains("orchard"), "{left}");
}

#[tokio::test]
async fn they_move_when_their_owner_comes_online() {
    let (world, romeo) = world().await;
    let account = romeo.party.account.clone().unwrap();
    let happening = || Happening {
        hub: world.hub.clone(),
        site: Arc::clone(&world.site),
        party: romeo.party.clone(),
        account: Arc::clone(&account),
        presence: None,
    };
    world.site.router.signal(Signal::Appeared, happening).await;
    has_moved(&world, &romeo).await;
}

#[tokio::test]
async fn they_move_when_their_owner_looks_and_what_is_there_already_wins() {
    let (world, romeo) = world().await;
    let publish = "<pubsub xmlns='http://jabber.org/protocol/pubsub'>\
         <publish node='urn:xmpp:bookmarks:1'><item id='balcony@rooms.localhost'>\
         <conference xmlns='urn:xmpp:bookmarks:1'/></item></publish></pubsub>";
    romeo.ask_at("romeo@localhost", "set", publish).await;
    let shown = romeo.ask_at("romeo@localhost", "get", PRIVATE).await;
    for part in ["jid='balcony@rooms.localhost'", "jid='orchard@rooms.localhost'", "w3.org"] {
        assert!(shown.contains(part), "{shown}");
    }
    has_moved(&world, &romeo).await;
    assert_eq!(romeo.ask_at("romeo@localhost", "get", PRIVATE).await, shown);
}
