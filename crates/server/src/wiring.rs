//! From what the operator wrote to what each part of the server wants to be told.

mod web;

use std::path::Path;
use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_kernel::component::Component;
use waxwing_kernel::config::sections::{
    ComponentConfig, Durability as Survives, LimitsConfig, Port, StorageConfig, StorageUrl,
    TlsVersion,
};
use waxwing_kernel::config::{Config, Host as HostSettings};
use waxwing_kernel::links::policy::Rules;
use waxwing_kernel::metrics::Deflated;
use waxwing_kernel::module::StartError;
use waxwing_kernel::{Flow, Hub, Limits, PeerLimits, Rate, Site};
use waxwing_net::http::{Folder, host_in_url};
use waxwing_net::{Certificate, Kind, Listener, TlsOptions};
use waxwing_store::domains;
use waxwing_store::{Durability, Location, Table};
use waxwing_stream::Host;

pub(crate) use self::web::http_site;
use self::web::origins;
use crate::modules::MODULES;

/// Every table of the program: those of the kernel's own domains, then those of the modules.
pub(crate) fn tables() -> Vec<&'static Table> {
    let own = domains::tables().into_iter();
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
    stream.server_pairs = config.peer_pairs;
    Limits {
        sessions_per_account: config.sessions_per_account as usize,
        mailbox_stanzas: config.mailbox_stanzas,
        roster_items: config.roster_contacts,
        subscription_requests: config.subscription_requests,
        directed_presences: config.directed_presences,
        accounts_cached: config.cached_accounts,
        password_checks: config.password_checks,
        password_waiting: config.password_waiting,
        password_waiting_per_address: config.password_waiting_per_address,
        close_seconds: u64::from(config.close_seconds),
        session_rate: Rate {
            stanzas: flow(config.session_stanzas.into(), config.session_stanzas_burst.into()),
            bytes: flow(config.session_rate.0, config.session_burst.0),
        },
        account_rate: Rate {
            stanzas: flow(config.account_stanzas.into(), config.account_stanzas_burst.into()),
            bytes: flow(config.account_rate.0, config.account_burst.0),
        },
        early_rate: Rate {
            stanzas: flow(0, 0),
            bytes: flow(config.early_rate.0, config.early_burst.0),
        },
        peers: peer_limits(config),
        stream,
        ..Limits::default()
    }
}

/// Who may talk with this server.
pub(crate) fn rules(config: &Config) -> Rules {
    Rules::new(&config.federation, &config.peers, config.server.public)
}

fn peer_limits(config: &LimitsConfig) -> PeerLimits {
    PeerLimits {
        links: config.peer_links,
        dials: config.peer_dials,
        queue: config.peer_queue,
        queue_bytes: bytes(config.peer_queue_bytes),
        idle_seconds: config.peer_idle_seconds.into(),
        dial_seconds: config.peer_dial_seconds.into(),
        backoff_seconds: config.peer_backoff_seconds.into(),
        backoff_most_seconds: config.peer_backoff_most_seconds.into(),
        arrivals_unproven: config.peer_arrivals,
        arrivals_per_peer: config.peer_arrivals_per_domain,
        verifications: config.peer_verifications,
        rate: Rate {
            stanzas: flow(config.peer_stanzas.into(), config.peer_stanzas_burst.into()),
            bytes: flow(config.peer_rate.0, config.peer_burst.0),
        },
        ledger: config.peer_ledger,
    }
}

fn flow(per_second: u64, burst: u64) -> Flow {
    Flow { per_second, burst }
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
        obtained: crate::certificates::obtained(config, data),
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
            Port::Component => Kind::Component,
            Port::Challenges => Kind::Challenges,
            Port::Server => Kind::Server,
            Port::ServerTls => Kind::ServerTls,
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
    config.addresses().into_iter().filter_map(listener).collect()
}

/// Whether this machine has the address at all, whatever listens there.
fn exists(address: std::net::SocketAddr) -> bool {
    let any_port = std::net::SocketAddr::new(address.ip(), 0);
    std::net::TcpListener::bind(any_port).is_ok()
}

/// The components with their secrets.
///
/// # Errors
/// A sentence for the operator: a secret that cannot be read.
pub(crate) fn components(config: &Config) -> Result<Vec<Component>, String> {
    config.components.iter().map(component).collect()
}

fn component(config: &ComponentConfig) -> Result<Component, String> {
    let domain = &config.domain;
    let Some(file) = &config.secret_file else {
        return Component::new(config, config.secret.as_ref().map_or("", |it| it.as_str()));
    };
    let place = || format!("the secret of the component {domain}, {}", file.display());
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("{}, cannot be read: {error}", place()))?;
    match text.trim() {
        "" => Err(format!("{}, is empty: write it into the file", place())),
        secret => Component::new(config, secret),
    }
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
        site.appear(web_address(name, config));
        site.offer(offer(&site, settings, config, secret));
        Ok(Arc::new(site))
    };
    config.hosts.iter().map(start).collect()
}

/// What streams of a host offer.
fn offer(site: &Site, settings: &HostSettings, config: &Config, secret: [u8; 32]) -> Host {
    let mut host = Host::new(site.domain(), secret);
    host.require_tls = config.tls.required;
    host.mechanisms = site.mechanisms();
    host.mechanisms.anonymous = settings.config.anonymous;
    host.mechanisms.external = config.tls.client_authorities.is_some();
    host.registration = site.has_early_routes();
    host.early_features = site.early_features();
    host.features = site.stream_features();
    host.nonzas = site.nonzas();
    host.inline = site.inline_features();
    host.tokens = site.takes_tokens();
    host.bearer = site.bearer();
    host.origins = origins(settings, config).iter().map(|origin| origin.as_str().into()).collect();
    host.lang = settings.config.language.as_str().into();
    host
}

/// Where browsers reach a domain, no `/` at its end.
fn web_address(domain: &str, config: &Config) -> String {
    if let Some(url) = &config.http.public_url {
        return url.as_str().to_owned();
    }
    let (addresses, domain) = (listeners(config), host_in_url(domain));
    let of = |kind| addresses.iter().find(|listener| listener.kind == kind);
    // Nobody else comes here, and no client trusts the certificate that we made for ourselves.
    if let (false, Some(http)) = (config.server.public, of(Kind::Http)) {
        return format!("http://{}", http.address);
    }
    match of(Kind::Https).map_or(443, |listener| listener.address.port()) {
        443 => format!("https://{domain}"),
        port => format!("https://{domain}:{port}"),
    }
}

/// What modules serve over HTTP.
pub(crate) fn folders(hub: &Hub) -> Vec<Folder> {
    let sites = hub.sites();
    let of = |site: &Arc<Site>| {
        let folder = |(module, route)| Folder { path: site.folder_of(module), route };
        site.router.https().map(folder).collect::<Vec<_>>()
    };
    sites.iter().flat_map(of).collect()
}

/// Where compressed messages are counted, if there may be any.
pub(crate) fn deflate(config: &Config, hub: &Hub) -> Option<Arc<Deflated>> {
    config.http.deflate.then(|| Arc::new(hub.metrics().deflated()))
}

fn bytes(size: waxwing_kernel::config::Bytes) -> usize {
    usize::try_from(size.0).unwrap_or(usize::MAX)
}
