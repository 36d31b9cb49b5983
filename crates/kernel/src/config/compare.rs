//! What a changed configuration changes, and whether it can while the server runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::host::{Host, HostConfig};
use super::read::Config;
use super::section::{FieldDoc, Section};
use super::sections::{ComponentConfig, PeerConfig, Port};

/// One setting that differs between two configurations.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// The path of the key; settings of a host begin with its domain. Values are not kept: they
    /// may be secret.
    pub key: String,
    /// Whether it can take effect without a restart.
    pub is_reloadable: bool,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        if self.is_reloadable { Ok(()) } else { f.write_str(" (needs a restart)") }
    }
}

/// Every setting by its path: its value, and whether it can be reloaded.
type Settings = BTreeMap<String, (Option<String>, bool)>;

impl Config {
    /// What differs in `new`, sorted by key.
    pub fn changes(&self, new: &Config) -> Vec<Change> {
        let (old, new) = (self.settings(), new.settings());
        let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        let differs = |key: &&String| old.get(*key) != new.get(*key);
        let change = |key: &String| Change {
            key: key.clone(),
            // What only one side has came or went with its host, which can.
            is_reloadable: old.get(key).zip(new.get(key)).is_none_or(|(old, _)| old.1),
        };
        keys.into_iter().filter(differs).map(change).collect()
    }

    /// All or nothing: the changes if every one of them can take effect while the server runs,
    /// else those that cannot.
    pub fn reload(&self, new: &Config) -> Result<Vec<Change>, Vec<Change>> {
        let changes = self.changes(new);
        let (can, cannot): (Vec<_>, Vec<_>) =
            changes.into_iter().partition(|change| change.is_reloadable);
        if cannot.is_empty() { Ok(can) } else { Err(cannot) }
    }

    fn settings(&self) -> Settings {
        let mut all = Settings::new();
        add_section(&mut all, &self.server);
        add_section(&mut all, &self.listen);
        add_section(&mut all, &self.tls);
        add_section(&mut all, &self.acme);
        add_section(&mut all, &self.http);
        add_section(&mut all, &self.storage);
        add_section(&mut all, &self.limits);
        add_section(&mut all, &self.federation);
        for host in &self.hosts {
            add_host(&mut all, host);
        }
        for component in &self.components {
            let path = format!("component.{}", component.domain);
            add_fields(&mut all, &path, ComponentConfig::fields(), &component.show());
        }
        for peer in &self.peers {
            let path = format!("peer.{}", peer.domain);
            add_fields(&mut all, &path, PeerConfig::fields(), &peer.show());
        }
        // Whether there is such a port hangs on whether there are components, too.
        let is_open = self.addresses().iter().any(|address| address.port == Port::Component);
        let port = format!("{is_open} {:?}", self.listen.component);
        all.insert("listen.component".to_owned(), (Some(port), false));
        all
    }
}

fn add_section<S: Section>(all: &mut Settings, section: &S) {
    add_fields(all, S::NAME, S::fields(), &section.show());
}

fn add_host(all: &mut Settings, host: &Host) {
    let domain = host.config.domain.as_str();
    add_fields(all, domain, HostConfig::fields(), &host.config.show());
    for (name, module) in &host.modules {
        let path = format!("{domain}.modules.{name}");
        add_fields(all, &path, (module.about.fields)(), module.section.shown());
        all.insert(format!("{path}.enabled"), (Some(module.is_on.to_string()), false));
    }
}

fn add_fields(all: &mut Settings, path: &str, fields: &[FieldDoc], values: &[Option<String>]) {
    for (field, value) in fields.iter().zip(values) {
        let key = format!("{path}.{}", field.key);
        all.insert(key, (value.clone(), field.is_reloadable));
    }
}
