//! Services in programs of their own.

use std::fmt;
use std::path::PathBuf;

use toml::de::DeValue;
use waxwing_jid::is_subdomain;

use super::http::Network;
use crate::config::host::DomainName;
use crate::config::section::Flaw;
use crate::config::value::{quote, worded};
use crate::config::{Errors, Item, Value};
use crate::routes::Ask;

crate::section! {
    /// A component: a program of its own, such as a gateway to another network, that connects to
    /// this server and speaks for a domain (XEP-0114). Repeat the section for each. The page of the
    /// module `component` tells more.
    pub struct ComponentConfig("component", check = ComponentConfig::check) {
        /// The domain that it speaks for: `domain = "irc.example.org"`.
        pub domain: DomainName,
        /// What it proves to know when it connects: `secret = "long and random"`. It has the same
        /// in its own configuration.
        pub secret: Option<Secret> = None,
        /// A file that holds the secret; then `secret` does not count, nor does white space around
        /// what is in the file. A relative path begins at the folder of this file.
        pub secret_file: Option<PathBuf> = None,
        /// Networks that it may connect from, such as `["127.0.0.1", "10.0.0.0/8"]`; from anywhere
        /// if empty. `listen.component` says where the server waits for it.
        pub addresses: Vec<Network> = [],
        /// What it is called among the services of the server.
        pub name: Option<String> = None,
        /// Whether it is shown among the services of the server: by the domain above its own, or by
        /// every domain if it is below none.
        pub listed: bool = true,
        /// The domains whose accounts it may act for, as far as the settings below permit; if
        /// empty, those that its own domain lies below.
        pub hosts: Vec<DomainName> = [],
        /// Whether it may read or change the rosters of these accounts as their owners do
        /// (XEP-0356).
        pub roster: Access = "none",
        /// Whether it is told when a roster changes that it may read.
        pub roster_push: bool = true,
        /// Whether it may send messages in the name of these accounts (XEP-0356).
        pub message: MessageAccess = "none",
        /// Whose presence it is told (XEP-0356).
        pub presence: PresenceAccess = "none",
        /// Questions that it may ask in the name of these accounts (XEP-0356): `get`, `set` or
        /// `both`, and a namespace, such as `["set http://jabber.org/protocol/pubsub"]`.
        pub iq: Vec<IqAccess> = [],
        /// Namespaces of questions to these domains and accounts that it answers in their place
        /// (XEP-0355), each perhaps with the attributes that a question must have, such as
        /// `["http://jabber.org/protocol/pubsub", "urn:xmpp:mam:2 node"]`.
        pub delegate: Vec<Delegation> = [],
    }
}

crate::choice! {
    /// What a component may do with something of an account.
    pub enum Access {
        /// Nothing.
        None = "none",
        /// Read it.
        Get = "get",
        /// Change it.
        Set = "set",
        /// Both.
        Both = "both",
    }
}

impl Access {
    /// Whether it may ask in this way.
    pub fn allows(self, ask: Ask) -> bool {
        match ask {
            Ask::Get => matches!(self, Self::Get | Self::Both),
            Ask::Set => matches!(self, Self::Set | Self::Both),
        }
    }
}

crate::choice! {
    /// Messages in the name of an account.
    pub enum MessageAccess {
        /// None.
        None = "none",
        /// To anybody, as the account itself may send.
        Outgoing = "outgoing",
    }
}

crate::choice! {
    /// Whose presence a component is told.
    pub enum PresenceAccess {
        /// Nobody's.
        None = "none",
        /// When a device of these accounts comes online and when it goes.
        ManagedEntity = "managed_entity",
        /// That of their contacts elsewhere as well. Needs `roster = "get"` or `"both"`.
        Roster = "roster",
    }
}

/// Questions of one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IqAccess {
    /// What they may be.
    pub access: Access,
    /// The namespace of what they carry.
    pub namespace: String,
}

impl IqAccess {
    /// Reads `set http://jabber.org/protocol/pubsub`.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        let (word, namespace) = text.split_once(' ').ok_or("a word and a namespace are needed")?;
        let access = Access::from_word(word).ok_or("it begins with get, set or both")?;
        match namespace.trim() {
            "" => Err("the namespace is missing"),
            namespace => Ok(Self { access, namespace: namespace.to_owned() }),
        }
    }
}

impl fmt::Display for IqAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.access.word(), self.namespace)
    }
}

worded!(
    IqAccess,
    "get, set or both and a namespace, such as \"set http://jabber.org/protocol/pubsub\"",
    IqAccess::new
);

impl ComponentConfig {
    fn check(&self) -> Result<(), Flaw> {
        if self.secret.is_none() && self.secret_file.is_none() {
            let problem = "is missing: write `secret`, or `secret_file`".to_owned();
            return Err(Flaw { key: "secret", problem });
        }
        self.check_presence()
    }

    /// Whether what it is granted is about the accounts of `domain`.
    pub fn manages(&self, domain: &str) -> bool {
        if !self.hosts.is_empty() {
            return self.hosts.iter().any(|host| host.as_str() == domain);
        }
        is_subdomain(self.domain.as_str(), domain)
    }

    /// XEP-0356 §7.4: "The server MUST reject the permission if the privileged entity doesn't have
    /// read permission on roster namespace."
    fn check_presence(&self) -> Result<(), Flaw> {
        if self.presence != PresenceAccess::Roster || self.roster.allows(Ask::Get) {
            return Ok(());
        }
        let problem = "the presence of contacts needs `roster = \"get\"` or `\"both\"`".to_owned();
        Err(Flaw { key: "presence", problem })
    }
}

/// Questions that a component answers in the place of the server and of accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// The namespace of what they carry.
    pub namespace: String,
    /// Attributes that it must have.
    pub attributes: Vec<String>,
}

/// What must stay with the server: XEP-0355 §10 "The namespace of this XEP (urn:xmpp:delegation:2)
/// MUST NOT be delegated", and what the server could not do without.
const KEPT: [&str; 6] = [
    "urn:xmpp:delegation:2",
    "urn:xmpp:privilege:2",
    "urn:ietf:params:xml:ns:xmpp-bind",
    "urn:ietf:params:xml:ns:xmpp-session",
    "http://jabber.org/protocol/disco#info",
    "http://jabber.org/protocol/disco#items",
];

impl Delegation {
    /// Reads a namespace and the names of attributes.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        let mut words = text.split_whitespace().map(str::to_owned);
        let namespace = words.next().ok_or("the namespace is missing")?;
        if KEPT.contains(&namespace.as_str()) {
            return Err("this namespace must stay with the server");
        }
        Ok(Self { namespace, attributes: words.collect() })
    }
}

impl fmt::Display for Delegation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.namespace)?;
        self.attributes.iter().try_for_each(|attribute| write!(f, " {attribute}"))
    }
}

worded!(Delegation, "a namespace, such as \"http://jabber.org/protocol/pubsub\"", Delegation::new);

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
