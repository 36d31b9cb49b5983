//! A client that never reads must cost the server little, slow nobody down, and lose nothing.

use std::time::Duration;

use waxwing_kernel::Limits;
use waxwing_modules::MODULES;
use waxwing_stream::Framing;
use waxwing_testkit::client::Client;
use waxwing_testkit::script::Name;
use waxwing_testkit::{Plan, Way, World};

type Outcome = Result<(), String>;

/// Much smaller than usual, so that little is much.
async fn world() -> Result<World, String> {
    let limits = Limits { mailbox_stanzas: 20, outbox_bytes: 2_000, ..Limits::default() };
    let world = World::start(Plan { limits, ..Plan::in_memory(MODULES) }).await?;
    for account in ["romeo@localhost", "juliet@localhost"] {
        world.add_account(account).await?;
    }
    Ok(world)
}

async fn client(world: &World, name: &str, framing: Framing) -> Result<Client, String> {
    let name = Name::parse(name).ok_or("no name")?;
    let link = world.connect(Way::Memory(framing), &name.domain).await?;
    let mut client = Box::pin(Client::connect(name, link)).await?;
    client.sign_in().await?;
    client.bind().await?;
    Ok(client)
}

/// A client that is there, can resume, and reads nothing from now on.
async fn silent(world: &World, name: &str, framing: Framing) -> Result<Client, String> {
    let mut client = client(world, name, framing).await?;
    client.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>").await?;
    while client.next().await?.is_none_or(|node| node.name != "enabled") {}
    client.send("<presence/>").await?;
    world.settle().await?;
    Ok(client)
}

/// Sends `count` messages of about 700 bytes, and makes sure that nobody keeps the sender waiting
/// or sends anything back.
async fn pour(world: &World, from: &mut Client, count: usize) -> Outcome {
    let words = "It is my lady; O, it is my love! ".repeat(20);
    for number in 0..count {
        let body = format!("<body>{words}</body>");
        let message =
            format!("<message type='chat' to='romeo@localhost' id='m{number}'>{body}</message>");
        from.send(&message).await?;
        world.settle().await?;
    }
    from.send("<iq type='get' id='p1' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>").await?;
    let answer = from.next().await?.ok_or("the stream ended")?;
    assert_eq!(answer.attribute("id"), Some("p1"), "{answer}");
    Ok(())
}

/// The ids of all messages that come; there are `count` at least.
async fn read(world: &World, client: &mut Client, count: usize) -> Result<Vec<String>, String> {
    let mut ids = Vec::new();
    loop {
        while let Some(node) = client.inbox().pop_front() {
            if node.name == "message" {
                ids.push(node.attribute("id").unwrap_or_default().to_owned());
            }
        }
        world.settle().await?;
        client.read_all().await?;
        if client.inbox().is_empty() {
            if ids.len() >= count {
                return Ok(ids);
            }
            let node = client.next().await?.ok_or("the stream ended")?;
            client.inbox().push_front(node);
        }
    }
}

/// All messages come: in order, once.
async fn expect_all(world: &World, client: &mut Client, count: usize) -> Outcome {
    let ids = read(world, client, count).await?;
    for (number, id) in ids.iter().enumerate() {
        assert_eq!(*id, format!("m{number}"), "in this place");
    }
    assert_eq!(ids.len(), count);
    Ok(())
}

async fn nothing_is_lost(framing: Framing) -> Outcome {
    let world = world().await?;
    let _silent = silent(&world, "romeo", framing).await?;
    let mut juliet = client(&world, "juliet", framing).await?;
    pour(&world, &mut juliet, 300).await?;
    let mut phone = client(&world, "romeo/phone", framing).await?;
    phone.send("<presence/>").await?;
    expect_all(&world, &mut phone, 300).await
}

#[tokio::test]
async fn nothing_is_lost_over_tcp() -> Outcome {
    Box::pin(nothing_is_lost(Framing::Tcp)).await
}

#[tokio::test]
async fn nothing_is_lost_over_websocket() -> Outcome {
    Box::pin(nothing_is_lost(Framing::WebSocket)).await
}

#[tokio::test]
async fn two_that_never_read_do_not_pass_stanzas_back_and_forth() -> Outcome {
    let world = world().await?;
    let _desk = silent(&world, "romeo", Framing::Tcp).await?;
    let _watch = silent(&world, "romeo/watch", Framing::WebSocket).await?;
    let mut juliet = client(&world, "juliet", Framing::Tcp).await?;
    pour(&world, &mut juliet, 300).await?;
    assert_eq!(world.hub().sessions(), 1, "only Juliet's is left");
    let mut phone = client(&world, "romeo/phone", Framing::Tcp).await?;
    phone.send("<presence/>").await?;
    let ids = read(&world, &mut phone, 300).await?;
    for number in 0..300 {
        let id = format!("m{number}");
        assert!(ids.contains(&id), "{id} is lost");
    }
    Ok(())
}

#[tokio::test]
async fn a_stalled_connection_is_resumed_from_elsewhere() -> Outcome {
    let world = world().await?;
    let mut romeo = silent(&world, "romeo", Framing::Tcp).await?;
    let mut juliet = client(&world, "juliet", Framing::Tcp).await?;
    pour(&world, &mut juliet, 100).await?;
    let link = world.connect(Way::Memory(Framing::WebSocket), "localhost").await?;
    romeo.resume(link).await?;
    expect_all(&world, &mut romeo, 100).await
}

#[tokio::test]
async fn a_client_that_never_reads_is_sent_away_in_time() -> Outcome {
    let world = world().await?;
    let _silent = silent(&world, "romeo", Framing::Tcp).await?;
    assert_eq!(world.hub().sessions(), 1);
    // Idle, then no answer to the ping, then the time to come back.
    for _ in 0..4 {
        world.hub().clock().advance(Duration::from_secs(600));
        world.settle().await?;
    }
    assert_eq!(world.hub().sessions(), 0);
    Ok(())
}
