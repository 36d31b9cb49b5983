//! Steps from version to version, and erasing and exporting what tables declare.

use waxwing_store::{OpenError, Statement, StoreError, Table, Value};

use crate::batches::{NOTE, insert};
use crate::ground::{Ground, grounds};

const NOTE_2: Table = Table {
    steps: &[
        NOTE.steps[0],
        "ALTER TABLE note ADD COLUMN colour {text}; \
              CREATE INDEX note_colour ON note (colour)",
    ],
    ..NOTE
};
const BROKEN: Table =
    Table { name: "broken", owner: None, steps: &["CREATE TABLE broken (a {int}); nonsense"] };
const TAG: Table = Table {
    name: "tag",
    owner: Some("holder"),
    steps: &["CREATE TABLE tag (holder {text} NOT NULL, tag {text} NOT NULL)"],
};

#[tokio::test]
async fn steps_are_taken_once_and_in_order() {
    for ground in grounds() {
        let db = ground.open_with(&[&NOTE]).await;
        db.batch(vec![insert(1)]).await.unwrap();
        db.migrate(&[&NOTE]).await.unwrap();
        db.migrate(&[&NOTE_2]).await.unwrap();
        db.migrate(&[&NOTE_2]).await.unwrap();
        let colour = Statement::new("UPDATE note SET colour = 'red' WHERE id = 1").must_change(1);
        assert_eq!(db.batch(vec![colour]).await, Ok(vec![1]), "{}", ground.name);
        let version = Statement::new("SELECT version FROM waxwing_schema WHERE name = 'note'");
        assert_eq!(db.query_one(version).await.unwrap().unwrap().int(0), Ok(2));
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused_with_a_remedy() {
    for ground in grounds().into_iter().filter(Ground::is_kept) {
        ground.open_with(&[&NOTE_2]).await.close().await.unwrap();
        let db = ground.open().await;
        let error = db.migrate(&[&NOTE]).await.unwrap_err();
        assert!(matches!(error, OpenError::Newer { found: 2, known: 1, .. }), "{error}");
        assert!(error.to_string().contains("restore a backup"), "{error}");
    }
}

#[tokio::test]
async fn a_failing_step_leaves_nothing_of_its_table() {
    for ground in grounds() {
        let db = ground.open().await;
        let error = db.migrate(&[&NOTE, &BROKEN]).await.unwrap_err();
        assert!(matches!(error, OpenError::Migration { .. }), "{}: {error}", ground.name);
        let read = db.query(Statement::new("SELECT a FROM broken")).await;
        assert!(matches!(read, Err(StoreError::Other(_))), "{}: {read:?}", ground.name);
        db.batch(vec![insert(1)]).await.unwrap();
    }
}

#[tokio::test]
async fn erasure_and_export_follow_from_the_tables() {
    for ground in grounds() {
        let db = ground.open_with(&[&NOTE, &TAG]).await;
        let tag = |holder: &str| {
            Statement::new("INSERT INTO tag (holder, tag) VALUES (?1, 'x')").with(holder)
        };
        let (romeo, juliet) = ("romeo@example.org", "juliet@example.org");
        db.batch(vec![insert(1), tag(romeo), tag(romeo), tag(juliet)]).await.unwrap();
        let export = db.export(romeo).await.unwrap();
        let tables: Vec<_> = export.iter().map(|part| part.table.as_str()).collect();
        assert_eq!(tables, ["note", "tag"], "{}", ground.name);
        assert_eq!(&*export[1].columns, ["holder", "tag"]);
        assert_eq!(export[1].rows[0].values(), [Value::from(romeo), Value::from("x")]);
        assert_eq!(db.batch(db.erasure(romeo)).await, Ok(vec![1, 2]), "{}", ground.name);
        assert!(db.export(romeo).await.unwrap().is_empty());
        assert_eq!(db.export(juliet).await.unwrap().len(), 1);
    }
}
