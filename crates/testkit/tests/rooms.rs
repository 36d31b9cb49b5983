//! Rooms on a whole server: across a restart, under a flood, with a failing store, and while many
//! come and go at once.

#[path = "rooms/border.rs"]
mod border;

use std::time::Duration;

use waxwing_modules::MODULES;
use waxwing_modules::rooms::lobby::Lobby;
use waxwing_store::domains::rooms::{Rooms, StandingRow};
use waxwing_store::{Location, Statement};
use waxwing_stream::Framing;
use waxwing_testkit::client::Client;
use waxwing_testkit::node::Node;
use waxwing_testkit::script::Name;
use waxwing_testkit::{Plan, Way, World};

type Outcome = Result<(), String>;

const ROOM: &str = "garden@rooms.localhost";
const PEOPLE: [&str; 4] = ["romeo", "juliet", "nurse", "tybalt"];

async fn world(plan: Plan) -> Result<World, String> {
    let world = World::start(plan).await?;
    for name in PEOPLE {
        world.add_account(&format!("{name}@localhost")).await?;
    }
    Ok(world)
}

async fn client(world: &World, name: &str) -> Result<Client, String> {
    let name = Name::parse(name).ok_or("no name")?;
    let link = world.connect(Way::Memory(Framing::Tcp), &name.domain).await?;
    let mut client = Box::pin(Client::connect(name, link)).await?;
    client.sign_in().await?;
    client.bind().await?;
    Ok(client)
}

async fn enter(client: &mut Client, nick: &str) -> Outcome {
    let x = "<x xmlns='http://jabber.org/protocol/muc'/>";
    client.send(&format!("<presence to='{ROOM}/{nick}'>{x}</presence>")).await
}

/// Makes the room, with these fields of its configuration.
async fn open(world: &World, client: &mut Client, fields: &[(&str, &str)]) -> Outcome {
    enter(client, "Owner").await?;
    let field =
        |(var, value): &(&str, &str)| format!("<field var='{var}'><value>{value}</value></field>");
    let fields: String = fields.iter().map(field).collect();
    let form = format!("<x xmlns='jabber:x:data' type='submit'>{fields}</x>");
    let query = format!("<query xmlns='http://jabber.org/protocol/muc#owner'>{form}</query>");
    client.send(&format!("<iq to='{ROOM}' type='set' id='c'>{query}</iq>")).await?;
    let got = read(world, client).await?;
    assert_eq!(got.last().and_then(|node| node.attribute("type")), Some("result"), "{got:?}");
    Ok(())
}

async fn say(client: &mut Client, id: &str) -> Outcome {
    let body = format!("<body>{id}</body>");
    client.send(&format!("<message to='{ROOM}' type='groupchat' id='{id}'>{body}</message>")).await
}

async fn read(world: &World, client: &mut Client) -> Result<Vec<Node>, String> {
    world.settle().await?;
    client.read_all().await?;
    Ok(client.inbox().drain(..).collect())
}

fn ids(nodes: &[Node]) -> Vec<&str> {
    let messages = nodes.iter().filter(|node| node.name == "message");
    messages.filter_map(|node| node.attribute("id")).collect()
}

#[tokio::test]
async fn rooms_outlive_the_server() -> Outcome {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let path = folder.path().join("waxwing.db");
    let durability = waxwing_store::Durability::default();
    let location = Location::Sqlite { path, durability };
    let plan = Plan { location, ..Plan::in_memory(MODULES) };
    let first = world(plan.clone()).await?;
    let mut romeo = client(&first, "romeo").await?;
    open(&first, &mut romeo, &[("muc#roomconfig_persistentroom", "1")]).await?;
    say(&mut romeo, "m1").await?;
    let subject = "<subject>Balconies</subject>";
    romeo.send(&format!("<message to='{ROOM}' type='groupchat'>{subject}</message>")).await?;
    read(&first, &mut romeo).await?;
    first.stop().await?;

    let second = World::start(plan).await?;
    let in_use = second.hub().lasting::<Lobby>("localhost");
    assert_eq!(in_use.len(), 0, "nothing is loaded before somebody comes");
    let mut juliet = client(&second, "juliet").await?;
    enter(&mut juliet, "Juliet").await?;
    let got = read(&second, &mut juliet).await?;
    assert_eq!(ids(&got), ["m1"]);
    let last = got.last().map(ToString::to_string).unwrap_or_default();
    assert!(last.contains("Balconies") && last.contains("urn:xmpp:delay"), "{last}");
    let mut romeo = client(&second, "romeo").await?;
    enter(&mut romeo, "Owner").await?;
    let got = read(&second, &mut romeo).await?;
    assert!(got.iter().any(|node| node.to_string().contains("affiliation='owner'")), "{got:?}");
    assert_eq!(in_use.len(), 1);
    juliet.close().await?;
    romeo.close().await?;
    second.settle().await?;
    assert_eq!(in_use.len(), 0, "with nobody in it a room costs nothing");
    Ok(())
}

#[tokio::test]
async fn a_room_may_have_ten_thousand_members() -> Outcome {
    let world = world(Plan::in_memory(MODULES)).await?;
    let mut romeo = client(&world, "romeo").await?;
    open(&world, &mut romeo, &[("muc#roomconfig_persistentroom", "1")]).await?;
    romeo.close().await?;
    world.settle().await?;
    let member = |number: u32| {
        let jid = format!("member{number}@localhost");
        let row = StandingRow { jid, affiliation: 1, version: 2, ..StandingRow::default() };
        Rooms::put_standing(ROOM, &row)
    };
    let rows: Vec<Statement> = (0..10_000).map(member).collect();
    world.hub().db().batch(rows).await.map_err(|error| error.to_string())?;
    let mut juliet = client(&world, "juliet").await?;
    enter(&mut juliet, "Juliet").await?;
    say(&mut juliet, "m1").await?;
    assert_eq!(ids(&read(&world, &mut juliet).await?), ["m1"]);
    Ok(())
}

#[tokio::test]
async fn who_floods_a_room_is_read_later_and_nobody_else_waits() -> Outcome {
    let settings = "modules.rooms.messages_per_second = 1".to_owned();
    let world = world(Plan { settings, ..Plan::in_memory(MODULES) }).await?;
    let mut romeo = client(&world, "romeo").await?;
    open(&world, &mut romeo, &[]).await?;
    let mut juliet = client(&world, "juliet").await?;
    enter(&mut juliet, "Juliet").await?;
    read(&world, &mut juliet).await?;
    for number in 0..600 {
        say(&mut juliet, &format!("m{number}")).await?;
        if number % 50 == 0 {
            world.settle().await?;
        }
    }
    read(&world, &mut juliet).await?;
    let heard = ids(&read(&world, &mut romeo).await?).len();
    let most = world.hub().limits().pending_commits + 60;
    assert!((4..=most).contains(&heard), "{heard} messages");
    say(&mut romeo, "mine").await?;
    assert_eq!(ids(&read(&world, &mut romeo).await?), ["mine"]);
    let mut all = heard;
    for _ in 0..100 {
        world.hub().clock().advance(Duration::from_secs(10));
        all += ids(&read(&world, &mut romeo).await?).len();
    }
    assert_eq!(all, 600, "nothing is lost");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused_and_not_said() -> Outcome {
    let world = world(Plan::in_memory(MODULES)).await?;
    let mut romeo = client(&world, "romeo").await?;
    open(&world, &mut romeo, &[]).await?;
    let mut juliet = client(&world, "juliet").await?;
    enter(&mut juliet, "Juliet").await?;
    read(&world, &mut juliet).await?;
    read(&world, &mut romeo).await?;
    world.hub().db().clone().close().await.map_err(|error| error.to_string())?;
    say(&mut juliet, "m1").await?;
    let answer = juliet.next().await?.ok_or("the stream ended")?;
    assert_eq!(answer.attribute("type"), Some("error"), "{answer}");
    enter(&mut juliet, "Juliet").await?;
    let mut got = Vec::new();
    while let Some(node) = juliet.next().await? {
        let is_last = node.to_string().contains("<subject");
        got.push(node);
        if is_last {
            break;
        }
    }
    assert!(ids(&got).is_empty(), "{got:?}");
    romeo.read_all().await?;
    assert!(ids(&romeo.inbox().drain(..).collect::<Vec<_>>()).is_empty());
    Ok(())
}

/// Whatever a room sends to rooms, itself included, it waits for none of them.
#[tokio::test]
async fn rooms_that_write_to_rooms_do_not_wait_for_each_other() -> Outcome {
    let settings = "modules.rooms.waiting = 16".to_owned();
    let world = world(Plan { settings, ..Plan::in_memory(MODULES) }).await?;
    let mut romeo = client(&world, "romeo").await?;
    open(&world, &mut romeo, &[]).await?;
    for number in 0..200 {
        let to = [ROOM, "attic@rooms.localhost"][number % 2];
        let invite = format!("<invite to='{to}'/>");
        let x = format!("<x xmlns='http://jabber.org/protocol/muc#user'>{invite}</x>");
        romeo.send(&format!("<message to='{ROOM}' id='i{number}'>{x}</message>")).await?;
    }
    let ping = "<ping xmlns='urn:xmpp:ping'/>";
    romeo.send(&format!("<iq type='get' to='{ROOM}' id='p1'>{ping}</iq>")).await?;
    let got = read(&world, &mut romeo).await?;
    let answer = got.iter().find(|node| node.attribute("id") == Some("p1"));
    assert_eq!(answer.and_then(|node| node.attribute("type")), Some("result"));
    Ok(())
}

/// XEP-0045 §11.2 "When a MUC service shuts downs, it SHOULD inform its participant by sending
/// presences containing the 332 status code": before the streams end. Who comes back at once is
/// asked to come later.
#[tokio::test]
async fn everybody_hears_that_the_rooms_end_with_the_server() -> Outcome {
    let world = world(Plan::in_memory(MODULES)).await?;
    let mut romeo = client(&world, "romeo").await?;
    open(&world, &mut romeo, &[("muc#roomconfig_persistentroom", "1")]).await?;
    let mut all = vec![romeo];
    // More than are told in the first moment that the server ends.
    for number in 1..=24 {
        let name = PEOPLE[1 + number % 3];
        let mut client = client(&world, &format!("{name}/d{number}")).await?;
        enter(&mut client, &format!("Guest{number}")).await?;
        all.push(client);
    }
    for client in &mut all {
        read(&world, client).await?;
    }
    let hub = world.hub().clone();
    #[allow(clippy::disallowed_methods, reason = "the test goes on beside it")]
    let drain = tokio::spawn(async move { hub.drain(Duration::from_secs(4), None).await });
    world.settle().await?;
    assert_eq!(world.hub().lasting::<Lobby>("localhost").len(), 0, "the rooms are empty");
    let mut last = None;
    for (number, client) in all.iter_mut().enumerate() {
        let got = read(&world, client).await?;
        let nick = match number {
            0 => format!("{ROOM}/Owner"),
            number => format!("{ROOM}/Guest{number}"),
        };
        let farewell = got.first().map(ToString::to_string).unwrap_or_default();
        assert_eq!(got.first().and_then(|node| node.attribute("from")), Some(&*nick));
        for part in ["unavailable", "code='110'", "code='332'"] {
            assert!(farewell.contains(part), "{part} in {farewell}");
        }
        let rest: String = got[1..].iter().map(ToString::to_string).collect();
        assert!(!rest.contains("<presence"), "nobody hears of the others: {rest}");
        if rest.is_empty() {
            last = Some((number, nick));
        }
    }
    let (number, nick) = last.ok_or("all streams ended at once")?;
    let late = &mut all[number];
    enter(late, nick.rsplit('/').next().unwrap_or_default()).await?;
    let answer = read(&world, late).await?.first().map(ToString::to_string).unwrap_or_default();
    assert!(answer.contains("resource-constraint"), "{answer}");
    while !drain.is_finished() {
        world.hub().clock().advance(Duration::from_millis(20));
        world.settle().await?;
        for client in &mut all {
            client.read_all().await?;
        }
    }
    assert_eq!(drain.await.map_err(|error| error.to_string())?, 0, "everybody has left");
    Ok(())
}

/// A room that ends when it is empty, with people who come and go all the time: each of them hears
/// at the end of each visit that it has left, or why it was not let in, however the end of the room
/// falls.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_lost_between_the_end_of_a_room_and_its_beginning() -> Outcome {
    let world = world(Plan::in_memory(MODULES)).await?;
    let [one, two, three, four] = PEOPLE.map(|name| Box::pin(come_and_go(&world, name)));
    let entered = tokio::try_join!(one, two, three, four)?;
    assert!(<[usize; 4]>::from(entered).iter().sum::<usize>() > 50, "{entered:?}");
    world.settle().await?;
    assert_eq!(world.hub().lasting::<Lobby>("localhost").len(), 0);
    Ok(())
}

/// Gives how often somebody was let in.
async fn come_and_go(world: &World, name: &str) -> Result<usize, String> {
    let mut client = client(world, name).await?;
    let mut entered = 0;
    for number in 0..50 {
        enter(&mut client, name).await?;
        let form = "<x xmlns='jabber:x:data' type='submit'/>";
        let query = format!("<query xmlns='http://jabber.org/protocol/muc#owner'>{form}</query>");
        client.send(&format!("<iq to='{ROOM}' type='set' id='c{number}'>{query}</iq>")).await?;
        let leave = format!("<presence to='{ROOM}/{name}' type='unavailable'/>");
        client.send(&leave).await?;
        entered += usize::from(visited(&mut client, &format!("{ROOM}/{name}")).await?);
    }
    Ok(entered)
}

/// Reads until the visit is over; false when there was none, because another was setting up the
/// room.
async fn visited(client: &mut Client, nick: &str) -> Result<bool, String> {
    loop {
        let node = client.next().await?.ok_or("the stream ended")?;
        let is_own = node.name == "presence" && node.attribute("from") == Some(nick);
        match node.attribute("type") {
            Some("unavailable") if is_own => return Ok(true),
            Some("error") if is_own => return Ok(false),
            _ => {}
        }
    }
}
