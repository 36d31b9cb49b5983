//! An operator watches a client: what passes is told, and what is said is not.

use std::time::Duration;

use waxwing_kernel::command::{Caller, Commands, Said, Values};
use waxwing_modules::MODULES;
use waxwing_stream::Framing;
use waxwing_testkit::client::Client;
use waxwing_testkit::script::Name;
use waxwing_testkit::{Plan, Way, World};

async fn client(world: &World, name: &str) -> Result<Client, String> {
    world.add_account(&format!("{name}@localhost")).await?;
    let name = Name::parse(name).ok_or("no name")?;
    let link = world.connect(Way::Memory(Framing::Tcp), &name.domain).await?;
    let mut client = Box::pin(Client::connect(name, link)).await?;
    client.sign_in().await?;
    client.bind().await?;
    client.send("<presence/>").await?;
    world.settle().await?;
    Ok(client)
}

/// `session trace` for whom, while `meanwhile` goes on.
async fn trace<F: Future<Output = Result<(), String>>>(
    world: &World,
    whom: &str,
    meanwhile: impl FnOnce() -> F,
) -> Result<Said, String> {
    let hub = world.hub().clone();
    let site = hub.site("localhost").ok_or("no site")?;
    let commands = Commands::new(site.router.commands().cloned())?;
    let words = ["session".to_owned(), "trace".to_owned()];
    let command = commands.by_words(&words).map_err(|refusal| refusal.text)?.clone();
    let mut values = Values::default();
    values.push("accountjid", whom);
    values.push("seconds", "5");
    let happening = async {
        world.settle().await?;
        let outcome = meanwhile().await;
        world.settle().await?;
        hub.clock().advance(Duration::from_secs(5));
        outcome
    };
    let (said, outcome) = tokio::join!(command.run(Caller::Operator, true, values), happening);
    outcome?;
    said.map_err(|refusal| refusal.text)
}

#[tokio::test]
async fn what_passes_is_told_and_what_is_said_is_not() -> Result<(), String> {
    let world = World::start(Plan::in_memory(MODULES)).await?;
    let (mut romeo, mut juliet) = (client(&world, "romeo").await?, client(&world, "juliet").await?);
    let message = |to: &str| {
        format!("<message type='chat' id='m1' to='{to}@localhost'><body>a secret</body></message>")
    };
    let said = trace(&world, "romeo@localhost", || async {
        romeo.send(&message("juliet")).await?;
        world.settle().await?;
        juliet.send(&message("romeo")).await?;
        // Of others nothing is noted.
        juliet.send(&message("juliet")).await?;
        world.settle().await?;
        romeo.send("</stream:stream>").await
    });
    let said = said.await?;
    let text = format!("{said:?}");
    assert!(!text.contains("secret"), "{text}");
    let rows = said.table.ok_or("no table")?.rows;
    let seen: Vec<(&str, &str, &str)> =
        rows.iter().map(|row| (&*row[2], &*row[3], &*row[5])).collect();
    assert_eq!(seen[0], ("client", "message chat", "juliet@localhost"));
    assert_eq!((seen[1].0, seen[1].1), ("server", "message chat"));
    assert_eq!(seen.last(), Some(&("server", "end of the stream", "")));
    assert!(rows[0][8].starts_with("body ("), "{rows:?}");
    assert_eq!(said.note, format!("{} lines in 5 s.", rows.len()));
    Ok(())
}

#[tokio::test]
async fn many_lines_are_counted_only() -> Result<(), String> {
    let world = World::start(Plan::in_memory(MODULES)).await?;
    let mut romeo = client(&world, "romeo").await?;
    let said = trace(&world, "romeo@localhost", || async {
        for _ in 0..1_010 {
            romeo.send("<message to='romeo@localhost/gone'/>").await?;
            world.settle().await?;
        }
        Ok(())
    });
    let note = said.await?.note;
    assert!(note.starts_with("1000 lines in 5 s. ") && note.ends_with(" left out."), "{note}");
    Ok(())
}

#[tokio::test]
async fn nobody_who_does_not_exist_is_watched() -> Result<(), String> {
    let world = World::start(Plan::in_memory(MODULES)).await?;
    let refused = trace(&world, "nobody@localhost", || async { Ok(()) }).await;
    assert_eq!(refused.unwrap_err(), "there is no account nobody@localhost");
    Ok(())
}
