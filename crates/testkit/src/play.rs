//! Plays a scenario: line by line, the server settling in between, so that the order of what
//! happens is the order of the lines.

mod afar;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;

use crate::client::{Client, is_noise};
use crate::compare::compare;
use crate::link::{Link, Way};
use crate::node::{CLIENT, Node};
use crate::outside::{self, Pending, WebAct};
use crate::script::{Act, Line, Name, Scenario, Step};
use crate::values::Values;
use crate::world::{Plan, World};
use afar::Afar;

/// Plays `scenario` on a server of its own.
///
/// # Errors
/// Where it went otherwise than expected, in words fit for a terminal.
pub async fn play(scenario: &Scenario, mut plan: Plan, way: Way) -> Result<(), String> {
    for line in &scenario.lines {
        if let Step::Set(setting) = &line.step {
            plan.settings.push_str(setting);
            plan.settings.push('\n');
        }
    }
    let afar = Afar::start(scenario, &mut plan).await?;
    let world = World::start(plan).await?;
    let values = Values::default();
    let mut player =
        Player { world, afar, way, clients: BTreeMap::new(), values, asked: VecDeque::new() };
    let outcome = Box::pin(player.play(scenario)).await;
    player.clients.clear();
    let stopped = player.world.stop().await.and(player.afar.stop().await);
    outcome.and(stopped)
}

fn failure(scenario: &Scenario, line: &Line, reason: &str) -> String {
    let Scenario { file, title, .. } = scenario;
    format!("{file}:{}: {title}\n\n    {}\n\n{reason}\n", line.number, line.text)
}

/// The accounts of everybody whom the scenario names, besides those that are no people, and those
/// who come to register.
fn accounts(scenario: &Scenario) -> BTreeSet<String> {
    let names = |is_stranger: bool| {
        scenario.lines.iter().filter_map(move |line| match &line.step {
            Step::Of(name, act) => (!is_stranger || has_no_account(act)).then(|| name.account()),
            _ => None,
        })
    };
    let strangers: BTreeSet<String> = names(true).collect();
    names(false).filter(|account| !strangers.contains(account)).collect()
}

/// Whether whoever does this has no account.
fn has_no_account(act: &Act) -> bool {
    let is_place = matches!(act, Act::Component | Act::Server | Act::Peer | Act::RawPeer);
    is_place || matches!(act, Act::Connect)
}

/// The `<~` lines of one client that `lines` begins with.
fn mingled(lines: &[Line]) -> Vec<(&Name, &Node)> {
    let mut group: Vec<(&Name, &Node)> = Vec::new();
    for line in lines {
        match &line.step {
            Step::Of(name, Act::Mingled(node))
                if group.first().is_none_or(|(first, _)| *first == name) =>
            {
                group.push((name, node));
            }
            _ => break,
        }
    }
    group
}

struct Player {
    /// The first server.
    world: World,
    afar: Afar,
    way: Way,
    clients: BTreeMap<Name, Client>,
    /// What came and has a name.
    values: Values,
    /// What others asked over HTTP and got no answer to so far.
    asked: VecDeque<Pending>,
}

impl Player {
    async fn play(&mut self, scenario: &Scenario) -> Result<(), String> {
        for account in accounts(scenario) {
            let domain = account.split_once('@').map_or("", |(_, domain)| domain);
            self.world_of(domain).add_account(&account).await?;
        }
        let mut lines = scenario.lines.as_slice();
        while let Some((line, rest)) = lines.split_first() {
            let group = mingled(lines);
            let outcome = match group.as_slice() {
                [] => self.step(&line.step).await,
                group => self.receive_mingled(group).await,
            };
            outcome.map_err(|reason| failure(scenario, line, &reason))?;
            lines = if group.is_empty() { rest } else { &lines[group.len()..] };
        }
        let Some(last) = scenario.lines.last() else { return Ok(()) };
        self.end().await.map_err(|reason| failure(scenario, last, &reason))
    }

    async fn step(&mut self, step: &Step) -> Result<(), String> {
        let (name, act) = match step {
            Step::Set(_) | Step::SetAt(..) => return Ok(()),
            Step::Time(by) => return self.pass(*by).await,
            Step::Road(act) => {
                self.afar.change(act);
                return self.read_all().await;
            }
            Step::Web(act) => return self.on_web(act).await,
            Step::Of(name, act) => (name, act),
        };
        match self.afar.is_peer(name) {
            true => self.on_peer(name, act).await,
            false => Box::pin(self.act(name, act)).await,
        }
    }

    async fn act(&mut self, name: &Name, act: &Act) -> Result<(), String> {
        match act {
            Act::Away | Act::Server => {}
            Act::Show(_) => self.afar.act(&self.world, name, act)?,
            Act::Peer | Act::RawPeer | Act::Call { .. } | Act::Called | Act::TakeTls => {
                return Err(format!("{name} is no server that a scenario speaks for"));
            }
            Act::Here => drop(self.signed_in(name).await?),
            Act::Online => self.appear(name).await?,
            Act::Connect | Act::Open => {
                let client = Client::connect(name.clone(), self.link(name).await?).await?;
                self.clients.insert(name.clone(), client);
            }
            Act::Component => {
                let link = self.world.connect_component(self.way).await?;
                let component = Client::component(name.clone(), link).await?;
                self.clients.insert(name.clone(), component);
                self.settle().await?;
            }
            Act::SignIn => {
                let mut client = Client::connect(name.clone(), self.link(name).await?).await?;
                client.sign_in().await?;
                self.clients.insert(name.clone(), client);
            }
            Act::Send(xml) => {
                let xml = self.known_values().fill(xml);
                self.signed_in(name).await?.send(&xml).await?;
                self.settle().await?;
            }
            Act::Receive(expected) => self.receive(name, expected).await?,
            Act::Mingled(_) => unreachable!("these come as a group"),
            Act::Silence => {
                self.settle().await?;
                silence(self.signed_in(name).await?).await?;
            }
            Act::Ended => {
                let client = self.known(name)?;
                silence(client).await?;
                client.ended().await?;
                self.settle().await?;
            }
            Act::Close => {
                self.known(name)?.close().await?;
                self.settle().await?;
            }
            Act::Cut => {
                self.settle().await?;
                self.known(name)?.cut();
                self.settle().await?;
            }
            Act::Resume { elsewhere } => self.resume(name, *elsewhere).await?,
        }
        Ok(())
    }

    async fn on_web(&mut self, act: &WebAct) -> Result<(), String> {
        match act {
            WebAct::Answers(status, body) => self.world.outside().answer(*status, body),
            WebAct::Asked(expected) => {
                let expected = self.values.fill(expected);
                let request = self.world.outside().next().await;
                let request = request.ok_or("the server asked nothing on the web")?;
                let asked = format!("{} {}", request.method, request.url);
                if asked != expected {
                    return Err(format!("the server asked\n  {asked}"));
                }
            }
            WebAct::Ask(words) => {
                let words = self.values.fill(words);
                self.asked.push_back(outside::ask(self.world.hub(), &words)?);
                self.settle().await?;
            }
            WebAct::Answered(status) => {
                let pending = self.asked.pop_front().ok_or("nobody asked the server")?;
                outside::check(pending, *status).await?;
            }
            WebAct::Silence => {
                self.settle().await?;
                self.world.outside().silent()?;
            }
        }
        Ok(())
    }

    /// Everybody does what they can do.
    async fn settle(&mut self) -> Result<(), String> {
        loop {
            self.world.settle().await?;
            if !self.afar.attend()? {
                return Ok(());
            }
        }
    }

    async fn link(&self, name: &Name) -> Result<Link, String> {
        self.world_of(&name.domain).connect(self.way, &name.domain).await
    }

    /// A client that was named before.
    fn known(&mut self, name: &Name) -> Result<&mut Client, String> {
        self.clients.get_mut(name).ok_or_else(|| format!("{name} has not signed in yet"))
    }

    /// The client, signed in unless it was named before.
    async fn signed_in(&mut self, name: &Name) -> Result<&mut Client, String> {
        if !self.clients.contains_key(name) {
            let mut client = Client::connect(name.clone(), self.link(name).await?).await?;
            client.sign_in().await?;
            client.bind().await?;
            self.settle().await?;
            self.clients.insert(name.clone(), client);
        }
        self.known(name)
    }

    /// What came before; `{romeo}` stands for the id of Romeo's session.
    fn known_values(&self) -> Values {
        let mut values = self.values.clone();
        for client in self.clients.values() {
            if let Some(id) = client.session() {
                values.set(&client.name().local, id);
            }
        }
        values
    }

    async fn resume(&mut self, name: &Name, elsewhere: bool) -> Result<(), String> {
        if elsewhere {
            self.way = self.way.other();
        }
        let link = self.link(name).await?;
        self.known(name)?.resume(link).await?;
        self.settle().await
    }

    /// Initial presence. What the devices of one account tell each other of it (RFC 6121 §4.2.2)
    /// is expected without being written.
    async fn appear(&mut self, name: &Name) -> Result<(), String> {
        self.signed_in(name).await?.send("<presence/>").await?;
        self.settle().await?;
        let account = name.account();
        let mut devices = Vec::new();
        for client in self.clients.values_mut() {
            if client.is_available() && client.name().account() == account {
                client.read_all().await?;
                devices.push((client.name().clone(), client.is_connected()));
            }
        }
        for (device, is_connected) in devices {
            if device != *name && is_connected {
                drop_presence(self.known(&device)?, name)?;
            }
            let seen = drop_presence(self.known(name)?, &device);
            // A session without a connection may or may not be over by now.
            if is_connected {
                seen?;
            }
        }
        Ok(())
    }

    async fn receive(&mut self, name: &Name, expected: &Node) -> Result<(), String> {
        let wanted = self.known_values().expect(expected);
        let got = self.fetch(name, Some(&wanted)).await?;
        compare(&wanted, &got).map_err(|why| difference(&wanted, &got, &why))?;
        self.values.learn(expected, &got);
        // The same word in two places must be the same.
        let wanted = self.known_values().expect(expected);
        compare(&wanted, &got).map_err(|why| difference(&wanted, &got, &why))
    }

    async fn receive_mingled(&mut self, group: &[(&Name, &Node)]) -> Result<(), String> {
        let mut open: Vec<&Node> = group.iter().map(|(_, node)| *node).collect();
        let Some((name, _)) = group.first() else { return Ok(()) };
        let (values, mut learned) = (self.known_values(), Vec::new());
        while !open.is_empty() {
            let got = self.fetch(name, None).await?;
            let is_it = |expected: &&Node| compare(&values.expect(expected), &got).is_ok();
            match open.iter().position(is_it) {
                Some(place) => learned.push((open.remove(place), got)),
                None => {
                    let mut text = String::from("expected one of\n");
                    for node in open {
                        let _ = writeln!(text, "  {node}");
                    }
                    let _ = write!(text, "received\n  {got}");
                    return Err(text);
                }
            }
        }
        for (expected, got) in &learned {
            self.values.learn(expected, got);
        }
        Ok(())
    }

    /// What nobody asked for must not have come.
    async fn end(&mut self) -> Result<(), String> {
        self.settle().await?;
        self.read_all().await?;
        for client in self.clients.values_mut() {
            silence(client).await.map_err(|reason| format!("afterwards {reason}"))?;
        }
        self.afar.all_silent().map_err(|reason| format!("afterwards {reason}"))?;
        self.world.outside().silent().map_err(|reason| format!("afterwards {reason}"))
    }

    async fn read_all(&mut self) -> Result<(), String> {
        self.settle().await?;
        for client in self.clients.values_mut() {
            client.read_all().await?;
        }
        self.settle().await
    }
}

/// The next that a scenario can expect.
async fn next(client: &mut Client, expected: Option<&Node>) -> Result<Node, String> {
    let nothing = |reason: String| match expected {
        Some(node) => format!("expected\n  {node}\nreceived\n  {reason}"),
        None => format!("received {reason}"),
    };
    loop {
        let got = client.next().await.map_err(nothing)?;
        let got = got.ok_or_else(|| nothing("the end of the stream".to_owned()))?;
        let is_wanted = expected.is_some_and(|expected| expected.name == got.name);
        if !is_noise(&got) || is_wanted && compare_names(expected, &got) {
            return Ok(got);
        }
    }
}

/// Whether a scenario asks for this kind of what it need not mention.
fn compare_names(expected: Option<&Node>, got: &Node) -> bool {
    expected.is_some_and(|expected| is_noise(expected) && expected.namespace == got.namespace)
}

/// Takes the available presence of `device` from what `client` has received.
fn drop_presence(client: &mut Client, device: &Name) -> Result<(), String> {
    let from = format!("{}/{}", device.account(), device.resource);
    let is_it = |node: &Node| {
        node.is("presence", CLIENT)
            && node.attribute("type").is_none()
            && node.attribute("from") == Some(&from)
    };
    match client.inbox().iter().position(is_it) {
        Some(place) => drop(client.inbox().remove(place)),
        None => return Err(format!("{} did not get the presence of {device}", client.name())),
    }
    Ok(())
}

async fn silence(client: &mut Client) -> Result<(), String> {
    client.read_all().await?;
    let name = client.name().clone();
    match client.inbox().iter().find(|node| !is_noise(node)) {
        Some(node) => Err(format!("{name} received\n  {node}\nwhich the scenario does not expect")),
        None => Ok(()),
    }
}

fn difference(expected: &Node, got: &Node, why: &str) -> String {
    format!("expected\n  {expected}\nreceived\n  {got}\n{why}")
}
