//! The engines under test.

use std::io::{self, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tempfile::TempDir;
use waxwing_store::{Db, Durability, Limits, Location, Table};

/// A place for one test's rows. Keeps the folder alive.
pub(crate) struct Ground {
    pub(crate) name: &'static str,
    pub(crate) location: Location,
    _folder: Option<TempDir>,
}

impl Ground {
    pub(crate) async fn open(&self) -> Db {
        Db::open(&self.location, Limits::default()).await.unwrap()
    }

    pub(crate) async fn open_with(&self, tables: &[&Table]) -> Db {
        let db = self.open().await;
        db.migrate(tables).await.unwrap();
        db
    }

    /// Whether rows outlive the handle.
    pub(crate) fn is_kept(&self) -> bool {
        self.location != Location::Memory
    }
}

/// Every engine that is at hand.
pub(crate) fn grounds() -> Vec<Ground> {
    let mut grounds =
        vec![file(), Ground { name: "memory", location: Location::Memory, _folder: None }];
    grounds.extend(postgres());
    grounds
}

pub(crate) fn file() -> Ground {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("waxwing.db");
    let location = Location::Sqlite { path, durability: Durability::PowerLoss };
    Ground { name: "file", location, _folder: Some(folder) }
}

#[expect(clippy::disallowed_methods, reason = "tests are told where PostgreSQL is")]
pub(crate) fn postgres() -> Option<Ground> {
    static TOLD: Once = Once::new();
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let Ok(url) = std::env::var("WAXWING_TEST_POSTGRES") else {
        // Written past the capture of the test harness: that something was left out must be seen.
        TOLD.call_once(|| {
            let _ = writeln!(
                io::stderr(),
                "\nWAXWING_TEST_POSTGRES is not set: the tests on PostgreSQL are LEFT OUT"
            );
        });
        return None;
    };
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let schema = Some(format!("test_{}_{since}_{count}", std::process::id()));
    Some(Ground { name: "postgres", location: Location::Postgres { url, schema }, _folder: None })
}
