//! What is stored costs nothing until somebody touches it: a server with tens of thousands of
//! rooms, nodes and subscriptions reads as much as one with a handful when it starts, and coming
//! into a room or publishing reads what concerns that room or node, once.
//!
//! Rows that are read are counted, and no time is measured.

use tempfile::TempDir;
use waxwing_modules::MODULES;
use waxwing_store::domains::pubsub::{Node, Nodes, Subscription, Subscriptions};
use waxwing_store::domains::rooms::{RoomRow, Rooms, StandingRow};
use waxwing_store::{Durability, Location, Statement};
use waxwing_stream::Framing;
use waxwing_testkit::client::Client;
use waxwing_testkit::script::Name;
use waxwing_testkit::{Plan, Way, World};

type Outcome = Result<(), String>;

/// Rooms, nodes, and subscriptions of one node.
const MANY: usize = 20_000;
/// Members of one room.
const MEMBERS: usize = 10_000;
/// Rows that something may read that has little to do.
const FEW: u64 = 60;
/// Statements in one batch.
const BATCH: usize = 1_000;
const ROOM: &str = "hall@rooms.localhost";
const SERVICE: &str = "pubsub.localhost";
const PUBSUB: &str = "http://jabber.org/protocol/pubsub";

struct Place(TempDir);

impl Place {
    async fn start(&self) -> Result<World, String> {
        let path = self.0.path().join("scale.sqlite3");
        let location = Location::Sqlite { path, durability: Durability::ProcessCrash };
        World::start(Plan { location, ..Plan::in_memory(MODULES) }).await
    }
}

async fn client(world: &World, name: &str) -> Result<Client, String> {
    let name = Name::parse(name).ok_or("no name")?;
    let link = world.connect(Way::Memory(Framing::Tcp), &name.domain).await?;
    let mut client = Box::pin(Client::connect(name, link)).await?;
    client.sign_in().await?;
    client.bind().await?;
    client.send("<presence/>").await?;
    world.settle().await?;
    Ok(client)
}

/// Says something, and gives the rows that were read for it and how many elements came.
async fn cost(world: &World, client: &mut Client, xml: &str) -> Result<(u64, usize), String> {
    client.read_all().await?;
    client.inbox().clear();
    let before = world.hub().db().found();
    client.send(xml).await?;
    world.settle().await?;
    client.read_all().await?;
    let refused = client.inbox().iter().find(|node| node.attribute("type") == Some("error"));
    if let Some(refused) = refused {
        return Err(format!("{xml} is refused: {refused:?}"));
    }
    Ok((world.hub().db().found() - before, client.inbox().len()))
}

fn entry(nick: &str) -> String {
    let history = "<history maxstanzas='0'/>";
    let muc = "http://jabber.org/protocol/muc";
    format!("<presence to='{ROOM}/{nick}'><x xmlns='{muc}'>{history}</x></presence>")
}

fn set(to: &str, payload: &str) -> String {
    format!("<iq type='set' id='s1' to='{to}'>{payload}</iq>")
}

fn form(kind: &str, name: &str) -> String {
    format!(
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>{kind}\
         </value></field><field var='{name}'><value>1</value></field></x>"
    )
}

fn publish() -> String {
    let item = "<item id='one'><entry xmlns='http://www.w3.org/2005/Atom'/></item>";
    let publish = format!("<publish node='news'>{item}</publish>");
    set(SERVICE, &format!("<pubsub xmlns='{PUBSUB}'>{publish}</pubsub>"))
}

fn subscribe(whom: &str) -> String {
    let subscribe = format!("<subscribe node='news' jid='{whom}@localhost'/>");
    set(SERVICE, &format!("<pubsub xmlns='{PUBSUB}'>{subscribe}</pubsub>"))
}

fn create(node: &str) -> String {
    set(SERVICE, &format!("<pubsub xmlns='{PUBSUB}'><create node='{node}'/></pubsub>"))
}

/// A room that stays, and a node.
async fn prepare(world: &World) -> Outcome {
    for name in ["romeo", "juliet"] {
        world.add_account(&format!("{name}@localhost")).await?;
    }
    let mut romeo = client(world, "romeo").await?;
    cost(world, &mut romeo, &entry("romeo")).await?;
    let owner = "http://jabber.org/protocol/muc#owner";
    let kind = "http://jabber.org/protocol/muc#roomconfig";
    let form = form(kind, "muc#roomconfig_persistentroom");
    let query = format!("<query xmlns='{owner}'>{form}</query>");
    cost(world, &mut romeo, &set(ROOM, &query)).await?;
    cost(world, &mut romeo, &create("news")).await?;
    Ok(())
}

async fn write(world: &World, rows: Vec<Statement>) -> Outcome {
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let batch = rows.by_ref().take(BATCH).collect();
        world.hub().db().batch(batch).await.map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// More of everything.
async fn fill(world: &World) -> Outcome {
    let db = world.hub().db().clone();
    let failed = |error: waxwing_store::StoreError| error.to_string();
    let hall = Rooms::new(db.clone()).load(ROOM).await.map_err(failed)?.ok_or("no room")?.room;
    let news = Nodes::new(db).find(SERVICE, "news").await.map_err(failed)?.ok_or("no node")?;
    let room = |number| {
        let room = format!("room{number}@rooms.localhost");
        Rooms::put(&RoomRow { room, ..hall.clone() })
    };
    let node = |number: usize| {
        let (id, name) = (news.id - 1 - number as i64, format!("node{number}"));
        let creator = format!("maker{number}@localhost");
        Nodes::add(&Node { id, name, creator, ..news.clone() })
    };
    let subscription = |number| {
        let jid = format!("reader{number}@localhost");
        Subscriptions::put(&Subscription {
            node: news.id,
            owner: news.owner.clone(),
            bare: jid.clone(),
            jid,
            subid: format!("s{number}"),
            // Subscribed.
            state: 3,
            options: None,
            expires: None,
            made: 0,
        })
    };
    let member = |number| {
        let jid = format!("member{number}@localhost");
        Rooms::put_standing(ROOM, &StandingRow { jid, affiliation: 1, ..StandingRow::default() })
    };
    let rows = (0..MANY).flat_map(|number| [room(number), node(number), subscription(number)]);
    write(world, rows.chain((0..MEMBERS).map(member)).collect()).await
}

#[tokio::test]
async fn what_nobody_touches_costs_nothing() -> Outcome {
    let place = Place(TempDir::new().map_err(|error| error.to_string())?);
    let world = place.start().await?;
    prepare(&world).await?;
    world.stop().await?;

    let world = place.start().await?;
    world.settle().await?;
    let few = world.hub().db().found();
    fill(&world).await?;
    world.stop().await?;

    let world = place.start().await?;
    world.settle().await?;
    let many = world.hub().db().found();
    assert_eq!(many, few, "rows that are read at start, with much and with little stored");

    let mut romeo = client(&world, "romeo").await?;
    let mut juliet = client(&world, "juliet").await?;
    // Whoever comes first has the room read, with all its members.
    let (read, _) = cost(&world, &mut romeo, &entry("romeo")).await?;
    assert!((MEMBERS as u64..MEMBERS as u64 + FEW).contains(&read), "{read} rows for a room");
    let (read, came) = cost(&world, &mut juliet, &entry("juliet")).await?;
    assert!(read < FEW, "{read} rows for coming into a room that is there");
    assert!((3..6).contains(&came), "two occupants and a subject, and {came} elements came");

    let (read, _) = cost(&world, &mut juliet, &subscribe("juliet")).await?;
    assert!(read < FEW, "{read} rows for one more subscription");
    // All who are subscribed have to be asked for once.
    let (read, _) = cost(&world, &mut romeo, &publish()).await?;
    assert!(read < MANY as u64 + FEW, "{read} rows for the first item");
    juliet.read_all().await?;
    juliet.inbox().clear();
    let (read, _) = cost(&world, &mut romeo, &publish()).await?;
    assert!(read < FEW, "{read} rows for the next item");
    juliet.read_all().await?;
    let heard = juliet.inbox().iter().filter(|node| node.name == "message").count();
    assert_eq!(heard, 1, "the one subscriber who is online");

    let (read, _) = cost(&world, &mut romeo, &create("more")).await?;
    assert!(read < FEW, "{read} rows for one more node");
    world.stop().await
}
