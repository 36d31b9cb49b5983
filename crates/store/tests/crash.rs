//! A process that writes is killed at random moments: what it was told is durable is there
//! afterwards, and no batch is there in part.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use waxwing_store::{Db, Durability, Limits, Location, Statement, Table};

const ROUNDS: u64 = 20;
/// Tells the child where to write.
const PATH: &str = "WAXWING_TEST_CRASH";

const PAIR: Table = Table {
    name: "pair",
    owner: None,
    steps: &["CREATE TABLE pair (id {id} PRIMARY KEY, other {int} NOT NULL)"],
};

async fn open(path: &Path) -> Db {
    let location = Location::Sqlite { path: path.to_owned(), durability: Durability::PowerLoss };
    let db = Db::open(&location, Limits::default()).await.unwrap();
    db.migrate(&[&PAIR]).await.unwrap();
    db
}

async fn ids(db: &Db) -> Vec<i64> {
    let rows = db.query(Statement::new("SELECT id FROM pair ORDER BY id")).await.unwrap();
    rows.iter().map(|row| row.int(0).unwrap()).collect()
}

#[tokio::test]
async fn what_was_acknowledged_survives_sigkill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("waxwing.db");
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["write_until_killed", "--exact", "--nocapture"])
            .env(PATH, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = child.stdout.take().unwrap();
        // Moments that differ from round to round; the scheduler adds chance of its own.
        thread::sleep(Duration::from_millis(40 + round * 37 % 160));
        child.kill().unwrap();
        child.wait().unwrap();
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let told = whole.lines().filter_map(|line| line.split_once("ack ")?.1.parse::<i64>().ok());
        acknowledged.extend(told);

        let db = open(&path).await;
        let kept = ids(&db).await;
        for id in &acknowledged {
            assert!(kept.binary_search(id).is_ok(), "{id} was acknowledged, round {round}");
        }
        for pair in kept.chunks(2) {
            assert_eq!(pair, [pair[0], pair[0] + 1], "a batch is there in part, round {round}");
        }
        db.close().await.unwrap();
    }
    assert!(acknowledged.len() > 100, "{} batches were acknowledged", acknowledged.len());
}

/// The child's part: commits pairs of rows and prints the first id of each when it is durable.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the parent says where to write")]
async fn write_until_killed() {
    let Ok(path) = std::env::var(PATH) else { return };
    let db = open(Path::new(&path)).await;
    let insert = |id: i64, other: i64| {
        Statement::new("INSERT INTO pair (id, other) VALUES (?1, ?2)").with(id).with(other)
    };
    let mut next = ids(&db).await.last().map_or(0, |last| last + 1);
    // The parent kills this long before the bound.
    for _ in 0..1_000_000 {
        let commits: Vec<_> = (0..8)
            .map(|n| next + n * 2)
            .map(|id| (id, db.submit(vec![insert(id, id + 1), insert(id + 1, id)])))
            .collect();
        next += 16;
        for (id, commit) in commits {
            commit.await.unwrap();
            println!("ack {id}");
        }
    }
}
