//! PostgreSQL behind a line that is cut and mended.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use waxwing_store::{Db, Limits, Location, Statement, StoreError};

use crate::batches::{NOTE, ids, insert};
use crate::ground::postgres;

/// Passes bytes between the store and the server while it is mended.
struct Line {
    address: SocketAddr,
    ends: Arc<Mutex<Option<Vec<TcpStream>>>>,
}

impl Line {
    fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ends = Arc::new(Mutex::new(Some(Vec::new())));
        let open = Arc::clone(&ends);
        thread::spawn(move || {
            for near in listener.incoming() {
                let near = near.unwrap();
                // While the line is cut, a connection ends as soon as it begins.
                if let Some(ends) = &mut *open.lock().unwrap() {
                    let far = TcpStream::connect(&server).unwrap();
                    for (from, to) in [(&near, &far), (&far, &near)] {
                        let (mut from, mut to) =
                            (from.try_clone().unwrap(), to.try_clone().unwrap());
                        thread::spawn(move || io::copy(&mut from, &mut to));
                    }
                    ends.extend([near, far]);
                }
            }
        });
        Self { address, ends }
    }

    fn cut(&self) {
        for end in self.ends.lock().unwrap().take().into_iter().flatten() {
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    fn mend(&self) {
        *self.ends.lock().unwrap() = Some(Vec::new());
    }
}

#[tokio::test]
async fn an_outage_is_reported_and_service_resumes_by_itself() {
    let Some(ground) = postgres() else { return };
    let Location::Postgres { url, schema } = ground.location else { return };
    let (user, rest) = url.split_once('@').unwrap();
    let (server, database) = rest.split_once('/').unwrap();
    let line = Line::to(server.to_owned());
    let url = format!("{user}@{}/{database}", line.address);
    let db = Db::open(&Location::Postgres { url, schema }, Limits::default()).await.unwrap();
    db.migrate(&[&NOTE]).await.unwrap();
    db.batch(vec![insert(0)]).await.unwrap();

    for round in 0..3 {
        line.cut();
        let lost = db.batch(vec![insert(100 + round)]).await.unwrap_err();
        let is_told = matches!(lost, StoreError::Unreachable(_) | StoreError::Unconfirmed(_));
        assert!(is_told, "{lost}");
        let again = db.batch(vec![insert(200 + round)]).await.unwrap_err();
        assert!(matches!(again, StoreError::Unreachable(_)), "{again}");
        assert!(matches!(db.health().fault, Some(StoreError::Unreachable(_))));
        let read = db.query(Statement::new("SELECT 1")).await.unwrap_err();
        assert!(matches!(read, StoreError::Unreachable(_)), "{read}");

        line.mend();
        for attempt in 0.. {
            match db.batch(vec![insert(1 + round)]).await {
                Ok(_) => break,
                Err(error) => assert!(attempt < 100, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(db.health().fault, None);
    }
    let mut kept = Vec::new();
    for _ in 0..100 {
        match db.query(Statement::new("SELECT 1")).await {
            Ok(_) => {
                kept = ids(&db).await;
                break;
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    assert_eq!(kept, [0, 1, 2, 3]);
    db.close().await.unwrap();
}

#[tokio::test]
async fn a_store_can_be_closed_during_an_outage() {
    let Some(ground) = postgres() else { return };
    let Location::Postgres { url, schema } = ground.location else { return };
    let (user, rest) = url.split_once('@').unwrap();
    let (server, database) = rest.split_once('/').unwrap();
    let line = Line::to(server.to_owned());
    let url = format!("{user}@{}/{database}", line.address);
    let db = Db::open(&Location::Postgres { url, schema }, Limits::default()).await.unwrap();
    line.cut();
    let closed = tokio::time::timeout(Duration::from_secs(20), db.close()).await;
    assert_eq!(closed.unwrap(), Ok(()));
}

#[tokio::test]
async fn the_server_s_refusals_are_told_apart() {
    let Some(ground) = postgres() else { return };
    let db = ground.open_with(&[&NOTE]).await;
    let meant = async |code: &str| {
        let raise = format!("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{code}'; END $$");
        db.batch(vec![insert(1), Statement::new(raise.leak())]).await.unwrap_err()
    };
    assert_eq!(meant("53100").await, StoreError::Full);
    assert_eq!(db.health().fault, Some(StoreError::Full));
    assert_eq!(meant("57014").await, StoreError::Timeout);
    assert_eq!(meant("25006").await, StoreError::ReadOnly);
    assert_eq!(meant("40P01").await, StoreError::Busy);
    assert!(matches!(meant("23505").await, StoreError::Conflict(_)));
    assert!(matches!(meant("XX001").await, StoreError::Corrupt(_)));
    assert!(matches!(meant("42000").await, StoreError::Other(_)));
    assert_eq!(db.batch(vec![insert(1)]).await, Ok(vec![1]));
    assert_eq!(db.health().fault, None);
}

#[tokio::test]
async fn a_server_that_takes_too_long_is_not_waited_for() {
    let Some(ground) = postgres() else { return };
    let limits = Limits { wait_seconds: 1, ..Limits::default() };
    let db = Db::open(&ground.location, limits).await.unwrap();
    db.migrate(&[&NOTE]).await.unwrap();
    let sleep = || Statement::new("SELECT 1 FROM pg_sleep(30)");
    assert_eq!(db.query(sleep()).await, Err(StoreError::Timeout));
    assert_eq!(db.batch(vec![insert(1), sleep()]).await, Err(StoreError::Timeout));
    assert_eq!(db.batch(vec![insert(1)]).await, Ok(vec![1]));
    assert_eq!(ids(&db).await, [1]);
}
