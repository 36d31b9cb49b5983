//! What happens where something is used up: room in the queue, room on the disk.

use waxwing_store::{Db, Limits, Location, Statement, StoreError};

use crate::batches::{NOTE, ids, insert};
use crate::ground::{file, grounds};

#[tokio::test]
async fn a_full_queue_refuses_and_the_rest_is_kept() {
    for ground in grounds() {
        let limits = Limits { queue_batches: 2, group_batches: 2, ..Limits::default() };
        let db = Db::open(&ground.location, limits).await.unwrap();
        db.migrate(&[&NOTE]).await.unwrap();
        let commits: Vec<_> = (0..2_000).map(|id| db.submit(vec![insert(id)])).collect();
        let mut kept = Vec::new();
        for (id, commit) in (0..).zip(commits) {
            match commit.await {
                Ok(()) => kept.push(id),
                Err(error) => assert_eq!(error, StoreError::Busy, "{}", ground.name),
            }
        }
        assert!(kept.len() < 2_000, "{}", ground.name);
        assert_eq!(ids(&db).await, kept, "{}", ground.name);
    }
}

#[tokio::test]
async fn bytes_that_wait_are_bounded() {
    for ground in grounds() {
        let limits = Limits { queue_bytes: 100_000, ..Limits::default() };
        let db = Db::open(&ground.location, limits).await.unwrap();
        db.migrate(&[&NOTE]).await.unwrap();
        let large = |id: i64| {
            Statement::new("INSERT INTO note (id, owner, body) VALUES (?1, 'o', ?2)")
                .with(id)
                .with("x".repeat(90_000))
        };
        let commits: Vec<_> = (0..100).map(|id| db.submit(vec![large(id)])).collect();
        let mut refused = 0;
        for commit in commits {
            refused += usize::from(commit.await == Err(StoreError::Busy));
        }
        assert!(refused > 0 && refused < 100, "{}: {refused}", ground.name);
        assert_eq!(db.health().waiting_bytes, 0, "{}", ground.name);
        assert_eq!(ids(&db).await.len(), 100 - refused, "{}", ground.name);
    }
}

#[tokio::test]
async fn a_full_disk_is_reported_and_writing_resumes_when_room_is_made() {
    let kept = file();
    for location in [&kept.location, &Location::Memory] {
        let limits = Limits { pages_max: 40, ..Limits::default() };
        let db = Db::open(location, limits).await.unwrap();
        db.migrate(&[&NOTE]).await.unwrap();
        let large = |id: i64| {
            Statement::new("INSERT INTO note (id, owner, raw) VALUES (?1, 'o', ?2)")
                .with(id)
                .with(vec![7; 8_192])
        };
        let commits: Vec<_> = (0..60).map(|id| db.submit(vec![large(id)])).collect();
        let mut stored = Vec::new();
        let mut full = 0;
        for (id, commit) in (0..).zip(commits) {
            match commit.await {
                Ok(()) => stored.push(id),
                Err(error) => {
                    assert_eq!(error, StoreError::Full);
                    full += 1;
                }
            }
        }
        assert!(full > 0, "{location:?}");
        assert_eq!(ids(&db).await, stored, "{location:?}");
        assert_eq!(db.batch(vec![large(60), large(61)]).await, Err(StoreError::Full));
        assert_eq!(db.health().fault, Some(StoreError::Full), "{location:?}");
        db.batch(vec![Statement::new("DELETE FROM note")]).await.unwrap();
        assert_eq!(db.batch(vec![large(60), large(61)]).await, Ok(vec![1, 1]));
        assert_eq!(db.health().fault, None, "{location:?}");
    }
}
