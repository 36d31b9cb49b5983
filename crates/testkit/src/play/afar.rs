//! What lies behind the first server of a scenario: other servers, those that the scenario speaks
//! for, and the roads between them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Player, next};
use crate::node::Node;
use crate::peer::{Line, Peer};
use crate::roads::Roads;
use crate::script::road::Change;
use crate::script::{Act, Name, RoadAct, Scenario, Step};
use crate::world::{Plan, World};

/// Everybody but the first server.
pub(super) struct Afar {
    roads: Roads,
    servers: BTreeMap<String, World>,
    peers: BTreeMap<String, Peer>,
    /// Those that the scenario speaks for in bytes, and their connections.
    raw: BTreeSet<String>,
    lines: BTreeMap<Name, Line>,
}

impl Afar {
    /// Lays the roads of the scenario, where there are any, and starts the other servers.
    ///
    /// # Errors
    /// Why a server does not start.
    pub(super) async fn start(scenario: &Scenario, plan: &mut Plan) -> Result<Self, String> {
        let roads = Roads::default();
        if scenario.is_federated() {
            plan.roads = Some(roads.clone());
        }
        let mut afar = Self {
            roads,
            servers: BTreeMap::new(),
            peers: BTreeMap::new(),
            raw: BTreeSet::new(),
            lines: BTreeMap::new(),
        };
        for line in &scenario.lines {
            let Step::Of(name, act) = &line.step else { continue };
            match act {
                Act::Server => {
                    let mut plan = plan.elsewhere(&name.local);
                    plan.settings = settings(scenario, &name.local);
                    let server = Box::pin(World::start(plan)).await?;
                    afar.servers.insert(name.local.clone(), server);
                }
                Act::Peer => {
                    afar.roads.found(&name.local);
                    afar.peers.insert(name.local.clone(), Peer::new(&name.local));
                }
                Act::RawPeer => {
                    afar.roads.found(&name.local);
                    afar.raw.insert(name.local.clone());
                }
                _ => {}
            }
        }
        Ok(afar)
    }

    /// The server of `domain`, unless it is the first.
    pub(super) fn server(&self, domain: &str) -> Option<&World> {
        self.servers.get(domain)
    }

    /// The roads.
    pub(super) fn roads(&self) -> &Roads {
        &self.roads
    }

    /// Whether the scenario speaks for this server.
    pub(super) fn is_peer(&self, name: &Name) -> bool {
        self.raw.contains(&name.local) || self.peers.contains_key(&name.local)
    }

    /// Lets the peers answer what they must; whether there was anything.
    pub(super) fn attend(&mut self) -> Result<bool, String> {
        let mut is_busy = false;
        for peer in self.peers.values_mut() {
            is_busy |= peer.attend(&self.roads)?;
        }
        Ok(is_busy)
    }

    /// Something happens to a road.
    pub(super) fn change(&self, act: &RoadAct) {
        let (one, other) = (&*act.one, &*act.other);
        match &act.change {
            Change::Cut => self.roads.cut(one, other),
            Change::Silent => self.roads.silence(one, other),
            Change::Open => self.roads.restore(one, other),
            Change::Break => self.roads.break_off(one, other),
            Change::Delay(delays) => self.roads.delay(one, other, delays),
        }
    }

    /// What a peer does; what it gets is fetched by [`Afar::next`].
    pub(super) fn act(&mut self, home: &World, name: &Name, act: &Act) -> Result<(), String> {
        let clock = home.hub().clock();
        match act {
            Act::Show(papers) => self.roads.show(&name.local, papers.clone()),
            Act::Call { to, is_secure } => {
                let end = self.roads.call(clock, (&name.local, to), *is_secure)?;
                self.lines.insert(name.clone(), Line::new(end));
            }
            Act::Called => {
                let end = self.roads.answer(&name.local);
                let end = end.ok_or_else(|| format!("nobody calls {}", name.local))?;
                self.lines.insert(name.clone(), Line::new(end));
            }
            Act::TakeTls => {
                let line = self.lines.remove(name).ok_or_else(|| unconnected(name))?;
                self.lines.insert(name.clone(), line.secured());
            }
            Act::Send(xml) => match self.peers.get_mut(&name.local) {
                Some(peer) => peer.send(&self.roads, clock, xml)?,
                None => self.line(name)?.send(xml),
            },
            Act::Close => match self.peers.get_mut(&name.local) {
                Some(peer) => peer.close(),
                None => self.line(name)?.send("</stream:stream>"),
            },
            Act::Cut => match self.peers.get_mut(&name.local) {
                Some(peer) => peer.cut(),
                None => drop(self.lines.remove(name)),
            },
            _ => {}
        }
        Ok(())
    }

    fn line(&mut self, name: &Name) -> Result<&mut Line, String> {
        self.lines.get_mut(name).ok_or_else(|| unconnected(name))
    }

    /// The next thing that a peer got.
    pub(super) fn next(&mut self, name: &Name) -> Result<Node, String> {
        let next = match self.peers.get_mut(&name.local) {
            Some(peer) => peer.inbox().pop_front(),
            None => self.line(name)?.look()?.pop_front(),
        };
        next.ok_or_else(|| "nothing".to_owned())
    }

    /// A peer got nothing that was not asked for.
    pub(super) fn silent(&mut self, name: &Name) -> Result<(), String> {
        let next = match self.peers.get_mut(&name.local) {
            Some(peer) => peer.inbox().front().cloned(),
            None => match self.lines.get_mut(name) {
                Some(line) => line.look()?.front().cloned(),
                None => None,
            },
        };
        match next {
            Some(node) => Err(format!(
                "{} received\n  {node}\nwhich the scenario does not expect",
                name.local
            )),
            None => Ok(()),
        }
    }

    /// The other side has ended the stream of a peer, with nothing unread before.
    pub(super) fn ended(&mut self, name: &Name) -> Result<(), String> {
        self.silent(name)?;
        let is_over = match self.peers.get(&name.local) {
            Some(peer) => peer.count() == 0,
            None => self.line(name)?.is_ended(),
        };
        if is_over { Ok(()) } else { Err("the stream goes on".to_owned()) }
    }

    /// None of them got what was not asked for.
    pub(super) fn all_silent(&mut self) -> Result<(), String> {
        let peers = self.peers.keys().filter_map(|domain| Name::parse(domain));
        let names: Vec<Name> = peers.chain(self.lines.keys().cloned()).collect();
        names.iter().try_for_each(|name| self.silent(name))
    }

    /// Ends the other servers.
    pub(super) async fn stop(self) -> Result<(), String> {
        for server in self.servers.into_values() {
            server.stop().await?;
        }
        Ok(())
    }
}

impl Player {
    /// What a server does or gets that the scenario speaks for.
    pub(super) async fn on_peer(&mut self, name: &Name, act: &Act) -> Result<(), String> {
        self.settle().await?;
        match act {
            Act::Receive(expected) => return self.receive(name, expected).await,
            Act::Silence => return self.afar.silent(name),
            Act::Ended => return self.afar.ended(name),
            Act::Send(xml) => {
                let xml = self.known_values().fill(xml);
                self.afar.act(&self.world, name, &Act::Send(xml))?;
            }
            _ => self.afar.act(&self.world, name, act)?,
        }
        self.settle().await
    }

    /// The server of a domain.
    pub(super) fn world_of(&self, domain: &str) -> &World {
        self.afar.server(domain).unwrap_or(&self.world)
    }

    /// Time goes by, with everything that arrives meanwhile.
    pub(super) async fn pass(&mut self, by: Duration) -> Result<(), String> {
        let clock = self.world.hub().clock().clone();
        let end = clock.now() + by;
        while let Some(due) = self.afar.roads().due().filter(|due| *due < end) {
            clock.advance(due - clock.now());
            self.settle().await?;
        }
        clock.advance(end - clock.now());
        self.read_all().await
    }

    /// The next thing that somebody gets.
    pub(super) async fn fetch(
        &mut self,
        name: &Name,
        wanted: Option<&Node>,
    ) -> Result<Node, String> {
        if !self.afar.is_peer(name) {
            return next(self.signed_in(name).await?, wanted).await;
        }
        self.settle().await?;
        self.afar.next(name).map_err(|reason| match wanted {
            Some(node) => format!("expected\n  {node}\nreceived\n  {reason}"),
            None => format!("received {reason}"),
        })
    }
}

fn unconnected(name: &Name) -> String {
    format!("{name} has no connection")
}

/// The settings of another server.
fn settings(scenario: &Scenario, domain: &str) -> String {
    let mut text = String::new();
    for line in &scenario.lines {
        if let Step::SetAt(of, setting) = &line.step
            && of == domain
        {
            text.push_str(setting);
            text.push('\n');
        }
    }
    text
}
