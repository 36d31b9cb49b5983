//! Finding the server of a domain: SRV records (RFC 6120 §3.2, XEP-0368), addresses (XEP-0495),
//! what DNSSEC proves of them and of certificates (RFC 6698, 7673), and what the domain's web
//! server says (RFC 7711, XEP-0487).
//!
//! Nothing here connects to a server or judges a certificate; that is `peers`.
//!
//! **DNS comes before host-meta.** XEP-0487 §2.3 would have it the other way round ("legacy
//! SRV/POSH/etc lookups SHOULD be skipped"), at the price of asking the web server of every domain
//! that somebody writes to; we ask it where DNS leads nowhere, and it is also there that it helps.

mod cache;
mod clients;
mod domain;
mod files;
mod meta;
mod options;
mod order;
mod posh;
mod records;
mod resolver;
mod service;
mod source;
mod survey;
mod table;
mod target;
#[cfg(test)]
mod tests;
mod trouble;
mod wellknown;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use tokio::sync::{Semaphore, oneshot};
use waxwing_kernel::clock::Clock;
use waxwing_kernel::outgoing::Fetch;

use self::cache::Cache;
use self::domain::Domain;
use self::meta::Document;
pub use self::options::{Dnssec, NamesOptions};
use self::order::in_order;
pub use self::records::{Machine, records_for};
use self::resolver::Resolver;
use self::service::{Service, alone, service_of, services, without_services};
use self::source::{Data, Kind, Reply, Source};
pub use self::table::Table;
pub use self::target::{
    Addresses, Fingerprint, FoundBy, Meta, PORT, Places, Posh, Target, Tlsa, Way,
};
pub use self::trouble::NameTrouble;
use crate::fetch::is_public;
use crate::limits::Limits;

/// RFC 8305 §3: "If a positive A response is received first due to reordering, the client SHOULD
/// wait a short time for the AAAA response … A recommended value is 50 milliseconds."
const WAIT_FOR_V6: Duration = Duration::from_millis(50);
/// The other way round an IPv4 address would not be tried before this (RFC 8305 §5).
const WAIT_FOR_V4: Duration = Duration::from_millis(250);
/// RFC 2308 §7.1 allows to remember for at most five minutes that a server failed.
const FAILURE: Duration = Duration::from_secs(15);

/// Finds servers of other domains. Cheap to clone; all clones know the same.
#[derive(Clone)]
pub struct Names(Arc<Inner>);

type Answer = Result<Reply, NameTrouble>;

/// What a file says, or words on why it was not read.
type File<T> = Result<T, Arc<str>>;

struct Inner {
    limits: Limits,
    clock: Clock,
    fetch: Option<Arc<dyn Fetch>>,
    state: RwLock<Arc<State>>,
    turns: Semaphore,
    answers: Cache<(Arc<str>, Kind), Answer>,
    metas: Cache<Arc<str>, File<Arc<Document>>>,
    poshes: Cache<Arc<str>, File<Option<Arc<Posh>>>>,
}

/// What a reload replaces.
struct State {
    source: Source,
    has_private: bool,
}

impl Names {
    /// Asks DNS as `options` say, and web servers by `fetch`.
    ///
    /// # Errors
    /// A sentence for the operator: what the options name cannot be read.
    pub fn new(
        options: &NamesOptions,
        limits: &Limits,
        fetch: Arc<dyn Fetch>,
        clock: Clock,
    ) -> Result<Self, String> {
        let state = State::new(options, limits, &clock)?;
        Ok(Self::with(state, limits, Some(fetch), clock))
    }

    /// Asks nobody: all that is known is in `table`. For tests.
    pub fn table(table: Table) -> Self {
        let state = State { source: Source::Table(table), has_private: true };
        Self::with(state, &Limits::default(), None, Clock::system())
    }

    fn with(state: State, limits: &Limits, fetch: Option<Arc<dyn Fetch>>, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            limits: limits.clone(),
            clock,
            fetch,
            state: RwLock::new(Arc::new(state)),
            turns: Semaphore::new(limits.dns_questions_max),
            answers: Cache::new(limits.dns_cache_max),
            metas: Cache::new(limits.well_known_cache_max),
            poshes: Cache::new(limits.well_known_cache_max),
        }))
    }

    /// Takes other options, and forgets what was found under the old ones.
    ///
    /// # Errors
    /// As [`Names::new`]; then everything stays as it was.
    pub fn configure(&self, options: &NamesOptions) -> Result<(), String> {
        let state = State::new(options, &self.0.limits, &self.0.clock)?;
        *self.0.state.write() = Arc::new(state);
        self.0.answers.clear();
        self.0.metas.clear();
        self.0.poshes.clear();
        Ok(())
    }

    /// Where the server of `domain`, the domain of a JID, can be as DNS has it: in the order to be
    /// tried, drawn anew each time.
    ///
    /// # Errors
    /// Nobody is there, or DNS does not tell. A name without any records is found nevertheless,
    /// as its own server; that it has no address shows later.
    pub async fn places(&self, domain: &str) -> Result<Places, NameTrouble> {
        let name = match Domain::read(domain)? {
            Domain::Literal(address) => return Ok(alone(address.to_string().into(), false)),
            Domain::Name(name) => name,
        };
        let (direct, plain) = (service_of(&name, true), service_of(&name, false));
        let asked = tokio::join!(self.ask(&direct, Kind::Srv), self.ask(&plain, Kind::Srv));
        let found = [(&asked.0, true), (&asked.1, false)];
        let services = found.iter().filter_map(|(answer, is_direct)| {
            answer.as_ref().ok().map(|reply| services(reply, *is_direct))
        });
        let services: Vec<_> = services.flatten().collect();
        if services.is_empty() {
            return without_services(&name, &asked.0, asked.1);
        }
        let mut order = in_order(services, &mut |most| self.random(most));
        order.retain(|ranked| !ranked.item.host.is_empty());
        if order.is_empty() {
            return Err(NameTrouble::Declined(name));
        }
        order.truncate(self.0.limits.targets_max);
        let targets: Vec<_> = order.into_iter().map(Service::target).collect();
        let is_signed = targets.iter().all(|target| target.is_signed);
        Ok(Places { targets, is_signed })
    }

    /// Where the server of `domain` can be as its web server has it (XEP-0487, XEP-0468): to be
    /// tried when no place that DNS knows has worked. Empty where that says nothing.
    pub async fn others(&self, domain: &str) -> Vec<Target> {
        let state = self.state();
        if let Source::Table(table) = &state.source {
            return table.others.get(domain).cloned().unwrap_or_default();
        }
        let Ok(Domain::Name(name)) = Domain::read(domain) else { return Vec::new() };
        let Ok(document) = self.host_meta(&name).await else { return Vec::new() };
        let order = in_order(document.ranked(), &mut |most| self.random(most));
        order.iter().map(|ranked| document.links[ranked.item].2.clone()).collect()
    }

    /// The addresses of a target. IPv6 and IPv4 are asked for at once, and who is late is not
    /// waited for long once the other has come.
    ///
    /// # Errors
    /// It has none, or none that may be dialled, or DNS does not tell. What DNSSEC finds forged is
    /// not among them, and not there at all if nothing else is.
    pub async fn addresses(&self, target: &Target) -> Result<Addresses, NameTrouble> {
        let host = target.host.clone();
        let given = target.meta.as_ref().map(|meta| meta.ips.as_slice()).unwrap_or_default();
        if let Ok(address) = host.parse::<IpAddr>() {
            return self.dialled(&host, [address], false);
        }
        if !given.is_empty() {
            return self.dialled(&host, given.iter().copied(), false);
        }
        let (v6, v4) = self.both(&host).await;
        let answers: Vec<_> = v6.into_iter().chain(v4).collect();
        let replies = || answers.iter().filter_map(|answer| answer.as_ref().ok());
        let found: Vec<_> = replies().flat_map(Reply::addresses).collect();
        if !found.is_empty() {
            let mut used = replies().filter(|reply| !reply.records.is_empty());
            let is_signed = used.all(|reply| reply.is_signed);
            return self.dialled(&host, found, is_signed);
        }
        let exists = replies().any(|reply| reply.exists);
        match answers.into_iter().find_map(Result::err) {
            Some(trouble) => Err(trouble),
            None if exists => Err(NameTrouble::NoAddress(host)),
            None => Err(NameTrouble::NoSuchName(host)),
        }
    }

    /// The TLSA records of a server, if DNSSEC proves them (RFC 6698 §4.1). To be asked for a
    /// target whose SRV record and addresses are signed (RFC 7673 §3.1).
    ///
    /// # Errors
    /// Whether there are any is not known; the target is not to be used then (RFC 7671 §2.1: or
    /// whoever suppresses answers would switch DANE off).
    pub async fn tlsa(&self, host: &str, port: u16) -> Result<Vec<Tlsa>, NameTrouble> {
        if host.parse::<IpAddr>().is_ok() {
            return Ok(Vec::new());
        }
        let reply = self.ask(&format!("_{port}._tcp.{host}").into(), Kind::Tlsa).await?;
        let records = reply.records.iter().filter(|_| reply.is_signed);
        let records = records.filter_map(|data| match data {
            Data::Tlsa(tlsa) => Some(tlsa.clone()),
            _ => None,
        });
        Ok(records.take(self.0.limits.targets_max).collect())
    }

    /// The certificates that `domain` names on its web server (RFC 7711), if it does. To be asked
    /// for where nothing else proves a certificate right.
    pub async fn posh(&self, domain: &str) -> Option<Arc<Posh>> {
        let state = self.state();
        if let Source::Table(table) = &state.source {
            return table.poshes.get(domain).cloned();
        }
        let Ok(Domain::Name(name)) = Domain::read(domain) else { return None };
        self.posh_file(&name).await.ok().flatten()
    }

    /// Asks for both families at once. None stands for an answer that was not waited for; it will
    /// be known the next time.
    async fn both(&self, host: &Arc<str>) -> (Option<Answer>, Option<Answer>) {
        let (mut six, mut four) = (self.later(host, Kind::V6), self.later(host, Kind::V4));
        let lost = || Err(NameTrouble::NoAnswer(host.clone()));
        tokio::select! {
            v6 = &mut six => {
                let v6 = v6.unwrap_or_else(|_| lost());
                let v4 = soon(four, &v6, WAIT_FOR_V4).await;
                (Some(v6), v4)
            }
            v4 = &mut four => {
                let v4 = v4.unwrap_or_else(|_| lost());
                let v6 = soon(six, &v4, WAIT_FOR_V6).await;
                (v6, Some(v4))
            }
        }
    }

    /// Asks in a task of its own, so that the answer is kept also when nobody waits for it.
    fn later(&self, host: &Arc<str>, kind: Kind) -> oneshot::Receiver<Answer> {
        let (tell, told) = oneshot::channel();
        let (names, host) = (self.clone(), host.clone());
        self.0.clock.spawn(async move {
            let _ = tell.send(names.ask(&host, kind).await);
        });
        told
    }

    /// Asks, unless the answer is known.
    async fn ask(&self, name: &Arc<str>, kind: Kind) -> Answer {
        let key = (name.clone(), kind);
        if let Some(known) = self.0.answers.find(&key, self.now()) {
            return known;
        }
        let (state, time) = (self.state(), self.0.limits.dns());
        let asked = tokio::time::timeout(time, async {
            let _turn = self.0.turns.acquire().await;
            Box::pin(state.source.ask(name, kind)).await
        });
        let answer = asked.await.unwrap_or_else(|_| Err(NameTrouble::NoAnswer(name.clone())));
        let limits = &self.0.limits;
        let keep = match &answer {
            Ok(reply) if reply.records.is_empty() => limits.dns_negative(reply.ttl),
            Ok(reply) => limits.dns_positive(reply.ttl),
            Err(_) => FAILURE,
        };
        // What was asked of servers that a reload has replaced is no answer of the new ones.
        if Arc::ptr_eq(&state, &self.state()) {
            self.0.answers.keep(key, answer.clone(), self.until(keep), self.now());
        }
        answer
    }

    /// Those of `found` that may be dialled.
    fn dialled(
        &self,
        host: &Arc<str>,
        found: impl IntoIterator<Item = IpAddr>,
        is_signed: bool,
    ) -> Result<Addresses, NameTrouble> {
        let has_private = self.state().has_private;
        let mut addresses = Addresses { is_signed, ..Addresses::default() };
        let may = |address: &IpAddr| has_private || is_public(*address);
        let found = found.into_iter().filter(may).take(self.0.limits.addresses_max);
        found.for_each(|address| addresses.add(address));
        if addresses.is_empty() {
            return Err(NameTrouble::NotPublic(host.clone()));
        }
        Ok(addresses)
    }

    /// A number from 0 to `most`, both included, each as likely as the others.
    fn random(&self, most: u32) -> u32 {
        let mut bytes = [0; 8];
        self.0.clock.random(&mut bytes);
        // 2^64 is so much more than any sum of weights that the remainder shows no bias.
        (u64::from_le_bytes(bytes) % (u64::from(most) + 1)) as u32
    }

    fn state(&self) -> Arc<State> {
        self.0.state.read().clone()
    }

    fn now(&self) -> Instant {
        self.0.clock.now()
    }

    fn until(&self, keep: Duration) -> Instant {
        self.now() + keep
    }
}

impl State {
    fn new(options: &NamesOptions, limits: &Limits, clock: &Clock) -> Result<Self, String> {
        let source = Source::Dns(Box::new(Resolver::new(options, limits, clock.clone())?));
        Ok(Self { source, has_private: options.private_addresses })
    }
}

/// An answer that is waited for: briefly, if `other` has something already.
async fn soon(told: oneshot::Receiver<Answer>, other: &Answer, wait: Duration) -> Option<Answer> {
    let has_some = other.as_ref().is_ok_and(|reply| !reply.records.is_empty());
    if has_some {
        return tokio::time::timeout(wait, told).await.ok().and_then(Result::ok);
    }
    told.await.ok()
}
