//! Nothing that was acknowledged is lost, and nothing comes twice to who has it.

#[path = "promise/absent.rs"]
mod absent;
#[path = "promise/border.rs"]
mod border;
#[path = "promise/names.rs"]
mod names;

use waxwing_kernel::{Flow, Limits, Rate};
use waxwing_modules::MODULES;
use waxwing_store::domains::archive::{Archive, Selection, With};
use waxwing_store::{Durability, Location, Statement};
use waxwing_stream::Framing;
use waxwing_testkit::client::Client;
use waxwing_testkit::script::Name;
use waxwing_testkit::{Plan, Way, World};

type Outcome = Result<(), String>;

/// From then on no kept message can be removed.
const DISK_IS_FULL: &str = "CREATE TRIGGER disk_is_full BEFORE DELETE ON offline \
     BEGIN SELECT RAISE(ABORT, 'the disk is full'); END";
const DISK_HAS_ROOM: &str = "DROP TRIGGER disk_is_full";

/// With a bound on what waits for one socket that is soon reached.
async fn world() -> Result<World, String> {
    let limits = Limits { outbox_bytes: 2_000, ..Limits::default() };
    world_with(limits).await
}

async fn world_with(limits: Limits) -> Result<World, String> {
    let world = World::start(Plan { limits, ..Plan::in_memory(MODULES) }).await?;
    for account in ["romeo@localhost", "juliet@localhost"] {
        world.add_account(account).await?;
    }
    Ok(world)
}

/// A client that has signed in and sent nothing yet.
async fn bound(world: &World, name: &str) -> Result<Client, String> {
    let name = Name::parse(name).ok_or("no name")?;
    let link = world.connect(Way::Memory(Framing::Tcp), &name.domain).await?;
    let mut client = Box::pin(Client::connect(name, link)).await?;
    client.sign_in().await?;
    client.bind().await?;
    Ok(client)
}

/// A client that has signed in and bound its resource in one go (XEP-0386).
async fn bound_at_once(world: &World, name: &str) -> Result<Client, String> {
    let name = Name::parse(name).ok_or("no name")?;
    let link = world.connect(Way::Memory(Framing::Tcp), &name.domain).await?;
    let mut client = Box::pin(Client::connect(name, link)).await?;
    let (keys, bind) = ("AHJvbWVvAG8gYmxlc3NlZCBuaWdodA==", "<bind xmlns='urn:xmpp:bind:0'/>");
    let keys = format!("<initial-response>{keys}</initial-response>{bind}");
    let authenticate = "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'>";
    client.send(&format!("{authenticate}{keys}</authenticate>")).await?;
    while client.next().await?.ok_or("the stream ended")?.name != "success" {}
    Ok(client)
}

/// The same with stream management and resumption.
async fn managed(world: &World, name: &str) -> Result<Client, String> {
    let mut client = bound(world, name).await?;
    client.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>").await?;
    while client.next().await?.is_none_or(|node| node.name != "enabled") {}
    Ok(client)
}

async fn appear(world: &World, client: &mut Client) -> Outcome {
    client.send("<presence/>").await?;
    world.settle().await
}

/// Sends `count` messages to Romeo's account.
async fn pour(world: &World, from: &mut Client, count: usize, words: &str) -> Outcome {
    for number in 0..count {
        let body = format!("<body>{words}</body>");
        let message =
            format!("<message type='chat' to='romeo@localhost' id='m{number}'>{body}</message>");
        from.send(&message).await?;
        world.settle().await?;
    }
    Ok(())
}

/// The ids of the messages that have come, in order.
async fn messages(world: &World, client: &mut Client) -> Result<Vec<String>, String> {
    let mut ids = Vec::new();
    loop {
        world.settle().await?;
        client.read_all().await?;
        let inbox = std::mem::take(client.inbox());
        if inbox.is_empty() {
            return Ok(ids);
        }
        let messages = inbox.iter().filter(|node| node.name == "message");
        ids.extend(messages.map(|node| node.attribute("id").unwrap_or_default().to_owned()));
    }
}

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("m{number}")).collect()
}

#[tokio::test]
async fn what_was_never_flushed_is_kept_for_the_next_session() -> Outcome {
    let world = world().await?;
    let mut romeo = bound(&world, "romeo").await?;
    appear(&world, &mut romeo).await?;
    let mut juliet = managed(&world, "juliet").await?;
    pour(&world, &mut juliet, 300, &"It is the east. ".repeat(40)).await?;
    drop(romeo);
    world.settle().await?;
    let mut phone = bound(&world, "romeo/phone").await?;
    phone.send("<presence/>").await?;
    let ids = messages(&world, &mut phone).await?;
    // Those before were with Romeo's machine.
    assert!(ids.len() > 10, "{ids:?}");
    assert_eq!(ids, numbered(300)[300 - ids.len()..]);
    // Nothing stays behind that no session would ever get.
    let rows = waxwing_store::domains::offline::Offline::new(world.hub().db().clone());
    let held = rows.held("romeo@localhost").await.map_err(|error| error.to_string())?;
    assert_eq!(held.stanzas, 0);
    Ok(())
}

#[tokio::test]
async fn more_may_be_kept_than_a_client_may_leave_unacknowledged() -> Outcome {
    for (count, bytes) in [(25, 100_000), (12, 250_000)] {
        let world = world_with(Limits::default()).await?;
        let mut juliet = bound(&world, "juliet").await?;
        pour(&world, &mut juliet, count, &"x".repeat(bytes)).await?;
        let mut romeo = managed(&world, "romeo").await?;
        romeo.send("<presence/>").await?;
        // The clock stands still: the server asks for acknowledgements when it needs them.
        assert_eq!(messages(&world, &mut romeo).await?, numbered(count));
    }
    Ok(())
}

#[tokio::test]
async fn a_message_that_two_devices_got_is_not_sent_again_when_one_of_them_is_lost() -> Outcome {
    let world = world_with(Limits::default()).await?;
    let mut desk = managed(&world, "romeo").await?;
    appear(&world, &mut desk).await?;
    let mut phone = bound(&world, "romeo/phone").await?;
    appear(&world, &mut phone).await?;
    // Juliet is owed nothing: nothing is written down for her.
    let mut juliet = bound(&world, "juliet").await?;
    drop(desk);
    world.settle().await?;
    pour(&world, &mut juliet, 3, "Ay me").await?;
    assert_eq!(messages(&world, &mut phone).await?, numbered(3));
    world.hub().clock().advance(std::time::Duration::from_secs(700));
    // The phone answers what it is asked meanwhile.
    assert_eq!(messages(&world, &mut phone).await?, Vec::<String>::new());
    assert_eq!(world.hub().directory().everybody().len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_message_that_one_of_two_lost_devices_got_is_not_sent_to_the_other_again() -> Outcome {
    let world = world_with(Limits::default()).await?;
    let mut desk = managed(&world, "romeo").await?;
    appear(&world, &mut desk).await?;
    let mut phone = managed(&world, "romeo/phone").await?;
    appear(&world, &mut phone).await?;
    let mut juliet = managed(&world, "juliet").await?;
    drop(desk);
    world.settle().await?;
    pour(&world, &mut juliet, 3, "Ay me").await?;
    let before = messages(&world, &mut phone).await?;
    assert_eq!(before, numbered(3));
    for _ in 0..8 {
        world.hub().clock().advance(std::time::Duration::from_secs(100));
        assert_eq!(messages(&world, &mut phone).await?, Vec::<String>::new());
    }
    Ok(())
}

/// Whoever sends ten thousand messages at once waits for commits of many, not for ten thousand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_is_archived_and_acknowledged_by_group_commits() -> Outcome {
    const BURST: usize = 10_000;
    let free = Flow { per_second: 0, burst: 0 };
    let free = Rate { stanzas: free, bytes: free };
    let limits = Limits { session_rate: free, account_rate: free, ..Limits::default() };
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let path = folder.path().join("waxwing.db");
    let location = Location::Sqlite { path, durability: Durability::PowerLoss };
    let world = World::start(Plan { limits, location, ..Plan::in_memory(MODULES) }).await?;
    for account in ["romeo@localhost", "juliet@localhost"] {
        world.add_account(account).await?;
    }
    let mut romeo = bound(&world, "romeo").await?;
    appear(&world, &mut romeo).await?;
    let mut juliet = managed(&world, "juliet").await?;
    let db = world.hub().db().clone();
    let message = |number: usize| {
        let head = format!("<message type='chat' to='romeo@localhost' id='m{number}'>");
        format!("{head}<body>Ay me</body></message>")
    };
    let before = db.commits();
    for first in (0..BURST).step_by(250) {
        for number in first..first + 250 {
            juliet.send(&message(number)).await?;
        }
        // Who does not read is let go: Romeo keeps up.
        while romeo.inbox().len() + 300 < first {
            romeo.read_all().await?;
            tokio::task::yield_now().await;
        }
        juliet.read_all().await?;
    }
    assert_eq!(messages(&world, &mut romeo).await?, numbered(BURST));
    juliet.send("<r xmlns='urn:xmpp:sm:3'/>").await?;
    world.settle().await?;
    juliet.read_all().await?;
    assert_eq!(juliet.unacknowledged(), 0);
    let commits = db.commits() - before;
    // One by one, each takes one to be kept and one to be forgotten. How many they are in groups is
    // for the disk to say: a fifteenth of that on one that takes a millisecond.
    assert!(commits < BURST as u64, "{commits} commits for {BURST} messages");
    let all =
        Selection { owner: "juliet@localhost", above: 0, below: i64::MAX, with: With::Anybody };
    let kept = Archive::new(db).count(&all, 2 * BURST as u32).await;
    assert_eq!(kept.map_err(|error| error.to_string())?, BURST as u64);
    Ok(())
}

#[tokio::test]
async fn what_a_component_did_not_take_goes_back_to_its_senders() -> Outcome {
    let settings = "component = [{ domain = 'irc.localhost', secret = 'o blessed night' }]";
    let limits = Limits { outbox_bytes: 2_000, ..Limits::default() };
    let plan = Plan { limits, settings: settings.to_owned(), ..Plan::in_memory(MODULES) };
    let world = World::start(plan).await?;
    world.add_account("juliet@localhost").await?;
    let link = world.connect_component(Way::Memory(Framing::Tcp)).await?;
    let name = Name::parse("irc.localhost").ok_or("no name")?;
    let mut irc = Box::pin(Client::component(name, link)).await?;
    world.settle().await?;
    let mut juliet = bound(&world, "juliet").await?;
    // Four of them fill the pipe; one is written and waits for room, and the others behind it.
    let words = "x".repeat(20_000);
    for number in 0..8 {
        let head = format!("<message to='bot@irc.localhost' id='m{number}'>");
        juliet.send(&format!("{head}<body>{words}</body></message>")).await?;
        world.settle().await?;
    }
    assert_eq!(messages(&world, &mut juliet).await?, numbered(0));
    irc.cut();
    assert_eq!(messages(&world, &mut juliet).await?, numbered(8)[4..]);
    Ok(())
}

#[tokio::test]
async fn what_is_archived_is_cleared_in_a_few_errands() -> Outcome {
    let mut errands = Vec::new();
    for count in [1, 90] {
        let world = world_with(Limits::default()).await?;
        let mut juliet = bound(&world, "juliet").await?;
        pour(&world, &mut juliet, count, "Ay me").await?;
        let before = world.hub().db().asked();
        let mut romeo = bound_at_once(&world, "romeo").await?;
        errands.push(world.hub().db().asked() - before);
        appear(&world, &mut romeo).await?;
        assert_eq!(messages(&world, &mut romeo).await?, numbered(0));
    }
    assert!(errands[1] < errands[0] + 10, "{errands:?}");
    Ok(())
}

#[tokio::test]
async fn what_could_not_be_cleared_comes_with_presence() -> Outcome {
    let world = world_with(Limits::default()).await?;
    let mut juliet = bound(&world, "juliet").await?;
    pour(&world, &mut juliet, 3, "Ay me").await?;
    let order = async |sql| {
        let done = world.hub().db().batch(vec![Statement::new(sql)]).await;
        done.map(drop).map_err(|error| error.to_string())
    };
    order(DISK_IS_FULL).await?;
    let mut romeo = bound_at_once(&world, "romeo").await?;
    order(DISK_HAS_ROOM).await?;
    appear(&world, &mut romeo).await?;
    assert_eq!(messages(&world, &mut romeo).await?, numbered(3));
    Ok(())
}
