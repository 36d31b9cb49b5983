//! Archives as clients see them: ids that agree, and pages without a gap (XEP-0313).

#[path = "../engine/mod.rs"]
mod engine;
mod ids;
mod pages;
mod search;

use std::time::Duration;

use waxwing_modules::MODULES;
use waxwing_stream::Framing;
use waxwing_testkit::client::Client;
use waxwing_testkit::node::Node;
use waxwing_testkit::script::Name;
use waxwing_testkit::{Plan, Way, World};

use crate::engine::Engine;

pub(crate) type Outcome<T = ()> = Result<T, String>;

pub(crate) const MAM: &str = "urn:xmpp:mam:2";
pub(crate) const RSM: &str = "http://jabber.org/protocol/rsm";
pub(crate) const SID: &str = "urn:xmpp:sid:0";
pub(crate) const FORWARD: &str = "urn:xmpp:forward:0";
pub(crate) const CARBONS: &str = "urn:xmpp:carbons:2";
pub(crate) const CLIENT: &str = "jabber:client";

pub(crate) async fn world(plan: Plan) -> Outcome<World> {
    let world = World::start(plan).await?;
    for account in ["romeo@localhost", "juliet@localhost", "nurse@localhost"] {
        world.add_account(account).await?;
    }
    Ok(world)
}

pub(crate) async fn bound(world: &World, name: &str) -> Outcome<Client> {
    let name = Name::parse(name).ok_or("no name")?;
    let link = world.connect(Way::Memory(Framing::Tcp), &name.domain).await?;
    let mut client = Box::pin(Client::connect(name, link)).await?;
    client.sign_in().await?;
    client.bind().await?;
    Ok(client)
}

pub(crate) async fn online(world: &World, name: &str) -> Outcome<Client> {
    let mut client = bound(world, name).await?;
    client.send("<presence/>").await?;
    world.settle().await?;
    client.read_all().await?;
    client.inbox().clear();
    Ok(client)
}

pub(crate) fn chat(to: &str, body: &str) -> String {
    format!("<message type='chat' to='{to}' id='{body}'><body>{body}</body></message>")
}

/// Everything that has come.
pub(crate) async fn heard(world: &World, client: &mut Client) -> Outcome<Vec<Node>> {
    world.settle().await?;
    client.read_all().await?;
    Ok(client.inbox().drain(..).collect())
}

/// What an archive answered.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// Id and body of each message, in the order in which they came.
    pub(crate) messages: Vec<(String, String)>,
    pub(crate) first: Option<String>,
    pub(crate) last: Option<String>,
    pub(crate) count: Option<String>,
    pub(crate) is_complete: bool,
    pub(crate) is_stable: bool,
    /// The condition, when it was refused.
    pub(crate) refused: Option<String>,
}

impl Answer {
    pub(crate) fn ids(&self) -> Vec<&str> {
        self.messages.iter().map(|(id, _)| id.as_str()).collect()
    }

    pub(crate) fn bodies(&self) -> Vec<&str> {
        self.messages.iter().map(|(_, body)| body.as_str()).collect()
    }

    fn add(&mut self, node: &Node) {
        if let Some(result) = node.child("result", MAM) {
            let inner = result.child("forwarded", FORWARD);
            let message = inner.and_then(|inner| inner.child("message", CLIENT));
            let body = message.and_then(|message| message.child("body", CLIENT));
            let id = result.attribute("id").unwrap_or_default().to_owned();
            self.messages.push((id, body.map(|body| body.text.clone()).unwrap_or_default()));
        } else if let Some(fin) = node.child("fin", MAM) {
            let word = |name| fin.child("set", RSM)?.child(name, RSM).map(|it| it.text.clone());
            (self.first, self.last, self.count) = (word("first"), word("last"), word("count"));
            self.is_complete = fin.attribute("complete") == Some("true");
            self.is_stable = fin.attribute("stable") != Some("false");
        } else if let Some(error) = node.child("error", CLIENT) {
            let condition = error.children.first().map(|condition| condition.name.clone());
            self.refused = condition;
        }
    }
}

/// Fields of a form, then what else is in the query.
pub(crate) async fn ask(
    client: &mut Client,
    fields: &[(&str, &str)],
    more: &str,
) -> Outcome<Answer> {
    let field = |(name, value): &(&str, &str)| {
        let values = if *name == "ids" { value.split(' ').collect() } else { vec![*value] };
        let values: String = values.iter().map(|value| format!("<value>{value}</value>")).collect();
        format!("<field var='{name}'>{values}</field>")
    };
    let fields: String = [("FORM_TYPE", MAM)].iter().chain(fields).map(field).collect();
    let query = format!(
        "<iq type='set' id='q1'><query xmlns='{MAM}'><x xmlns='jabber:x:data' type='submit'>\
         {fields}</x>{more}</query></iq>"
    );
    client.send(&query).await?;
    let mut answer = Answer::default();
    loop {
        let node = client.next().await?.ok_or("the stream ended")?;
        answer.add(&node);
        if node.name == "iq" {
            return Ok(answer);
        }
    }
}

pub(crate) fn set(inner: &str) -> String {
    format!("<set xmlns='{RSM}'>{inner}</set>")
}

/// So many messages for Romeo, a second apart; he is away.
pub(crate) async fn filled(plan: Plan, count: usize) -> Outcome<(World, Client, Vec<String>)> {
    let world = world(plan).await?;
    let mut juliet = bound(&world, "juliet").await?;
    for number in 0..count {
        juliet.send(&chat("romeo@localhost", &format!("m{number}"))).await?;
        world.settle().await?;
        world.hub().clock().advance(Duration::from_secs(1));
    }
    let mut romeo = bound(&world, "romeo").await?;
    let all = ask(&mut romeo, &[], "").await?;
    assert_eq!(all.messages.len(), count);
    assert!(all.is_complete);
    let ids = all.messages.into_iter().map(|(id, _)| id).collect();
    Ok((world, romeo, ids))
}

/// The same test on every engine.
pub(crate) async fn on_every_engine<F>(test: impl Fn(Plan) -> F) -> Outcome
where
    F: Future<Output = Outcome>,
{
    for engine in Engine::at_hand() {
        let ground = engine.ground();
        let plan = Plan { location: ground.location(), ..Plan::in_memory(MODULES) };
        Box::pin(test(plan)).await.map_err(|reason| format!("{engine}: {reason}"))?;
    }
    Ok(())
}
