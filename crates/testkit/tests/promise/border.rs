//! The same across the border: to people whose account is on another server.

use std::time::Duration;

use waxwing_kernel::{Limits, PeerLimits};
use waxwing_modules::MODULES;
use waxwing_store::domains::outgoing::Outgoing;
use waxwing_store::{Durability, Location};
use waxwing_testkit::client::Client;
use waxwing_testkit::node::Node;
use waxwing_testkit::roads::Roads;
use waxwing_testkit::{Plan, World};

use super::{Outcome, appear, bound, managed, messages, numbered};

pub(super) const HERE: &str = "localhost";
pub(super) const THERE: &str = "capulet.example";
const ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";

/// This server and that of the Capulets.
pub(super) struct Two {
    pub(super) here: World,
    pub(super) there: World,
    pub(super) roads: Roads,
}

pub(super) async fn two(limits: PeerLimits) -> Result<Two, String> {
    two_at(Location::Memory, limits).await
}

pub(super) async fn two_at(location: Location, peers: PeerLimits) -> Result<Two, String> {
    let roads = Roads::default();
    let plan = plan(&roads, location, peers);
    let settings = "modules.strangers.messages = 1000".to_owned();
    let there = World::start(Plan { settings, ..plan.elsewhere(THERE) }).await?;
    let here = World::start(plan).await?;
    here.add_account("romeo@localhost").await?;
    there.add_account("juliet@capulet.example").await?;
    Ok(Two { here, there, roads })
}

pub(super) fn plan(roads: &Roads, location: Location, peers: PeerLimits) -> Plan {
    let limits = Limits { peers, ..Limits::default() };
    Plan { limits, location, roads: Some(roads.clone()), ..Plan::in_memory(MODULES) }
}

impl Two {
    /// Juliet, who is online.
    pub(super) async fn juliet(&self) -> Result<Client, String> {
        let mut juliet = bound(&self.there, "juliet@capulet.example").await?;
        appear(&self.there, &mut juliet).await?;
        juliet.inbox().clear();
        Ok(juliet)
    }

    /// How many messages are written down that are on their way.
    pub(super) async fn rows(&self) -> Result<usize, String> {
        rows(&self.here).await
    }

    /// This server ends as it does when it is told to.
    pub(super) async fn drain(&self) -> Outcome {
        let time = async {
            for _ in 0..60 {
                self.here.hub().clock().advance(Duration::from_millis(200));
                self.here.settle().await?;
            }
            Ok(())
        };
        tokio::join!(time, self.here.hub().drain(Duration::from_secs(10), None)).0
    }

    /// The clocks of both move on.
    pub(super) async fn pass(&self, seconds: u64) -> Outcome {
        self.here.hub().clock().advance(Duration::from_secs(seconds));
        self.here.settle().await
    }
}

pub(super) async fn rows(world: &World) -> Result<usize, String> {
    let rows = Outgoing::new(world.hub().db().clone());
    let all = rows.page((HERE, THERE), (0, i64::MAX), 100_000).await;
    all.map(|all| all.len()).map_err(|error| error.to_string())
}

pub(super) async fn say(
    world: &World,
    from: &mut Client,
    numbers: std::ops::Range<usize>,
) -> Outcome {
    for number in numbers {
        let to = "juliet@capulet.example";
        let body = "<body>But, soft!</body>";
        let message = format!("<message type='chat' to='{to}' id='m{number}'>{body}</message>");
        from.send(&message).await?;
        world.settle().await?;
    }
    Ok(())
}

/// Everything that has come.
async fn read(world: &World, client: &mut Client) -> Result<Vec<Node>, String> {
    world.settle().await?;
    client.read_all().await?;
    Ok(std::mem::take(client.inbox()).into())
}

/// The ids of the errors that have come, each with its condition.
pub(super) async fn errors(
    world: &World,
    client: &mut Client,
) -> Result<Vec<(String, String)>, String> {
    let of = |node: &Node| {
        let error = node.children.iter().find(|child| child.name == "error")?;
        let condition = error.children.iter().find(|child| child.namespace == ERRORS)?;
        Some((node.attribute("id").unwrap_or_default().to_owned(), condition.name.clone()))
    };
    Ok(read(world, client).await?.iter().filter_map(of).collect())
}

/// A message is a row until the other server has it, and no longer.
#[tokio::test]
async fn what_is_promised_is_written_down_until_the_other_server_has_it() -> Outcome {
    let two = two(PeerLimits::default()).await?;
    let mut juliet = two.juliet().await?;
    let mut romeo = managed(&two.here, "romeo").await?;
    two.roads.silence(HERE, THERE);
    say(&two.here, &mut romeo, 0..3).await?;
    assert_eq!(two.rows().await?, 3);
    two.roads.restore(HERE, THERE);
    assert_eq!(messages(&two.there, &mut juliet).await?, numbered(3));
    // Juliet's server says so when it is asked.
    two.pass(30).await?;
    assert_eq!(two.rows().await?, 0);
    // What is owed to nobody costs no row.
    let mut phone = bound(&two.here, "romeo/phone").await?;
    two.roads.silence(HERE, THERE);
    say(&two.here, &mut phone, 3..4).await?;
    assert_eq!(two.rows().await?, 0);
    Ok(())
}

#[tokio::test]
async fn what_was_on_its_way_when_the_server_ended_goes_on_after_it_begins() -> Outcome {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let path = folder.path().join("waxwing.db");
    let location = Location::Sqlite { path, durability: Durability::ProcessCrash };
    let two = two_at(location.clone(), PeerLimits::default()).await?;
    let mut juliet = two.juliet().await?;
    let mut romeo = managed(&two.here, "romeo").await?;
    two.roads.silence(HERE, THERE);
    // More than are read at a time.
    say(&two.here, &mut romeo, 0..250).await?;
    two.drain().await?;
    assert_eq!(two.rows().await?, 250);
    let Two { here, there, roads } = two;
    let clock = here.hub().clock().clone();
    drop(romeo);
    here.stop().await?;
    roads.restore(HERE, THERE);
    let plan = Plan { clock, ..plan(&roads, location, PeerLimits::default()) };
    let here = World::start(plan).await?;
    roads.restore(HERE, THERE);
    let mut came = Vec::new();
    for _ in 0..20 {
        here.hub().clock().advance(Duration::from_secs(20));
        here.settle().await?;
        came.extend(messages(&there, &mut juliet).await?);
    }
    assert_eq!(came, numbered(250));
    assert_eq!(rows(&here).await?, 0);
    Ok(())
}

#[tokio::test]
async fn what_a_broken_link_had_is_sent_again() -> Outcome {
    let two = two(PeerLimits::default()).await?;
    let mut juliet = two.juliet().await?;
    let mut romeo = managed(&two.here, "romeo").await?;
    say(&two.here, &mut romeo, 0..1).await?;
    assert_eq!(messages(&two.there, &mut juliet).await?, numbered(1));
    two.pass(30).await?;
    two.roads.silence(HERE, THERE);
    say(&two.here, &mut romeo, 1..5).await?;
    two.roads.break_off(HERE, THERE);
    two.here.settle().await?;
    say(&two.here, &mut romeo, 5..6).await?;
    two.roads.restore(HERE, THERE);
    assert_eq!(messages(&two.there, &mut juliet).await?, numbered(6)[1..]);
    assert_eq!(errors(&two.here, &mut romeo).await?, []);
    two.pass(30).await?;
    assert_eq!(two.rows().await?, 0);
    Ok(())
}

/// A bad connection is no reason to give up, and neither is one that is bad again at once.
#[tokio::test]
async fn what_breaks_twice_at_once_is_given_time() -> Outcome {
    let two = two(PeerLimits::default()).await?;
    let mut juliet = two.juliet().await?;
    let mut romeo = managed(&two.here, "romeo").await?;
    say(&two.here, &mut romeo, 0..1).await?;
    assert_eq!(messages(&two.there, &mut juliet).await?, numbered(1));
    two.pass(30).await?;
    two.roads.silence(HERE, THERE);
    say(&two.here, &mut romeo, 1..2).await?;
    for _ in 0..3 {
        two.roads.restore(HERE, THERE);
        two.roads.break_off(HERE, THERE);
        two.here.settle().await?;
        two.roads.break_off(HERE, THERE);
        two.here.settle().await?;
    }
    two.pass(10).await?;
    assert_eq!(messages(&two.there, &mut juliet).await?, ["m1"]);
    assert_eq!(errors(&two.here, &mut romeo).await?, []);
    two.pass(30).await?;
    assert_eq!(two.rows().await?, 0);
    Ok(())
}

/// A request may have been done, or not: who asked has to look.
#[tokio::test]
async fn a_request_that_a_broken_link_had_is_answered_with_a_timeout() -> Outcome {
    let two = two(PeerLimits::default()).await?;
    let _juliet = two.juliet().await?;
    let mut romeo = bound(&two.here, "romeo").await?;
    say(&two.here, &mut romeo, 0..1).await?;
    two.roads.silence(HERE, THERE);
    romeo
        .send("<iq type='get' id='q' to='capulet.example'><ping xmlns='urn:xmpp:ping'/></iq>")
        .await?;
    two.here.settle().await?;
    assert_eq!(errors(&two.here, &mut romeo).await?, []);
    two.roads.break_off(HERE, THERE);
    let told = [("q".to_owned(), "remote-server-timeout".to_owned())];
    assert_eq!(errors(&two.here, &mut romeo).await?, told);
    Ok(())
}

#[tokio::test]
async fn who_cannot_be_reached_is_left_alone_for_a_while_and_everybody_is_told_at_once() -> Outcome
{
    let two = two(PeerLimits::default()).await?;
    let mut juliet = two.juliet().await?;
    let mut romeo = managed(&two.here, "romeo").await?;
    let told = |id: &str| [(id.to_owned(), "remote-server-timeout".to_owned())];
    two.roads.cut(HERE, THERE);
    say(&two.here, &mut romeo, 0..1).await?;
    assert_eq!(errors(&two.here, &mut romeo).await?, told("m0"));
    assert_eq!(two.rows().await?, 0);
    let dialled = two.roads.moved();
    say(&two.here, &mut romeo, 1..2).await?;
    assert_eq!(errors(&two.here, &mut romeo).await?, told("m1"));
    assert_eq!(two.roads.moved(), dialled, "nobody was called");
    two.roads.restore(HERE, THERE);
    say(&two.here, &mut romeo, 2..3).await?;
    assert_eq!(errors(&two.here, &mut romeo).await?, told("m2"), "it is too early");
    two.pass(13).await?;
    say(&two.here, &mut romeo, 3..4).await?;
    assert_eq!(messages(&two.there, &mut juliet).await?, ["m3"]);
    Ok(())
}

/// Nobody waits for a server that says nothing, and what waits for it has an end.
#[tokio::test]
async fn a_silent_server_holds_up_nobody_and_its_queue_has_an_end() -> Outcome {
    let two = two(PeerLimits { queue: 3, ..PeerLimits::default() }).await?;
    let plan = plan(&two.roads, Location::Memory, PeerLimits::default());
    let third = Plan { clock: two.here.hub().clock().clone(), ..plan.elsewhere("mantua.example") };
    let third = World::start(third).await?;
    third.add_account("friar@mantua.example").await?;
    let mut friar = bound(&third, "friar@mantua.example").await?;
    appear(&third, &mut friar).await?;
    friar.inbox().clear();
    let mut romeo = managed(&two.here, "romeo").await?;
    two.roads.silence(HERE, THERE);
    say(&two.here, &mut romeo, 0..4).await?;
    let full = [("m3".to_owned(), "resource-constraint".to_owned())];
    assert_eq!(errors(&two.here, &mut romeo).await?, full);
    assert_eq!(two.rows().await?, 3);
    romeo
        .send("<message type='chat' to='friar@mantua.example' id='f'><body>?</body></message>")
        .await?;
    two.here.settle().await?;
    assert_eq!(messages(&third, &mut friar).await?, ["f"]);
    two.pass(61).await?;
    let timeout = "remote-server-timeout".to_owned();
    let told: Vec<_> = numbered(3).into_iter().map(|id| (id, timeout.clone())).collect();
    assert_eq!(errors(&two.here, &mut romeo).await?, told);
    assert_eq!(two.rows().await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_link_of_no_use_ends_and_begins_again_when_it_is_of_use() -> Outcome {
    let two = two(PeerLimits::default()).await?;
    let mut juliet = two.juliet().await?;
    let mut romeo = bound(&two.here, "romeo").await?;
    say(&two.here, &mut romeo, 0..1).await?;
    assert!(two.roads.count(HERE, THERE) > 0);
    let mut came = Vec::new();
    for _ in 0..150 {
        two.pass(10).await?;
        came.extend(messages(&two.there, &mut juliet).await?);
        romeo.read_all().await?;
    }
    assert_eq!(two.roads.count(HERE, THERE), 0);
    assert_eq!(two.here.hub().links().list(), []);
    say(&two.here, &mut romeo, 1..2).await?;
    came.extend(messages(&two.there, &mut juliet).await?);
    assert_eq!(came, numbered(2));
    Ok(())
}

#[tokio::test]
async fn who_is_blocked_is_let_go_and_what_waits_goes_back() -> Outcome {
    let two = two(PeerLimits::default()).await?;
    let mut juliet = two.juliet().await?;
    let mut romeo = managed(&two.here, "romeo").await?;
    say(&two.here, &mut romeo, 0..1).await?;
    juliet
        .send("<message type='chat' to='romeo@localhost' id='j'><body>?</body></message>")
        .await?;
    two.there.settle().await?;
    assert_eq!(messages(&two.there, &mut juliet).await?, ["m0"]);
    two.pass(30).await?;
    let order = Some(waxwing_kernel::links::policy::Order::Block);
    two.here.hub().policy().order(THERE, order);
    two.here.hub().enforce_policy();
    two.here.settle().await?;
    two.pass(6).await?;
    assert_eq!(two.roads.count(HERE, THERE), 0);
    say(&two.here, &mut romeo, 1..2).await?;
    let told = [("m1".to_owned(), "not-allowed".to_owned())];
    assert_eq!(errors(&two.here, &mut romeo).await?, told);
    // Nor does anything come from there.
    juliet
        .send("<message type='chat' to='romeo@localhost' id='k'><body>?</body></message>")
        .await?;
    two.there.settle().await?;
    let told = errors(&two.there, &mut juliet).await?;
    assert_eq!(told, [("k".to_owned(), "remote-server-timeout".to_owned())]);
    Ok(())
}

/// Streams end properly when the server does, and what could not be sent stays.
#[tokio::test]
async fn at_the_end_of_the_server_what_can_be_sent_is_and_the_rest_stays() -> Outcome {
    let two = two(PeerLimits::default()).await?;
    let mut juliet = two.juliet().await?;
    let mut romeo = managed(&two.here, "romeo").await?;
    say(&two.here, &mut romeo, 0..1).await?;
    two.drain().await?;
    assert_eq!(messages(&two.there, &mut juliet).await?, numbered(1));
    assert_eq!(two.roads.count(HERE, THERE), 0);
    assert_eq!(two.rows().await?, 0);
    Ok(())
}

/// XEP-0288 §2.2: what the other side may send on the stream that it was called on, it does.
#[tokio::test]
async fn an_answer_comes_on_the_stream_of_the_question() -> Outcome {
    let two = two(PeerLimits::default()).await?;
    let mut juliet = two.juliet().await?;
    let mut romeo = bound(&two.here, "romeo").await?;
    say(&two.here, &mut romeo, 0..1).await?;
    assert_eq!(messages(&two.there, &mut juliet).await?, numbered(1));
    assert_eq!(two.roads.count(HERE, THERE), 1);
    let to = "romeo@localhost/desk";
    let message = format!("<message type='chat' to='{to}' id='j'><body>Ay me!</body></message>");
    juliet.send(&message).await?;
    two.there.settle().await?;
    assert_eq!(messages(&two.here, &mut romeo).await?, ["j"]);
    assert_eq!(two.roads.count(HERE, THERE), 1, "nobody was called for it");
    // When that stream ends, what comes next finds a way of its own.
    two.pass(30).await?;
    two.roads.break_off(HERE, THERE);
    juliet.send(&message.replace("id='j'", "id='k'")).await?;
    two.there.settle().await?;
    assert_eq!(messages(&two.here, &mut romeo).await?, ["k"]);
    Ok(())
}

/// Both call at the same time: both streams stay, and nothing comes twice or not at all.
#[tokio::test]
async fn both_sides_may_call_at_once() -> Outcome {
    let two = two(PeerLimits::default()).await?;
    let mut juliet = two.juliet().await?;
    let mut romeo = bound(&two.here, "romeo").await?;
    two.roads.delay(HERE, THERE, &[Duration::from_millis(50), Duration::from_millis(20)]);
    for round in 0..2 {
        let to = "romeo@localhost/desk";
        let back = format!("<message type='chat' to='{to}' id='j{round}'><body>!</body></message>");
        say(&two.here, &mut romeo, round..round + 1).await?;
        juliet.send(&back).await?;
        let (mut hers, mut his) = (Vec::new(), Vec::new());
        for _ in 0..100 {
            two.here.hub().clock().advance(Duration::from_millis(10));
            hers.extend(messages(&two.there, &mut juliet).await?);
            his.extend(messages(&two.here, &mut romeo).await?);
        }
        assert_eq!((hers, his), (vec![format!("m{round}")], vec![format!("j{round}")]));
    }
    Ok(())
}
