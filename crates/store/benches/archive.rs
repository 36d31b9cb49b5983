//! What an archive costs when it is long, and when much comes at once.
//!
//! `cargo bench -p waxwing-store` prints how long a page of 50 takes from archives of a thousand
//! and of a million messages that share one SQLite file, and how many messages a second become
//! durable one by one and in a burst. A number behind `--` is how many the long archive has.

#![allow(clippy::unwrap_used, reason = "a failing benchmark may just stop")]

use std::time::{Duration, Instant};

use tempfile::TempDir;
use waxwing_store::domains::archive::{Archive, Entry, Order, Selection, With};
use waxwing_store::{Db, Durability, Limits, Location};

const MESSAGE_BYTES: usize = 400;
/// Messages of the short archive.
const SHORT: i64 = 1_000;
/// Messages of the long one, unless said otherwise.
const LONG: i64 = 1_000_000;
/// Contacts of each owner, who take turns.
const CONTACTS: i64 = 20;
const PAGE: u32 = 50;
/// Pages of each kind, from each archive.
const ROUNDS: usize = 400;
/// Messages that come at once, and messages that come one by one.
const BURST: i64 = 10_000;
const SINGLE: i64 = 500;
/// Messages in one batch while the archives are filled.
const BATCH: i64 = 1_000;

fn main() {
    let long = std::env::args().find_map(|word| word.parse().ok()).unwrap_or(LONG);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("archive.sqlite3");
        let location = Location::Sqlite { path, durability: Durability::PowerLoss };
        let db = Db::open(&location, Limits::default()).await.unwrap();
        db.migrate(Archive::TABLES).await.unwrap();
        fill(&db, "short", 0, SHORT).await;
        fill(&db, "long", SHORT, long).await;
        pages(&Archive::new(db.clone()), long).await;
        bursts(&db, SHORT + long).await;
        db.close().await.unwrap();
    });
}

/// So many messages for `owner`, numbered from `first`.
async fn fill(db: &Db, owner: &str, first: i64, count: i64) {
    let end = first + count;
    for start in (first..end).step_by(BATCH as usize) {
        let numbers = start..(start + BATCH).min(end);
        db.batch(numbers.map(|number| Archive::append(entry(owner, number))).collect())
            .await
            .unwrap();
    }
}

fn entry(owner: &str, number: i64) -> Entry {
    Entry {
        number,
        owner: owner.to_owned(),
        peer: format!("contact{}@localhost", number % CONTACTS),
        resource: "orchard".to_owned(),
        stanza: "x".repeat(MESSAGE_BYTES),
    }
}

async fn pages(archive: &Archive, long: i64) {
    println!("{:<34} {:>12} {:>12} {:>7}", "page of 50, µs", SHORT, long, "ratio");
    let contact = With::Account("contact7@localhost");
    for (name, share, with, order) in [
        ("the newest", 1.0, With::Anybody, Order::Falling),
        ("before one in the middle", 0.5, With::Anybody, Order::Falling),
        ("after one in the middle", 0.5, With::Anybody, Order::Rising),
        ("with a contact, the newest", 1.0, contact, Order::Falling),
        ("with a contact, before the last fifth", 0.8, contact, Order::Falling),
    ] {
        let (mut shorts, mut longs) = (Vec::new(), Vec::new());
        // In turns, so that whatever else the machine does meets both.
        for _ in 0..ROUNDS {
            shorts.push(page(archive, ("short", 0, SHORT), share, with, order).await);
            longs.push(page(archive, ("long", SHORT, long), share, with, order).await);
        }
        let (short, long) = (median(shorts), median(longs));
        println!("{name:<34} {short:>12.0} {long:>12.0} {:>7.2}", long / short);
    }
}

/// How long one page takes that begins behind this share of an archive.
async fn page(
    archive: &Archive,
    (owner, first, count): (&str, i64, i64),
    share: f64,
    with: With<'_>,
    order: Order,
) -> Duration {
    let middle = first + (count as f64 * share) as i64;
    let (above, below) = match order {
        Order::Rising => (middle, i64::MAX),
        Order::Falling => (i64::MIN, middle),
    };
    let start = now();
    let found = archive.page(&Selection { owner, above, below, with }, order, PAGE).await.unwrap();
    let took = start.elapsed();
    // A contact has said one in twenty: the short archive may have just a page of it.
    assert!(found.len() >= 40, "{} messages are no page", found.len());
    took
}

async fn bursts(db: &Db, first: i64) {
    let start = now();
    for number in first..first + SINGLE {
        db.batch(vec![Archive::append(entry("single", number))]).await.unwrap();
    }
    let single = SINGLE as f64 / start.elapsed().as_secs_f64();
    let (first, start) = (first + SINGLE, now());
    let commits: Vec<_> = (first..first + BURST)
        .map(|number| db.submit(vec![Archive::append(entry("burst", number))]))
        .collect();
    for commit in commits {
        commit.await.unwrap();
    }
    let burst = BURST as f64 / start.elapsed().as_secs_f64();
    let times = burst / single;
    println!(
        "durable a second: {single:.0} one by one, {burst:.0} of {BURST} at once: {times:.1} times"
    );
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e6
}

#[expect(clippy::disallowed_methods, reason = "a benchmark is about real time")]
fn now() -> Instant {
    Instant::now()
}
