//! Reads a whole configuration file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::DeTable;

use super::error::{ConfigError, Errors, Source};
use super::host::{DomainName, Host, HostConfig, ModuleSettings};
use super::section::{Section, SectionAbout};
use super::sections::{
    AcmeConfig, Address, ComponentConfig, FederationConfig, HttpConfig, LimitsConfig, ListenConfig,
    PeerConfig, Port, SECTIONS, ServerConfig, StorageConfig, TlsConfig,
};
use super::table::{Item, Table};
use super::value::Value;

/// Everything the operator decided.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[server]`
    pub server: ServerConfig,
    /// `[listen]`
    pub listen: ListenConfig,
    /// `[tls]`
    pub tls: TlsConfig,
    /// `[acme]`
    pub acme: AcmeConfig,
    /// `[http]`
    pub http: HttpConfig,
    /// `[storage]`
    pub storage: StorageConfig,
    /// `[limits]`
    pub limits: LimitsConfig,
    /// `[[host]]`, with the settings of every module; at least one.
    pub hosts: Vec<Host>,
    /// `[[component]]`, by no order that matters.
    pub components: Vec<ComponentConfig>,
    /// `[federation]`
    pub federation: FederationConfig,
    /// `[[peer]]`, by no order that matters.
    pub peers: Vec<PeerConfig>,
}

/// The key that switches a module on or off, beside the module's own settings.
const ENABLED: &str = "enabled";

impl Config {
    /// Reads a file, knowing the sections of these modules. Reports everything wrong with it, in
    /// the order of the file.
    pub fn read(source: Source<'_>, modules: &[&'static SectionAbout]) -> Result<Self, Errors> {
        Self::read_with(source, &[], modules)
    }

    /// The same with further files behind it, which have hosts and nothing else. What the first
    /// file says of modules holds for their hosts too.
    pub fn read_with(
        source: Source<'_>,
        others: &[Source<'_>],
        modules: &[&'static SectionAbout],
    ) -> Result<Self, Errors> {
        let document = parse(source)?;
        let parsed: Vec<_> =
            others.iter().map(|other| parse(*other)).collect::<Result<_, Errors>>()?;
        let root = Table::root(source, &document);
        let others = others.iter().zip(&parsed).map(|(source, it)| Table::root(*source, it));
        let others: Vec<Table<'_>> = others.collect();
        let mut errors = unknown_sections(&root, modules);
        errors.extend(others.iter().flat_map(beside_hosts));
        let config = Self {
            server: section(&root, &mut errors),
            listen: section(&root, &mut errors),
            tls: section(&root, &mut errors),
            acme: section(&root, &mut errors),
            http: section(&root, &mut errors),
            storage: section(&root, &mut errors),
            limits: section(&root, &mut errors),
            hosts: hosts(&root, &others, modules, &mut errors),
            components: repeated(&root, &mut errors),
            federation: section(&root, &mut errors),
            peers: repeated(&root, &mut errors),
        };
        config.check(&root, &mut errors);
        errors.sort_by_key(|error| (error.place.line, error.place.column));
        errors.dedup();
        if errors.is_empty() { Ok(config) } else { Err(errors) }
    }

    /// What holds without a file.
    pub fn defaults(modules: &[&'static SectionAbout]) -> Self {
        let source = Source { name: "defaults", text: "" };
        Self::read(source, modules).expect("the defaults are within their own ranges")
    }

    /// The host that serves a domain.
    pub fn host(&self, domain: &str) -> Option<&Host> {
        self.hosts.iter().find(|host| host.config.domain.as_str() == domain)
    }

    /// Whether this server talks with others.
    pub fn federates(&self) -> bool {
        self.federation.enabled.unwrap_or(self.server.public)
    }

    /// Every address to listen on. Components are waited for where there are any, and other servers
    /// where this one talks with them.
    pub fn addresses(&self) -> Vec<Address> {
        let mut addresses = self.listen.addresses(self.server.public);
        if self.components.is_empty() {
            addresses.retain(|address| address.port != Port::Component);
        }
        if !self.federates() {
            addresses.retain(|address| !address.port.is_for_servers());
        }
        addresses
    }

    /// Lets relative paths begin at `folder`, where the file lies, and the database at the data
    /// folder.
    pub fn settle(&mut self, folder: &Path) {
        let settle = |path: &mut PathBuf| *path = folder.join(&*path);
        settle(&mut self.server.data);
        self.tls.client_authorities.iter_mut().for_each(settle);
        self.acme.authorities.iter_mut().for_each(settle);
        self.acme.external_key_file.iter_mut().for_each(settle);
        for host in &mut self.hosts {
            let own = host.file.as_deref().and_then(Path::parent).unwrap_or(folder);
            let settle = |path: &mut PathBuf| *path = own.join(&*path);
            host.config.certificate.iter_mut().for_each(settle);
            host.config.key.iter_mut().for_each(settle);
        }
        for component in &mut self.components {
            component.secret_file.iter_mut().for_each(settle);
        }
        self.federation.authorities.iter_mut().for_each(settle);
        self.federation.anchors.iter_mut().for_each(settle);
    }
}

fn parse(source: Source<'_>) -> Result<Spanned<DeTable<'_>>, Errors> {
    let (document, syntax) = DeTable::parse_recoverable(source.text);
    if syntax.is_empty() {
        return Ok(document);
    }
    let at_end = source.text.len()..source.text.len();
    let flaw = |error: &toml::de::Error| {
        let span = error.span().unwrap_or(at_end.clone());
        source.flaw(span, String::new(), error.message())
    };
    let mut errors: Errors = syntax.iter().map(flaw).collect();
    errors.sort_by_key(|error| (error.place.line, error.place.column));
    Err(errors)
}

/// Refuses what is no host in a file of hosts.
fn beside_hosts(root: &Table<'_>) -> Errors {
    let others = root.items().filter(|(key, _)| *key != HostConfig::NAME);
    let flaw = |(_, item): (&str, Item<'_>)| {
        item.key_flaw("only [[host]] stands in this file").hint("write it into the main file")
    };
    others.map(flaw).collect()
}

fn section<S: Section>(root: &Table<'_>, errors: &mut Errors) -> S {
    match root.table(S::NAME).and_then(|table| S::read(&table)) {
        Ok(section) => section,
        Err(found) => {
            errors.extend(found);
            S::default()
        }
    }
}

/// The sections of this name, each with what is between double brackets.
fn repeated<S: Section>(root: &Table<'_>, errors: &mut Errors) -> Vec<S> {
    let tables = root.tables(S::NAME).unwrap_or_else(|found| {
        errors.extend(found);
        Vec::new()
    });
    let read = |table: &Table<'_>| match S::read(table) {
        Ok(section) => section,
        Err(found) => {
            errors.extend(found);
            S::default()
        }
    };
    tables.iter().map(read).collect()
}

/// Refuses what stands at the top of the file and is not known.
fn unknown_sections(root: &Table<'_>, modules: &[&'static SectionAbout]) -> Errors {
    let names = || SECTIONS.iter().map(|section| section.name).chain(["modules"]);
    let mut errors = Vec::new();
    for (key, item) in root.items() {
        if names().any(|name| name == key) {
            continue;
        }
        let is_table = item.table().is_ok();
        let what = if is_table { "no such section" } else { "no such setting outside a section" };
        let error = item.key_flaw(what);
        errors.push(match home_of(key, is_table, modules) {
            Some(home) => error.hint(home),
            None => error.suggest(key, names()),
        });
    }
    errors
}

/// Where a key that stands at the top of the file belongs.
fn home_of(key: &str, is_table: bool, modules: &[&'static SectionAbout]) -> Option<String> {
    if is_table {
        let module = modules.iter().find(|module| module.name == key)?;
        return Some(format!("did you mean [modules.{}]?", module.name));
    }
    let has = |about: &&SectionAbout| (about.fields)().iter().any(|field| field.key == key);
    let home = SECTIONS.iter().find(has)?;
    Some(format!("it belongs below {}", home.header()))
}

fn hosts(
    root: &Table<'_>,
    others: &[Table<'_>],
    modules: &[&'static SectionAbout],
    errors: &mut Errors,
) -> Vec<Host> {
    let global = table_or_absent(root, "modules", errors);
    errors.extend(unknown_modules(&global, modules));
    for about in modules {
        module(&global, None, about, errors);
    }
    let mut tables = listed(root, errors);
    let is_silent = tables.is_empty();
    for other in others {
        tables.extend(listed(other, errors));
    }
    let mut hosts: Vec<Host> = Vec::new();
    if is_silent {
        let table = Table::absent(root.source(), HostConfig::NAME);
        let settings = settings(&global, &table, modules, errors);
        let config = HostConfig { domain: DomainName::default(), ..HostConfig::default() };
        hosts.push(Host { config, modules: settings, file: None });
    }
    let mut domains: Vec<DomainName> = hosts.iter().map(|it| it.config.domain.clone()).collect();
    for table in tables {
        let domain = table.item("domain").and_then(|item| DomainName::read(&item).ok());
        if domain.as_ref().is_some_and(|domain| domains.contains(domain)) {
            errors.push(table.flaw("domain", "another [[host]] has this domain already"));
        }
        domains.extend(domain);
        let name = table.source().name;
        let file = (name != root.source().name).then(|| PathBuf::from(name));
        hosts.push(Host { file, ..host(table, &global, modules, errors) });
    }
    hosts
}

/// The `[[host]]` sections of one file.
fn listed<'a>(root: &Table<'a>, errors: &mut Errors) -> Vec<Table<'a>> {
    root.tables(HostConfig::NAME).unwrap_or_else(|found| {
        errors.extend(found);
        Vec::new()
    })
}

fn host(
    table: Table<'_>,
    global: &Table<'_>,
    modules: &[&'static SectionAbout],
    errors: &mut Errors,
) -> Host {
    let settings = settings(global, &table, modules, errors);
    let own = table.hide("modules");
    let config = HostConfig::read(&own).unwrap_or_else(|found| {
        errors.extend(found);
        HostConfig::default()
    });
    Host { config, modules: settings, file: None }
}

fn settings(
    global: &Table<'_>,
    host: &Table<'_>,
    modules: &[&'static SectionAbout],
    errors: &mut Errors,
) -> BTreeMap<&'static str, ModuleSettings> {
    let local = table_or_absent(host, "modules", errors);
    errors.extend(unknown_modules(&local, modules));
    let read = |about: &&'static SectionAbout| {
        Some((about.name, module(global, Some(&local), about, errors)?))
    };
    modules.iter().filter_map(read).collect()
}

/// Reads the section of one module; `None` after an error.
fn module(
    global: &Table<'_>,
    local: Option<&Table<'_>>,
    about: &'static SectionAbout,
    errors: &mut Errors,
) -> Option<ModuleSettings> {
    let mut table = table_or_absent(global, about.name, errors);
    if let Some(local) = local {
        table = table.under(table_or_absent(local, about.name, errors));
    }
    let is_on = match table.item(ENABLED).map(|item| bool::read(&item)) {
        Some(Ok(is_on)) => is_on,
        Some(Err(found)) => {
            errors.extend(found);
            about.is_on
        }
        None => about.is_on,
    };
    match about.read(&table.hide(ENABLED)) {
        Ok(section) => Some(ModuleSettings { is_on, section, about }),
        Err(found) => {
            errors.extend(found);
            None
        }
    }
}

fn unknown_modules(table: &Table<'_>, modules: &[&'static SectionAbout]) -> Vec<ConfigError> {
    let names = || modules.iter().map(|module| module.name);
    table
        .items()
        .filter(|(key, _)| !names().any(|name| name == *key))
        .map(|(key, item)| item.key_flaw("no such module").suggest(key, names()))
        .collect()
}

fn table_or_absent<'a>(parent: &Table<'a>, key: &str, errors: &mut Errors) -> Table<'a> {
    parent.table(key).unwrap_or_else(|found| {
        errors.extend(found);
        Table::absent(parent.source(), key)
    })
}
