//! Components: services in programs of their own, each speaking for a domain (XEP-0114).
//!
//! The operator declares them. One that has connected has a [`Link`], and its task is an
//! attachment: it owns the stream and the wire, as a session's task does, and others reach it
//! through its mailbox.

mod attachment;
mod grants;
mod route;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::RwLock;
use waxwing_jid::{BareJid, is_subdomain};
use waxwing_stanza::payload::disco::Item;
use waxwing_stream::{Closing, StreamError};
use zeroize::Zeroizing;

use crate::config::sections::{ComponentConfig, Network};
use crate::hub::Hub;
use crate::mailbox::{Mail, Mailbox};

pub(crate) use attachment::Attachment;
pub(crate) use grants::{AttachedRoute, InterceptRoute, LetterRoute};
pub use grants::{Grants, Greeting, Intercepted, Later, Letter, Occasion};

/// A component as the operator declared it.
pub struct Component {
    jid: BareJid,
    secret: Arc<Zeroizing<String>>,
    addresses: Vec<Network>,
    name: Option<String>,
    is_listed: bool,
    grants: Grants,
}

/// A component that is connected.
#[derive(Clone)]
pub struct Link {
    /// The way to it.
    pub mailbox: Mailbox,
    /// Where it comes from.
    pub peer: IpAddr,
    /// When it came, in Unix milliseconds.
    pub since_millis: u64,
}

/// The declared components, and which of them are connected. Its lock is held for nanoseconds, and
/// never across an await.
#[derive(Default)]
pub struct Components(RwLock<BTreeMap<String, Entry>>);

struct Entry {
    component: Arc<Component>,
    link: Option<Link>,
}

impl Component {
    /// A component with these settings, which knows this secret.
    ///
    /// # Errors
    /// When its domain cannot be part of an address.
    pub fn new(config: &ComponentConfig, secret: &str) -> Result<Self, String> {
        let jid = BareJid::new(config.domain.as_str()).map_err(|error| error.to_string())?;
        Ok(Self {
            jid,
            secret: Arc::new(Zeroizing::new(secret.to_owned())),
            addresses: config.addresses.clone(),
            name: config.name.clone(),
            is_listed: config.listed,
            grants: Grants::of(config),
        })
    }

    /// What it may do beyond what anybody may.
    pub fn grants(&self) -> &Grants {
        &self.grants
    }

    /// Whether its grants are about the accounts of the site `domain`.
    pub fn manages(&self, domain: &str) -> bool {
        match self.grants.hosts.as_slice() {
            [] => self.is_below(domain),
            hosts => hosts.iter().any(|host| host.as_str() == domain),
        }
    }

    /// The address that stands for the component itself.
    pub fn jid(&self) -> &BareJid {
        &self.jid
    }

    /// The domain that it speaks for.
    pub fn domain(&self) -> &str {
        self.jid.domain()
    }

    /// What it is called, for people.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Whether its domain lies below `domain`.
    pub fn is_below(&self, domain: &str) -> bool {
        is_subdomain(self.domain(), domain)
    }

    /// Whether it may connect from `peer`.
    fn admits(&self, peer: IpAddr) -> bool {
        self.addresses.is_empty() || self.addresses.iter().any(|network| network.contains(peer))
    }
}

impl Components {
    /// The component of a prepared domain name, and its connection if it has one.
    pub fn find(&self, domain: &str) -> Option<(Arc<Component>, Option<Link>)> {
        let known = self.0.read();
        known.get(domain).map(|entry| (Arc::clone(&entry.component), entry.link.clone()))
    }

    /// The first that is `wanted`, and its connection if it has one.
    pub fn find_by(
        &self,
        wanted: impl Fn(&Component) -> bool,
    ) -> Option<(Arc<Component>, Option<Link>)> {
        let known = self.0.read();
        let entry = known.values().find(|entry| wanted(&entry.component))?;
        Some((Arc::clone(&entry.component), entry.link.clone()))
    }

    /// All of them, by domain.
    pub fn list(&self) -> Vec<(Arc<Component>, Option<Link>)> {
        let known = self.0.read();
        known.values().map(|entry| (Arc::clone(&entry.component), entry.link.clone())).collect()
    }

    /// The way to the component that speaks for `domain`, if it is connected.
    pub(crate) fn mailbox(&self, domain: &str) -> Option<Mailbox> {
        self.0.read().get(domain)?.link.as_ref().map(|link| link.mailbox.clone())
    }

    /// How many are declared.
    pub(crate) fn count(&self) -> usize {
        self.0.read().len()
    }

    /// Those that are connected, and the ways to them.
    pub fn linked(&self) -> Vec<(Arc<Component>, Mailbox)> {
        let known = self.0.read();
        let linked = |entry: &Entry| {
            let mailbox = entry.link.as_ref()?.mailbox.clone();
            Some((Arc::clone(&entry.component), mailbox))
        };
        known.values().filter_map(linked).collect()
    }

    /// Notes that a component is connected.
    fn link(&self, domain: &str, link: Link) -> Result<Arc<Component>, StreamError> {
        let mut known = self.0.write();
        let entry = known.get_mut(domain).ok_or_else(StreamError::host_gone)?;
        if entry.link.is_some() {
            // XEP-0114 §3 names this condition for a component that will not be serviced. Two at a
            // time would each get half of what is said to the domain.
            let text = "this component is connected already; one connection is served at a time";
            return Err(StreamError::conflict().text(text));
        }
        entry.link = Some(link);
        Ok(Arc::clone(&entry.component))
    }

    /// Notes that the connection behind `mailbox` is gone.
    fn unlink(&self, domain: &str, mailbox: &Mailbox) {
        if let Some(entry) = self.0.write().get_mut(domain) {
            entry.link.take_if(|link| link.mailbox.is(mailbox));
        }
    }

    /// Whether any is connected.
    pub(crate) fn is_any_linked(&self) -> bool {
        self.0.read().values().any(|entry| entry.link.is_some())
    }

    /// Tells every connected component, or that of `domain`, to end.
    fn close(&self, closing: &Closing) {
        for entry in self.0.read().values() {
            if let Some(link) = &entry.link {
                // One that refuses the letter has ended already.
                let _ = link.mailbox.send(Mail::Close(closing.clone()));
            }
        }
    }

    /// Replaces the declarations. Connections go on, but for those of components that are served no
    /// more. Gives those that are connected, and whether they may do other things now.
    fn declare(&self, components: Vec<Component>) -> Vec<(Arc<Component>, Occasion)> {
        let (mut known, mut linked) = (self.0.write(), Vec::new());
        let mut before = std::mem::take(&mut *known);
        for component in components {
            let (domain, component) = (component.domain().to_owned(), Arc::new(component));
            let old = before.remove(&domain);
            if let Some(old) = old.as_ref().filter(|old| old.link.is_some()) {
                let is_same = old.component.grants == component.grants;
                let occasion = if is_same { Occasion::Reloaded } else { Occasion::Changed };
                linked.push((Arc::clone(&component), occasion));
            }
            known.insert(domain, Entry { component, link: old.and_then(|entry| entry.link) });
        }
        for link in before.into_values().filter_map(|entry| entry.link) {
            let _ = link.mailbox.send(Mail::Close(Closing::Error(StreamError::host_gone())));
        }
        linked
    }
}

impl Hub {
    /// Says which components there are from now on.
    pub fn declare_components(&self, components: Vec<Component>) {
        for (component, occasion) in self.components().declare(components) {
            let hub = self.clone();
            self.clock().spawn(async move { hub.greet(&component, occasion).await });
        }
        self.enforce_policy();
    }

    /// Ends the connections of all components: the server ends.
    pub(crate) fn dismiss_components(&self) {
        let error = StreamError::system_shutdown().text("The server is shutting down.");
        self.components().close(&Closing::Error(error));
    }

    /// The components that the site of `domain` shows among its items: those below it, and those
    /// that are below no site.
    pub(crate) fn listed_components(&self, domain: &str) -> Vec<Item> {
        let sites = self.sites();
        let is_shown = |component: &Component| {
            let is_orphan = || !sites.iter().any(|site| component.is_below(site.domain()));
            component.is_listed && (component.is_below(domain) || is_orphan())
        };
        let all = self.components().list().into_iter().map(|(component, _)| component);
        let item = |component: Arc<Component>| Item {
            jid: component.domain().to_owned(),
            node: None,
            name: component.name().map(str::to_owned),
        };
        all.filter(|component| is_shown(component)).map(item).collect()
    }

    /// What the stream of a component at `peer` must know, or is told instead.
    pub(crate) fn admit_component(
        &self,
        domain: &str,
        peer: IpAddr,
    ) -> Result<waxwing_stream::Component, StreamError> {
        let (component, _) =
            self.components().find(domain).ok_or_else(StreamError::host_unknown)?;
        if self.is_draining() {
            return Err(StreamError::system_shutdown().text("The server is shutting down."));
        }
        if !component.admits(peer) {
            tracing::info!(%peer, domain, "component refused: it may not come from this address");
            let text = "this component may not connect from your address";
            return Err(StreamError::policy_violation().text(text));
        }
        let server = self.sites().first().map_or(domain.into(), |site| site.domain().into());
        let secret = Arc::clone(&component.secret);
        Ok(waxwing_stream::Component { domain: domain.into(), secret, server })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(domain: &str, addresses: &[&str]) -> Component {
        let read = |text: &&str| Network::new(text).unwrap();
        let config = ComponentConfig {
            domain: crate::config::DomainName::new(domain).unwrap(),
            addresses: addresses.iter().map(read).collect(),
            ..ComponentConfig::default()
        };
        Component::new(&config, "secret").unwrap()
    }

    fn link() -> Link {
        let peer = IpAddr::from([127, 0, 0, 1]);
        Link { mailbox: Mailbox::new(1), peer, since_millis: 0 }
    }

    #[test]
    fn a_domain_is_below_another_by_whole_labels() {
        let irc = component("irc.example.org", &[]);
        assert!(irc.is_below("example.org") && irc.is_below("org"));
        assert!(!irc.is_below("irc.example.org") && !irc.is_below("xample.org"));
        assert!(!component("circ.example.org", &[]).is_below("irc.example.org"));
    }

    #[test]
    fn a_component_comes_from_where_it_may() {
        let anywhere = component("irc.example.org", &[]);
        let here = component("irc.example.org", &["127.0.0.1", "10.0.0.0/8"]);
        for (peer, is_here) in [("127.0.0.1", true), ("10.1.2.3", true), ("192.0.2.1", false)] {
            let peer: IpAddr = peer.parse().unwrap();
            assert!(anywhere.admits(peer));
            assert_eq!(here.admits(peer), is_here);
        }
    }

    #[test]
    fn one_connection_serves_a_domain_until_it_ends() {
        let components = Components::default();
        components.declare(vec![component("irc.example.org", &[])]);
        let (first, second) = (link(), link());
        assert!(components.link("irc.example.org", first.clone()).is_ok());
        let refused = components.link("irc.example.org", second.clone()).map(drop);
        assert_eq!(refused.unwrap_err().condition, waxwing_stream::Condition::Conflict);
        components.unlink("irc.example.org", &second.mailbox);
        assert!(components.is_any_linked());
        components.unlink("irc.example.org", &first.mailbox);
        assert!(components.link("irc.example.org", second).is_ok());
        assert!(components.link("sms.example.org", link()).is_err());
    }

    #[test]
    fn who_is_declared_no_more_is_told_to_go() {
        let components = Components::default();
        components.declare(vec![component("irc.example.org", &[]), component("a.example", &[])]);
        let (irc, other) = (link(), link());
        assert!(components.link("irc.example.org", irc.clone()).is_ok());
        assert!(components.link("a.example", other.clone()).is_ok());
        components.declare(vec![component("irc.example.org", &[])]);
        assert!(irc.mailbox.is_empty() && !other.mailbox.is_empty());
        assert!(components.find("irc.example.org").unwrap().1.is_some());
        assert!(components.find("a.example").is_none());
    }
}
