//! Services in programs of their own.

use std::fmt;
use std::path::PathBuf;

use toml::de::DeValue;

use super::http::Network;
use crate::config::host::DomainName;
use crate::config::section::Flaw;
use crate::config::value::quote;
use crate::config::{Errors, Item, Value};

crate::section! {
    /// A component: a program of its own, such as a gateway to another network, that connects to
    /// this server and speaks for a domain (XEP-0114). Repeat the section for each. The page of the
    /// module `component` tells more.
    pub struct ComponentConfig("component", check = ComponentConfig::check) {
        /// The domain that it speaks for, such as `irc.example.org`.
        pub domain: DomainName,
        /// What it proves to know when it connects; it has the same in its own configuration.
        pub secret: Option<Secret> = None,
        /// A file that holds the secret, instead of `secret`. White space around it does not count.
        /// A relative path begins at the folder of this file.
        pub secret_file: Option<PathBuf> = None,
        /// Networks that it may connect from, such as `["127.0.0.1", "10.0.0.0/8"]`; from anywhere
        /// if empty. `listen.component` says where the server waits for it.
        pub addresses: Vec<Network> = [],
        /// What it is called among the services of the server.
        pub name: Option<String> = None,
        /// Whether it is shown among the services of the server: by the domain above its own, or by
        /// every domain if it is below none.
        pub listed: bool = true,
    }
}

impl ComponentConfig {
    fn check(&self) -> Result<(), Flaw> {
        let flaw = |problem: &str| Err(Flaw { key: "secret", problem: problem.to_owned() });
        match (&self.secret, &self.secret_file) {
            (None, None) => flaw("is missing: write `secret`, or `secret_file`"),
            (Some(_), Some(_)) => flaw("either `secret` or `secret_file`, not both"),
            _ => Ok(()),
        }
    }
}

/// Text that nobody else may read.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Value for Secret {
    fn kind() -> String {
        "text".to_owned()
    }
    fn read(item: &Item<'_>) -> Result<Self, Errors> {
        match item.value() {
            DeValue::String(text) if !text.trim().is_empty() => Ok(Self(text.trim().to_owned())),
            DeValue::String(_) => Err(vec![item.flaw("expected a secret, found nothing")]),
            _ => Err(vec![item.flaw("expected a secret in quotes")]),
        }
    }
    fn show(&self) -> Option<String> {
        Some(quote(&self.0))
    }
}
