//! What was promised to somebody who is not there any more, and other servers that are not there
//! yet.

use std::time::Duration;

use waxwing_kernel::config::sections::{FederationConfig, Trust};
use waxwing_kernel::links::policy::Rules;
use waxwing_kernel::{PeerLimits, Sites};
use waxwing_store::{Durability, Location};
use waxwing_testkit::client::Client;
use waxwing_testkit::roads::Papers;
use waxwing_testkit::{Plan, World};

use super::border::{HERE, THERE, Two, errors, plan, rows, say, two, two_at};
use super::{Outcome, bound, managed, messages, numbered};

/// Time passes in steps; what has come to Juliet by then.
async fn wait(two: &Two, juliet: &mut Client, steps: usize) -> Result<Vec<String>, String> {
    let mut came = Vec::new();
    for _ in 0..steps {
        two.pass(10).await?;
        came.extend(messages(&two.there, juliet).await?);
    }
    Ok(came)
}

/// A machine that begins before its network does: nobody is there who could be told that what was
/// acknowledged in the last run does not arrive.
#[tokio::test]
async fn what_was_promised_survives_a_start_without_a_network() -> Outcome {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let path = folder.path().join("waxwing.db");
    let location = Location::Sqlite { path, durability: Durability::ProcessCrash };
    let two = two_at(location.clone(), PeerLimits::default()).await?;
    let mut juliet = two.juliet().await?;
    let mut romeo = managed(&two.here, "romeo").await?;
    two.roads.silence(HERE, THERE);
    // More than are read at a time.
    say(&two.here, &mut romeo, 0..150).await?;
    two.drain().await?;
    let Two { here, there, roads } = two;
    let clock = here.hub().clock().clone();
    drop(romeo);
    here.stop().await?;
    roads.restore(HERE, THERE);
    roads.cut(HERE, THERE);
    let plan = Plan { clock, ..plan(&roads, location, PeerLimits::default()) };
    let two = Two { here: World::start(plan).await?, there, roads };
    two.here.settle().await?;
    assert_eq!(wait(&two, &mut juliet, 3).await?, [""; 0]);
    assert_eq!(rows(&two.here).await?, 150);
    two.roads.restore(HERE, THERE);
    // Who comes first when it may be tried again takes along what waits.
    two.here.hub().forgive(THERE);
    let mut romeo = managed(&two.here, "romeo").await?;
    say(&two.here, &mut romeo, 150..152).await?;
    let mut came = messages(&two.there, &mut juliet).await?;
    came.extend(wait(&two, &mut juliet, 12).await?);
    assert_eq!(came, numbered(152));
    assert_eq!(rows(&two.here).await?, 0);
    assert_eq!(errors(&two.here, &mut romeo).await?, []);
    Ok(())
}

/// Somebody writes and puts the phone away. Whoever looks at it later finds neither an error nor a
/// message that is lost.
#[tokio::test]
async fn what_a_phone_that_sleeps_has_said_is_tried_again() -> Outcome {
    let two = two(PeerLimits::default()).await?;
    let mut juliet = two.juliet().await?;
    let mut romeo = managed(&two.here, "romeo").await?;
    two.roads.silence(HERE, THERE);
    say(&two.here, &mut romeo, 0..2).await?;
    drop(romeo);
    assert_eq!(wait(&two, &mut juliet, 10).await?, [""; 0]);
    assert_eq!(rows(&two.here).await?, 2);
    two.roads.restore(HERE, THERE);
    assert_eq!(wait(&two, &mut juliet, 12).await?, numbered(2));
    assert_eq!(rows(&two.here).await?, 0);
    Ok(())
}

/// It has an end: after two days nobody tries any more.
#[tokio::test]
async fn what_nobody_takes_is_not_tried_for_ever() -> Outcome {
    let two = two(PeerLimits::default()).await?;
    let mut romeo = managed(&two.here, "romeo").await?;
    two.roads.silence(HERE, THERE);
    say(&two.here, &mut romeo, 0..1).await?;
    drop(romeo);
    for _ in 0..5 {
        two.pass(61).await?;
    }
    assert_eq!(rows(&two.here).await?, 1);
    for _ in 0..5 {
        two.pass(12 * 3600).await?;
        two.pass(61).await?;
    }
    assert_eq!(rows(&two.here).await?, 0);
    Ok(())
}

/// RFC 6120 §10.1. The stream was the other server's, and took our stanzas as well (XEP-0288).
#[tokio::test]
async fn what_was_said_on_a_stream_that_broke_comes_before_what_is_said_next() -> Outcome {
    let two = two(PeerLimits::default()).await?;
    let mut juliet = two.juliet().await?;
    let mut romeo = bound(&two.here, "romeo").await?;
    say(&two.here, &mut romeo, 0..1).await?;
    assert_eq!(messages(&two.there, &mut juliet).await?, ["m0"]);
    two.pass(30).await?;
    let to = "romeo@localhost/desk";
    let message = |number: usize| {
        format!("<message type='chat' to='{to}' id='m{number}'><body>Ay me!</body></message>")
    };
    two.roads.silence(HERE, THERE);
    for number in 0..200 {
        juliet.send(&message(number)).await?;
    }
    two.there.settle().await?;
    two.roads.break_off(HERE, THERE);
    for number in 200..220 {
        juliet.send(&message(number)).await?;
    }
    two.roads.restore(HERE, THERE);
    let mut came = messages(&two.here, &mut romeo).await?;
    for _ in 0..12 {
        two.pass(10).await?;
        came.extend(messages(&two.here, &mut romeo).await?);
    }
    assert_eq!(came, numbered(220));
    Ok(())
}

/// What is on its way to a domain that becomes ours does not go round in circles.
#[tokio::test]
async fn what_waits_for_a_domain_that_becomes_ours_is_ours_to_answer() -> Outcome {
    let two = two(PeerLimits::default()).await?;
    let mut romeo = managed(&two.here, "romeo").await?;
    two.roads.silence(HERE, THERE);
    say(&two.here, &mut romeo, 0..1).await?;
    assert_eq!(rows(&two.here).await?, 1);
    two.here.hub().declare_components(vec![super::names::component(THERE)?]);
    two.here.settle().await?;
    two.here.hub().clock().advance(Duration::from_secs(6));
    two.here.settle().await?;
    assert_eq!(rows(&two.here).await?, 0);
    let told = errors(&two.here, &mut romeo).await?;
    let told: Vec<_> = told.iter().map(|(id, condition)| (&**id, &**condition)).collect();
    assert_eq!(told, [("m0", "remote-server-timeout")]);
    Ok(())
}

/// RFC 6120 §4.9.3.5: with a domain that is served no more go its streams, whoever opened them.
#[tokio::test]
async fn streams_of_a_domain_that_is_served_no_more_end() -> Outcome {
    let two = two(PeerLimits::default()).await?;
    two.here.add_account("friar@verona.example").await?;
    let mut juliet = two.juliet().await?;
    let mut friar = bound(&two.here, "friar@verona.example").await?;
    let message =
        "<message type='chat' to='friar@verona.example/desk' id='m0'><body>?</body></message>";
    juliet.send(message).await?;
    two.there.settle().await?;
    assert_eq!(messages(&two.here, &mut friar).await?, ["m0"]);
    let hub = two.here.hub();
    let left = hub.sites().iter().filter(|site| site.domain() == HERE).cloned().collect();
    hub.serve(Sites::new(left));
    two.pass(6).await?;
    assert_eq!(two.roads.count(HERE, THERE), 0);
    juliet.send(&message.replace("m0", "m1")).await?;
    two.there.settle().await?;
    let told = errors(&two.there, &mut juliet).await?;
    assert_eq!(told, [("m1".to_owned(), "remote-server-timeout".to_owned())]);
    Ok(())
}

/// What proved a domain must be enough for as long as its stream is used.
#[tokio::test]
async fn a_stream_whose_proof_is_not_enough_any_more_ends() -> Outcome {
    let two = two(PeerLimits::default()).await?;
    two.roads.show(THERE, Papers::Expired);
    let mut juliet = two.juliet().await?;
    let mut romeo = bound(&two.here, "romeo").await?;
    let to = "romeo@localhost/desk";
    let message = format!("<message type='chat' to='{to}' id='m0'><body>?</body></message>");
    juliet.send(&message).await?;
    two.there.settle().await?;
    assert_eq!(messages(&two.here, &mut romeo).await?, ["m0"]);
    let strict = FederationConfig { trust: Trust::Certificate, ..FederationConfig::default() };
    two.here.hub().policy().set(Rules::new(&strict, &[], true));
    two.here.hub().enforce_policy();
    juliet.send(&message.replace("m0", "m1")).await?;
    two.there.settle().await?;
    two.pass(6).await?;
    assert_eq!(two.roads.count(HERE, THERE), 0);
    assert_eq!(messages(&two.here, &mut romeo).await?, [""; 0]);
    Ok(())
}
