//! Archives as clients see them: ids that agree, and pages without a gap (XEP-0313).

mod engine;

use std::time::Duration;

use waxwing_kernel::clock::Clock;
use waxwing_modules::MODULES;
use waxwing_store::domains::accounts::Accounts;
use waxwing_store::domains::archive::{Archive, Entry};
use waxwing_store::domains::offline::{Offline, Spooled};
use waxwing_store::domains::roster::Roster;
use waxwing_store::{Db, Durability, Limits, Location, StoreError};
use waxwing_stream::Framing;
use waxwing_testkit::client::Client;
use waxwing_testkit::node::Node;
use waxwing_testkit::script::Name;
use waxwing_testkit::{Plan, Way, World};

use crate::engine::Engine;

type Outcome<T = ()> = Result<T, String>;

const MAM: &str = "urn:xmpp:mam:2";
const RSM: &str = "http://jabber.org/protocol/rsm";
const SID: &str = "urn:xmpp:sid:0";
const FORWARD: &str = "urn:xmpp:forward:0";
const CARBONS: &str = "urn:xmpp:carbons:2";
const CLIENT: &str = "jabber:client";

async fn world(plan: Plan) -> Outcome<World> {
    let world = World::start(plan).await?;
    for account in ["romeo@localhost", "juliet@localhost", "nurse@localhost"] {
        world.add_account(account).await?;
    }
    Ok(world)
}

async fn bound(world: &World, name: &str) -> Outcome<Client> {
    let name = Name::parse(name).ok_or("no name")?;
    let link = world.connect(Way::Memory(Framing::Tcp), &name.domain).await?;
    let mut client = Box::pin(Client::connect(name, link)).await?;
    client.sign_in().await?;
    client.bind().await?;
    Ok(client)
}

async fn online(world: &World, name: &str) -> Outcome<Client> {
    let mut client = bound(world, name).await?;
    client.send("<presence/>").await?;
    world.settle().await?;
    client.read_all().await?;
    client.inbox().clear();
    Ok(client)
}

fn chat(to: &str, body: &str) -> String {
    format!("<message type='chat' to='{to}' id='{body}'><body>{body}</body></message>")
}

/// Everything that has come.
async fn heard(world: &World, client: &mut Client) -> Outcome<Vec<Node>> {
    world.settle().await?;
    client.read_all().await?;
    Ok(client.inbox().drain(..).collect())
}

/// What an archive answered.
#[derive(Debug, Default)]
struct Answer {
    /// Id and body of each message, in the order in which they came.
    messages: Vec<(String, String)>,
    first: Option<String>,
    last: Option<String>,
    count: Option<String>,
    is_complete: bool,
    is_stable: bool,
    /// The condition, when it was refused.
    refused: Option<String>,
}

impl Answer {
    fn ids(&self) -> Vec<&str> {
        self.messages.iter().map(|(id, _)| id.as_str()).collect()
    }

    fn bodies(&self) -> Vec<&str> {
        self.messages.iter().map(|(_, body)| body.as_str()).collect()
    }

    fn add(&mut self, node: &Node) {
        if let Some(result) = node.child("result", MAM) {
            let inner = result.child("forwarded", FORWARD);
            let message = inner.and_then(|inner| inner.child("message", CLIENT));
            let body = message.and_then(|message| message.child("body", CLIENT));
            let id = result.attribute("id").unwrap_or_default().to_owned();
            self.messages.push((id, body.map(|body| body.text.clone()).unwrap_or_default()));
        } else if let Some(fin) = node.child("fin", MAM) {
            let word = |name| fin.child("set", RSM)?.child(name, RSM).map(|it| it.text.clone());
            (self.first, self.last, self.count) = (word("first"), word("last"), word("count"));
            self.is_complete = fin.attribute("complete") == Some("true");
            self.is_stable = fin.attribute("stable") != Some("false");
        } else if let Some(error) = node.child("error", CLIENT) {
            let condition = error.children.first().map(|condition| condition.name.clone());
            self.refused = condition;
        }
    }
}

/// Fields of a form, then what else is in the query.
async fn ask(client: &mut Client, fields: &[(&str, &str)], more: &str) -> Outcome<Answer> {
    let field = |(name, value): &(&str, &str)| {
        let values = if *name == "ids" { value.split(' ').collect() } else { vec![*value] };
        let values: String = values.iter().map(|value| format!("<value>{value}</value>")).collect();
        format!("<field var='{name}'>{values}</field>")
    };
    let fields: String = [("FORM_TYPE", MAM)].iter().chain(fields).map(field).collect();
    let query = format!(
        "<iq type='set' id='q1'><query xmlns='{MAM}'><x xmlns='jabber:x:data' type='submit'>\
         {fields}</x>{more}</query></iq>"
    );
    client.send(&query).await?;
    let mut answer = Answer::default();
    loop {
        let node = client.next().await?.ok_or("the stream ended")?;
        answer.add(&node);
        if node.name == "iq" {
            return Ok(answer);
        }
    }
}

fn set(inner: &str) -> String {
    format!("<set xmlns='{RSM}'>{inner}</set>")
}

/// So many messages for Romeo, a second apart; he is away.
async fn filled(plan: Plan, count: usize) -> Outcome<(World, Client, Vec<String>)> {
    let world = world(plan).await?;
    let mut juliet = bound(&world, "juliet").await?;
    for number in 0..count {
        juliet.send(&chat("romeo@localhost", &format!("m{number}"))).await?;
        world.settle().await?;
        world.hub().clock().advance(Duration::from_secs(1));
    }
    let mut romeo = bound(&world, "romeo").await?;
    let all = ask(&mut romeo, &[], "").await?;
    assert_eq!(all.messages.len(), count);
    assert!(all.is_complete);
    let ids = all.messages.into_iter().map(|(id, _)| id).collect();
    Ok((world, romeo, ids))
}

/// The same test on every engine.
async fn on_every_engine<F>(test: impl Fn(Plan) -> F) -> Outcome
where
    F: Future<Output = Outcome>,
{
    for engine in Engine::at_hand() {
        let ground = engine.ground();
        let plan = Plan { location: ground.location(), ..Plan::in_memory(MODULES) };
        Box::pin(test(plan)).await.map_err(|reason| format!("{engine}: {reason}"))?;
    }
    Ok(())
}

#[tokio::test]
async fn pages_lead_through_the_archive_in_both_directions() -> Outcome {
    on_every_engine(|plan| async {
        let (_world, mut romeo, ids) = Box::pin(filled(plan, 25)).await?;
        let mut seen: Vec<String> = Vec::new();
        loop {
            let after = seen.last().map(|id| format!("<after>{id}</after>")).unwrap_or_default();
            let page = ask(&mut romeo, &[], &set(&format!("<max>10</max>{after}"))).await?;
            assert_eq!(page.first.as_deref(), page.ids().first().copied());
            assert_eq!(page.last.as_deref(), page.ids().last().copied());
            seen.extend(page.ids().into_iter().map(str::to_owned));
            if page.is_complete {
                break;
            }
            assert_eq!(page.messages.len(), 10);
        }
        assert_eq!(seen, ids);
        let mut pages: Vec<Vec<String>> = Vec::new();
        loop {
            let before = pages.last().map(|page| page[0].clone()).unwrap_or_default();
            let more = set(&format!("<max>10</max><before>{before}</before>"));
            let page = ask(&mut romeo, &[], &more).await?;
            pages.push(page.ids().into_iter().map(str::to_owned).collect());
            if page.is_complete {
                break;
            }
        }
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 5]);
        pages.reverse();
        assert_eq!(pages.concat(), ids);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_flipped_page_has_the_same_messages_the_other_way_round() -> Outcome {
    on_every_engine(|plan| async {
        let (_world, mut romeo, ids) = Box::pin(filled(plan, 5)).await?;
        for (paging, page) in [("<before/>", &ids[2..]), ("", &ids[..3])] {
            let more = set(&format!("<max>3</max>{paging}")) + "<flip-page/>";
            let flipped = ask(&mut romeo, &[], &more).await?;
            let mut backwards: Vec<_> = page.iter().map(String::as_str).collect();
            // "flipping a page does not affect what results are returned".
            assert_eq!(flipped.first.as_deref(), backwards.first().copied());
            assert_eq!(flipped.last.as_deref(), backwards.last().copied());
            backwards.reverse();
            assert_eq!(flipped.ids(), backwards);
        }
        Ok(())
    })
    .await
}

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

#[tokio::test]
async fn spans_of_time_hold_their_ends() -> Outcome {
    on_every_engine(|plan| async {
        let (_world, mut romeo, _) = Box::pin(filled(plan, 5)).await?;
        for (fields, found) in [
            (vec![("start", "2026-01-31T12:00:02Z")], vec!["m2", "m3", "m4"]),
            (vec![("start", "2026-01-31T12:00:02.001Z")], vec!["m3", "m4"]),
            (vec![("end", "2026-01-31T13:00:01+01:00")], vec!["m0", "m1"]),
            (
                vec![("start", "2026-01-31T12:00:01Z"), ("end", "2026-01-31T12:00:03.999Z")],
                vec!["m1", "m2", "m3"],
            ),
            (vec![("start", "2027-01-31T12:00:00Z")], vec![]),
            (vec![("end", "1969-01-31T12:00:00Z")], vec![]),
        ] {
            let answer = ask(&mut romeo, &fields, "").await?;
            assert_eq!(answer.bodies(), found, "{fields:?}");
            assert!(answer.is_complete);
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_conversation_is_what_was_said_to_and_by_somebody() -> Outcome {
    on_every_engine(|plan| async {
        let world = world(plan).await?;
        let mut romeo = online(&world, "romeo").await?;
        let mut juliet = bound(&world, "juliet/balcony").await?;
        let mut nurse = bound(&world, "nurse").await?;
        for number in 0..3 {
            juliet.send(&chat("romeo@localhost", &format!("j{number}"))).await?;
            world.settle().await?;
            nurse.send(&chat("romeo@localhost/desk", &format!("n{number}"))).await?;
            world.settle().await?;
            romeo.send(&chat("juliet@localhost", &format!("r{number}"))).await?;
            world.settle().await?;
        }
        heard(&world, &mut romeo).await?;
        let with = async |romeo: &mut Client, jid| {
            let answer = ask(romeo, &[("with", jid)], "").await?;
            Ok::<_, String>(answer.bodies().join(" "))
        };
        let whole = "j0 r0 j1 r1 j2 r2";
        assert_eq!(with(&mut romeo, "Juliet@localhost").await?, whole);
        assert_eq!(with(&mut romeo, "juliet@localhost/balcony").await?, "j0 j1 j2");
        assert_eq!(with(&mut romeo, "nurse@localhost").await?, "n0 n1 n2");
        assert_eq!(with(&mut romeo, "tybalt@localhost").await?, "");
        let last = set("<max>1</max><before/>");
        let answer = ask(&mut romeo, &[("with", "nurse@localhost")], &last).await?;
        assert_eq!(answer.bodies(), ["n2"]);
        // XEP-0059 §2.7
        let count = async |romeo: &mut Client, fields: &[(&str, &str)]| {
            let answer = ask(romeo, fields, &set("<max>0</max>")).await?;
            assert!(answer.messages.is_empty() && answer.first.is_none());
            Ok::<_, String>((answer.count.unwrap_or_default(), answer.is_complete))
        };
        assert_eq!(count(&mut romeo, &[]).await?, ("9".to_owned(), false));
        let nurses = count(&mut romeo, &[("with", "nurse@localhost")]).await?;
        assert_eq!(nurses, ("3".to_owned(), false));
        let nobodys = count(&mut romeo, &[("with", "tybalt@localhost")]).await?;
        assert_eq!(nobodys, ("0".to_owned(), true));
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
async fn a_page_has_a_bound_in_bytes() -> Outcome {
    let plan = Plan {
        settings: "modules.archive.page_size = '100 KiB'".into(),
        ..Plan::in_memory(MODULES)
    };
    let world = world(plan).await?;
    let mut juliet = bound(&world, "juliet").await?;
    for size in [40_000, 40_000, 40_000, 200_000, 1] {
        juliet.send(&chat("romeo@localhost", &"x".repeat(size / 2))).await?;
        world.settle().await?;
    }
    let mut romeo = bound(&world, "romeo").await?;
    let (mut after, mut sizes) = (String::new(), Vec::new());
    loop {
        let page = ask(&mut romeo, &[], &set(&after)).await?;
        sizes.push(page.messages.len());
        if page.is_complete {
            break;
        }
        after = format!("<after>{}</after>", page.last.unwrap_or_default());
    }
    assert_eq!(sizes, [2, 1, 1, 1]);
    Ok(())
}

/// A long archive is indexed piece by piece, from the youngest message on.
#[tokio::test]
async fn what_is_not_indexed_yet_is_not_passed_off_as_everything() -> Outcome {
    const LONG: i64 = 2600;
    on_every_engine(|plan| async {
        let world = world(plan).await?;
        let entry = |number: i64| Entry {
            number,
            owner: "romeo@localhost".into(),
            peer: "juliet@localhost".into(),
            resource: String::new(),
            stanza: format!(
                "<message xmlns='jabber:client' from='juliet@localhost' type='chat'>\
                 <body>line{number} verona</body></message>"
            ),
        };
        let rows = (1..=LONG).map(|number| Archive::append(entry(number))).collect();
        world.hub().db().batch(rows).await.map_err(|error| error.to_string())?;
        let mut romeo = bound(&world, "romeo").await?;
        let words = |words| [("{urn:xmpp:fulltext:0}fulltext", words)];
        let last = set("<max>2</max><before/>");
        let answer = ask(&mut romeo, &words("Verona line"), &last).await?;
        assert_eq!(answer.bodies(), ["line2599 verona", "line2600 verona"]);
        assert!(!answer.is_stable);
        let mut oldest = ask(&mut romeo, &words("line1"), "").await?;
        while !oldest.is_stable {
            world.settle().await?;
            oldest = ask(&mut romeo, &words("line1"), "").await?;
        }
        assert_eq!(oldest.bodies()[0], "line1 verona");
        let none = ask(&mut romeo, &words("..."), "").await?;
        assert!(none.messages.is_empty() && none.is_complete);
        let many = ask(&mut romeo, &words("a-b-c-d-e-f-g-h-i-j-k-l-m-n-o-p-q"), "").await?;
        assert_eq!(many.refused.as_deref(), Some("bad-request"));
        // What comes later is found as well.
        let mut juliet = bound(&world, "juliet").await?;
        juliet.send(&chat("romeo@localhost", "fair-Verona")).await?;
        world.settle().await?;
        let fresh = ask(&mut romeo, &words("fair"), "").await?;
        assert_eq!(fresh.bodies(), ["fair-Verona"]);
        assert!(fresh.is_stable && fresh.is_complete);
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
