//! Other servers: the links that lead to them, and the streams that they open to this one.
//!
//! A stanza for a domain that is nobody's here goes to the link of its pair of domains, which
//! is made when it is first needed: a task with a bounded letter box and at most one stream.
//! Whoever sends never waits for it. What other servers open is served by an arrival each. Who
//! may talk to us is [`policy`], what is known of them the [`ledger`].

mod arrival;
mod arrivals;
mod border;
mod bounce;
pub mod dial;
mod echo;
mod journey;
mod lane;
mod later;
pub mod ledger;
mod link;
mod pairs;
pub mod policy;
mod route;
mod setback;
pub mod survey;
mod verify;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use waxwing_jid::Jid;
use waxwing_store::StoreError;
use waxwing_store::domains::outgoing::Outgoing;
use waxwing_stream::{Closing, Demand, StreamError};

use self::arrivals::Arrivals;
use self::dial::Dial;
use self::echo::Echoes;
use self::ledger::Ledger;
use self::link::pair;
use self::pairs::Pairs;
use self::policy::{Policy, Terms};
use self::survey::Survey;
use crate::clock::Clock;
use crate::hub::Hub;
use crate::limits::PeerLimits;
use crate::mailbox::{Mail, Mailbox};
use crate::metrics::Metrics;
use crate::request::Answer;

pub use self::arrival::{accept_server, accept_server_framed};

/// Rows of messages on their way that are read at a time.
const PAGE: u32 = 100;

/// Everything about other servers. Its locks are held for moments, one at a time but for those of
/// letter boxes, and never across an await.
pub struct Links {
    dialer: OnceLock<Arc<dyn Dial>>,
    policy: Policy,
    ledger: Ledger,
    pairs: Mutex<Pairs>,
    arrivals: Mutex<Arrivals>,
    echoes: Mutex<Echoes>,
    secret: OnceLock<Vec<u8>>,
    /// Connections that may still be made at the same time.
    dials: Semaphore,
    /// How many links somebody here waits for that have not found their way.
    callers: Mutex<HashMap<Box<str>, usize>>,
    /// Keys that are being asked about.
    verifications: AtomicUsize,
    /// Links and arrivals that have not ended.
    open: AtomicUsize,
    /// No link begins any more.
    is_closing: AtomicBool,
}

/// A pair of domains with a link, or where one was in vain a moment ago.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkView {
    /// The domain on our side.
    pub ours: Arc<str>,
    /// The domain on the other side.
    pub peer: Arc<str>,
    /// Stanzas that wait to be sent.
    pub queued: usize,
    /// Whether nobody tries to reach it for a while.
    pub is_resting: bool,
}

impl Links {
    pub(crate) fn new(metrics: &Arc<Metrics>, clock: &Clock, limits: &PeerLimits) -> Self {
        let ledger = Ledger::new(Arc::clone(metrics), clock.clone());
        ledger.bound(limits.ledger);
        Self {
            dialer: OnceLock::new(),
            policy: Policy::default(),
            ledger,
            pairs: Mutex::default(),
            arrivals: Mutex::default(),
            echoes: Mutex::default(),
            secret: OnceLock::new(),
            dials: Semaphore::new(limits.dials),
            callers: Mutex::default(),
            verifications: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            is_closing: AtomicBool::new(false),
        }
    }

    /// Every pair with a link or a rest, in no order.
    pub fn list(&self) -> Vec<LinkView> {
        let pairs = self.pairs.lock();
        let view = |(ours, peer, way, _): (&Arc<str>, &Arc<str>, Option<&Mailbox>, _)| LinkView {
            ours: Arc::clone(ours),
            peer: Arc::clone(peer),
            queued: way.map_or(0, Mailbox::len),
            is_resting: way.is_none(),
        };
        pairs.all().map(view).collect()
    }

    pub(crate) fn keep_secret(&self, secret: Vec<u8>) {
        let _ = self.secret.set(secret);
    }

    /// Whether no link begins any more.
    pub(crate) fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Acquire)
    }

    /// Whether a link or an arrival has not ended.
    pub(crate) fn is_any_open(&self) -> bool {
        self.open.load(Ordering::Acquire) > 0
    }

    /// The letter boxes of links and arrivals of which a domain here, or one elsewhere, is meant.
    fn mailboxes(
        &self,
        is_ours: impl Fn(&str) -> bool,
        is_peer: impl Fn(&str) -> bool,
    ) -> Vec<Mailbox> {
        let pairs = self.pairs.lock();
        let links = pairs.all().filter(|(ours, peer, ..)| is_ours(ours) || is_peer(peer));
        let mut all: Vec<_> = links.filter_map(|(_, _, way, _)| way.cloned()).collect();
        drop(pairs);
        let arrivals = self.arrivals.lock();
        let meant = arrivals.all().filter(|(_, peers, ours)| {
            peers.iter().any(|peer| is_peer(peer)) || ours.iter().any(|ours| is_ours(ours))
        });
        all.extend(meant.map(|(mailbox, ..)| mailbox.clone()));
        all
    }
}

impl Hub {
    /// Says who connects to other servers. The first word counts; without it this server talks to
    /// no others.
    pub fn dial_with(&self, dialer: Arc<dyn Dial>) {
        let _ = self.links().dialer.set(dialer);
    }

    /// Who connects to other servers, if anybody does.
    pub fn dialer(&self) -> Option<&Arc<dyn Dial>> {
        self.links().dialer.get()
    }

    /// Who may talk to this server, and how they must prove who they are.
    pub fn policy(&self) -> &Policy {
        &self.links().policy
    }

    /// What is known of other servers.
    pub fn ledger(&self) -> &Ledger {
        &self.links().ledger
    }

    /// Ends every link and arrival of domains that may not talk to this server any more, or that
    /// are its own by now: nobody else speaks for these; and those of domains that are served here
    /// no more. What waits goes back to its senders.
    pub fn enforce_policy(&self) {
        let is_barred = |peer: &str| self.policy().judge(peer).is_err() || !self.is_elsewhere(peer);
        for mailbox in self.links().mailboxes(|_| false, is_barred) {
            let error = StreamError::policy_violation();
            let error = error.text("this server does not talk with yours");
            // One that refuses the letter has ended already.
            let _ = mailbox.send(Mail::Close(Closing::Error(error)));
        }
        // RFC 6120 §4.9.3.5: "the value of the 'to' attribute … corresponds to an FQDN that is no
        // longer serviced by the receiving entity". With a domain go its services.
        for mailbox in self.links().mailboxes(|ours| self.is_elsewhere(ours), |_| false) {
            let _ = mailbox.send(Mail::Close(Closing::Error(StreamError::host_gone())));
        }
    }

    /// Forgets that a domain was not reached, so that the next stanza tries again.
    pub fn forgive(&self, domain: &str) {
        self.links().pairs.lock().forgive(domain);
    }

    /// The secret of dialback (XEP-0185); one of this run alone where nothing was restored.
    pub(crate) fn dialback_secret(&self) -> &[u8] {
        self.links().secret.get_or_init(|| self.fresh_key().to_vec())
    }

    /// What names, addresses and certificates say about a domain; nothing where nobody connects to
    /// other servers.
    pub fn survey(&self, domain: &str) -> Answer<'static, Option<Survey>> {
        let dialer = self.dialer().cloned();
        let place = self.policy().judge(domain).ok().and_then(|terms| terms.place);
        let domain = Arc::from(domain);
        Box::pin(async move { Some(dialer?.survey(domain, place).await) })
    }

    /// Begins the links for which messages of the last run wait. Call it when sites are served and
    /// it is known who connects to others.
    ///
    /// # Errors
    /// The store's.
    pub async fn resume_links(&self) -> Result<(), StoreError> {
        let rows = Outgoing::new(self.db().clone());
        let (last, now) = (rows.last_id().await?, self.clock().now());
        let most = self.limits().peers.links;
        for (ours, peer) in rows.pairs().await? {
            let (pair, mailbox) = (pair(&ours, &peer), self.link_mailbox());
            if self.links().pairs.lock().begin(&pair, &mailbox, (most, now)).is_err() {
                tracing::error!(ours, peer, "too many links; messages stay until the next start");
                continue;
            }
            self.start_link(pair, mailbox, (Some((0, last)), None));
        }
        Ok(())
    }

    /// Ends all links and arrivals properly: the server ends.
    pub(crate) fn dismiss_links(&self) {
        let links = self.links();
        links.is_closing.store(true, Ordering::Release);
        let pairs: Vec<Mailbox> =
            links.pairs.lock().all().filter_map(|(_, _, way, _)| way.cloned()).collect();
        let arrivals: Vec<Mailbox> =
            links.arrivals.lock().all().map(|(mailbox, ..)| mailbox.clone()).collect();
        for mailbox in pairs.into_iter().chain(arrivals) {
            let _ = mailbox.send(Mail::Close(Closing::Clean));
        }
    }
}

/// The terms as streams know them.
pub(crate) fn demand(terms: &Terms) -> Demand {
    Demand {
        tls_required: terms.tls_required,
        certificate_required: terms.certificate_required,
        dialback_allowed: terms.dialback_allowed,
    }
}

/// One of so many that may do something at a time, until it is dropped.
struct Share {
    hub: Hub,
    count: fn(&Links) -> &AtomicUsize,
}

impl Share {
    fn of(
        hub: &Hub,
        count: fn(&Links) -> &AtomicUsize,
        most: fn(&PeerLimits) -> usize,
    ) -> Option<Self> {
        let most = most(&hub.limits().peers);
        let taken = count(hub.links()).fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| {
            (count < most).then_some(count + 1)
        });
        taken.is_ok().then(|| Self { hub: hub.clone(), count })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        (self.count)(self.hub.links()).fetch_sub(1, Ordering::AcqRel);
    }
}

/// Somebody for whom a link is looked for, counted until this is dropped.
struct Caller {
    hub: Hub,
    name: Box<str>,
}

/// The part, one in so many, of the connections that may be made at a time that are made for one
/// account: whoever writes to many servers that do not answer leaves room for others.
const SHARE: usize = 2;

impl Caller {
    /// None when enough is looked for already for whoever has this bare address, or for all answers
    /// together, which nobody here has a say in. Places where many are, such as rooms, have no such
    /// bound.
    fn of(hub: &Hub, sender: &Jid, is_answer: bool) -> Option<Self> {
        let is_account = sender.local().is_some() && hub.site(sender.domain()).is_some();
        let most = match is_answer || is_account {
            true => (hub.limits().peers.dials / SHARE).max(1),
            false => usize::MAX,
        };
        let name = if is_answer { "" } else { sender.bare_str() };
        let mut callers = hub.links().callers.lock();
        match callers.get_mut(name) {
            Some(count) if *count >= most => return None,
            Some(count) => *count += 1,
            None => {
                callers.insert(name.into(), 1);
            }
        }
        Some(Self { hub: hub.clone(), name: name.into() })
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        let mut callers = self.hub.links().callers.lock();
        if let Some(count) = callers.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                callers.remove(&self.name);
            }
        }
    }
}

/// A link or an arrival that is counted until this is dropped, also when its task panics.
struct Open(Hub);

impl Open {
    fn count(hub: &Hub) -> Self {
        hub.links().open.fetch_add(1, Ordering::AcqRel);
        Self(hub.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.links().open.fetch_sub(1, Ordering::AcqRel);
    }
}
