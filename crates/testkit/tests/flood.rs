//! A client that sends faster than it may is read later: it loses nothing, and nobody else waits.

use std::time::Duration;

use waxwing_kernel::{Flow, Limits, Rate};
use waxwing_modules::MODULES;
use waxwing_stream::Framing;
use waxwing_testkit::client::Client;
use waxwing_testkit::script::Name;
use waxwing_testkit::{Plan, Way, World};

type Outcome = Result<(), String>;

const NONE: Flow = Flow { per_second: 0, burst: 0 };

/// Ten stanzas a second, and thirty at once.
const SLOW: Rate = Rate { stanzas: Flow { per_second: 10, burst: 30 }, bytes: NONE };

async fn world(limits: Limits) -> Result<World, String> {
    let world = World::start(Plan { limits, ..Plan::in_memory(MODULES) }).await?;
    for account in ["romeo@localhost", "juliet@localhost", "nurse@localhost"] {
        world.add_account(account).await?;
    }
    Ok(world)
}

/// A client that is online; one that asks for it is owed acknowledgements.
async fn client(world: &World, name: &str, framing: Framing, acks: bool) -> Result<Client, String> {
    let name = Name::parse(name).ok_or("no name")?;
    let link = world.connect(Way::Memory(framing), &name.domain).await?;
    let mut client = Box::pin(Client::connect(name, link)).await?;
    client.sign_in().await?;
    client.bind().await?;
    if acks {
        client.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>").await?;
        while client.next().await?.is_none_or(|node| node.name != "enabled") {}
    }
    client.send("<presence/>").await?;
    world.settle().await?;
    Ok(client)
}

async fn pour(world: &World, from: &mut Client, numbers: std::ops::Range<usize>) -> Outcome {
    for number in numbers {
        let message = format!(
            "<message type='chat' to='romeo@localhost' id='m{number}'><body>Ay me!</body></message>"
        );
        from.send(&message).await?;
        world.settle().await?;
    }
    Ok(())
}

/// The ids of the messages that have come.
async fn read(world: &World, client: &mut Client) -> Result<Vec<String>, String> {
    world.settle().await?;
    client.read_all().await?;
    let messages = client.inbox().drain(..).filter(|node| node.name == "message");
    Ok(messages.map(|node| node.attribute("id").unwrap_or_default().to_owned()).collect())
}

fn ids(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("m{number}")).collect()
}

/// Who asks is answered at once.
async fn is_served(client: &mut Client) -> Outcome {
    client.send("<iq type='get' id='p1' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>").await?;
    let answer = client.next().await?.ok_or("the stream ended")?;
    assert_eq!(answer.attribute("id"), Some("p1"), "{answer}");
    Ok(())
}

async fn is_slowed(framing: Framing) -> Outcome {
    let world = world(Limits { session_rate: SLOW, ..Limits::default() }).await?;
    let mut romeo = client(&world, "romeo", framing, false).await?;
    let mut nurse = client(&world, "nurse", framing, false).await?;
    let mut juliet = client(&world, "juliet", framing, true).await?;
    read(&world, &mut romeo).await?;
    read(&world, &mut nurse).await?;
    pour(&world, &mut juliet, 0..100).await?;
    // One presence and thirty messages: the last of them overdraws the bucket.
    let mut heard = read(&world, &mut romeo).await?;
    assert_eq!(heard, ids(0..30));
    is_served(&mut nurse).await?;
    world.hub().clock().advance(Duration::from_millis(250));
    heard.extend(read(&world, &mut romeo).await?);
    // All that waited was one read, which takes seven seconds to make up for.
    assert_eq!(heard, ids(0..100));
    pour(&world, &mut juliet, 100..110).await?;
    is_served(&mut nurse).await?;
    world.hub().clock().advance(Duration::from_secs(6));
    assert_eq!(read(&world, &mut romeo).await?, ids(0..0));
    assert!(juliet.unacknowledged() > 0);
    world.hub().clock().advance(Duration::from_secs(2));
    assert_eq!(read(&world, &mut romeo).await?, ids(100..110));
    acknowledges(&world, &mut juliet).await
}

/// The server acknowledges all that was sent, and no more: the client checks that.
async fn acknowledges(world: &World, client: &mut Client) -> Outcome {
    client.send("<r xmlns='urn:xmpp:sm:3'/>").await?;
    world.settle().await?;
    client.read_all().await?;
    assert_eq!(client.unacknowledged(), 0);
    Ok(())
}

#[tokio::test]
async fn a_flooder_is_slowed_over_tcp() -> Outcome {
    Box::pin(is_slowed(Framing::Tcp)).await
}

#[tokio::test]
async fn a_flooder_is_slowed_over_websocket() -> Outcome {
    Box::pin(is_slowed(Framing::WebSocket)).await
}

#[tokio::test]
async fn sessions_of_one_account_share_its_rate() -> Outcome {
    let world = world(Limits { account_rate: SLOW, ..Limits::default() }).await?;
    let mut romeo = client(&world, "romeo", Framing::Tcp, false).await?;
    let mut desk = client(&world, "juliet", Framing::Tcp, false).await?;
    let mut phone = client(&world, "juliet/phone", Framing::WebSocket, false).await?;
    read(&world, &mut romeo).await?;
    pour(&world, &mut desk, 0..40).await?;
    pour(&world, &mut phone, 40..80).await?;
    let heard = read(&world, &mut romeo).await?;
    // Each session is read once before it finds the bucket empty.
    assert!((28..=32).contains(&heard.len()), "{} messages", heard.len());
    Ok(())
}

#[tokio::test]
async fn a_client_that_is_not_read_is_not_taken_for_dead() -> Outcome {
    let stanzas = Flow { per_second: 1, burst: 1 };
    let session_rate = Rate { stanzas, bytes: NONE };
    let world = world(Limits { session_rate, ..Limits::default() }).await?;
    let mut romeo = client(&world, "romeo", Framing::Tcp, false).await?;
    let mut juliet = client(&world, "juliet", Framing::Tcp, false).await?;
    read(&world, &mut romeo).await?;
    let all: String = (0..600)
        .map(|n| format!("<message type='chat' to='romeo@localhost' id='m{n}'><body/></message>"))
        .collect();
    juliet.send(&all).await?;
    // What was read at once takes ten minutes to make up for.
    for _ in 0..50 {
        world.hub().clock().advance(Duration::from_secs(10));
        read(&world, &mut romeo).await?;
    }
    assert_eq!(world.hub().sessions(), 2);
    Ok(())
}
