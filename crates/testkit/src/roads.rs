//! The roads between servers, simulated: who lives where, what the way there is like, and whose
//! papers are in order.
//!
//! A **home** is a server of the test, or a peer that a scenario speaks for. Between two homes runs
//! a road, and on it lie cables, one for each connection.

mod cable;
mod dial;

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use waxwing_kernel::Hub;
use waxwing_kernel::clock::Clock;

pub use cable::CableEnd;
use cable::{Cable, Ends};
pub use dial::Dialer;

/// Everybody who can be reached, and the ways to them. Cheap to clone.
#[derive(Clone, Default)]
pub struct Roads(Arc<Map>);

#[derive(Default)]
struct Map {
    plan: Mutex<Plan>,
    /// How much has happened: calls, and pieces of data that were taken in.
    moved: AtomicU64,
    /// A road was changed.
    changed: Notify,
}

#[derive(Default)]
struct Plan {
    /// The home of a domain, which is also that of all domains below.
    domains: BTreeMap<String, Arc<str>>,
    homes: BTreeMap<Arc<str>, Home>,
    roads: BTreeMap<(Arc<str>, Arc<str>), Road>,
    cables: Vec<(Pair, Weak<Cable>)>,
}

/// The two ends of a road, in the order of their names.
type Pair = (Arc<str>, Arc<str>);

struct Home {
    resident: Resident,
    papers: Papers,
    door: Door,
}

enum Resident {
    Server(Hub),
    /// A scenario speaks for it; these have called and nobody has answered yet.
    Peer(VecDeque<CableEnd>),
}

/// What a home shows when it is asked who it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Papers {
    /// A certificate for its domains and all below.
    #[default]
    Valid,
    /// One for this domain, whoever it is.
    For(String),
    /// One that was valid until yesterday.
    Expired,
    /// None.
    Missing,
}

/// How somebody who calls gets TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Door {
    /// By asking for it in the stream.
    #[default]
    StartTls,
    /// From the first byte.
    Tls,
}

/// What a road is like.
#[derive(Clone, Debug, Default)]
struct Road {
    state: State,
    /// How long a piece of data takes, for one connection after the other; at once when empty.
    delays: Vec<Duration>,
    calls: usize,
}

/// Whether there is a way through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// There is.
    #[default]
    Open,
    /// Who calls is told at once that there is none.
    Cut,
    /// What is sent arrives when the road is open again, and nobody is told.
    Silent,
}

impl Roads {
    /// Another server, which is the home of these domains.
    pub fn settle(&self, domains: &[&str], hub: &Hub) {
        self.add(domains, Resident::Server(hub.clone()), Door::default());
    }

    /// A peer that a scenario speaks for.
    pub fn found(&self, domain: &str) {
        self.add(&[domain], Resident::Peer(VecDeque::new()), Door::Tls);
    }

    fn add(&self, domains: &[&str], resident: Resident, door: Door) {
        let Some(first) = domains.first() else { return };
        let name: Arc<str> = Arc::from(*first);
        let mut plan = self.plan();
        for domain in domains {
            plan.domains.insert((*domain).to_owned(), Arc::clone(&name));
        }
        let papers = plan.homes.remove(&name).map(|home| home.papers).unwrap_or_default();
        plan.homes.insert(name, Home { resident, papers, door });
    }

    /// Nobody lives there any more; what leads there is cut.
    pub fn leave(&self, domain: &str) {
        let gone = {
            let mut plan = self.plan();
            let Some(home) = plan.home(domain) else { return };
            plan.homes.remove(&home);
            plan.domains.retain(|_, of| *of != home);
            plan.take_cables(|(one, other)| *one == home || *other == home)
        };
        gone.iter().for_each(|cable| cable.cut());
    }

    /// What the home of `domain` shows from now on.
    pub fn show(&self, domain: &str, papers: Papers) {
        self.with_home(domain, |home| home.papers = papers);
    }

    /// How one gets TLS at the home of `domain` from now on.
    pub fn open(&self, domain: &str, door: Door) {
        self.with_home(domain, |home| home.door = door);
    }

    /// There is no way between two homes from now on, and what was on its way is lost.
    pub fn cut(&self, one: &str, other: &str) {
        self.change(one, other, |road| road.state = State::Cut);
        self.break_off(one, other);
    }

    /// What is sent between two homes does not arrive from now on, and nobody is told.
    pub fn silence(&self, one: &str, other: &str) {
        self.change(one, other, |road| road.state = State::Silent);
    }

    /// There is a way again, and what was held on it arrives.
    pub fn restore(&self, one: &str, other: &str) {
        self.change(one, other, |road| road.state = State::Open);
    }

    /// The connections between two homes end; the next may begin at once.
    pub fn break_off(&self, one: &str, other: &str) {
        let gone = {
            let mut plan = self.plan();
            let Some(pair) = plan.pair(one, other) else { return };
            plan.take_cables(|of| *of == pair)
        };
        gone.iter().for_each(|cable| cable.cut());
    }

    /// How long what is sent takes from now on: on the first connection so long, on the next as
    /// long as the next says, and then from the beginning.
    pub fn delay(&self, one: &str, other: &str, delays: &[Duration]) {
        self.change(one, other, |road| {
            road.delays = delays.to_vec();
            road.calls = 0;
        });
    }

    /// How many connections there are between two homes.
    pub fn count(&self, one: &str, other: &str) -> usize {
        let mut plan = self.plan();
        let Some(pair) = plan.pair(one, other) else { return 0 };
        plan.cables.retain(|(_, cable)| cable.strong_count() > 0);
        plan.cables.iter().filter(|(of, _)| *of == pair).count()
    }

    /// A way out for a server of ours.
    pub fn dialer(&self, clock: &Clock) -> Dialer {
        Dialer::new(Arc::downgrade(&self.0), clock.clone())
    }

    /// A peer connects to a server, with TLS from the first byte or without. Gives its end.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub fn call(
        &self,
        clock: &Clock,
        (from, to): (&str, &str),
        is_secure: bool,
    ) -> Result<CableEnd, String> {
        let (near, far, hub) = {
            let mut plan = self.plan();
            let road = plan.road(from, to).ok_or("nobody lives there")?;
            if road.state != State::Open {
                return Err(format!("there is no way from {from} to {to}"));
            }
            let (near, far) = plan.lay(clock, (from, to), &self.0).ok_or("nobody lives there")?;
            (near, far, plan.hub(to).ok_or("this is no server")?)
        };
        self.note();
        dial::hand_in(&hub, far, is_secure);
        Ok(if is_secure { near.secured() } else { near })
    }

    /// The oldest call to a peer that nobody has answered.
    pub fn answer(&self, domain: &str) -> Option<CableEnd> {
        let mut plan = self.plan();
        let home = plan.home(domain)?;
        match &mut plan.homes.get_mut(&home)?.resident {
            Resident::Peer(calls) => calls.pop_front(),
            Resident::Server(_) => None,
        }
    }

    /// The servers.
    pub fn hubs(&self) -> Vec<Hub> {
        let plan = self.plan();
        let hub = |home: &Home| match &home.resident {
            Resident::Server(hub) => Some(hub.clone()),
            Resident::Peer(_) => None,
        };
        plan.homes.values().filter_map(hub).collect()
    }

    /// How much has happened on all roads so far.
    pub fn moved(&self) -> u64 {
        self.0.moved.load(Ordering::Relaxed)
    }

    /// When the next piece of data arrives that is under way.
    pub fn due(&self) -> Option<Instant> {
        let plan = self.plan();
        plan.cables.iter().filter_map(|(_, cable)| cable.upgrade()?.due()).min()
    }

    fn note(&self) {
        self.0.note();
    }

    fn with_home(&self, domain: &str, change: impl FnOnce(&mut Home)) {
        let mut plan = self.plan();
        if let Some(home) = plan.home(domain).and_then(|home| plan.homes.get_mut(&home)) {
            change(home);
        }
    }

    fn change(&self, one: &str, other: &str, change: impl FnOnce(&mut Road)) {
        let cables = {
            let mut plan = self.plan();
            let Some(pair) = plan.pair(one, other) else { return };
            let road = plan.roads.entry(pair.clone()).or_default();
            change(road);
            let is_held = road.state == State::Silent;
            let of = plan.cables.iter().filter(|(of, _)| *of == pair);
            let cables: Vec<_> = of.filter_map(|(_, cable)| cable.upgrade()).collect();
            cables.into_iter().map(|cable| (cable, is_held)).collect::<Vec<_>>()
        };
        for (cable, is_held) in cables {
            cable.hold(is_held);
        }
        self.0.changed.notify_waiters();
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.0.plan()
    }
}

impl Map {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something has happened.
    fn note(&self) {
        self.moved.fetch_add(1, Ordering::Relaxed);
    }
}

impl Plan {
    /// Who lives at a domain, or above it.
    fn home(&self, domain: &str) -> Option<Arc<str>> {
        let mut rest = domain;
        loop {
            if let Some(home) = self.domains.get(rest) {
                return Some(Arc::clone(home));
            }
            rest = rest.split_once('.')?.1;
        }
    }

    fn hub(&self, domain: &str) -> Option<Hub> {
        match &self.homes.get(&self.home(domain)?)?.resident {
            Resident::Server(hub) => Some(hub.clone()),
            Resident::Peer(_) => None,
        }
    }

    fn pair(&self, one: &str, other: &str) -> Option<Pair> {
        let (one, other) = (self.home(one)?, self.home(other)?);
        Some(if one <= other { (one, other) } else { (other, one) })
    }

    fn road(&mut self, one: &str, other: &str) -> Option<&mut Road> {
        let pair = self.pair(one, other)?;
        Some(self.roads.entry(pair).or_default())
    }

    /// What a home shows: the chain of its certificate, which is a text here.
    fn chain(&self, domain: &str) -> Vec<Vec<u8>> {
        let Some(name) = self.home(domain) else { return Vec::new() };
        let domains = || {
            let own = self.domains.iter().filter(|(_, home)| **home == name);
            own.map(|(domain, _)| domain.as_str()).collect::<Vec<_>>().join(",")
        };
        let text = match self.homes.get(&name).map(|home| &home.papers) {
            Some(Papers::Valid) => format!("valid:{}", domains()),
            Some(Papers::For(domain)) => format!("valid:{domain}"),
            Some(Papers::Expired) => format!("expired:{}", domains()),
            Some(Papers::Missing) | None => return Vec::new(),
        };
        vec![text.into_bytes()]
    }

    /// A new cable between two homes: the ends of who calls and of who is called.
    fn lay(
        &mut self,
        clock: &Clock,
        (from, to): (&str, &str),
        map: &Arc<Map>,
    ) -> Option<(CableEnd, CableEnd)> {
        let pair = self.pair(from, to)?;
        let ends = Ends { caller: self.chain(from), called: self.chain(to), name: to.into() };
        let road = self.roads.entry(pair.clone()).or_default();
        let delay = match road.delays.as_slice() {
            [] => Duration::ZERO,
            delays => delays[road.calls % delays.len()],
        };
        road.calls += 1;
        let (cable, near, far) = cable::lay(clock, delay, ends, Arc::downgrade(map));
        self.cables.retain(|(_, cable)| cable.strong_count() > 0);
        self.cables.push((pair, Arc::downgrade(&cable)));
        Some((near, far))
    }

    fn take_cables(&mut self, is_meant: impl Fn(&Pair) -> bool) -> Vec<Arc<Cable>> {
        let (gone, left) =
            std::mem::take(&mut self.cables).into_iter().partition(|(pair, _)| is_meant(pair));
        self.cables = left;
        let gone: Vec<(Pair, Weak<Cable>)> = gone;
        gone.iter().filter_map(|(_, cable)| cable.upgrade()).collect()
    }
}

/// Whether a certificate stands for a domain.
///
/// # Errors
/// Why it does not, in words.
fn judge(chain: &[Vec<u8>], domain: &str) -> Result<(), String> {
    let Some(text) = chain.first().and_then(|leaf| std::str::from_utf8(leaf).ok()) else {
        return Err(format!("The server of {domain} shows no certificate."));
    };
    let (state, names) = text.split_once(':').unwrap_or(("", text));
    let covers = |name: &str| {
        domain == name || domain.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'))
    };
    if !names.split(',').any(covers) {
        return Err(format!("The certificate is for {names} and not for {domain}."));
    }
    match state {
        "valid" => Ok(()),
        _ => Err(format!("The certificate of {domain} expired on 2026-01-30.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_for_its_names_and_those_below_while_it_is_valid() {
        let chain = |text: &str| vec![text.as_bytes().to_vec()];
        assert!(judge(&chain("valid:a.example,b.example"), "b.example").is_ok());
        assert!(judge(&chain("valid:a.example"), "rooms.a.example").is_ok());
        for (text, domain) in
            [("valid:a.example", "ba.example"), ("expired:a.example", "a.example"), ("", "a")]
        {
            assert!(judge(&chain(text), domain).is_err(), "{text} {domain}");
        }
        assert!(judge(&[], "a.example").is_err());
    }

    #[test]
    fn a_home_is_that_of_the_domains_below() {
        let roads = Roads::default();
        roads.found("capulet.example");
        let plan = roads.plan();
        assert_eq!(plan.home("rooms.capulet.example").as_deref(), Some("capulet.example"));
        assert_eq!(plan.home("example"), None);
    }
}
