//! Reading, writing, order, and what happens to a batch that fails.

use waxwing_store::{Db, Statement, StoreError, Table, Value};

use crate::ground::grounds;

pub(crate) const NOTE: Table = Table {
    name: "note",
    owner: Some("owner"),
    steps: &["CREATE TABLE note (id {id} PRIMARY KEY, owner {text} NOT NULL, body {text}, \
              raw {blob}, stamp {instant})"],
};

pub(crate) fn insert(id: i64) -> Statement {
    Statement::new("INSERT INTO note (id, owner, body) VALUES (?1, ?2, ?3)")
        .with(id)
        .with("romeo@example.org")
        .with("a note")
}

pub(crate) async fn ids(db: &Db) -> Vec<i64> {
    let rows = db.query(Statement::new("SELECT id FROM note ORDER BY id")).await.unwrap();
    rows.iter().map(|row| row.int(0).unwrap()).collect()
}

#[tokio::test]
async fn every_kind_of_value_comes_back() {
    for ground in grounds() {
        let db = ground.open_with(&[&NOTE]).await;
        let all = Statement::new(
            "INSERT INTO note (id, owner, body, raw, stamp) VALUES (?1, ?2, ?3, ?4, ?5)",
        );
        let values = [
            Value::from(i64::MIN),
            Value::from("jülïet@example.org"),
            Value::from("it's \u{1F426} \"quoted\" ?1 $1"),
            Value::from(vec![0, 255, 7]),
            Value::Null,
        ];
        let all = values.iter().fold(all, |statement, value| statement.with(value.clone()));
        assert_eq!(db.batch(vec![all]).await, Ok(vec![1]), "{}", ground.name);
        let row = db.query_one(Statement::new("SELECT * FROM note")).await.unwrap().unwrap();
        assert_eq!(row.values(), values, "{}", ground.name);
        assert_eq!(row.int_or_null(4), Ok(None));
        assert!(matches!(row.int(1), Err(StoreError::Corrupt(_))));
    }
}

#[tokio::test]
async fn a_question_mark_in_a_literal_is_no_placeholder() {
    for ground in grounds() {
        let db = ground.open().await;
        let literal = Statement::new("SELECT '?1 it''s' || ?1").with("!");
        let row = db.query_one(literal).await.unwrap().unwrap();
        assert_eq!(row.text(0), Ok("?1 it's!"), "{}", ground.name);
    }
}

#[tokio::test]
async fn a_failing_batch_leaves_no_trace_and_fails_alone() {
    for ground in grounds() {
        let db = ground.open_with(&[&NOTE]).await;
        let before = db.submit(vec![insert(1)]);
        let broken = db.submit(vec![insert(2), insert(3), insert(1)]);
        let nonsense = db.submit(vec![insert(6), Statement::new("INSERT INTO nowhere VALUES (1)")]);
        let after = db.submit(vec![insert(4), insert(5)]);
        assert_eq!(before.await, Ok(()), "{}", ground.name);
        assert!(matches!(broken.await, Err(StoreError::Conflict(_))), "{}", ground.name);
        assert!(matches!(nonsense.await, Err(StoreError::Other(_))), "{}", ground.name);
        assert_eq!(after.await, Ok(()), "{}", ground.name);
        assert_eq!(ids(&db).await, [1, 4, 5], "{}", ground.name);
    }
}

#[tokio::test]
async fn an_unmet_demand_undoes_the_batch() {
    for ground in grounds() {
        let db = ground.open_with(&[&NOTE]).await;
        let rename = |id: i64| {
            Statement::new("UPDATE note SET body = 'x' WHERE id = ?1").with(id).must_change(1)
        };
        let alone = db.submit(vec![rename(9)]);
        let mixed = db.submit(vec![insert(1), rename(9)]);
        let met = db.submit(vec![insert(2), rename(2)]);
        assert!(matches!(alone.await, Err(StoreError::Conflict(_))), "{}", ground.name);
        assert!(matches!(mixed.await, Err(StoreError::Conflict(_))), "{}", ground.name);
        assert_eq!(met.await, Ok(()), "{}", ground.name);
        assert_eq!(ids(&db).await, [2], "{}", ground.name);
    }
}

#[tokio::test]
async fn batches_take_effect_in_the_order_of_submission() {
    for ground in grounds() {
        let db = ground.open_with(&[&NOTE]).await;
        db.batch(vec![insert(1)]).await.unwrap();
        let append = |digit: String| {
            Statement::new("UPDATE note SET body = body || ?1 WHERE id = 1").with(digit)
        };
        let commits: Vec<_> = (0..50).map(|n| db.submit(vec![append(format!(" {n}"))])).collect();
        for commit in commits {
            assert_eq!(commit.await, Ok(()), "{}", ground.name);
        }
        let row = db.query_one(Statement::new("SELECT body FROM note")).await.unwrap().unwrap();
        let wanted = (0..50).fold(String::from("a note"), |text, n| format!("{text} {n}"));
        assert_eq!(row.text(0), Ok(wanted.as_str()), "{}", ground.name);
    }
}

#[tokio::test]
async fn an_empty_batch_is_fine() {
    for ground in grounds() {
        let db = ground.open_with(&[&NOTE]).await;
        assert_eq!(db.batch(Vec::new()).await, Ok(Vec::new()), "{}", ground.name);
    }
}

#[tokio::test]
async fn rows_outlive_the_handle_and_a_closed_store_says_so() {
    for ground in grounds().into_iter().filter(super::ground::Ground::is_kept) {
        let db = ground.open_with(&[&NOTE]).await;
        let waiting: Vec<_> = (1..=20).map(|id| db.submit(vec![insert(id)])).collect();
        let clone = db.clone();
        db.close().await.unwrap();
        for commit in waiting {
            assert_eq!(commit.await, Ok(()), "{}", ground.name);
        }
        assert_eq!(clone.batch(vec![insert(21)]).await, Err(StoreError::Closed));
        let read = clone.query(Statement::new("SELECT id FROM note")).await;
        assert_eq!(read, Err(StoreError::Closed), "{}", ground.name);
        let db = ground.open_with(&[&NOTE]).await;
        assert_eq!(ids(&db).await.len(), 20, "{}", ground.name);
    }
}

#[tokio::test]
async fn a_query_only_reads() {
    for ground in grounds() {
        let db = ground.open_with(&[&NOTE]).await;
        db.batch(vec![insert(1)]).await.unwrap();
        let write = db.query(Statement::new("DELETE FROM note")).await;
        assert!(write.is_err(), "{}", ground.name);
        assert_eq!(ids(&db).await, [1], "{}", ground.name);
    }
}

#[tokio::test]
async fn reads_run_beside_each_other_and_beside_writes() {
    for ground in grounds() {
        let db = ground.open_with(&[&NOTE]).await;
        let mut seen = 0;
        for round in 0..20 {
            let commits: Vec<_> =
                (0..20).map(|n| db.submit(vec![insert(round * 20 + n)])).collect();
            let reads = tokio::join!(ids(&db), ids(&db), ids(&db), ids(&db), ids(&db));
            for commit in commits {
                commit.await.unwrap();
            }
            let now = ids(&db).await.len();
            assert_eq!(now, usize::try_from(round * 20 + 20).unwrap(), "{}", ground.name);
            assert!(reads.0.len() >= seen && reads.4.len() <= now, "{}", ground.name);
            seen = now;
        }
    }
}
