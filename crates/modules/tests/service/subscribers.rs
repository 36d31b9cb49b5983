//! A node with more subscribers than anybody counts, and who may have a hand in them.

use waxwing_store::Statement;
use waxwing_store::domains::pubsub::{Nodes, Subscription, Subscriptions};

use crate::world::{Client, World};

const AT: &str = "pubsub.localhost";
const PUBSUB: &str = "xmlns='http://jabber.org/protocol/pubsub'";
const OWNER: &str = "xmlns='http://jabber.org/protocol/pubsub#owner'";

impl Client {
    async fn order(&self, inner: &str) -> String {
        self.drain();
        self.ask_at(AT, "set", &format!("<pubsub {PUBSUB}>{inner}</pubsub>")).await
    }

    async fn own(&self, kind: &str, inner: &str) -> String {
        self.drain();
        self.ask_at(AT, kind, &format!("<pubsub {OWNER}>{inner}</pubsub>")).await
    }

    async fn publish(&self, id: u32) {
        let item = format!("<item id='{id}'><x xmlns='urn:x'/></item>");
        let answer = self.order(&format!("<publish node='news'>{item}</publish>")).await;
        assert!(answer.contains("<publish"), "{answer}");
    }

    /// What came besides.
    fn drain(&self) -> usize {
        std::iter::from_fn(|| self.next()).count()
    }
}

/// Subscribes so many people, of whom Romeo is one, to Juliet's node.
async fn fill(world: &World, people: usize) {
    let db = world.hub.db();
    let node = Nodes::new(db.clone()).find(AT, "news").await.unwrap().unwrap().id;
    let put = |bare: String| {
        Subscriptions::put(&Subscription {
            node,
            owner: AT.to_owned(),
            jid: bare.clone(),
            subid: bare.clone(),
            bare,
            state: 3,
            options: None,
            expires: None,
            made: 0,
        })
    };
    let others = (1..people).map(|number| format!("person{number:06}@localhost"));
    let all: Vec<Statement> = others.chain(["romeo@localhost".to_owned()]).map(put).collect();
    for batch in all.chunks(5000) {
        db.batch(batch.to_vec()).await.unwrap();
    }
}

/// Those who are not there cost a look into the directory, and are read once.
#[tokio::test]
async fn a_hundred_thousand_subscribers_are_read_once() {
    const PEOPLE: usize = 100_000;
    let world = World::new().await;
    let (juliet, romeo) = (world.bind("juliet@localhost/desk"), world.bind("romeo@localhost/desk"));
    let (juliet, romeo) = (juliet.await, romeo.await);
    juliet.order("<create node='news'/>").await;
    fill(&world, PEOPLE).await;
    juliet.publish(1).await;
    assert_eq!(romeo.drain(), 1);
    let asked = world.hub.db().asked();
    juliet.publish(2).await;
    assert_eq!(romeo.drain(), 1);
    let asked = world.hub.db().asked() - asked;
    assert!(asked <= 2, "{asked} errands for one item");
    // One who goes, and one who comes, are known without reading the others.
    romeo.order("<unsubscribe node='news' jid='romeo@localhost'/>").await;
    let asked = world.hub.db().asked();
    juliet.publish(3).await;
    assert_eq!(romeo.drain(), 0);
    assert!(world.hub.db().asked() - asked <= 2);
    romeo.order("<subscribe node='news' jid='romeo@localhost'/>").await;
    romeo.drain();
    juliet.publish(4).await;
    assert_eq!(romeo.drain(), 1);
}

/// Where there is no room for them they are read page by page, and nobody is left out.
#[tokio::test]
async fn more_subscribers_than_there_is_room_for_are_read_in_pages() {
    let world = World::with("[modules.pubsub]\nsubscribers_cached = 0\n").await;
    let (juliet, romeo) = (world.bind("juliet@localhost/desk"), world.bind("romeo@localhost/desk"));
    let (juliet, romeo) = (juliet.await, romeo.await);
    juliet.order("<create node='news'/>").await;
    fill(&world, 3500).await;
    for id in 1..3 {
        let asked = world.hub.db().asked();
        juliet.publish(id).await;
        assert_eq!(romeo.drain(), 1);
        let asked = world.hub.db().asked() - asked;
        assert!((4..12).contains(&asked), "{asked} errands");
    }
}

/// §4.1, and §8.8.1.3.2, §8.8.2.3.2, §8.9.1.3.2, §8.9.2.3.3: "If the requesting entity is not a
/// node owner, the service MUST return a <forbidden/> error."
#[tokio::test]
async fn who_may_subscribe_and_manage() {
    const FORBIDDEN: &str = "auth forbidden";
    // The affiliation; whether it may subscribe; whether it may manage.
    const ROWS: [(&str, bool, bool); 6] = [
        ("none", true, false),
        ("member", true, false),
        ("outcast", false, false),
        ("publish-only", false, false),
        ("publisher", true, false),
        ("owner", true, true),
    ];
    let world = World::new().await;
    let (juliet, romeo) = (world.bind("juliet@localhost/desk"), world.bind("romeo@localhost/desk"));
    let (juliet, romeo) = (juliet.await, romeo.await);
    juliet.order("<create node='news'/>").await;
    for (affiliation, may_subscribe, may_manage) in ROWS {
        // Whoever is something else first becomes nothing: the state chart has no other way.
        for to in ["none", affiliation] {
            let change = format!("<affiliation jid='romeo@localhost' affiliation='{to}'/>");
            let change = format!("<affiliations node='news'>{change}</affiliations>");
            assert_eq!(juliet.own("set", &change).await, "", "{affiliation}");
        }
        let subscribed = romeo.order("<subscribe node='news' jid='romeo@localhost'/>").await;
        match may_subscribe {
            true => assert!(subscribed.contains("'subscribed'"), "{affiliation}: {subscribed}"),
            false => assert_eq!(subscribed, FORBIDDEN, "{affiliation}"),
        }
        // Nobody subscribes or unsubscribes others, whatever they are.
        let other = romeo.order("<subscribe node='news' jid='juliet@localhost'/>").await;
        assert_eq!(other, "modify bad-request invalid-jid", "{affiliation}");
        let other = romeo.order("<unsubscribe node='news' jid='juliet@localhost'/>").await;
        assert_eq!(other, FORBIDDEN, "{affiliation}");
        for (kind, request) in [
            ("get", "<subscriptions node='news'/>"),
            ("get", "<affiliations node='news'/>"),
            (
                "set",
                "<subscriptions node='news'><subscription jid='x@localhost' \
                 subscription='subscribed'/></subscriptions>",
            ),
            (
                "set",
                "<affiliations node='news'><affiliation jid='x@localhost' \
                 affiliation='member'/></affiliations>",
            ),
        ] {
            let answer = romeo.own(kind, request).await;
            assert_eq!(answer == FORBIDDEN, !may_manage, "{affiliation} {request}: {answer}");
        }
    }
}
