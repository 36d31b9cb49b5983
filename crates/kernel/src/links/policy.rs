//! Who may talk to this server from elsewhere, and how other servers must prove who they are.
//!
//! What the operator wrote, what admins ordered by command, and lists that servers share come
//! together here. Whoever has a stanza for another domain, or from one, asks [`Policy::judge`].

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};
use waxwing_stanza::StanzaError;
use waxwing_stream::StreamError;

use crate::blocklist::{Blocklists, Source};
use crate::config::sections::{FederationConfig, Need, PeerAddress, PeerConfig, Trust};

/// What was said of a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Nothing is exchanged with it.
    Block,
    /// It may talk to us, whatever the lists and `federation.open` say.
    Allow,
}

impl Order {
    /// As it is kept.
    pub fn word(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Allow => "allow",
        }
    }

    /// What was kept.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Block, Self::Allow].into_iter().find(|order| order.word() == word)
    }
}

/// Who said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The configuration file.
    File,
    /// An admin, by command.
    Command,
}

/// How a domain must prove who it is, and where it is if that is not for DNS to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Nothing is exchanged without TLS.
    pub tls_required: bool,
    /// Only a valid certificate proves a domain.
    pub certificate_required: bool,
    /// Server Dialback (XEP-0220) proves a domain; without TLS only where that is not required.
    pub dialback_allowed: bool,
    /// Where its server is, if the operator said it.
    pub place: Option<PeerPlace>,
}

/// Where a server is: no DNS record of its service is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerPlace {
    /// A name or an address.
    pub host: Arc<str>,
    /// The TCP port.
    pub port: u16,
    /// Whether TLS begins at once.
    pub direct_tls: bool,
}

/// Why nothing is exchanged with a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Barred {
    /// This server talks to no others.
    Off,
    /// Only to domains that were allowed.
    Closed,
    /// It was blocked.
    Blocked(By),
    /// It is on this list that servers share.
    Listed(Arc<str>),
}

/// What the operator wrote about other servers.
#[derive(Clone, Debug)]
pub struct Rules {
    is_on: bool,
    is_open: bool,
    terms: Terms,
    said: HashMap<Box<str>, Order>,
    peers: HashMap<Box<str>, Terms>,
    lists: Vec<Source>,
    list_entries: usize,
}

/// The rules in force. Cheap to ask; every part can be replaced while others ask.
pub struct Policy {
    rules: ArcSwap<Rules>,
    orders: ArcSwap<HashMap<Box<str>, Order>>,
    lists: ArcSwapOption<Blocklists>,
    version: AtomicU32,
}

impl Rules {
    /// Of what the operator wrote; `is_public` is `server.public`.
    pub fn new(config: &FederationConfig, peers: &[PeerConfig], is_public: bool) -> Self {
        let terms = terms(config.trust, config.tls, None);
        let mut said: HashMap<Box<str>, Order> = HashMap::new();
        // The last word counts: what is both allowed and blocked is blocked.
        for (names, order) in [(&config.allow, Order::Allow), (&config.block, Order::Block)] {
            said.extend(names.iter().map(|name| (name.as_str().into(), order)));
        }
        let of_peer = |peer: &PeerConfig| {
            let trust = peer.trust.unwrap_or(config.trust);
            let tls = peer.tls.unwrap_or(config.tls);
            let place = peer.address.as_ref().map(|address| place(address, peer.direct_tls));
            (peer.domain.as_str().into(), self::terms(trust, tls, place))
        };
        Self {
            is_on: config.enabled.unwrap_or(is_public),
            is_open: config.open,
            terms,
            said,
            peers: peers.iter().map(of_peer).collect(),
            lists: config.lists.clone(),
            list_entries: config.list_entries as usize,
        }
    }

    /// Every name that the file says something of, in no order.
    pub fn all_said(&self) -> impl Iterator<Item = (&str, Order)> {
        self.said.iter().map(|(name, order)| (&**name, *order))
    }

    /// The lists that are consulted.
    pub fn lists(&self) -> &[Source] {
        &self.lists
    }

    /// How many entries of each are kept.
    pub fn list_entries(&self) -> usize {
        self.list_entries
    }

    /// What the file says of exactly this name.
    pub fn said(&self, name: &str) -> Option<Order> {
        self.said.get(name).copied()
    }
}

fn terms(trust: Trust, tls: Need, place: Option<PeerPlace>) -> Terms {
    let certificate_required = trust == Trust::Certificate;
    Terms {
        // A certificate is shown in TLS or not at all.
        tls_required: certificate_required || tls == Need::Required,
        certificate_required,
        dialback_allowed: !certificate_required,
        place,
    }
}

fn place(address: &PeerAddress, direct_tls: bool) -> PeerPlace {
    let usual = if direct_tls { 5270 } else { 5269 };
    PeerPlace { host: address.host().into(), port: address.port().unwrap_or(usual), direct_tls }
}

/// Until rules are set, this server talks to no others.
impl Default for Policy {
    fn default() -> Self {
        let rules = Rules::new(&FederationConfig::default(), &[], false);
        Self {
            rules: ArcSwap::from_pointee(rules),
            orders: ArcSwap::default(),
            lists: ArcSwapOption::empty(),
            version: AtomicU32::new(0),
        }
    }
}

impl Policy {
    /// Puts what the operator wrote in force.
    pub fn set(&self, rules: Rules) {
        self.rules.store(Arc::new(rules));
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Another one each time that the operator's words change.
    pub(crate) fn version(&self) -> u32 {
        self.version.load(Ordering::Acquire)
    }

    /// What the file says.
    pub fn rules(&self) -> Arc<Rules> {
        self.rules.load_full()
    }

    /// Puts what an admin said of a domain in force, or takes it back.
    pub fn order(&self, domain: &str, order: Option<Order>) {
        self.orders.rcu(|orders| {
            let mut orders = HashMap::clone(orders);
            match order {
                Some(order) => orders.insert(domain.into(), order),
                None => orders.remove(domain),
            };
            orders
        });
    }

    /// Replaces everything that admins said.
    pub fn set_orders(&self, orders: impl IntoIterator<Item = (Box<str>, Order)>) {
        self.orders.store(Arc::new(orders.into_iter().collect()));
    }

    /// What admins said, in the order of the names.
    pub fn orders(&self) -> Vec<(Box<str>, Order)> {
        let orders = self.orders.load();
        let mut all: Vec<_> = orders.iter().map(|(name, order)| (name.clone(), *order)).collect();
        all.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        all
    }

    /// Looks up the lists that the rules name among these from now on.
    pub fn consult(&self, lists: Arc<Blocklists>) {
        self.lists.store(Some(lists));
    }

    /// Whether this server talks to others at all.
    pub fn is_on(&self) -> bool {
        self.rules.load().is_on
    }

    /// Whether anything may be exchanged with `domain`, a prepared name, and on what terms.
    ///
    /// A name that somebody wrote or ordered means the domain and all below it. The longest name
    /// that covers the domain counts; where the file and a command have the same name, the file
    /// does. After the names come the lists, then `federation.open`.
    ///
    /// # Errors
    /// Why not.
    pub fn judge(&self, domain: &str) -> Result<Terms, Barred> {
        let rules = self.rules.load();
        if !rules.is_on {
            return Err(Barred::Off);
        }
        match self.said_of(&rules, domain) {
            Some((Order::Block, by)) => return Err(Barred::Blocked(by)),
            Some((Order::Allow, _)) => {}
            None => self.judge_unsaid(&rules, domain)?,
        }
        if rules.peers.is_empty() {
            return Ok(rules.terms.clone());
        }
        let own = names_of(domain).find_map(|name| rules.peers.get(name));
        Ok(own.unwrap_or(&rules.terms).clone())
    }

    /// What was said of `domain` or of what it lies below, and by whom.
    pub fn said(&self, domain: &str) -> Option<(Order, By)> {
        self.said_of(&self.rules.load(), domain)
    }

    fn said_of(&self, rules: &Rules, domain: &str) -> Option<(Order, By)> {
        let orders = self.orders.load();
        if rules.said.is_empty() && orders.is_empty() {
            return None;
        }
        names_of(domain).find_map(|name| {
            let in_file = rules.said.get(name).map(|order| (*order, By::File));
            in_file.or_else(|| orders.get(name).map(|order| (*order, By::Command)))
        })
    }

    fn judge_unsaid(&self, rules: &Rules, domain: &str) -> Result<(), Barred> {
        if !rules.is_open {
            return Err(Barred::Closed);
        }
        if rules.lists.is_empty() {
            return Ok(());
        }
        let lists = self.lists.load();
        match lists.as_ref().and_then(|lists| lists.find_domain(&rules.lists, domain)) {
            Some(source) => Err(Barred::Listed(source.to_string().into())),
            None => Ok(()),
        }
    }
}

/// A domain, and what it lies below, the longest name first.
pub fn names_of(domain: &str) -> impl Iterator<Item = &str> {
    let above = domain.match_indices('.').map(|(at, _)| &domain[at + 1..]);
    std::iter::once(domain).chain(above)
}

impl Barred {
    /// What somebody here is told who wrote to `domain`.
    pub fn stanza_error(&self, domain: &str) -> StanzaError {
        let error = match self {
            Self::Off => StanzaError::remote_server_not_found(),
            // RFC 6120 §8.3.3.8: "The recipient or server does not allow any entity to perform the
            // action".
            Self::Closed | Self::Blocked(_) | Self::Listed(_) => StanzaError::not_allowed(),
        };
        error.text(match self {
            Self::Off => "This server does not talk to other servers.".to_owned(),
            Self::Closed => {
                format!("This server talks to chosen domains only, and {domain} is none of them.")
            }
            Self::Blocked(_) => format!("The operators of this server have blocked {domain}."),
            Self::Listed(_) => format!(
                "This server does not talk with {domain}: it is on a list of domains that send \
                 what nobody wants."
            ),
        })
    }

    /// What the other server is told. RFC 6120 §4.9.3.14: "The entity has violated some local
    /// service policy". Which one is ours to know, but whom to ask for is no secret.
    pub fn stream_error(&self) -> StreamError {
        StreamError::policy_violation().text("this server does not talk with yours")
    }
}

/// In words, for the operator.
impl fmt::Display for Barred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("this server does not talk to others"),
            Self::Closed => f.write_str("only domains that were allowed may talk to this server"),
            Self::Blocked(By::File) => f.write_str("blocked in the configuration file"),
            Self::Blocked(By::Command) => f.write_str("blocked by command"),
            Self::Listed(list) => write!(f, "on the list {list}"),
        }
    }
}

impl Barred {
    /// What an operator does who wants it otherwise.
    pub fn advice(&self, domain: &str) -> String {
        match self {
            Self::Off => {
                "Set `server.public = true`, or `enabled = true` below [federation].".to_owned()
            }
            Self::Closed | Self::Listed(_) | Self::Blocked(By::Command) => {
                format!("To talk with it: waxwing federation allow {domain}")
            }
            Self::Blocked(By::File) => {
                "To talk with it, take it out of `block` below [federation] and reload.".to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests;
