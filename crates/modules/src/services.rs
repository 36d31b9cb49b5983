#![cfg_attr(not(doctest), doc = include_str!("services.md"))]

use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use waxwing_jid::BareJid;
use waxwing_kernel::clock::stamp_of;
use waxwing_kernel::config::{Errors, FieldDoc, Flaw, Item, Preset, Section, Value};
use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::request::Request;
use waxwing_kernel::routes::Routes;
use waxwing_kernel::{SiteBuilder, choice, section};
use waxwing_stanza::{StanzaError, payload, reply};
use xso::{AsXml, FromXml};

const NS: &str = "urn:xmpp:extdisco:2";

section! {
    /// Servers outside XMPP that clients need, such as those that carry calls through firewalls.
    pub struct ServicesConfig("services") {
        /// The servers, each a section `[[modules.services.service]]` with `kind` (`stun`, `stuns`,
        /// `turn` or `turns`), and where they differ from the usual `host` (this domain), `port`
        /// (3478, or 5349 with TLS) and `transport` (`udp` or `tcp`). A TURN server has a `secret`
        /// that it shares with this one, or a `username` and a `password` for everybody.
        pub service: Vec<Service> = [],
        /// For how long passwords made from a `secret` are good (seconds).
        pub lifetime_seconds: u32 = 43_200 in 300..=604_800,
        /// Whether nameless guests get passwords too. Whoever has one can send data through the
        /// TURN server.
        pub guests: bool = false,
    }
}

section! {
    /// One server.
    pub struct ServiceConfig("service", check = ServiceConfig::check) {
        /// What it does.
        pub kind: ServiceKind,
        /// Its name or IP address.
        pub host: Option<String> = None,
        /// Its port.
        pub port: Option<u16> = None,
        /// How it is reached.
        pub transport: Option<Transport> = None,
        /// What it shares with this server.
        pub secret: Option<String> = None,
        /// A name that everybody uses.
        pub username: Option<String> = None,
        /// The password of that name.
        pub password: Option<String> = None,
    }
}

choice! {
    /// What a server does.
    pub enum ServiceKind {
        /// Tells a client its public address (RFC 8489).
        Stun = "stun",
        /// The same in TLS.
        Stuns = "stuns",
        /// Relays data between clients that cannot reach each other (RFC 8656).
        Turn = "turn",
        /// The same in TLS.
        Turns = "turns",
    }
}

choice! {
    /// How a server is reached.
    pub enum Transport {
        /// In datagrams.
        Udp = "udp",
        /// In a stream.
        Tcp = "tcp",
    }
}

impl ServiceConfig {
    fn check(&self) -> Result<(), Flaw> {
        let flaw = |key, problem: &str| Err(Flaw { key, problem: problem.to_owned() });
        let is_bad = |host: &String| host.is_empty() || host.contains(char::is_whitespace);
        if self.host.as_ref().is_some_and(is_bad) {
            return flaw("host", "expected a name or an IP address");
        }
        match (&self.secret, &self.username, &self.password) {
            (Some(secret), ..) if secret.is_empty() => flaw("secret", "it is empty"),
            (Some(_), None, None) | (None, Some(_), Some(_)) | (None, None, None) => Ok(()),
            (Some(_), ..) => flaw("secret", "either a secret, or a username and a password"),
            (None, Some(_), None) => flaw("username", "`username` needs `password` beside it"),
            (None, None, Some(_)) => flaw("password", "`password` needs `username` beside it"),
        }
    }
}

/// One server in the list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Service(ServiceConfig);

impl Value for Service {
    fn kind() -> String {
        "a section with `kind`".to_owned()
    }

    fn read(item: &Item<'_>) -> Result<Self, Errors> {
        item.table().and_then(|table| ServiceConfig::read(&table)).map(Self)
    }

    fn show(&self) -> Option<String> {
        let pair = |(field, value): (&FieldDoc, Option<String>)| {
            value.map(|value| format!("{} = {value}", field.key))
        };
        let pairs: Vec<String> =
            ServiceConfig::fields().iter().zip(self.0.show()).filter_map(pair).collect();
        Some(format!("{{ {} }}", pairs.join(", ")))
    }
}

impl Preset<ServiceConfig> for Service {
    fn preset(written: ServiceConfig) -> Self {
        Self(written)
    }
}

/// Tells clients of servers outside XMPP, and lets them in there.
pub struct Services {
    config: ServicesConfig,
    domain: BareJid,
}

impl Module for Services {
    const ABOUT: &'static About = &About {
        name: "services",
        summary: "Tells clients which STUN and TURN servers carry their calls.",
        is_on: true,
        xeps: &[Xep(215, "1.0.0").lacks("changes pushed to clients")],
        server_features: &[NS],
        account_features: &[],
        manual: include_str!("services.md"),
    };
    type Config = ServicesConfig;

    fn start(site: &mut SiteBuilder<'_>, config: ServicesConfig) -> Result<Self, StartError> {
        Ok(Self { config, domain: site.jid().clone() })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.server().get(Self::list).get(Self::credentials);
    }
}

impl Services {
    /// §3.1 and §3.2: all services, or those of a type.
    async fn list(self: Arc<Self>, ask: Request<ServicesQuery>) -> Result<Listed, StanzaError> {
        let owner = self.owner(&ask)?;
        let is_asked = |service: &&ServiceConfig| match &ask.payload.kind {
            Some(kind) => service.kind.word() == kind,
            None => true,
        };
        let now = ask.hub.clock().wall_millis();
        let may_enter = self.may_enter(&ask);
        let shown = |service: &ServiceConfig| {
            let key = self.key(service, &owner, now).filter(|_| may_enter);
            self.entry(service, key)
        };
        let services = self.all().filter(is_asked).map(shown).collect();
        Ok(Listed { kind: ask.payload.kind, services })
    }

    /// §3.3: "The entity can request credentials by sending a special request".
    async fn credentials(
        self: Arc<Self>,
        ask: Request<CredentialsQuery>,
    ) -> Result<Credentials, StanzaError> {
        let owner = self.owner(&ask)?;
        if !self.may_enter(&ask) {
            return Err(StanzaError::forbidden().text("Guests get no passwords."));
        }
        let [wanted] = ask.payload.services.as_slice() else {
            return Err(StanzaError::bad_request().text("Exactly one service must be named."));
        };
        let is_meant = |service: &&ServiceConfig| {
            service.kind.word() == wanted.kind
                && self.host(service).eq_ignore_ascii_case(&wanted.host)
                && wanted.port.is_none_or(|wanted| wanted == port(service))
        };
        let now = ask.hub.clock().wall_millis();
        let opened = |service: &ServiceConfig| {
            self.key(service, &owner, now).map(|key| self.entry(service, Some(key)))
        };
        let services: Vec<Entry> = self.all().filter(is_meant).filter_map(opened).collect();
        if services.is_empty() {
            let text = "There is no such service here, or it asks for no password.";
            return Err(StanzaError::item_not_found().text(text));
        }
        Ok(Credentials { services })
    }

    /// The account that asks. The services are paid for by this domain, for its own people.
    fn owner<P>(&self, ask: &Request<P>) -> Result<BareJid, StanzaError> {
        let jid = ask.from.jid.bare();
        if ask.from.account.is_some() && jid.domain() == self.domain.domain() {
            return Ok(jid);
        }
        Err(StanzaError::forbidden().text("This is told to the accounts of this domain only."))
    }

    fn may_enter<P>(&self, ask: &Request<P>) -> bool {
        let is_guest = ask.from.account.as_ref().is_some_and(|account| account.is_guest());
        !is_guest || self.config.guests
    }

    fn all(&self) -> impl Iterator<Item = &ServiceConfig> {
        self.config.service.iter().map(|service| &service.0)
    }

    fn host<'a>(&'a self, service: &'a ServiceConfig) -> &'a str {
        service.host.as_deref().unwrap_or(self.domain.domain())
    }

    /// What lets `owner` in, where something must.
    fn key(&self, service: &ServiceConfig, owner: &BareJid, now_millis: u64) -> Option<Key> {
        if let (Some(username), Some(password)) = (&service.username, &service.password) {
            let (username, password) = (username.clone(), password.clone());
            return Some(Key { username, password, expires: None });
        }
        let secret = service.secret.as_ref()?;
        let expires = now_millis / 1000 + u64::from(self.config.lifetime_seconds);
        Some(rest_key(secret, owner, expires))
    }

    fn entry(&self, service: &ServiceConfig, key: Option<Key>) -> Entry {
        let is_restricted = service.secret.is_some() || service.username.is_some();
        let (username, password, expires) = match key {
            Some(key) => (Some(key.username), Some(key.password), key.expires),
            None => (None, None, None),
        };
        Entry {
            kind: service.kind.word().to_owned(),
            host: self.host(service).to_owned(),
            port: port(service),
            transport: transport(service).word().to_owned(),
            restricted: is_restricted.then_some(true),
            username,
            password,
            expires,
        }
    }
}

/// What lets somebody in.
#[derive(Debug, PartialEq, Eq)]
struct Key {
    username: String,
    password: String,
    expires: Option<String>,
}

/// draft-uberti-behave-turn-rest-00 §2.2: the username is "a colon-delimited combination of the
/// expiration timestamp and the username parameter", the password
/// `base64(hmac(secret key, username))` with SHA-1. The TURN server gets a pseudonym, which is the
/// same for an account each time, instead of its address.
fn rest_key(secret: &str, owner: &BareJid, expires: u64) -> Key {
    let mac = |algorithm, text: &str| {
        hmac::sign(&hmac::Key::new(algorithm, secret.as_bytes()), text.as_bytes())
    };
    let pseudonym = mac(hmac::HMAC_SHA256, owner.as_str());
    let pseudonym: String =
        pseudonym.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let username = format!("{expires}:{pseudonym}");
    let password = STANDARD.encode(mac(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &username));
    Key { username, password, expires: Some(stamp_of(expires * 1000)) }
}

/// RFC 8489 §18.6, RFC 8656 §19: the registered ports.
fn port(service: &ServiceConfig) -> u16 {
    service.port.unwrap_or(if is_tls(service) { 5349 } else { 3478 })
}

/// TLS means TCP, unless DTLS is asked for.
fn transport(service: &ServiceConfig) -> Transport {
    let usual = if is_tls(service) { Transport::Tcp } else { Transport::Udp };
    service.transport.unwrap_or(usual)
}

fn is_tls(service: &ServiceConfig) -> bool {
    matches!(service.kind, ServiceKind::Stuns | ServiceKind::Turns)
}

/// `<services/>`, asked.
#[derive(FromXml)]
#[xml(namespace = NS, name = "services", on_unknown_attribute = Discard,
      on_unknown_child = Discard)]
pub struct ServicesQuery {
    #[xml(attribute(name = "type", default))]
    kind: Option<String>,
}
payload!(ServicesQuery, "services", NS);

/// `<services/>`, answered.
#[derive(AsXml)]
#[xml(namespace = NS, name = "services")]
pub struct Listed {
    #[xml(attribute(name = "type", default))]
    kind: Option<String>,
    #[xml(child(n = ..))]
    services: Vec<Entry>,
}

/// `<credentials/>`, asked.
#[derive(FromXml)]
#[xml(namespace = NS, name = "credentials", on_unknown_attribute = Discard,
      on_unknown_child = Discard)]
pub struct CredentialsQuery {
    #[xml(child(n = ..))]
    services: Vec<Wanted>,
}
payload!(CredentialsQuery, "credentials", NS);

/// `<credentials/>`, answered.
#[derive(AsXml)]
#[xml(namespace = NS, name = "credentials")]
pub struct Credentials {
    #[xml(child(n = ..))]
    services: Vec<Entry>,
}
reply!(Listed, Credentials);

/// §3.3: `<service/>` "MUST include the 'host' and 'type' attributes".
#[derive(FromXml)]
#[xml(namespace = NS, name = "service", on_unknown_attribute = Discard,
      on_unknown_child = Discard)]
struct Wanted {
    #[xml(attribute)]
    host: String,
    #[xml(attribute = "type")]
    kind: String,
    #[xml(attribute(default))]
    port: Option<u16>,
}

/// `<service/>`, shown.
#[derive(AsXml)]
#[xml(namespace = NS, name = "service")]
struct Entry {
    #[xml(attribute = "type")]
    kind: String,
    #[xml(attribute)]
    host: String,
    #[xml(attribute)]
    port: u16,
    #[xml(attribute)]
    transport: String,
    #[xml(attribute(default))]
    restricted: Option<bool>,
    #[xml(attribute(default))]
    username: Option<String>,
    #[xml(attribute(default))]
    password: Option<String>,
    #[xml(attribute(default))]
    expires: Option<String>,
}

#[cfg(test)]
mod tests {
    use waxwing_kernel::config::{Config, SectionAbout, Source};

    use super::*;

    /// Computed with `openssl dgst -hmac` and Python's `hmac`, as coturn's operators do.
    #[test]
    fn a_turn_password_is_what_the_turn_server_computes() {
        let owner = BareJid::new("romeo@example.net").unwrap();
        let key = rest_key("north", &owner, 1_769_904_000);
        assert_eq!(key.username, "1769904000:3462ebd909225f2d");
        assert_eq!(key.password, "QRntN2NFw/ukHrXu077Sm/TdYMk=");
        assert_eq!(key.expires.as_deref(), Some("2026-02-01T00:00:00.000Z"));
        let other = BareJid::new("juliet@example.net").unwrap();
        assert_ne!(rest_key("north", &other, 1_769_904_000).username, key.username);
    }

    static SECTION: SectionAbout = SectionAbout::module::<ServicesConfig>("services", "");

    fn read(service: &str) -> Result<ServicesConfig, String> {
        let text = format!("[[modules.services.service]]\n{service}");
        let config = Config::read(Source { name: "test", text: &text }, &[&SECTION]);
        let config = config.map_err(|errors| {
            errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        })?;
        Ok(config.hosts[0].module("services"))
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        for (wrong, key) in [
            ("host = 'a'", "kind"),
            ("kind = 'ftp'", "kind"),
            ("kind = 'turn'\nhost = ''", "host"),
            ("kind = 'turn'\nsecret = ''", "secret"),
            ("kind = 'turn'\nsecret = 'a'\nusername = 'b'", "secret"),
            ("kind = 'turn'\nusername = 'b'", "username"),
            ("kind = 'turn'\npassword = 'b'", "password"),
            ("kind = 'turn'\nprt = 1", "prt"),
        ] {
            let errors = read(wrong).unwrap_err();
            assert!(errors.contains(&format!("modules.services.service[0].{key}")), "{errors}");
        }
    }

    #[test]
    fn the_usual_is_filled_in() {
        let of = |text: &str| {
            let service = read(text).unwrap().service.remove(0).0;
            (port(&service), transport(&service))
        };
        assert_eq!(of("kind = 'stun'"), (3478, Transport::Udp));
        assert_eq!(of("kind = 'turns'"), (5349, Transport::Tcp));
        assert_eq!(of("kind = 'turn'\nport = 443\ntransport = 'tcp'"), (443, Transport::Tcp));
    }
}
