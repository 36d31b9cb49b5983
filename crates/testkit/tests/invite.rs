//! Invitations taken up in a chat program: XEP-0445 in the stream, XEP-0379 by subscription.

use std::time::Duration;

use waxwing_kernel::command::{Caller, Commands, Said, Values};
use waxwing_modules::MODULES;
use waxwing_stream::Framing;
use waxwing_testkit::client::Client;
use waxwing_testkit::node::Node;
use waxwing_testkit::script::Name;
use waxwing_testkit::{Plan, Way, World};

type Outcome = Result<(), String>;

async fn world() -> Result<World, String> {
    let settings = "modules.register.invites = 'everybody'".to_owned();
    let world = World::start(Plan { settings, ..Plan::in_memory(MODULES) }).await?;
    for account in ["romeo@localhost", "juliet@localhost"] {
        world.add_account(account).await?;
    }
    Ok(world)
}

async fn order(
    world: &World,
    caller: Caller,
    words: &str,
    values: &[(&str, &str)],
) -> Result<Said, String> {
    let site = world.hub().site("localhost").ok_or("no site")?;
    let mut filled = Values::default();
    values.iter().for_each(|(var, value)| filled.push(*var, *value));
    let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
    let commands = Commands::new(site.router.commands().cloned())?;
    let command = commands.by_words(&words).map_err(|refusal| refusal.to_string())?;
    site.run(command, caller, true, filled).await.map_err(|refusal| refusal.to_string())
}

fn token(said: &Said) -> String {
    let uri = said.facts.iter().find(|fact| fact.var == "uri").map(|fact| fact.values[0].clone());
    let uri = uri.unwrap_or_default();
    uri.split("preauth=").nth(1).unwrap_or_default().split(';').next().unwrap_or_default().into()
}

async fn stranger(world: &World) -> Result<Client, String> {
    let name = Name::parse("tybalt").ok_or("no name")?;
    let link = world.connect(Way::Memory(Framing::Tcp), &name.domain).await?;
    Box::pin(Client::connect(name, link)).await
}

async fn bound(world: &World, name: &str) -> Result<Client, String> {
    let name = Name::parse(name).ok_or("no name")?;
    let link = world.connect(Way::Memory(Framing::Tcp), &name.domain).await?;
    let mut client = Box::pin(Client::connect(name, link)).await?;
    client.sign_in().await?;
    client.bind().await?;
    client.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>").await?;
    client.send("<presence/>").await?;
    Ok(client)
}

/// The type of the answer to a request.
async fn ask(client: &mut Client, payload: &str) -> Result<String, String> {
    client.send(&format!("<iq type='set' id='q' to='localhost'>{payload}</iq>")).await?;
    let answer = client.next().await?.ok_or("the stream ended")?;
    Ok(answer.attribute("type").unwrap_or_default().to_owned())
}

fn preauth(token: &str) -> String {
    format!("<preauth xmlns='urn:xmpp:pars:0' token='{token}'/>")
}

fn account(name: &str) -> String {
    format!(
        "<query xmlns='jabber:iq:register'><username>{name}</username>\
         <password>o blessed night</password></query>"
    )
}

#[tokio::test]
async fn a_token_shown_in_the_stream_makes_one_account() -> Outcome {
    let world = world().await?;
    let token = token(&order(&world, Caller::Operator, "invite account", &[]).await?);
    let mut tybalt = stranger(&world).await?;
    assert_eq!(ask(&mut tybalt, &account("tybalt")).await?, "error");
    assert_eq!(ask(&mut tybalt, &preauth(&token)).await?, "result");
    // "single-use tokens MUST NOT be considered used until the actual registration has succeeded".
    assert_eq!(ask(&mut tybalt, &account("romeo")).await?, "error");
    assert_eq!(ask(&mut tybalt, &account("tybalt")).await?, "result");
    assert_eq!(ask(&mut tybalt, &account("another")).await?, "error");
    bound(&world, "tybalt").await?;
    let mut late = stranger(&world).await?;
    assert_eq!(ask(&mut late, &preauth(&token)).await?, "error");
    Ok(())
}

#[tokio::test]
async fn the_time_of_a_token_counts_when_it_is_shown() -> Outcome {
    let world = world().await?;
    let token = token(&order(&world, Caller::Operator, "invite account", &[("days", "1")]).await?);
    let day = Duration::from_secs(24 * 60 * 60);
    world.hub().clock().advance(day - Duration::from_secs(10));
    let mut tybalt = stranger(&world).await?;
    assert_eq!(ask(&mut tybalt, &preauth(&token)).await?, "result");
    world.hub().clock().advance(Duration::from_secs(20));
    world.settle().await?;
    let mut late = stranger(&world).await?;
    assert_eq!(ask(&mut late, &preauth(&token)).await?, "error");
    assert_eq!(ask(&mut tybalt, &account("tybalt")).await?, "result");
    Ok(())
}

#[tokio::test]
async fn a_token_of_one_connection_is_not_that_of_another() -> Outcome {
    let world = world().await?;
    let token = token(&order(&world, Caller::Operator, "invite account", &[]).await?);
    let (mut tybalt, mut other) = (stranger(&world).await?, stranger(&world).await?);
    assert_eq!(ask(&mut tybalt, &preauth(&token)).await?, "result");
    assert_eq!(ask(&mut other, &account("tybalt")).await?, "error");
    Ok(())
}

/// XEP-0379 §3.4 and §3.5
#[tokio::test]
async fn who_has_an_account_becomes_a_contact() -> Outcome {
    let world = world().await?;
    let romeo = Caller::Account("romeo@localhost/desk".parse().map_err(|_| "no address")?);
    let token = token(&order(&world, romeo, "invite contact", &[]).await?);
    let (mut romeo, mut juliet) = (bound(&world, "romeo").await?, bound(&world, "juliet").await?);
    let subscribe = format!(
        "<presence type='subscribe' to='romeo@localhost'>{}</presence>\
         <presence type='subscribed' to='romeo@localhost'/>",
        preauth(&token)
    );
    juliet.send(&subscribe).await?;
    for (client, contact) in [(&mut romeo, "juliet@localhost"), (&mut juliet, "romeo@localhost")] {
        world.settle().await?;
        client.read_all().await?;
        let inbox = std::mem::take(client.inbox());
        assert_eq!(subscription(inbox.iter(), contact).as_deref(), Some("both"), "{inbox:?}");
        // Romeo was asked when he made the invitation.
        let is_asked = |node: &Node| node.attribute("type") == Some("subscribe");
        assert!(contact.starts_with("romeo") || !inbox.iter().any(is_asked), "{inbox:?}");
    }
    Ok(())
}

/// What the last roster push says of a contact.
fn subscription<'a>(inbox: impl Iterator<Item = &'a Node>, contact: &str) -> Option<String> {
    let pushes = inbox.filter(|node| node.name == "iq" && node.attribute("type") == Some("set"));
    let items = pushes.filter_map(|push| push.child("query", "jabber:iq:roster"));
    let items = items.filter_map(|query| query.child("item", "jabber:iq:roster"));
    let items = items.filter(|item| item.attribute("jid") == Some(contact));
    items.last().and_then(|item| item.attribute("subscription")).map(str::to_owned)
}
