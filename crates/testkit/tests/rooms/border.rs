//! A room with people on three servers, while the roads between them are cut, fall silent, break
//! and come back in every order: nothing that was said is lost without its speaker hearing so,
//! everybody hears what they hear in the order of the room, and in the end nobody is in the room
//! who has gone, nor gone who is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use waxwing_kernel::clock::Clock;
use waxwing_modules::MODULES;
use waxwing_stream::Framing;
use waxwing_testkit::client::Client;
use waxwing_testkit::node::Node;
use waxwing_testkit::script::Name;
use waxwing_testkit::{Plan, Roads, Way, World};

use super::{Outcome, ROOM};

const HOME: &str = "localhost";
const DOMAINS: [&str; 3] = [HOME, "capulet.example", "escalus.example"];
const PEOPLE: [&str; 3] = ["romeo@localhost", "juliet@capulet.example", "mercutio@escalus.example"];
const SIDS: &str = "urn:xmpp:sid:0";
const USER: &str = "http://jabber.org/protocol/muc#user";
/// Things that happen in one run.
const STEPS: usize = 80;
/// How often somebody looks what has come.
const GLANCE: Duration = Duration::from_secs(100);
/// How long a room waits for those of whom it hears nothing, twice, and links for each other.
const LONG: Duration = Duration::from_secs(40 * 60);

/// Somebody who comes to the room, and what it hears there.
struct Person {
    client: Client,
    nick: String,
    is_inside: bool,
    /// Who is there, as far as this one was told.
    others: BTreeSet<String>,
    /// What it heard, by the ids of the room.
    heard: Vec<String>,
    /// What it said, and what of that came back as an error.
    said: BTreeSet<String>,
    refused: BTreeSet<String>,
}

struct Play {
    worlds: Vec<World>,
    roads: Roads,
    clock: Clock,
    people: Vec<Person>,
    seed: u64,
    count: usize,
}

impl Play {
    async fn new(seed: u64) -> Result<Self, String> {
        let roads = Roads::default();
        let plan = Plan { roads: Some(roads.clone()), ..Plan::in_memory(MODULES) };
        let clock = plan.clock.clone();
        let mut worlds = vec![Box::pin(World::start(plan.clone())).await?];
        for domain in &DOMAINS[1..] {
            worlds.push(Box::pin(World::start(plan.elsewhere(domain))).await?);
        }
        let mut people = Vec::new();
        for (world, name) in worlds.iter().zip(PEOPLE) {
            world.add_account(name).await?;
            let name = Name::parse(name).ok_or("no name")?;
            let nick = name.local.clone();
            let link = world.connect(Way::Memory(Framing::Tcp), &name.domain).await?;
            let mut client = Box::pin(Client::connect(name, link)).await?;
            client.sign_in().await?;
            client.bind().await?;
            people.push(Person {
                client,
                nick,
                is_inside: false,
                others: BTreeSet::new(),
                heard: Vec::new(),
                said: BTreeSet::new(),
                refused: BTreeSet::new(),
            });
        }
        Ok(Self { worlds, roads, clock, people, seed, count: 0 })
    }

    /// A number below `below`.
    fn draw(&mut self, below: usize) -> usize {
        // Linear congruence, by Knuth's constants: enough to make runs differ.
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040);
        (self.seed >> 33) as usize % below
    }

    async fn settle(&mut self) -> Outcome {
        self.worlds[0].settle().await?;
        for person in &mut self.people {
            person.client.read_all().await?;
            for node in person.client.inbox().drain(..).collect::<Vec<_>>() {
                person.answer(&node).await?;
                person.take(&node);
            }
        }
        self.worlds[0].settle().await
    }

    async fn pass(&mut self, by: Duration) -> Outcome {
        let end = self.clock.now() + by;
        while self.clock.now() < end {
            let step = GLANCE.min(end - self.clock.now());
            let next = self.roads.due().map(|due| due - self.clock.now());
            self.clock.advance(next.unwrap_or(step).min(step));
            self.settle().await?;
        }
        Ok(())
    }

    async fn enter(&mut self, who: usize) -> Outcome {
        let person = &mut self.people[who];
        let history = "<history maxstanzas='0'/>";
        let x = format!("<x xmlns='http://jabber.org/protocol/muc'>{history}</x>");
        let to = format!("{ROOM}/{}", person.nick);
        person.others.clear();
        person.client.send(&format!("<presence to='{to}'>{x}</presence>")).await?;
        self.settle().await
    }

    async fn say(&mut self, who: usize) -> Outcome {
        self.count += 1;
        let (id, person) = (format!("m{}", self.count), &mut self.people[who]);
        person.said.insert(id.clone());
        let message =
            format!("<message to='{ROOM}' type='groupchat' id='{id}'><body>{id}</body></message>");
        person.client.send(&message).await?;
        self.settle().await
    }

    /// Something happens.
    async fn step(&mut self) -> Outcome {
        let (who, place) = (self.draw(3), 1 + self.draw(2));
        let there = DOMAINS[place];
        match self.draw(12) {
            0..=5 if self.people[who].is_inside => self.say(who).await,
            0..=5 => self.enter(who).await,
            6 => {
                self.roads.cut(HOME, there);
                self.settle().await
            }
            7 => {
                self.roads.silence(HOME, there);
                self.settle().await
            }
            8 => {
                self.roads.break_off(HOME, there);
                self.settle().await
            }
            9 => {
                let delays = [2, 1, 3].map(Duration::from_secs);
                self.roads.delay(HOME, there, &delays);
                self.settle().await
            }
            _ => {
                self.roads.restore(HOME, there);
                let seconds = [1, 30, 120, 900][self.draw(4)];
                self.pass(Duration::from_secs(seconds)).await
            }
        }
    }

    /// All roads are open, and everybody has had the time to find out how things are.
    async fn calm(&mut self) -> Outcome {
        for there in &DOMAINS[1..] {
            self.roads.delay(HOME, there, &[]);
            self.roads.restore(HOME, there);
        }
        self.pass(LONG).await?;
        for who in 0..self.people.len() {
            self.enter(who).await?;
        }
        self.pass(Duration::from_secs(60)).await
    }

    /// What the room has kept: the id of each message, and that which its speaker gave it.
    async fn archive(&mut self) -> Result<Vec<(String, String)>, String> {
        let query = "<query xmlns='urn:xmpp:mam:2'/>";
        let client = &mut self.people[0].client;
        let (mut all, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = after.as_ref().map_or_else(
                || query.to_owned(),
                |after| {
                    format!(
                        "<query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'>\
                     <after>{after}</after></set></query>"
                    )
                },
            );
            client.send(&format!("<iq to='{ROOM}' type='set' id='q'>{page}</iq>")).await?;
            let before = all.len();
            let fin = loop {
                let node = client.next().await?.ok_or("the stream ended")?;
                let Some(result) = node.child("result", "urn:xmpp:mam:2") else { break node };
                let forwarded = result.children.first().ok_or("an empty result")?;
                let message = forwarded.children.iter().find(|node| node.name == "message");
                let id = message.and_then(|node| node.attribute("id")).unwrap_or_default();
                let number = result.attribute("id").ok_or("a result without an id")?;
                all.push((number.to_owned(), id.to_owned()));
            };
            let is_last = fin.to_string().contains("complete='true'");
            if is_last || all.len() == before {
                return Ok(all);
            }
            after = all.last().map(|(number, _)| number.clone());
        }
    }
}

impl Person {
    /// Says that it is there, when the room asks.
    async fn answer(&mut self, node: &Node) -> Outcome {
        let (id, from) = (node.attribute("id"), node.attribute("from"));
        match (id, from) {
            (Some(id), Some(from)) if node.child("ping", "urn:xmpp:ping").is_some() => {
                self.client.send(&format!("<iq type='result' id='{id}' to='{from}'/>")).await
            }
            _ => Ok(()),
        }
    }

    /// Takes in what came.
    fn take(&mut self, node: &Node) {
        let from = node.attribute("from").unwrap_or_default();
        let nick = from.strip_prefix(ROOM).and_then(|rest| rest.strip_prefix('/'));
        let kind = node.attribute("type");
        match (&*node.name, kind) {
            ("presence", None) => {
                let codes = node.child("x", USER).map(ToString::to_string).unwrap_or_default();
                self.is_inside |= codes.contains("code='110'");
                self.others.extend(nick.map(str::to_owned));
            }
            ("presence", Some("unavailable")) => {
                let is_own = nick == Some(&*self.nick);
                self.is_inside &= !is_own;
                if let Some(nick) = nick {
                    self.others.remove(nick);
                }
            }
            ("presence", Some("error")) => self.is_inside = false,
            ("message", Some("error")) => {
                self.refused.extend(node.attribute("id").map(str::to_owned));
                // Nobody who hears this is in the room, or can know it.
                self.is_inside = false;
            }
            ("message", Some("groupchat")) if node.child("body", "jabber:client").is_some() => {
                let id = node.child("stanza-id", SIDS).and_then(|id| id.attribute("id"));
                self.heard.extend(id.map(str::to_owned));
            }
            _ => {}
        }
    }
}

/// Gives how much was refused because a road was cut.
async fn play(seed: u64) -> Result<usize, String> {
    let mut play = Box::pin(Play::new(seed)).await?;
    play.enter(0).await?;
    let form = "<x xmlns='jabber:x:data' type='submit'>\
        <field var='muc#roomconfig_persistentroom'><value>1</value></field></x>";
    let query = format!("<query xmlns='http://jabber.org/protocol/muc#owner'>{form}</query>");
    play.people[0].client.send(&format!("<iq to='{ROOM}' type='set' id='c'>{query}</iq>")).await?;
    play.settle().await?;
    for _ in 0..STEPS {
        play.step().await?;
    }
    play.calm().await?;
    let kept = play.archive().await?;
    let order: BTreeMap<&str, usize> =
        kept.iter().enumerate().map(|(place, (number, _))| (&**number, place)).collect();
    let ids: BTreeSet<&str> = kept.iter().map(|(_, id)| &**id).collect();
    for person in &play.people {
        let nick = &person.nick;
        for id in &person.said {
            let is_known = ids.contains(&**id) || person.refused.contains(id);
            assert!(is_known, "seed {seed}: {id} of {nick} is lost, and {nick} was not told");
        }
        let mut places = Vec::new();
        for number in &person.heard {
            let place = order.get(&**number).ok_or_else(|| format!("{nick} heard a ghost"))?;
            // What a road had lost on its way for long is sent again, and may have come.
            if !places.contains(place) {
                places.push(*place);
            }
        }
        assert!(places.is_sorted(), "seed {seed}: {nick} heard {places:?}");
        let everybody: BTreeSet<String> = play.people.iter().map(|it| it.nick.clone()).collect();
        assert!(person.is_inside, "seed {seed}: {nick} cannot enter");
        assert_eq!(person.others, everybody, "seed {seed}: as {nick} sees it");
    }
    assert!(kept.len() > 5, "seed {seed}: {} messages", kept.len());
    // Somebody is gone without a word, and nobody else says one.
    play.roads.cut(HOME, DOMAINS[2]);
    play.pass(LONG).await?;
    let left: BTreeSet<&str> = play.people[0].others.iter().map(String::as_str).collect();
    assert_eq!(left, BTreeSet::from(["juliet", "romeo"]), "seed {seed}");
    Ok(play.people.iter().map(|person| person.refused.len()).sum())
}

#[tokio::test]
async fn a_room_on_three_servers_outlives_every_cut() -> Outcome {
    let mut refused = 0;
    for seed in 1..=4 {
        refused += Box::pin(play(seed)).await?;
    }
    assert!(refused > 3, "only {refused} messages were refused: the roads were hardly cut");
    Ok(())
}
