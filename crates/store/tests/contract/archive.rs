//! Archives, and the keys that the server makes for itself.

use waxwing_store::domains::archive::{
    Archive, Entry, Order, Preferences, Preset, Retraction, Selection, With, Words,
};
use waxwing_store::domains::secrets::Secrets;
use waxwing_store::{Db, Statement, StoreError};

use crate::ground::{Ground, grounds};

const ROMEO: &str = "romeo@example.org";
const JULIET: &str = "juliet@example.org";
const NURSE: &str = "nurse@example.org";

async fn open(ground: &Ground) -> Db {
    ground.open_with(&[Archive::TABLES, Secrets::TABLES].concat()).await
}

fn entry(number: i64, owner: &str, peer: &str, resource: &str) -> Entry {
    Entry {
        number,
        owner: owner.to_owned(),
        peer: peer.to_owned(),
        resource: resource.to_owned(),
        stanza: format!("<message id='{number}'/>"),
    }
}

/// Ten messages of Romeo, those with even numbers with Juliet, and one of Juliet.
async fn fill(db: &Db) {
    let entry = |number: i64| match number % 2 {
        0 => entry(number, ROMEO, JULIET, if number > 5 { "balcony" } else { "" }),
        _ => entry(number, ROMEO, NURSE, "room"),
    };
    let mut batch: Vec<_> = (1..=10).map(|number| Archive::append(entry(number))).collect();
    batch.push(Archive::append(self::entry(11, JULIET, ROMEO, "orchard")));
    db.batch(batch).await.unwrap();
}

fn all(owner: &str) -> Selection<'_> {
    Selection { owner, above: 0, below: i64::MAX, with: With::Anybody }
}

async fn numbers(db: &Db, selection: &Selection<'_>, order: Order, limit: u32) -> Vec<i64> {
    let page = Archive::new(db.clone()).page(selection, order, limit).await.unwrap();
    page.into_iter().map(|entry| entry.number).collect()
}

#[tokio::test]
async fn pages_are_ranges_from_either_end() {
    for ground in grounds() {
        let db = open(&ground).await;
        fill(&db).await;
        let (romeo, hers, nobodys) = (all(ROMEO), all(JULIET), all(NURSE));
        let page = |selection, order, limit| numbers(&db, selection, order, limit);
        assert_eq!(page(&romeo, Order::Rising, 3).await, [1, 2, 3], "{}", ground.name);
        assert_eq!(page(&romeo, Order::Falling, 3).await, [10, 9, 8], "{}", ground.name);
        let middle = Selection { above: 3, below: 7, ..romeo };
        assert_eq!(page(&middle, Order::Rising, 9).await, [4, 5, 6], "{}", ground.name);
        assert_eq!(page(&middle, Order::Falling, 1).await, [6], "{}", ground.name);
        let juliet = Selection { with: With::Account(JULIET), ..romeo };
        assert_eq!(page(&juliet, Order::Rising, 9).await, [2, 4, 6, 8, 10], "{}", ground.name);
        let balcony = Selection { with: With::Resource(JULIET, "balcony"), ..romeo };
        assert_eq!(page(&balcony, Order::Falling, 2).await, [10, 8], "{}", ground.name);
        assert_eq!(page(&hers, Order::Rising, 9).await, [11], "{}", ground.name);
        assert!(page(&nobodys, Order::Rising, 9).await.is_empty(), "{}", ground.name);
    }
}

/// A page costs the same however long the archive is: nothing is sorted, and nothing passed over.
#[tokio::test]
async fn questions_walk_an_index() {
    let ground = crate::ground::file();
    let db = open(&ground).await;
    for sql in Archive::ON_SQLITE.iter().chain(Archive::STATEMENTS) {
        let explain = Statement::new(format!("EXPLAIN QUERY PLAN {sql}").leak());
        let places = (1..=26).filter(|place| sql.contains(&format!("?{place}")));
        let explain = places.fold(explain, |explain, _| explain.with(1_i64));
        let plan = db.query(explain).await.unwrap();
        let plan: Vec<_> = plan.iter().map(|row| row.text(3).unwrap().to_owned()).collect();
        let plan = plan.join("; ");
        let index = match *sql {
            sql if sql.starts_with("INSERT") => "",
            sql if sql.contains("peer = ") => "INDEX archive_peer (owner=? AND peer=? AND id>?",
            sql if sql.contains("id = ?2") => "INTEGER PRIMARY KEY (rowid=?)",
            sql if sql.contains("WHERE") => "INDEX archive_owner (owner=?",
            _ => "SCAN archive", // the very last, by its number
        };
        assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{sql}: {plan}");
    }
}

#[tokio::test]
async fn messages_are_found_counted_and_spanned() {
    for ground in grounds() {
        let db = open(&ground).await;
        let archive = Archive::new(db.clone());
        assert_eq!(archive.last_number().await, Ok(0), "{}", ground.name);
        assert_eq!(archive.span(ROMEO, i64::MAX).await, Ok(None));
        fill(&db).await;
        let found = archive.find(ROMEO, 6).await.unwrap();
        assert_eq!(found, Some(entry(6, ROMEO, JULIET, "balcony")), "{}", ground.name);
        // Another's message is not there, as far as one can tell.
        assert_eq!(archive.find(ROMEO, 11).await, Ok(None), "{}", ground.name);
        assert_eq!(archive.has(JULIET, 11).await, Ok(true));
        assert_eq!(archive.has(ROMEO, 11).await, Ok(false));
        // More than fit into one question, and none at all.
        let asked: Vec<i64> = (4..=80).collect();
        let have = archive.have(ROMEO, &asked).await;
        assert_eq!(have, Ok((4..=10).collect()), "{}", ground.name);
        assert_eq!(archive.have(JULIET, &[11, 4]).await, Ok([11].into()), "{}", ground.name);
        assert_eq!(archive.have(ROMEO, &[]).await, Ok([].into()), "{}", ground.name);
        assert_eq!(archive.span(ROMEO, i64::MAX).await, Ok(Some((1, 10))), "{}", ground.name);
        assert_eq!(archive.span(ROMEO, 5).await, Ok(Some((1, 4))), "{}", ground.name);
        assert_eq!(archive.count(&all(ROMEO), 100).await, Ok(10), "{}", ground.name);
        assert_eq!(archive.count(&all(ROMEO), 4).await, Ok(4), "{}", ground.name);
        let juliet = Selection { with: With::Account(JULIET), above: 2, ..all(ROMEO) };
        assert_eq!(archive.count(&juliet, 100).await, Ok(4), "{}", ground.name);
        let balcony = Selection { with: With::Resource(JULIET, "balcony"), ..all(ROMEO) };
        assert_eq!(archive.count(&balcony, 100).await, Ok(3), "{}", ground.name);
        assert_eq!(archive.last_number().await, Ok(11), "{}", ground.name);
        archive.catch_up().await.unwrap();
    }
}

#[tokio::test]
async fn the_oldest_go_first() {
    for ground in grounds() {
        let db = open(&ground).await;
        fill(&db).await;
        assert_eq!(db.batch(vec![Archive::trim(ROMEO, 10)]).await, Ok(vec![0]), "{}", ground.name);
        assert_eq!(db.batch(vec![Archive::trim(ROMEO, 8)]).await, Ok(vec![2]), "{}", ground.name);
        assert_eq!(db.batch(vec![Archive::expire(ROMEO, 5)]).await, Ok(vec![2]), "{}", ground.name);
        let left = numbers(&db, &all(ROMEO), Order::Rising, 20).await;
        assert_eq!(left, [5, 6, 7, 8, 9, 10], "{}", ground.name);
        assert_eq!(numbers(&db, &all(JULIET), Order::Rising, 20).await, [11], "{}", ground.name);
    }
}

#[tokio::test]
async fn who_has_caught_up_sees_all_that_was_submitted_before() {
    const ROWS: i64 = 400;
    for ground in grounds() {
        let db = open(&ground).await;
        let archive = Archive::new(db.clone());
        for round in 1..=10 {
            for number in (round - 1) * ROWS + 1..=round * ROWS {
                drop(db.submit(vec![Archive::append(entry(number, ROMEO, JULIET, ""))]));
            }
            archive.catch_up().await.unwrap();
            assert_eq!(archive.last_number().await, Ok(round * ROWS), "{}", ground.name);
        }
    }
}

#[tokio::test]
async fn a_number_is_given_once() {
    for ground in grounds() {
        let db = open(&ground).await;
        fill(&db).await;
        let twice = db.batch(vec![Archive::append(entry(11, ROMEO, NURSE, ""))]).await;
        assert!(matches!(twice, Err(StoreError::Conflict(_))), "{}", ground.name);
    }
}

#[tokio::test]
async fn an_archive_is_erased_and_exported_with_its_account() {
    for ground in grounds() {
        let db = open(&ground).await;
        fill(&db).await;
        let wishes = Preferences { preset: Preset::Never, always: Vec::new(), never: Vec::new() };
        db.batch(vec![Archive::prefer(ROMEO, &wishes)]).await.unwrap();
        let export = db.export(ROMEO).await.unwrap();
        let rows: Vec<_> =
            export.iter().map(|part| (part.table.as_str(), part.rows.len())).collect();
        assert_eq!(rows, [("archive", 10), ("archive_preference", 1)], "{}", ground.name);
        assert_eq!(db.batch(db.erasure(ROMEO)).await, Ok(vec![10, 1, 0, 0]), "{}", ground.name);
        assert!(db.export(ROMEO).await.unwrap().is_empty(), "{}", ground.name);
        assert_eq!(numbers(&db, &all(JULIET), Order::Rising, 20).await, [11], "{}", ground.name);
    }
}

#[tokio::test]
async fn preferences_come_back_as_they_were_put() {
    for ground in grounds() {
        let db = open(&ground).await;
        let archive = Archive::new(db.clone());
        assert_eq!(archive.preferences(ROMEO).await, Ok(None), "{}", ground.name);
        for preset in Preset::ALL {
            let wishes = Preferences {
                preset,
                always: vec![JULIET.to_owned(), "a@b/\"c\"".to_owned()],
                never: vec!["example.net".to_owned()],
            };
            db.batch(vec![Archive::prefer(ROMEO, &wishes)]).await.unwrap();
            assert_eq!(archive.preferences(ROMEO).await, Ok(Some(wishes)), "{}", ground.name);
        }
    }
}

#[tokio::test]
async fn messages_are_found_by_their_words() {
    for ground in grounds() {
        let db = open(&ground).await;
        fill(&db).await;
        let archive = Archive::new(db.clone());
        let index = |owner, number, text| archive.index(owner, number, &Words::of(text));
        let batch = [
            index(ROMEO, 1, "the east"),
            index(ROMEO, 2, "East & west"),
            index(ROMEO, 4, "..."),
            index(ROMEO, 6, "Easter's 4-leaf clover, it's"),
            // Gone before it was indexed.
            index(ROMEO, 99, "east"),
            index(JULIET, 11, "east"),
        ];
        db.batch(batch.into_iter().flatten().collect()).await.unwrap();
        let find = async |with, words, order, limit| {
            let selection = Selection { with, ..all(ROMEO) };
            let page = archive.search(&selection, &Words::of(words), order, limit).await.unwrap();
            page.into_iter().map(|entry| entry.number).collect::<Vec<_>>()
        };
        let (anybody, rising) = (With::Anybody, Order::Rising);
        assert_eq!(find(anybody, "EAST", rising, 9).await, [1, 2, 6], "{}", ground.name);
        assert_eq!(find(anybody, "east", Order::Falling, 2).await, [6, 2], "{}", ground.name);
        assert_eq!(find(anybody, "wes eas", rising, 9).await, [2], "{}", ground.name);
        assert_eq!(find(anybody, "4 its s", rising, 9).await, [0; 0], "{}", ground.name);
        assert_eq!(find(anybody, "4 it s", rising, 9).await, [6], "{}", ground.name);
        assert_eq!(find(anybody, "ast", rising, 9).await, [0; 0], "{}", ground.name);
        let juliet = With::Account(JULIET);
        assert_eq!(find(juliet, "east", rising, 9).await, [2, 6], "{}", ground.name);
        let balcony = With::Resource(JULIET, "balcony");
        assert_eq!(find(balcony, "east", rising, 9).await, [6], "{}", ground.name);
        // Again, and then no more.
        db.batch(index(ROMEO, 1, "the east").into_iter().collect()).await.unwrap();
        db.batch(archive.bury(ROMEO, 2, "<message/>")).await.unwrap();
        assert_eq!(archive.find(ROMEO, 2).await.unwrap().unwrap().stanza, "<message/>");
        assert_eq!(find(anybody, "east", rising, 9).await, [1, 6], "{}", ground.name);
        db.batch(vec![Archive::expire(ROMEO, 5)]).await.unwrap();
        assert_eq!(find(anybody, "east", rising, 9).await, [6], "{}", ground.name);
        assert_eq!(archive.indexed(ROMEO).await, Ok(None), "{}", ground.name);
        for span in [(3, 7), (0, 9)] {
            db.batch(vec![Archive::spread(ROMEO, span)]).await.unwrap();
            assert_eq!(archive.indexed(ROMEO).await, Ok(Some(span)), "{}", ground.name);
        }
    }
}

#[tokio::test]
async fn what_is_taken_back_is_found_among_the_latest() {
    for ground in grounds() {
        let db = open(&ground).await;
        let archive = Archive::new(db.clone());
        let message = |number, id: &str, peer| Entry {
            stanza: format!("<message id='{id}' type='chat'><body>%</body></message>"),
            ..entry(number, ROMEO, peer, "")
        };
        let rows = [
            message(1, "m%1", JULIET),
            message(2, "m_1", JULIET),
            message(3, "m%1", NURSE),
            message(4, "m%1", JULIET),
        ];
        db.batch(rows.into_iter().map(Archive::append).collect()).await.unwrap();
        let retraction = |number| Retraction {
            number,
            owner: ROMEO.to_owned(),
            peer: JULIET.to_owned(),
            target: "m%1".to_owned(),
        };
        let batch = vec![Archive::retract(retraction(9)), Archive::retract(retraction(4))];
        db.batch(batch).await.unwrap();
        let waiting = archive.retractions(5).await.unwrap();
        assert_eq!(waiting, [retraction(4), retraction(9)], "{}", ground.name);
        let likely = async |number, latest| {
            let found = archive.likely(&retraction(number), " id='m%1'", latest).await.unwrap();
            found.into_iter().map(|entry| entry.number).collect::<Vec<_>>()
        };
        assert_eq!(likely(9, 10).await, [4, 1], "{}", ground.name);
        assert_eq!(likely(4, 10).await, [1], "{}", ground.name);
        assert_eq!(likely(4, 1).await, [0; 0], "{}", ground.name);
        db.batch(vec![Archive::retracted(4)]).await.unwrap();
        assert_eq!(archive.retractions(5).await.unwrap(), [retraction(9)], "{}", ground.name);
    }
}

#[tokio::test]
async fn a_key_stays_what_it_was_first() {
    for ground in grounds() {
        let db = open(&ground).await;
        let secrets = Secrets::new(db.clone());
        assert_eq!(secrets.obtain("one", &[1; 32]).await, Ok(vec![1; 32]), "{}", ground.name);
        assert_eq!(secrets.obtain("one", &[2; 32]).await, Ok(vec![1; 32]), "{}", ground.name);
        assert_eq!(secrets.obtain("two", &[2; 32]).await, Ok(vec![2; 32]), "{}", ground.name);
    }
}
