//! What is said when a store cannot be opened, or is found damaged.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;

use waxwing_store::{Db, Durability, Limits, Location, OpenError, Statement, StoreError};

use crate::batches::{NOTE, ids, insert};
use crate::ground::{Ground, file, postgres};

fn path(ground: &Ground) -> PathBuf {
    match &ground.location {
        Location::Sqlite { path, .. } => path.clone(),
        other => panic!("{other:?} has no path"),
    }
}

async fn refusal(location: &Location) -> OpenError {
    Db::open(location, Limits::default()).await.unwrap_err()
}

#[tokio::test]
async fn data_in_use_is_refused_and_free_again_after_closing() {
    let ground = file();
    let db = ground.open_with(&[&NOTE]).await;
    let error = refusal(&ground.location).await;
    let own = std::process::id();
    assert!(matches!(error, OpenError::InUse { process: Some(id), .. } if id == own), "{error}");
    assert!(error.to_string().contains("stop that one first"), "{error}");
    db.close().await.unwrap();
    ground.open().await;
}

#[tokio::test]
async fn closing_leaves_one_tidy_file() {
    let ground = file();
    let db = ground.open_with(&[&NOTE]).await;
    db.batch(vec![insert(1)]).await.unwrap();
    db.close().await.unwrap();
    assert!(!path(&ground).with_extension("db-wal").exists());
    assert!(!path(&ground).with_extension("db-shm").exists());
}

#[tokio::test]
async fn a_missing_folder_is_made() {
    let ground = file();
    let path = path(&ground).with_file_name("a").join("b").join("waxwing.db");
    let location = Location::Sqlite { path: path.clone(), durability: Durability::ProcessCrash };
    Db::open(&location, Limits::default()).await.unwrap();
    assert!(path.exists());
}

#[tokio::test]
async fn another_file_is_not_taken_for_a_database() {
    let ground = file();
    fs::write(path(&ground), "a letter to Juliet, in plain text\n".repeat(500)).unwrap();
    let error = refusal(&ground.location).await;
    assert!(matches!(error, OpenError::NotADatabase(_)), "{error}");
    assert!(fs::read(path(&ground)).unwrap().starts_with(b"a letter"));
}

#[tokio::test]
async fn a_file_where_the_folder_should_be_is_named() {
    let ground = file();
    let folder = path(&ground);
    fs::write(&folder, "x").unwrap();
    let path = folder.join("waxwing.db");
    let error = refusal(&Location::Sqlite { path, durability: Durability::PowerLoss }).await;
    assert!(matches!(&error, OpenError::Folder(..)), "{error}");
    assert!(error.to_string().contains("waxwing.db"), "{error}");
}

#[tokio::test]
async fn a_folder_where_the_file_should_be_is_named() {
    let ground = file();
    fs::create_dir(path(&ground)).unwrap();
    let error = refusal(&ground.location).await;
    assert!(matches!(&error, OpenError::Folder(..)), "{error}");
}

#[tokio::test]
async fn a_file_that_may_not_be_written_is_named() {
    let ground = file();
    ground.open_with(&[&NOTE]).await.close().await.unwrap();
    let path = path(&ground);
    let mut permissions = fs::metadata(&path).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&path, permissions).unwrap();
    if fs::OpenOptions::new().write(true).open(&path).is_ok() {
        eprintln!("this user may write everything: the read-only file is left out");
        return;
    }
    let error = refusal(&ground.location).await;
    assert!(matches!(error, OpenError::ReadOnly(_)), "{error}");
}

#[tokio::test]
async fn a_damaged_database_is_called_damaged() {
    let ground = file();
    let db = ground.open_with(&[&NOTE]).await;
    for start in 0..20 {
        db.batch((0..50).map(|id| insert(start * 50 + id)).collect()).await.unwrap();
    }
    db.close().await.unwrap();
    let mut bytes = fs::read(path(&ground)).unwrap();
    assert!(bytes.len() > 8 * 4096);
    bytes[6 * 4096..].fill(0xA5);
    fs::write(path(&ground), bytes).unwrap();
    let db = ground.open_with(&[&NOTE]).await;
    let read = db.query(Statement::new("SELECT * FROM note")).await;
    assert!(matches!(read, Err(StoreError::Corrupt(_))), "{read:?}");
    let text = read.unwrap_err().to_string();
    assert!(text.contains("restore it from a backup"), "{text}");
}

#[tokio::test]
async fn a_log_left_by_a_crash_is_read() {
    let ground = file();
    let db = ground.open_with(&[&NOTE]).await;
    db.batch(vec![insert(1)]).await.unwrap();
    // What a crash leaves: the database and its log as they are now.
    let copy = file();
    for end in ["db", "db-wal"] {
        fs::copy(path(&ground).with_extension(end), path(&copy).with_extension(end)).unwrap();
    }
    assert_eq!(ids(&copy.open_with(&[&NOTE]).await).await, [1]);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("postgres://user:secret@{free}/chat");
    let error = refusal(&Location::Postgres { url, schema: None }).await;
    assert!(matches!(error, OpenError::Unreachable { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(&free.to_string()) && text.contains("check that it runs"), "{text}");
    assert!(!text.contains("secret"), "{text}");
}

#[tokio::test]
async fn a_database_that_the_server_does_not_have_is_named() {
    let Some(ground) = postgres() else { return };
    let Location::Postgres { url, .. } = ground.location else { return };
    let url = format!("{}/nowhere", url.rsplit_once('/').unwrap().0);
    let error = refusal(&Location::Postgres { url, schema: None }).await;
    assert!(matches!(error, OpenError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("nowhere"), "{error}");
}
