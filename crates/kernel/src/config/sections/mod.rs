//! The sections of the server itself; modules declare their own.

mod acme;
mod component;
mod federation;
mod http;
mod limits;
mod listen;
mod storage;

pub use acme::{AcmeConfig, Challenge, KeyKind};
pub use component::{
    Access, ComponentConfig, Delegation, IqAccess, MessageAccess, PresenceAccess, Secret,
};
pub use federation::{Dnssec, FederationConfig, NameServer, Need, PeerAddress, PeerConfig, Trust};
pub use http::{HttpConfig, Network, PublicAddress, PublicUrl};
pub use limits::LimitsConfig;
pub use listen::{Address, ListenConfig, Port};
pub use storage::{Durability, StorageConfig, StorageUrl};

use std::path::PathBuf;

use super::host::HostConfig;
use super::section::{Flaw, SectionAbout};

/// The sections that stand at the top of the file, in the order of the reference.
pub(crate) const SECTIONS: &[SectionAbout] = &[
    SectionAbout::of::<ServerConfig>(),
    SectionAbout::of::<HostConfig>(),
    SectionAbout::of::<ComponentConfig>(),
    SectionAbout::of::<FederationConfig>(),
    SectionAbout::of::<PeerConfig>(),
    SectionAbout::of::<ListenConfig>(),
    SectionAbout::of::<TlsConfig>(),
    SectionAbout::of::<AcmeConfig>(),
    SectionAbout::of::<HttpConfig>(),
    SectionAbout::of::<StorageConfig>(),
    SectionAbout::of::<LimitsConfig>(),
];

crate::section! {
    /// The server as a whole.
    pub struct ServerConfig("server", check = ServerConfig::check) {
        /// The folder for everything the server keeps. A relative path begins at the folder of
        /// this file. `--data` on the command line wins.
        [restart] pub data: PathBuf = "waxwing-data",
        /// Whether to listen on every network interface. As long as this is false the server is
        /// reachable from this machine only, except on addresses named in `[listen]`.
        [restart] pub public: bool = false,
        /// How much is logged. No level writes passwords or the text of messages.
        pub log_level: LogLevel = "info",
        /// How a line of the log looks.
        [restart] pub log_format: LogFormat = "text",
        /// How long a stopping server waits for its clients to take their leave (seconds). Many
        /// are told one after the other, within half of this time.
        pub drain_seconds: u32 = 10 in 0..=300,
        /// Where clients on WebSockets are sent when the server stops, such as
        /// `https://chat2.example.org` (RFC 7395 §3.6.1). Without it their streams just end, and
        /// they come back to the same address.
        pub drain_to: Option<PublicUrl> = None,
    }
}

impl ServerConfig {
    /// RFC 7395 §3.6.1: a client does not follow to where its stream would be less secure.
    fn check(&self) -> Result<(), Flaw> {
        match &self.drain_to {
            Some(url) if !url.is_secure() => {
                let problem = "it must begin with https://, since clients do not follow to a \
                               place without TLS"
                    .to_owned();
                Err(Flaw { key: "drain_to", problem })
            }
            _ => Ok(()),
        }
    }
}

crate::choice! {
    /// How much is logged.
    pub enum LogLevel {
        /// What an operator may want to know: starts, stops, changes.
        Info = "info",
        /// Only what went wrong.
        Error = "error",
        /// Also what looks wrong.
        Warn = "warn",
        /// Also what every session does.
        Debug = "debug",
    }
}

crate::choice! {
    /// How a line of the log looks.
    pub enum LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object per line, for programs.
        Json = "json",
    }
}

crate::section! {
    /// Encryption of connections.
    pub struct TlsConfig("tls") {
        /// The oldest version of TLS spoken.
        pub minimum: TlsVersion = "1.2",
        /// Whether clients must encrypt before they sign in. WebSockets from this machine are
        /// excepted as long as `server.public` is false.
        pub required: bool = true,
        /// Whether SCRAM with channel binding (-PLUS) is offered on WebSockets too. Browsers cannot
        /// bind, and clients built on the library `stanza` do not get in where it is offered.
        [restart] pub websocket_binding: bool = false,
        /// Certificates (PEM) of the authorities whose client certificates are accepted for
        /// signing in (SASL EXTERNAL). Without it, client certificates are not asked for.
        [restart] pub client_authorities: Option<PathBuf> = None,
        /// How often certificate files are looked at for changes (seconds).
        pub watch_seconds: u32 = 60 in 1..=86400,
    }
}

crate::choice! {
    /// A version of TLS.
    pub enum TlsVersion {
        /// RFC 5246, with forward secrecy only.
        V12 = "1.2",
        /// RFC 8446.
        V13 = "1.3",
    }
}
