//! What a session did not take and what cannot be stored either: its sender hears of it.

use waxwing_modules::MODULES;
use waxwing_stream::Framing;
use waxwing_testkit::client::Client;
use waxwing_testkit::script::Name;
use waxwing_testkit::{Plan, Way, World};

async fn client(world: &World, name: &str) -> Result<Client, String> {
    let name = Name::parse(name).ok_or("no name")?;
    let link = world.connect(Way::Memory(Framing::Tcp), &name.domain).await?;
    let mut client = Box::pin(Client::connect(name, link)).await?;
    client.sign_in().await?;
    client.bind().await?;
    Ok(client)
}

#[tokio::test]
async fn senders_hear_of_what_could_not_be_kept_at_the_end_of_a_session() -> Result<(), String> {
    let world = World::start(Plan::in_memory(MODULES)).await?;
    for account in ["romeo@localhost", "juliet@localhost"] {
        world.add_account(account).await?;
    }
    let mut juliet = client(&world, "juliet").await?;
    let mut romeo = client(&world, "romeo").await?;
    romeo.send("<enable xmlns='urn:xmpp:sm:3'/>").await?;
    romeo.send("<presence/>").await?;
    world.settle().await?;
    for id in ["m1", "m2"] {
        let body = "<body>Ay me!</body>";
        let message =
            format!("<message type='chat' to='romeo@localhost' id='{id}'>{body}</message>");
        juliet.send(&message).await?;
    }
    world.settle().await?;
    world.hub().db().clone().close().await.map_err(|error| error.to_string())?;
    romeo.cut();
    for id in ["m1", "m2"] {
        let error = juliet.next().await?.ok_or("the stream ended")?;
        assert_eq!(error.attribute("type"), Some("error"), "{error}");
        assert_eq!(error.attribute("id"), Some(id), "{error}");
    }
    Ok(())
}
