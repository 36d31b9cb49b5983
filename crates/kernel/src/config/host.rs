//! A virtual host: its own settings, and those of the modules on it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use waxwing_jid::{BareJid, prepare_domain};

use super::section::{AnySection, Flaw, Section, SectionAbout};
use super::value::worded;

crate::section! {
    /// One domain served. Repeat the section for each; without any, `localhost` is served.
    pub struct HostConfig("host", check = HostConfig::check) {
        /// The domain: what stands behind the `@` in the addresses of its accounts.
        pub domain: DomainName,
        /// Accounts that may administer this domain, such as `["admin@example.org"]`.
        pub admins: Vec<BareJid> = [],
        /// The certificate with its chain (PEM). Needs `key`. Without both, a self-signed
        /// certificate is made in the data folder. A relative path begins at the folder of this
        /// file. A renewed certificate is noticed while the server runs.
        pub certificate: Option<PathBuf> = None,
        /// The private key of the certificate (PEM).
        pub key: Option<PathBuf> = None,
        /// Whether a certificate is got for it where `[acme]` is on and none is named here.
        pub acme: bool = true,
        /// Further names in that certificate, such as that of the web address that leads here:
        /// `["chat.example.org"]`.
        pub names: Vec<DomainName> = [],
        /// Whether anybody may sign in without an account, under an address made up for the
        /// session (SASL ANONYMOUS).
        pub anonymous: bool = false,
        /// Whether accounts may have passwords that this server keeps. `false` is for domains whose
        /// accounts are known to others only: to a directory, an identity provider or a program
        /// (modules `ldap`, `jwt` and `authhook`), or by client certificates.
        pub internal_passwords: bool = true,
        /// Web origins whose pages may open a stream to this domain, such as
        /// `https://app.example.org`; `["*"]` lets every page. Without any, those of
        /// `http.origins` hold.
        pub origins: Vec<String> = [],
        /// The language of what the server says on this domain.
        pub language: String = "en",
    }
}

impl HostConfig {
    fn check(&self) -> Result<(), Flaw> {
        let problem = |has: &str, lacks: &str| format!("`{has}` needs `{lacks}` beside it");
        match (&self.certificate, &self.key) {
            (Some(_), None) => {
                Err(Flaw { key: "certificate", problem: problem("certificate", "key") })
            }
            (None, Some(_)) => Err(Flaw { key: "key", problem: problem("key", "certificate") }),
            _ => Ok(()),
        }
    }
}

/// The name of a domain, prepared as RFC 7622 §3.2 asks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DomainName(String);

impl DomainName {
    /// Prepares a name.
    pub fn new(name: &str) -> Result<Self, String> {
        match prepare_domain(name) {
            Ok(name) => Ok(Self(name.into_owned())),
            Err(reason) => Err(reason.to_string()),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for DomainName {
    fn default() -> Self {
        Self("localhost".to_owned())
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

worded!(DomainName, "a domain such as \"example.org\"", DomainName::new);

/// A virtual host with the settings of every module on it.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its own settings.
    pub config: HostConfig,
    /// By the name of the module.
    pub modules: BTreeMap<&'static str, ModuleSettings>,
    /// The file that it stands in, where that is not the main one.
    pub file: Option<PathBuf>,
}

/// What one host asks of one module.
#[derive(Clone, Debug)]
pub struct ModuleSettings {
    /// Whether the module runs on this host.
    pub is_on: bool,
    /// Its section.
    pub section: AnySection,
    /// What the section consists of.
    pub about: &'static SectionAbout,
}

impl Host {
    /// The settings of a module. They must be asked for by the type that its declaration has.
    pub fn module<S: Section>(&self, name: &str) -> S {
        let settings = self.modules.get(name).expect("every module's section is read");
        settings.section.get::<S>().expect("a module has one section type").clone()
    }

    /// Whether a module runs on this host.
    pub fn is_on(&self, module: &str) -> bool {
        self.modules.get(module).is_some_and(|settings| settings.is_on)
    }
}
