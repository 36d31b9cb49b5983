//! Nodes with many subscribers, and many nodes with few: what is read is what is needed.

use waxwing_store::domains::pubsub::{
    Affiliation, Affiliations, Audience, Item, Items, Latest, Node, Nodes, Pubsub, Subscription,
    Subscriptions,
};
use waxwing_store::domains::roster::{self, Roster};
use waxwing_store::{Db, Statement, Table};

use crate::ground::{Ground, grounds};

const SERVICE: &str = "pubsub.example.org";
const ROMEO: &str = "romeo@example.org";
const SUBSCRIBED: i64 = 3;
const PENDING: i64 = 1;

async fn open(ground: &Ground) -> Db {
    let tables: Vec<&'static Table> = [Pubsub::TABLES, Roster::TABLES].concat();
    ground.open_with(&tables).await
}

fn node(id: i64, owner: &str, name: &str) -> Node {
    Node {
        id,
        owner: owner.to_owned(),
        name: name.to_owned(),
        creator: owner.to_owned(),
        created: 0,
        access: 1,
        title: None,
        kind: None,
        config: "{}".to_owned(),
    }
}

fn item(number: i64, owner: &str, node: i64) -> [Statement; 2] {
    Items::put(&Item {
        number,
        owner: owner.to_owned(),
        node,
        id: number.to_string(),
        publisher: owner.to_owned(),
        published: 0,
        expires: None,
        leaves: false,
        payload: "<x xmlns='urn:x'/>".to_owned(),
    })
}

fn subscription(node: i64, bare: &str, subid: &str, state: i64) -> Subscription {
    Subscription {
        node,
        owner: SERVICE.to_owned(),
        jid: bare.to_owned(),
        bare: bare.to_owned(),
        subid: subid.to_owned(),
        state,
        options: None,
        expires: None,
        made: 5,
    }
}

/// Who has a node with so many subscribers reads them a page at a time, and finds one of them
/// without looking at the others.
#[tokio::test]
async fn a_hundred_thousand_subscribers_are_read_in_pages() {
    const PEOPLE: usize = 100_000;
    const PAGE: u32 = 1000;
    for ground in grounds().into_iter().filter(|ground| ground.name == "memory") {
        let db = open(&ground).await;
        db.batch(vec![Nodes::add(&node(1, SERVICE, "news"))]).await.unwrap();
        let all: Vec<Statement> = (0..PEOPLE)
            .map(|number| format!("person{number:06}@example.org"))
            .map(|bare| Subscriptions::put(&subscription(1, &bare, &bare, SUBSCRIBED)))
            .collect();
        for batch in all.chunks(5000) {
            db.batch(batch.to_vec()).await.unwrap();
        }
        let audience = Audience::new(db.clone());
        assert_eq!(audience.count(1).await, Ok(PEOPLE as i64));
        let (mut after, mut seen, asked) = (String::new(), 0, db.asked());
        loop {
            let (page, is_full) = audience.page(1, &after, PAGE).await.unwrap();
            assert!(page.is_sorted_by(|one, other| one.bare < other.bare));
            assert!(page.first().is_none_or(|first| first.bare > after));
            seen += page.len();
            match page.last().filter(|_| is_full) {
                Some(last) => after.clone_from(&last.bare),
                None => break,
            }
        }
        assert_eq!(seen, PEOPLE);
        // The last address of a full page is left for the next: 999 a time.
        assert_eq!(db.asked() - asked, PEOPLE.div_ceil(999) as u64);
        let mine = Subscriptions::new(db).of(1, "person050000@example.org").await.unwrap();
        assert_eq!(mine.len(), 1);
    }
}

/// The subscriptions of one address are never torn apart.
#[tokio::test]
async fn several_subscriptions_of_one_address_come_together() {
    for ground in grounds() {
        let db = open(&ground).await;
        let rows = [("a@b", "1"), ("b@b", "2"), ("b@b", "3"), ("b@b", "4"), ("c@b", "5")];
        let put =
            rows.map(|(bare, subid)| Subscriptions::put(&subscription(7, bare, subid, SUBSCRIBED)));
        db.batch(put.into()).await.unwrap();
        let audience = Audience::new(db.clone());
        let page = async |after: &str, limit| {
            let (page, is_full) = audience.page(7, after, limit).await.unwrap();
            (page.into_iter().map(|heard| heard.subid).collect::<Vec<_>>(), is_full)
        };
        assert_eq!(page("", 3).await, (vec!["1".into()], true), "{}", ground.name);
        let (mut three, is_full) = page("a@b", 4).await;
        three.sort();
        assert_eq!((three, is_full), (vec!["2".into(), "3".into(), "4".into()], true));
        assert_eq!(page("b@b", 4).await, (vec!["5".into()], false));
        assert_eq!(audience.count_of("b@b", SERVICE).await, Ok(3));
        assert_eq!(audience.count_of("b@b", ROMEO).await, Ok(0));
    }
}

#[tokio::test]
async fn what_is_over_is_found_and_what_was_left_over_ends() {
    for ground in grounds() {
        let db = open(&ground).await;
        let lasting = |subid: &str, expires| Subscription {
            expires,
            ..subscription(1, ROMEO, subid, SUBSCRIBED)
        };
        let rows = [("ever", None), ("over", Some(10)), ("later", Some(20)), ("here", Some(0))];
        let mut batch = vec![Nodes::add(&node(1, SERVICE, "news"))];
        let put = rows.map(|(subid, expires)| Subscriptions::put(&lasting(subid, expires)));
        batch.extend(put);
        db.batch(batch).await.unwrap();
        let audience = Audience::new(db.clone());
        let over = async |now| {
            let over = audience.over(now, 9).await.unwrap();
            over.into_iter().map(|over| over.subid).collect::<Vec<_>>()
        };
        assert_eq!(over(9).await, Vec::<String>::new(), "{}", ground.name);
        assert_eq!(over(10).await, ["over"]);
        assert_eq!(over(20).await, ["over", "later"]);
        assert_eq!(db.batch(vec![Audience::end_left_over(5)]).await, Ok(vec![0]));
        assert_eq!(db.batch(vec![Audience::end_left_over(6)]).await, Ok(vec![1]));
        assert_eq!(audience.count(1).await, Ok(3));
    }
}

#[tokio::test]
async fn owners_find_the_nodes_where_somebody_waits() {
    for ground in grounds() {
        let db = open(&ground).await;
        let mut batch = Vec::new();
        for (id, name) in [(1, "a"), (2, "b"), (3, "c")] {
            batch.push(Nodes::add(&node(id, SERVICE, name)));
        }
        for (node, owner) in [(1, ROMEO), (2, ROMEO), (3, "else@b")] {
            let (jid, owner) = (owner.to_owned(), SERVICE.to_owned());
            batch.push(Affiliations::put(&Affiliation { node, owner, jid, affiliation: 1 }));
        }
        for (node, state) in [(1, PENDING), (2, SUBSCRIBED), (3, PENDING)] {
            batch.push(Subscriptions::put(&subscription(node, "x@b", "s", state)));
        }
        db.batch(batch).await.unwrap();
        let audience = Audience::new(db.clone());
        let nodes = async |who| audience.nodes_in_state(SERVICE, (who, 1), PENDING, 9).await;
        assert_eq!(nodes(ROMEO).await, Ok(vec!["a".into()]), "{}", ground.name);
        assert_eq!(nodes(SERVICE).await, Ok(vec!["a".into(), "c".into()]));
        assert_eq!(audience.in_state(1, PENDING, 9).await.unwrap().len(), 1);
    }
}

/// One errand for all contacts: what they published last under the names that are wanted, as far as
/// they let the reader see their presence.
#[tokio::test]
async fn last_items_of_many_are_one_question() {
    for ground in grounds() {
        let db = open(&ground).await;
        let contact = |subscription: &str| roster::Item {
            jid: ROMEO.to_owned(),
            name: None,
            subscription: subscription.to_owned(),
            ask: false,
            approved: false,
            groups: vec!["Friends".to_owned()],
            version: 1,
        };
        let mut batch = Vec::new();
        let people: Vec<String> = (0..80).map(|number| format!("p{number:02}@b")).collect();
        for (index, owner) in people.iter().enumerate() {
            let id = 10 * index as i64;
            // Every second one shows its presence.
            let shows = if index % 2 == 0 { "both" } else { "to" };
            batch.push(Roster::put(owner, &contact(shows)));
            for (place, name) in [(1, "tune"), (2, "mood")] {
                batch.push(Nodes::add(&node(id + place, owner, name)));
                batch.extend(item(id + place, owner, id + place));
            }
            batch.extend(item(id + 5, owner, id + 1));
        }
        batch.push(Nodes::add(&node(9001, ROMEO, "tune")));
        batch.extend(item(9001, ROMEO, 9001));
        db.batch(batch).await.unwrap();
        let mut owners: Vec<&str> = people.iter().map(String::as_str).collect();
        owners.push(ROMEO);
        let names: Vec<String> = (0..40).map(|number| format!("n{number}")).collect();
        let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
        names.push("tune");
        let asked = db.asked();
        let mut found = Latest::of(&db, ROMEO, &owners, &names, 0).await.unwrap();
        assert_eq!(db.asked() - asked, 1, "{}", ground.name);
        found.sort_by(|one, other| one.owner.cmp(&other.owner));
        let expected: Vec<&str> = people.iter().step_by(2).map(String::as_str).collect();
        let owners: Vec<&str> = found.iter().map(|latest| latest.owner.as_str()).collect();
        assert_eq!(owners, [expected, vec![ROMEO]].concat());
        let first = &found[0];
        assert_eq!((first.item.number, &*first.name, first.access), (5, "tune", 1));
        assert_eq!((&*first.groups, first.affiliation), (&["Friends".to_owned()][..], None));
        assert!(found.last().unwrap().groups.is_empty());
    }
}

#[tokio::test]
async fn last_items_of_subscriptions_come_node_by_node() {
    for ground in grounds() {
        let db = open(&ground).await;
        let mut batch = Vec::new();
        for id in 1..=3 {
            batch.push(Nodes::add(&node(id, SERVICE, &format!("n{id}"))));
            batch.push(Subscriptions::put(&subscription(id, ROMEO, "s", SUBSCRIBED)));
        }
        // The second has nothing.
        batch.extend(item(11, SERVICE, 1));
        batch.extend(item(13, SERVICE, 3));
        db.batch(batch).await.unwrap();
        let found = Latest::subscribed(&db, ROMEO, (0, 0), 9).await.unwrap();
        let found: Vec<_> =
            found.iter().map(|(latest, held)| (latest.item.number, held.node)).collect();
        assert_eq!(found, [(11, 1), (13, 3)], "{}", ground.name);
        let rest = Latest::subscribed(&db, ROMEO, (1, 0), 9).await.unwrap();
        assert_eq!(rest.len(), 1);
        assert!(Latest::subscribed(&db, "else@b", (0, 0), 9).await.unwrap().is_empty());
    }
}

/// Nothing is looked through from end to end, however many nodes, items and subscriptions there
/// are.
#[tokio::test]
async fn questions_about_nodes_walk_indexes() {
    let ground = crate::ground::file();
    let db = open(&ground).await;
    for sql in Pubsub::STATEMENTS.concat() {
        if sql.starts_with("INSERT") {
            continue;
        }
        let places = (1..100).take_while(|place| sql.contains(&format!("?{place}"))).count();
        let explain = Statement::new(format!("EXPLAIN QUERY PLAN {sql}").leak());
        let explain = (0..places).fold(explain, |explain, _| explain.with(1_i64));
        let plan = db.query(explain).await.unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.text(3).unwrap().to_owned()).collect();
        // A page that is counted, or merged from two, was found by an index.
        let pages = [
            "SCAN counted",
            "SCAN present; USE TEMP B-TREE FOR ORDER BY",
            "SCAN past; USE TEMP B-TREE FOR ORDER BY",
        ];
        let plan = pages.iter().fold(plan.join("; "), |plan, page| plan.replace(page, ""));
        // The very last, by their numbers.
        let is_last = sql.ends_with("DESC LIMIT 1") && !sql.contains("WHERE");
        assert!(is_last || !plan.contains("SCAN"), "{sql}: {plan}");
        // What is sorted afterwards is the answer of a few rows.
        let mut short = ["DISTINCT", "state = ?2", "s.bare = ?1"].iter();
        let is_short = short.any(|it| sql.contains(it));
        // The oldest of several nodes are looked for when there is no room.
        let is_short = is_short || sql.ends_with("ORDER BY p.number LIMIT ?3)");
        assert!(is_short || !plan.contains("TEMP B-TREE"), "{sql}: {plan}");
    }
}
