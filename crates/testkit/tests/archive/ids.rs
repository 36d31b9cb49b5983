//! Ids: the same however a message comes, across restarts, and without a gap.

use waxwing_kernel::clock::Clock;
use waxwing_modules::MODULES;
use waxwing_store::domains::accounts::Accounts;
use waxwing_store::domains::offline::{Offline, Spooled};
use waxwing_store::domains::roster::Roster;
use waxwing_store::{Db, Durability, Limits, Location, StoreError};
use waxwing_testkit::node::Node;
use waxwing_testkit::{Plan, World};

use crate::{
    CARBONS, CLIENT, FORWARD, Outcome, SID, ask, bound, chat, filled, heard, on_every_engine,
    online, set, world,
};

#[tokio::test]
async fn ids_bound_a_question_or_are_one() -> Outcome {
    on_every_engine(|plan| async {
        let (world, mut romeo, ids) = Box::pin(filled(plan, 6)).await?;
        let between = [("after-id", ids[1].as_str()), ("before-id", &ids[4])];
        let answer = ask(&mut romeo, &between, "").await?;
        assert_eq!(answer.ids(), &ids[2..4]);
        assert!(answer.is_complete && answer.count.as_deref() == Some("2"));
        // "using 'before' implies paging backwards through the result set while using 'before-id'
        // does not".
        let answer = ask(&mut romeo, &between[1..], &set("<max>2</max>")).await?;
        assert_eq!(answer.ids(), &ids[..2]);
        assert!(!answer.is_complete && answer.count.is_none());
        let wanted = format!("{} {} {}", ids[5], ids[0], ids[3]);
        let answer = ask(&mut romeo, &[("ids", &wanted)], "").await?;
        assert_eq!(answer.ids(), [&ids[0], &ids[3], &ids[5]]);
        let last = set("<max>2</max><before/>");
        let answer = ask(&mut romeo, &[("ids", &wanted)], &last).await?;
        assert_eq!(answer.ids(), [&ids[3], &ids[5]]);
        // Not only is Juliet's id not Romeo's: it is no different from one that never was.
        let mut juliet = bound(&world, "juliet/desk").await?;
        let hers = ask(&mut juliet, &[], "").await?;
        let (hers, made_up) = (hers.ids()[0].to_owned(), "0".repeat(32));
        for id in [hers.as_str(), &made_up, "", &ids[0].to_uppercase()] {
            let some = format!("{} {id}", ids[0]);
            for field in [("after-id", id), ("before-id", id), ("ids", &some)] {
                let answer = ask(&mut romeo, &[field], "").await?;
                assert_eq!(answer.refused.as_deref(), Some("item-not-found"), "{field:?}");
            }
            if !id.is_empty() {
                let page = set(&format!("<before>{id}</before>"));
                let answer = ask(&mut romeo, &[], &page).await?;
                assert_eq!(answer.refused.as_deref(), Some("item-not-found"), "{id}");
            }
        }
        let many = vec![ids[0].as_str(); 251].join(" ");
        let answer = ask(&mut romeo, &[("ids", &many)], "").await?;
        assert_eq!(answer.refused.as_deref(), Some("bad-request"));
        Ok(())
    })
    .await
}

fn stanza_id(message: &Node, owner: &str) -> Option<String> {
    let id = message.child("stanza-id", SID)?;
    (id.attribute("by") == Some(owner)).then(|| id.attribute("id").map(str::to_owned))?
}

#[tokio::test]
async fn the_id_of_a_message_is_that_of_the_archive_however_it_comes() -> Outcome {
    on_every_engine(|plan| async {
        let world = world(plan).await?;
        let mut juliet = online(&world, "juliet").await?;
        // From the spool.
        juliet.send(&chat("romeo@localhost", "spooled")).await?;
        world.settle().await?;
        let mut romeo = bound(&world, "romeo").await?;
        romeo.send("<presence/>").await?;
        let came = heard(&world, &mut romeo).await?;
        let mut ids: Vec<_> =
            came.iter().filter_map(|it| stanza_id(it, "romeo@localhost")).collect();
        // At once, and as a copy for another device.
        let mut phone = bound(&world, "romeo/phone").await?;
        phone.send(&format!("<iq type='set' id='c1'><enable xmlns='{CARBONS}'/></iq>")).await?;
        heard(&world, &mut phone).await?;
        juliet.send(&chat("romeo@localhost/desk", "received")).await?;
        let came = heard(&world, &mut romeo).await?;
        ids.extend(came.iter().filter_map(|it| stanza_id(it, "romeo@localhost")));
        romeo.send(&chat("juliet@localhost", "sent")).await?;
        let copies = heard(&world, &mut phone).await?;
        let inner = |copy: &Node, way| {
            let forwarded = copy.child(way, CARBONS)?.child("forwarded", FORWARD)?;
            stanza_id(forwarded.child("message", CLIENT)?, "romeo@localhost")
        };
        let received = copies.iter().find_map(|copy| inner(copy, "received"));
        assert_eq!(received.as_ref(), ids.last());
        ids.extend(copies.iter().find_map(|copy| inner(copy, "sent")));
        // "Servers MUST NOT include the <stanza-id/> element in messages addressed to JIDs that do
        // not have permissions to access the archive".
        let hers = heard(&world, &mut juliet).await?;
        assert!(hers.iter().all(|it| stanza_id(it, "romeo@localhost").is_none()));
        let answer = ask(&mut romeo, &[], "").await?;
        assert_eq!(answer.bodies(), ["spooled", "received", "sent"]);
        assert_eq!(answer.ids(), ids);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn ids_are_the_same_after_a_restart() -> Outcome {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let path = folder.path().join("waxwing.db");
    let location = Location::Sqlite { path, durability: Durability::ProcessCrash };
    let plan = Plan { location, ..Plan::in_memory(MODULES) };
    let (world, romeo, ids) = Box::pin(filled(plan.clone(), 3)).await?;
    drop(romeo);
    world.stop().await?;
    // Earlier than the last message, as if the clock had been set back.
    let clock = Clock::simulated(1_700_000_000_000, 2);
    let world = World::start(Plan { clock, ..plan }).await?;
    let mut juliet = bound(&world, "juliet").await?;
    juliet.send(&chat("romeo@localhost", "late")).await?;
    world.settle().await?;
    let mut romeo = bound(&world, "romeo").await?;
    let after = [("after-id", ids[1].as_str())];
    let answer = ask(&mut romeo, &after, "").await?;
    assert_eq!(answer.bodies(), ["m2", "late"]);
    assert_eq!(answer.ids()[0], ids[2]);
    Ok(())
}

#[tokio::test]
async fn a_database_from_before_there_were_archives_goes_on() -> Outcome {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let path = folder.path().join("waxwing.db");
    let location = Location::Sqlite { path, durability: Durability::ProcessCrash };
    let text = |error: StoreError| error.to_string();
    let db = Db::open(&location, Limits::default()).await.map_err(|error| error.to_string())?;
    let tables = [Accounts::TABLES, Offline::TABLES, Roster::TABLES].concat();
    db.migrate(&tables).await.map_err(|error| error.to_string())?;
    Accounts::new(db.clone()).create("nurse@localhost", 1, &[]).await.map_err(text)?;
    let row = Spooled {
        id: 1_769_860_800_000 << 19,
        owner: "romeo@localhost".into(),
        stamp: 1_769_860_800_000,
        stanza: "<message xmlns='jabber:client' from='juliet@localhost' to='romeo@localhost' \
                 id='old' type='chat'><body>From before</body></message>"
            .into(),
    };
    db.close().await.map_err(text)?;
    let world = World::start(Plan { location, ..Plan::in_memory(MODULES) }).await?;
    for account in ["romeo@localhost", "juliet@localhost"] {
        world.add_account(account).await?;
    }
    world.hub().db().batch(vec![Offline::append(row)]).await.map_err(text)?;
    let mut romeo = bound(&world, "romeo").await?;
    romeo.send("<presence/>").await?;
    let came = heard(&world, &mut romeo).await?;
    assert!(came.iter().any(|node| node.attribute("id") == Some("old")));
    assert!(ask(&mut romeo, &[], "").await?.messages.is_empty());
    romeo.send(&chat("nurse@localhost", "new")).await?;
    assert_eq!(ask(&mut romeo, &[], "").await?.bodies(), ["new"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_reads_on_from_the_last_id_misses_nothing() -> Outcome {
    const SENDERS: usize = 4;
    const EACH: usize = 150;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let path = folder.path().join("waxwing.db");
    let location = Location::Sqlite { path, durability: Durability::ProcessCrash };
    let plan = Plan { location, clock: Clock::system(), ..Plan::in_memory(MODULES) };
    let world = World::start(plan).await?;
    world.add_account("romeo@localhost").await?;
    let mut senders = Vec::new();
    for number in 0..SENDERS {
        let name = format!("sender{number}");
        world.add_account(&format!("{name}@localhost")).await?;
        let mut client = bound(&world, &name).await?;
        // Half of them are owed acknowledgements, so that rows take different ways.
        if number % 2 == 0 {
            client.send("<enable xmlns='urn:xmpp:sm:3'/>").await?;
        }
        senders.push(client);
    }
    let mut romeo = bound(&world, "romeo").await?;
    let mut seen: Vec<(String, String)> = Vec::new();
    for round in 0..EACH {
        for (number, sender) in senders.iter_mut().enumerate() {
            sender.send(&chat("romeo@localhost", &format!("s{number}-{round}"))).await?;
        }
        let after = seen.last().map(|(id, _)| format!("<after>{id}</after>")).unwrap_or_default();
        seen.extend(ask(&mut romeo, &[], &set(&after)).await?.messages);
    }
    world.settle().await?;
    for sender in &mut senders {
        sender
            .send("<iq type='get' id='p1' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>")
            .await?;
        while sender.next().await?.is_some_and(|node| node.name != "iq") {}
    }
    let last = set(&format!("<after>{}</after>", seen.last().map_or("", |(id, _)| id)));
    seen.extend(ask(&mut romeo, &[], &last).await?.messages);
    let whole = {
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let page = ask(&mut romeo, &[], &set(&after)).await?;
            after = format!("<after>{}</after>", page.last.clone().unwrap_or_default());
            all.extend(page.messages);
            if page.is_complete {
                break all;
            }
        }
    };
    assert_eq!(whole.len(), SENDERS * EACH);
    assert_eq!(seen, whole);
    Ok(())
}
