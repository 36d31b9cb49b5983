//! What contradicts itself between the sections of a file.

use std::collections::BTreeMap;

use super::error::Errors;
use super::host::DomainName;
use super::read::Config;
use super::section::Section;
use super::sections::{ComponentConfig, Delegation, ListenConfig, PeerConfig};
use super::table::Table;
use super::value::Value;

impl Config {
    /// Finds what each section for itself could not.
    pub(super) fn check(&self, root: &Table<'_>, errors: &mut Errors) {
        check_peers(root, errors);
        self.check_components(root, errors);
        self.check_addresses(root, errors);
    }

    /// A domain is served by one.
    fn check_components(&self, root: &Table<'_>, errors: &mut Errors) {
        let mut seen: Vec<DomainName> = Vec::new();
        for table in root.tables(ComponentConfig::NAME).unwrap_or_default() {
            let domain = table.item("domain").and_then(|item| DomainName::read(&item).ok());
            let Some(domain) = domain else { continue };
            if self.host(domain.as_str()).is_some() {
                errors.push(table.flaw("domain", "a [[host]] has this domain already"));
            }
            if let Some(module) = self.service_at(domain.as_str()) {
                let problem = format!("the server's own module `{module}` answers at this domain");
                let remedy = format!(
                    "choose another domain, or write `enabled = false` below [modules.{module}]"
                );
                errors.push(table.flaw("domain", problem).hint(remedy));
            }
            if seen.contains(&domain) {
                errors.push(table.flaw("domain", "another [[component]] has this domain already"));
            }
            seen.push(domain);
        }
        let pairs = self.components.iter().enumerate();
        let pairs =
            pairs.flat_map(|(at, one)| self.components[..at].iter().map(move |it| (one, it)));
        for (one, other) in pairs {
            errors.extend(self.quarrel(one, other).map(|what| root.flaw("component", what)));
        }
    }

    /// The module with a service at this domain, below a host where it is on.
    fn service_at(&self, domain: &str) -> Option<&'static str> {
        self.hosts.iter().find_map(|host| {
            let label = domain.strip_suffix(host.config.domain.as_str())?.strip_suffix('.')?;
            let mut abouts = host.modules.values().filter(|it| it.is_on).map(|it| it.about);
            abouts.find(|about| about.service == Some(label)).map(|about| about.name)
        })
    }

    /// What two components would both answer, in words.
    fn quarrel(&self, one: &ComponentConfig, other: &ComponentConfig) -> Option<String> {
        let domains = || self.hosts.iter().map(|host| host.config.domain.as_str());
        let host = domains().find(|host| one.manages(host) && other.manages(host))?;
        let is_both =
            |it: &&Delegation| other.delegate.iter().any(|its| its.namespace == it.namespace);
        let both = one.delegate.iter().find(is_both)?;
        let (namespace, one, other) = (&both.namespace, &one.domain, &other.domain);
        Some(format!("{one} and {other} are both delegated {namespace} of {host}"))
    }

    /// One address can be listened on once.
    fn check_addresses(&self, root: &Table<'_>, errors: &mut Errors) {
        let mut seen = BTreeMap::new();
        for address in self.addresses() {
            let Some(other) = seen.insert(address.address, address.port) else { continue };
            let key = if address.is_asked { address.port.key() } else { other.key() };
            let problem = format!(
                "{} is taken twice, for `{}` and for `{}`",
                address.address,
                other.key(),
                address.port.key()
            );
            if let Ok(listen) = root.table(ListenConfig::NAME) {
                errors.push(listen.flaw(key, problem));
            }
        }
    }
}

/// What holds for a domain is said once.
fn check_peers(root: &Table<'_>, errors: &mut Errors) {
    let mut seen: Vec<DomainName> = Vec::new();
    for table in root.tables(PeerConfig::NAME).unwrap_or_default() {
        let domain = table.item("domain").and_then(|item| DomainName::read(&item).ok());
        let Some(domain) = domain else { continue };
        if seen.contains(&domain) {
            errors.push(table.flaw("domain", "another [[peer]] has this domain already"));
        }
        seen.push(domain);
    }
}
