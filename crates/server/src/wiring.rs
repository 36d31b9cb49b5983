//! From what the operator wrote to what each part of the server wants to be told.

use std::path::Path;
use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_kernel::config::sections::{
    Durability as Survives, LimitsConfig, Port, StorageConfig, StorageUrl, TlsVersion,
};
use waxwing_kernel::config::{Config, Host as HostSettings};
use waxwing_kernel::module::StartError;
use waxwing_kernel::{Hub, Limits, Site};
use waxwing_net::http::{Discovery, Proxies, WEBSOCKET_PATH};
use waxwing_net::websocket::handshake::Origins;
use waxwing_net::{Certificate, Kind, Listener, TlsOptions};
use waxwing_store::domains::{accounts, offline, roster};
use waxwing_store::{Durability, Location, Table};
use waxwing_stream::Host;

use crate::modules::MODULES;

/// Every table of the program: those of the kernel's own domains, then those of the modules.
pub(crate) fn tables() -> Vec<&'static Table> {
    let own = [accounts::Accounts::TABLES, offline::Offline::TABLES, roster::Roster::TABLES];
    let own = own.into_iter().flatten().copied();
    own.chain(MODULES.iter().flat_map(|mount| mount.tables)).collect()
}

/// Where the rows live; a relative file begins at the data folder.
pub(crate) fn location(storage: &StorageConfig, data: &Path) -> Location {
    match &storage.url {
        StorageUrl::Memory => Location::Memory,
        StorageUrl::Postgres(url) => Location::Postgres { url: url.clone(), schema: None },
        StorageUrl::Sqlite(path) => Location::Sqlite {
            path: data.join(path),
            durability: match storage.durability {
                Survives::PowerLoss => Durability::PowerLoss,
                Survives::ProcessCrash => Durability::ProcessCrash,
            },
        },
    }
}

/// The bounds of the store.
pub(crate) fn store_limits(storage: &StorageConfig) -> waxwing_store::Limits {
    waxwing_store::Limits {
        readers: storage.readers as usize,
        queue_batches: storage.queue as usize,
        ..Default::default()
    }
}

/// The bounds of the kernel and of streams.
pub(crate) fn limits(config: &LimitsConfig) -> Limits {
    let mut stream = waxwing_stream::Limits::default();
    stream.after_auth.element_bytes = bytes(config.stanza_bytes);
    stream.before_auth.element_bytes = bytes(config.early_bytes);
    for xml in [&mut stream.before_auth, &mut stream.after_auth] {
        xml.depth = config.depth;
        xml.attributes = config.attributes;
        xml.children = config.children;
    }
    stream.handshake_seconds = config.handshake_seconds;
    stream.idle_seconds = config.idle_seconds;
    stream.ping_wait_seconds = config.answer_seconds;
    stream.close_seconds = config.close_seconds;
    stream.auth_attempts = u8::try_from(config.auth_attempts).unwrap_or(u8::MAX);
    stream.sm_resume_seconds = config.resume_seconds;
    stream.sm_queue_stanzas = config.unacked_stanzas;
    stream.sm_queue_bytes = bytes(config.unacked_bytes);
    Limits {
        sessions_per_account: config.sessions_per_account as usize,
        mailbox_stanzas: config.mailbox_stanzas,
        roster_items: config.roster_contacts,
        subscription_requests: config.subscription_requests,
        directed_presences: config.directed_presences,
        accounts_cached: config.cached_accounts,
        password_checks: config.password_checks,
        close_seconds: u64::from(config.close_seconds),
        stream,
        ..Limits::default()
    }
}

/// The bounds of the network layer; a WebSocket message may be as large as a stanza.
pub(crate) fn net_limits(config: &Config) -> waxwing_net::Limits {
    waxwing_net::Limits {
        connections_max: config.limits.connections as usize,
        address_connections_max: config.limits.connections_per_address,
        early_message_bytes_max: bytes(config.limits.early_bytes),
        message_bytes_max: bytes(config.limits.stanza_bytes),
        certificate_check_seconds: u64::from(config.tls.watch_seconds),
        ..Default::default()
    }
}

/// Certificates: the configured ones, and generated ones for domains without.
pub(crate) fn tls_options(config: &Config, data: &Path) -> TlsOptions {
    let domain = |host: &HostSettings| host.config.domain.as_str().to_owned();
    let certificate = |host: &HostSettings| {
        let chain = host.config.certificate.clone()?;
        let key = host.config.key.clone().unwrap_or_else(|| chain.clone());
        Some(Certificate { chain, key })
    };
    TlsOptions {
        domains: config.hosts.iter().map(domain).collect(),
        certificates: config.hosts.iter().filter_map(certificate).collect(),
        folder: data.join("certificates"),
        client_authorities: config.tls.client_authorities.clone(),
        is_13_only: config.tls.minimum == TlsVersion::V13,
    }
}

/// The ports to listen on. A usual one that this machine cannot have is left out, or replaced.
pub(crate) fn listeners(config: &Config) -> Vec<Listener> {
    let asks_certificate = config.tls.client_authorities.is_some();
    let listener = |address: waxwing_kernel::config::sections::Address| {
        let kind = match address.port {
            Port::Xmpp => Kind::Xmpp,
            Port::XmppTls => Kind::XmppTls,
            Port::Http => Kind::Http,
            Port::Https => Kind::Https,
        };
        // Browsers would ask people for a certificate that they do not have.
        let is_asking = asks_certificate && matches!(kind, Kind::Xmpp | Kind::XmppTls);
        let taken = if address.is_asked || exists(address.address) {
            Some(address.address)
        } else {
            address.fallback()
        };
        let listener =
            |address| Listener { address, kind, asks_certificate: is_asking, is_proxied: false };
        taken.map(listener)
    };
    config.listen.addresses(config.server.public).into_iter().filter_map(listener).collect()
}

/// Whether this machine has the address at all, whatever listens there.
fn exists(address: std::net::SocketAddr) -> bool {
    let any_port = std::net::SocketAddr::new(address.ip(), 0);
    std::net::TcpListener::bind(any_port).is_ok()
}

/// Starts the modules of every host.
///
/// # Errors
/// The first module that refuses.
pub(crate) fn sites(
    hub: &Hub,
    config: &Config,
    secret: [u8; 32],
) -> Result<Vec<Arc<Site>>, StartError> {
    let start = |settings: &HostSettings| {
        let name = settings.config.domain.as_str();
        let jid = BareJid::new(name)
            .map_err(|error| StartError { module: "host", reason: error.to_string() })?;
        let site = Site::start(hub, &jid, settings, MODULES)?;
        site.offer(offer(&site, settings, config, secret));
        Ok(Arc::new(site))
    };
    config.hosts.iter().map(start).collect()
}

/// What streams of a host offer.
fn offer(site: &Site, settings: &HostSettings, config: &Config, secret: [u8; 32]) -> Host {
    let mut host = Host::new(site.domain(), secret);
    host.require_tls = config.tls.required;
    host.mechanisms.anonymous = settings.config.anonymous;
    host.mechanisms.external = config.tls.client_authorities.is_some();
    host.registration = site.has_early_routes();
    host.features = site.stream_features();
    host.nonzas = site.nonzas();
    host.lang = settings.config.language.as_str().into();
    host
}

/// What HTTP answers besides the pages.
///
/// # Errors
/// A sentence for the operator: a public address that no browser could use.
pub(crate) fn http_site(config: &Config) -> Result<waxwing_net::http::Site, String> {
    let domain = config.hosts.first().map_or("localhost", |host| host.config.domain.as_str());
    let websocket = match &config.http.public_url {
        Some(url) => url.to_websocket(),
        None => {
            let addresses = listeners(config);
            let https = addresses.iter().find(|listener| listener.kind == Kind::Https);
            let port = https.map_or(443, |listener| listener.address.port());
            format!("wss://{domain}:{port}")
        }
    };
    let networks = config.http.trusted_proxies.iter().filter_map(|n| n.to_string().parse().ok());
    let origins = match config.http.origins.as_slice() {
        [] => Origins::Any,
        [all] if all == "*" => Origins::Any,
        listed => Origins::Only(listed.to_vec()),
    };
    Ok(waxwing_net::http::Site {
        routes: Vec::new(),
        websocket_paths: vec![WEBSOCKET_PATH.to_owned(), "/ws".to_owned()],
        origins,
        discovery: Discovery::new(Some(&(websocket + WEBSOCKET_PATH)), None, Vec::new()).ok(),
        proxies: Proxies { networks: networks.collect(), ..Proxies::default() },
    })
}

fn bytes(size: waxwing_kernel::config::Bytes) -> usize {
    usize::try_from(size.0).unwrap_or(usize::MAX)
}
