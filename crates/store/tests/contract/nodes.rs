//! Nodes, their items, and who has to do with them.

use waxwing_store::domains::archive::Order;
use waxwing_store::domains::pubsub::{
    Affiliation, Affiliations, Due, History, Item, Items, Node, Nodes, Past, Pubsub, Slice,
    Stretch, Subscription, Subscriptions, Walk,
};
use waxwing_store::{Db, StoreError};

use crate::ground::{Ground, grounds};

const SERVICE: &str = "pubsub.example.org";
const ROMEO: &str = "romeo@example.org";
const JULIET: &str = "juliet@example.org";

async fn open(ground: &Ground) -> Db {
    ground.open_with(Pubsub::TABLES).await
}

fn node(id: i64, owner: &str, name: &str, kind: Option<&str>) -> Node {
    Node {
        id,
        owner: owner.to_owned(),
        name: name.to_owned(),
        creator: ROMEO.to_owned(),
        created: 1_000,
        access: 0,
        title: Some(format!("The node {name}")),
        kind: kind.map(str::to_owned),
        config: "{}".to_owned(),
    }
}

fn item(number: i64, node: i64, id: &str) -> Item {
    Item {
        number,
        owner: SERVICE.to_owned(),
        node,
        id: id.to_owned(),
        publisher: if number % 2 == 0 { ROMEO } else { JULIET }.to_owned(),
        published: 1_000 + number,
        expires: None,
        leaves: false,
        payload: format!("<a xmlns='urn:{number}'/>"),
    }
}

fn affiliation(node: i64, jid: &str, affiliation: i64) -> Affiliation {
    Affiliation { node, owner: SERVICE.to_owned(), jid: jid.to_owned(), affiliation }
}

fn subscription(node: i64, jid: &str, subid: &str, state: i64) -> Subscription {
    Subscription {
        node,
        owner: SERVICE.to_owned(),
        jid: jid.to_owned(),
        bare: jid.split('/').next().unwrap().to_owned(),
        subid: subid.to_owned(),
        state,
        options: None,
        expires: None,
        made: 1_000,
    }
}

async fn names(db: &Db, walk: Walk<'_>, limit: u32) -> Vec<String> {
    let listed = Nodes::new(db.clone()).list(walk, limit).await.unwrap();
    listed.into_iter().map(|listed| listed.name).collect()
}

#[tokio::test]
async fn a_name_is_taken_once_by_each_owner() {
    for ground in grounds() {
        let db = open(&ground).await;
        let add = |node: &Node| db.batch(vec![Nodes::add(node)]);
        add(&node(1, SERVICE, "n", None)).await.unwrap();
        add(&node(2, ROMEO, "n", None)).await.unwrap();
        let again = add(&node(3, SERVICE, "n", None)).await;
        assert!(matches!(again, Err(StoreError::Conflict(_))), "{}: {again:?}", ground.name);
        let nodes = Nodes::new(db.clone());
        assert_eq!(nodes.find(SERVICE, "n").await.unwrap().unwrap().id, 1);
        assert_eq!(nodes.find(SERVICE, "m").await.unwrap(), None);
        assert_eq!(nodes.name(2).await.unwrap(), Some((ROMEO.to_owned(), "n".to_owned())));
        assert_eq!(nodes.count(SERVICE).await.unwrap(), 1);
        assert_eq!(nodes.count_by(SERVICE, ROMEO).await.unwrap(), 1);
        assert_eq!(nodes.count_by(SERVICE, JULIET).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_configuration_is_written_whole() {
    for ground in grounds() {
        let db = open(&ground).await;
        let mut written = node(1, SERVICE, "n", Some("urn:a"));
        db.batch(vec![Nodes::add(&written)]).await.unwrap();
        (written.access, written.title, written.kind) = (3, None, Some("urn:b".to_owned()));
        written.config = "{\"pubsub#title\":[]}".to_owned();
        db.batch(vec![Nodes::configure(&written)]).await.unwrap();
        let found = Nodes::new(db.clone()).find(SERVICE, "n").await.unwrap();
        assert_eq!(found.as_ref(), Some(&written), "{}", ground.name);
        let gone = db.batch(vec![Nodes::configure(&node(9, SERVICE, "m", None))]).await;
        assert!(matches!(gone, Err(StoreError::Conflict(_))), "{}", ground.name);
    }
}

#[tokio::test]
async fn nodes_are_listed_by_name_from_either_end() {
    for ground in grounds() {
        let db = open(&ground).await;
        let kinds = [("a", Some("urn:x")), ("b", None), ("c", Some("urn:x")), ("d", Some("urn:y"))];
        let add = |(id, (name, kind)): (usize, &(&str, Option<&str>))| {
            Nodes::add(&node(id as i64, SERVICE, name, *kind))
        };
        let mut batch: Vec<_> = kinds.iter().enumerate().map(add).collect();
        batch.push(Nodes::add(&node(9, ROMEO, "e", None)));
        db.batch(batch).await.unwrap();
        let all = Walk { owner: SERVICE, kind: None, from: None, is_back: false };
        assert_eq!(names(&db, all, 3).await, ["a", "b", "c"], "{}", ground.name);
        assert_eq!(names(&db, Walk { from: Some("b"), ..all }, 9).await, ["c", "d"]);
        let back = Walk { is_back: true, ..all };
        assert_eq!(names(&db, back, 2).await, ["d", "c"], "{}", ground.name);
        assert_eq!(names(&db, Walk { from: Some("c"), ..back }, 9).await, ["b", "a"]);
        let kind = Some("urn:x");
        assert_eq!(names(&db, Walk { kind, ..all }, 9).await, ["a", "c"], "{}", ground.name);
        assert_eq!(names(&db, Walk { kind, from: Some("a"), ..all }, 9).await, ["c"]);
        assert_eq!(names(&db, Walk { kind, ..back }, 9).await, ["c", "a"]);
        assert_eq!(names(&db, Walk { kind, from: Some("c"), ..back }, 9).await, ["a"]);
    }
}

#[tokio::test]
async fn an_item_published_again_stands_at_the_end() {
    for ground in grounds() {
        let db = open(&ground).await;
        let items = Items::new(db.clone());
        for number in 1..=4 {
            let changed = db.batch(Items::put(&item(number, 7, &format!("{number}"))).into()).await;
            assert_eq!(changed.unwrap()[0], 0, "{}", ground.name);
        }
        let changed = db.batch(Items::put(&item(5, 7, "2")).into()).await.unwrap();
        assert_eq!(changed[0], 1, "{}: one was there", ground.name);
        db.batch(Items::put(&item(6, 8, "1")).into()).await.unwrap();
        let slice = Slice { node: 7, above: 0, below: i64::MAX, is_back: false, now: 0 };
        let ids = async |slice: Slice, limit| {
            let found = items.slice(slice, limit).await.unwrap();
            found.into_iter().map(|item| item.id).collect::<Vec<_>>()
        };
        assert_eq!(ids(slice, 9).await, ["1", "3", "4", "2"], "{}", ground.name);
        assert_eq!(ids(Slice { is_back: true, ..slice }, 2).await, ["2", "4"]);
        assert_eq!(ids(Slice { above: 1, below: 5, ..slice }, 9).await, ["3", "4"]);
        assert_eq!(items.oldest(7, 2).await.unwrap(), ["1", "3"]);
        assert_eq!(items.of(7, JULIET, 9).await.unwrap(), ["1", "3", "2"]);
        assert_eq!((items.count(7).await.unwrap(), items.before(7, 4).await.unwrap()), (4, 2));
        assert_eq!(items.number(7, "2").await.unwrap(), Some(5));
        let found = items.find(7, &["2", "9", "1"], 0).await.unwrap();
        assert_eq!(found, [item(5, 7, "2"), item(1, 7, "1")], "{}", ground.name);
        db.batch(vec![Items::trim(7, 2)]).await.unwrap();
        assert_eq!(ids(slice, 9).await, ["4", "2"], "{}", ground.name);
        db.batch(vec![Items::trim(7, 0)]).await.unwrap();
        assert_eq!((items.count(7).await.unwrap(), items.count(8).await.unwrap()), (0, 1));
        assert_eq!(Pubsub::last_number(&db).await.unwrap(), 6);
    }
}

#[tokio::test]
async fn an_item_ends_when_its_time_is_over() {
    for ground in grounds() {
        let db = open(&ground).await;
        let items = Items::new(db.clone());
        let ending = Item { expires: Some(2_000), ..item(1, 7, "a") };
        let leaving = Item { leaves: true, ..item(2, 7, "b") };
        let batch = [Items::put(&ending), Items::put(&leaving), Items::put(&item(3, 7, "c"))];
        db.batch(batch.concat()).await.unwrap();
        let at = |now| Slice { node: 7, above: 0, below: i64::MAX, is_back: false, now };
        assert_eq!(items.slice(at(1_999), 9).await.unwrap().len(), 3, "{}", ground.name);
        assert_eq!(items.slice(at(2_000), 9).await.unwrap().len(), 2, "{}", ground.name);
        assert!(items.find(7, &["a"], 2_000).await.unwrap().is_empty());
        let due = Due { node: 7, id: "a".to_owned() };
        assert!(items.due(1_999, 9, 0).await.unwrap().is_empty(), "{}", ground.name);
        assert_eq!(items.due(2_000, 9, 0).await.unwrap(), [due], "{}", ground.name);
        assert!(items.due(2_000, 9, 1).await.unwrap().is_empty());
        let left = items.left(2_000, 9, 0).await.unwrap();
        assert_eq!(left, [Due { node: 7, id: "b".to_owned() }], "{}", ground.name);
        assert!(items.left(1_002, 9, 0).await.unwrap().is_empty(), "only those before");
        let early = db.batch(vec![Items::drop_due(7, "a", 1_999)]).await.unwrap();
        let late = db.batch(vec![Items::drop_due(7, "a", 2_000)]).await.unwrap();
        assert_eq!((early[0], late[0]), (0, 1), "{}", ground.name);
        db.batch(vec![Items::reschedule(7, Some(10))]).await.unwrap();
        assert_eq!(items.due(1_013, 9, 0).await.unwrap().len(), 2, "{}", ground.name);
        db.batch(vec![Items::reschedule(7, None)]).await.unwrap();
        assert!(items.due(i64::MAX, 9, 0).await.unwrap().is_empty(), "{}", ground.name);
    }
}

const DOMAIN: &str = "pubsub.example.org";

/// Publishes an item and remembers the one whose place it takes.
async fn publish_over(db: &Db, new: &Item) {
    let [drop, add] = Items::put(new);
    db.batch(vec![Past::keep(new.node, &new.id, DOMAIN), drop, add]).await.unwrap();
}

/// Every number of the history of a node, read `size` at a time.
async fn pages(db: &Db, stretch: Stretch<'_>, order: Order, size: u32) -> Vec<i64> {
    let (history, mut stretch, mut all) = (History::new(db.clone()), stretch, Vec::new());
    loop {
        let page = history.page(&stretch, order, size).await.unwrap();
        assert!(page.len() <= size as usize);
        let Some(last) = page.last() else { return all };
        match order {
            Order::Rising => stretch.above = last.number,
            Order::Falling => stretch.below = last.number,
        }
        all.extend(page.iter().map(|item| item.number));
    }
}

fn whole(node: i64) -> Stretch<'static> {
    Stretch { node, above: 0, below: i64::MAX, publisher: None, now: 0 }
}

#[tokio::test]
async fn what_was_replaced_or_pushed_out_stays_in_the_history_with_its_number() {
    for ground in grounds() {
        let db = open(&ground).await;
        let ids = ["a", "b", "a", "c", "a", "b", "d"];
        for (number, id) in (1..).zip(ids) {
            publish_over(&db, &item(number, 7, id)).await;
        }
        publish_over(&db, &item(8, 9, "a")).await;
        assert_eq!(Items::new(db.clone()).count(7).await.unwrap(), 4, "{}", ground.name);
        assert_eq!(Past::new(db.clone()).count(7).await.unwrap(), 3, "{}", ground.name);
        // Three make room: the newest two of them are remembered.
        db.batch(vec![Past::keep_surplus(7, 1, DOMAIN, 2), Items::trim(7, 1)]).await.unwrap();
        assert_eq!(Items::new(db.clone()).count(7).await.unwrap(), 1, "{}", ground.name);
        let all = [1, 2, 3, 5, 6, 7];
        for size in [1, 2, 3, 9] {
            let rising = pages(&db, whole(7), Order::Rising, size).await;
            assert_eq!(rising, all, "{}: {size}", ground.name);
            let mut falling = pages(&db, whole(7), Order::Falling, size).await;
            falling.reverse();
            assert_eq!(falling, all, "{}: {size}", ground.name);
        }
        let history = History::new(db.clone());
        let page = history.page(&whole(7), Order::Rising, 9).await.unwrap();
        assert_eq!(page[2], item(3, 7, "a"), "{}: as it was", ground.name);
        let own = Stretch { publisher: Some(ROMEO), ..whole(7) };
        assert_eq!(pages(&db, own, Order::Rising, 1).await, [2, 6], "{}", ground.name);
        let part = Stretch { above: 2, below: 7, ..whole(7) };
        assert_eq!(pages(&db, part, Order::Rising, 2).await, [3, 5, 6], "{}", ground.name);
        for (limit, count) in [(9, 6), (4, 4)] {
            assert_eq!(history.count(&whole(7), limit).await.unwrap(), count, "{}", ground.name);
        }
        assert_eq!(pages(&db, whole(9), Order::Rising, 9).await, [8], "{}", ground.name);
    }
}

#[tokio::test]
async fn the_history_forgets() {
    for ground in grounds() {
        let db = open(&ground).await;
        let past = Past::new(db.clone());
        let left = async || pages(&db, whole(7), Order::Rising, 9).await;
        for (number, id) in (1..).zip(["a", "b", "a", "b", "a", "b", "a", "b"]) {
            publish_over(&db, &item(number, 7, id)).await;
        }
        db.batch(vec![Past::trim(7, 4)]).await.unwrap();
        assert_eq!(left().await, [3, 4, 5, 6, 7, 8], "{}: the oldest go", ground.name);
        assert_eq!(past.publisher(7, "b", 0).await.unwrap().as_deref(), Some(ROMEO));
        assert_eq!(past.publisher(7, "c", 0).await.unwrap(), None);
        // To make room.
        db.batch(vec![Nodes::add(&node(7, SERVICE, "n7", None))]).await.unwrap();
        assert_eq!(past.drop_oldest(9, 9).await.unwrap(), 0, "{}", ground.name);
        assert_eq!(past.drop_oldest_by(SERVICE, JULIET, 9).await.unwrap(), 0, "{}", ground.name);
        assert_eq!(past.drop_oldest_by(SERVICE, ROMEO, 1).await.unwrap(), 1, "{}", ground.name);
        assert_eq!(past.drop_oldest(7, 1).await.unwrap(), 1, "{}", ground.name);
        assert_eq!(left().await, [5, 6, 7, 8], "{}: only what is remembered goes", ground.name);
        // By age, in a domain, some at a time.
        assert_eq!(past.drop_old("example.org", i64::MAX, 9).await.unwrap(), 0, "{}", ground.name);
        assert_eq!(past.drop_old(DOMAIN, 1_005, 9).await.unwrap(), 0, "{}", ground.name);
        assert_eq!(past.drop_old(DOMAIN, 1_009, 1).await.unwrap(), 1, "{}", ground.name);
        assert_eq!(left().await, [6, 7, 8], "{}", ground.name);
        // Those that end.
        publish_over(&db, &item(9, 7, "a")).await;
        db.batch(vec![Past::reschedule(7, Some(10))]).await.unwrap();
        let later = Stretch { now: 1_016, ..whole(7) };
        assert_eq!(pages(&db, later, Order::Rising, 9).await, [7, 8, 9], "{}", ground.name);
        assert_eq!(past.publisher(7, "b", 1_016).await.unwrap(), None, "{}", ground.name);
        assert_eq!(past.drop_due(1_015, 9).await.unwrap(), 0, "{}", ground.name);
        assert_eq!(past.drop_due(1_016, 9).await.unwrap(), 1, "{}", ground.name);
        db.batch(vec![Past::reschedule(7, None)]).await.unwrap();
        assert_eq!(past.drop_due(i64::MAX, 9).await.unwrap(), 0, "{}", ground.name);
        // What is taken back.
        publish_over(&db, &item(10, 7, "a")).await;
        assert_eq!(left().await, [7, 8, 9, 10], "{}", ground.name);
        publish_over(&db, &item(11, 7, "b")).await;
        db.batch(vec![Items::drop(7, "a"), Past::drop(7, "a")]).await.unwrap();
        assert_eq!(left().await, [8, 11], "{}", ground.name);
        db.batch(vec![Items::drop(7, "b")]).await.unwrap();
        assert_eq!(left().await, [8], "{}", ground.name);
        assert_eq!(Pubsub::last_number(&db).await.unwrap(), 8, "{}", ground.name);
        // What goes with its publisher is not remembered.
        publish_over(&db, &Item { leaves: true, ..item(20, 7, "z") }).await;
        publish_over(&db, &item(21, 7, "z")).await;
        assert_eq!(left().await, [8, 21], "{}", ground.name);
        db.batch(vec![Past::purge(7)]).await.unwrap();
        assert_eq!(left().await, [21], "{}", ground.name);
    }
}

#[tokio::test]
async fn with_a_node_goes_everything_that_hangs_on_it() {
    for ground in grounds() {
        let db = open(&ground).await;
        for id in [1, 2] {
            let mut batch = vec![
                Nodes::add(&node(id, SERVICE, &format!("n{id}"), None)),
                Affiliations::put(&affiliation(id, ROMEO, 1)),
                Affiliations::put(&affiliation(id, JULIET, 4)),
                Subscriptions::put(&subscription(id, "juliet@example.org/a", "s1", 3)),
            ];
            batch.extend(Items::put(&item(10 + id, id, "i")));
            batch.push(Past::keep(id, "i", DOMAIN));
            batch.extend(Items::put(&item(20 + id, id, "i")));
            db.batch(batch).await.unwrap();
        }
        db.batch(Nodes::drop(1).into()).await.unwrap();
        let people = Affiliations::new(db.clone());
        let subscriptions = Subscriptions::new(db.clone());
        for (id, left) in [(1, 0), (2, 1)] {
            assert_eq!(Items::new(db.clone()).count(id).await.unwrap(), left, "{}", ground.name);
            assert_eq!(Past::new(db.clone()).count(id).await.unwrap(), left, "{}", ground.name);
            assert_eq!(people.count(id).await.unwrap(), 2 * left, "{}", ground.name);
            let held = subscriptions.of(id, JULIET).await.unwrap();
            assert_eq!(held.len() as i64, left, "{}", ground.name);
        }
        let again = db.batch(Nodes::drop(1).into()).await;
        assert!(matches!(again, Err(StoreError::Conflict(_))), "{}", ground.name);
    }
}

#[tokio::test]
async fn how_people_stand_to_nodes_is_found_from_either_side() {
    for ground in grounds() {
        let db = open(&ground).await;
        let people = Affiliations::new(db.clone());
        let mut batch: Vec<_> =
            (1..=2).map(|id| Nodes::add(&node(id, SERVICE, &format!("n{id}"), None))).collect();
        batch.push(Affiliations::put(&affiliation(1, ROMEO, 1)));
        batch.push(Affiliations::put(&affiliation(1, JULIET, 4)));
        batch.push(Affiliations::put(&affiliation(2, JULIET, 2)));
        batch.push(Affiliations::put(&affiliation(1, JULIET, 5)));
        db.batch(batch).await.unwrap();
        assert_eq!(people.find(1, JULIET).await.unwrap(), Some(5), "{}", ground.name);
        assert_eq!(people.find(2, ROMEO).await.unwrap(), None);
        assert_eq!(people.of_kind(1, 5, 9).await.unwrap(), [JULIET]);
        let listed = people.list(1, JULIET, 9).await.unwrap();
        assert_eq!(listed, [affiliation(1, ROMEO, 1)], "{}", ground.name);
        let of = people.of(JULIET, SERVICE, 0, 9).await.unwrap();
        assert_eq!(of, [("n1".to_owned(), 5), ("n2".to_owned(), 2)], "{}", ground.name);
        db.batch(vec![Affiliations::forget(JULIET)]).await.unwrap();
        assert_eq!(people.count(1).await.unwrap(), 1, "{}", ground.name);
    }
}
