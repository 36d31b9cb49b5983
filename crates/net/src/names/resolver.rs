//! DNS, by hickory: a stub that asks recursive servers and validates what they say itself.
//!
//! **Whether DNSSEC is validated** is found out by asking for the root: a server that hands out no
//! signatures would make every name look forged. Once signatures were seen they are demanded of
//! every name until the settings change, so whoever sits on the way cannot strip them later.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::dnssec::{Proof, TrustAnchors};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use parking_lot::Mutex;
use waxwing_kernel::clock::Clock;

use super::options::{Dnssec, NamesOptions};
use super::source::{Data, Kind, Reply};
use super::target::Tlsa;
use super::trouble::NameTrouble;
use crate::limits::Limits;

/// How long it is believed that the DNS servers hand out no signatures.
const PLAIN: Duration = Duration::from_secs(3600);
/// Where the zone says nothing of how long nothing may be kept.
const NEGATIVE: Duration = Duration::from_secs(60);
/// Aliases of one name that are followed.
const ALIASES: usize = 4;
/// Top-level domains that networks have for themselves, and that the root does not have: reserved
/// by RFC 6761 and RFC 6762, by ICANN for private use (`internal`), or for good not given out.
/// The signed root would prove each name below them forged.
const PRIVATE: [&str; 10] =
    ["corp", "example", "home", "internal", "invalid", "lan", "local", "localhost", "mail", "test"];

/// Asks DNS.
pub(super) struct Resolver {
    plain: TokioResolver,
    validating: Option<TokioResolver>,
    /// Validation begins at the root that everybody has.
    is_public: bool,
    clock: Clock,
    mode: Mutex<Mode>,
    /// Held by whoever finds out the mode.
    probe: tokio::sync::Mutex<()>,
}

/// Whether signatures are there to be validated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Unknown,
    Validating,
    /// They are not, as far as is known until then.
    Plain(Instant),
}

impl Resolver {
    /// # Errors
    /// A sentence for the operator: settings of this machine that cannot be read.
    pub(super) fn new(
        options: &NamesOptions,
        limits: &Limits,
        clock: Clock,
    ) -> Result<Self, String> {
        let (config, mut settings) = servers(options);
        settings.timeout = limits.dns_try();
        settings.attempts = 2;
        settings.try_tcp_on_error = true;
        settings.cache_size = 0; // Names keeps answers, also those that there is nothing
        let build = |settings: ResolverOpts, anchors: Option<TrustAnchors>| {
            let provider = TokioRuntimeProvider::default();
            let mut builder = TokioResolver::builder_with_config(config.clone(), provider);
            *builder.options_mut() = settings;
            if let Some(anchors) = anchors {
                builder = builder.with_trust_anchor(Arc::new(anchors));
            }
            builder.build().map_err(|error| format!("DNS cannot be asked: {error}"))
        };
        let validating = match (&options.anchors, options.dnssec) {
            (_, Dnssec::Off) => None,
            (Some(path), Dnssec::Auto) => Some(build(settings.clone(), Some(anchors(path)?))?),
            (None, Dnssec::Auto) => Some(build(settings.clone(), Some(TrustAnchors::default()))?),
        };
        // Who names the anchors says that there are signatures.
        let is_sure = validating.is_some() && options.anchors.is_some();
        let mode = Mutex::new(if is_sure { Mode::Validating } else { Mode::Unknown });
        Ok(Self {
            plain: build(settings, None)?,
            validating,
            is_public: options.anchors.is_none(),
            clock,
            mode,
            probe: tokio::sync::Mutex::default(),
        })
    }

    /// Asks for the records of `kind`.
    pub(super) async fn ask(&self, name: &Arc<str>, kind: Kind) -> Result<Reply, NameTrouble> {
        let wanted = match kind {
            Kind::Srv => RecordType::SRV,
            Kind::V4 => RecordType::A,
            Kind::V6 => RecordType::AAAA,
            Kind::Tlsa => RecordType::TLSA,
        };
        let resolver = match &self.validating {
            Some(_) if self.is_public && is_private(name) => &self.plain,
            Some(validating) if self.validates(validating, name).await? => validating,
            _ => &self.plain,
        };
        let reply = look_up(resolver, name, wanted).await?;
        match kind {
            Kind::Srv if reply.records.is_empty() => behind_alias(resolver, name, reply).await,
            _ => Ok(reply),
        }
    }

    /// Whether signatures are there to be validated.
    pub(super) fn mode(&self) -> Mode {
        match (*self.mode.lock(), &self.validating) {
            (Mode::Plain(until), Some(_)) if until <= self.clock.now() => Mode::Unknown,
            (mode, Some(_)) => mode,
            (_, None) => Mode::Plain(self.clock.now()),
        }
    }

    async fn validates(&self, root: &TokioResolver, name: &Arc<str>) -> Result<bool, NameTrouble> {
        loop {
            match self.mode() {
                Mode::Validating => return Ok(true),
                Mode::Plain(_) => return Ok(false),
                Mode::Unknown => {}
            }
            let _turn = self.probe.lock().await;
            if self.mode() != Mode::Unknown {
                continue;
            }
            let mode = self.find_mode(root, name).await?;
            if mode != Mode::Validating {
                tracing::warn!(
                    "the DNS servers hand out no DNSSEC signatures; names of other servers are \
                     believed without them, and DANE is not used"
                );
            }
            *self.mode.lock() = mode;
        }
    }

    /// Asks for something of the root that exists, and for something that does not: both must come
    /// with proofs.
    async fn find_mode(&self, root: &TokioResolver, name: &Arc<str>) -> Result<Mode, NameTrouble> {
        let there = Box::pin(root.lookup(Name::root(), RecordType::SOA));
        // RFC 2606 §2: no top-level domain has this name.
        let absent =
            Name::from_ascii("example.").map_err(|_| NameTrouble::NoAnswer(name.clone()))?;
        let absent = Box::pin(root.lookup(absent, RecordType::DS));
        let (there, absent) = tokio::join!(there, absent);
        let is_signed = |found: &[Record]| {
            let mut soas = found.iter().filter(|record| record.record_type() == RecordType::SOA);
            soas.any(|record| record.proof.is_secure())
        };
        match (there, absent) {
            (Err(error), _) | (_, Err(error)) if is_silence(&error) => {
                Err(NameTrouble::NoAnswer(name.clone()))
            }
            (Ok(found), Err(NetError::Dns(DnsError::NoRecordsFound(none))))
                if is_signed(found.answers()) && is_proven(&none) =>
            {
                Ok(Mode::Validating)
            }
            _ => Ok(Mode::Plain(self.clock.now() + PLAIN)),
        }
    }
}

/// Asks for records of one type.
async fn look_up(
    resolver: &TokioResolver,
    name: &Arc<str>,
    wanted: RecordType,
) -> Result<Reply, NameTrouble> {
    // With the dot at the end nothing is searched for below domains of this machine.
    let Ok(question) = Name::from_ascii(format!("{name}.")) else {
        return Err(NameTrouble::BadDomain(name.clone()));
    };
    match Box::pin(resolver.lookup(question.clone(), wanted)).await {
        Ok(found) => Ok(reply(&question, found.answers(), wanted)),
        Err(error) => nothing(name, error),
    }
}

/// The SRV records of what `name` is an alias of, or else `nothing`.
///
/// The library takes the target of an SRV record for an alias to be followed, and so loses the
/// records of a name that is one itself, as hosting providers have it.
async fn behind_alias(
    resolver: &TokioResolver,
    name: &Arc<str>,
    nothing: Reply,
) -> Result<Reply, NameTrouble> {
    let (mut name, mut is_signed, mut ttl) = (name.clone(), true, Duration::MAX);
    for _ in 0..ALIASES {
        let alias = look_up(resolver, &name, RecordType::CNAME).await?;
        let Some(Data::Alias(to)) = alias.records.first() else { return Ok(nothing) };
        (is_signed, ttl) = (is_signed && alias.is_signed, ttl.min(alias.ttl));
        name = to.clone();
        let mut reply = look_up(resolver, &name, RecordType::SRV).await?;
        if !reply.records.is_empty() {
            reply.is_signed &= is_signed;
            reply.ttl = reply.ttl.min(ttl);
            return Ok(reply);
        }
    }
    Ok(nothing)
}

/// Which servers are asked.
fn servers(options: &NamesOptions) -> (ResolverConfig, ResolverOpts) {
    if options.servers.is_empty() {
        match read_system_conf() {
            Ok(found) if !found.0.name_servers().is_empty() => return found,
            Ok(_) => {}
            Err(error) => tracing::warn!(
                %error,
                "the DNS servers of this machine are not known, so one on it is asked; name them \
                 as dns in [federation]"
            ),
        }
        // resolv.conf(5): "If no nameserver entries are present, the default is to use the name
        // server on the local machine."
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 53));
        return (ResolverConfig::from_name_servers(vec![server(&local)]), ResolverOpts::default());
    }
    let servers = options.servers.iter().map(server).collect();
    let mut settings = ResolverOpts::default();
    settings.use_hosts_file = ResolveHosts::Never;
    (ResolverConfig::from_name_servers(servers), settings)
}

fn server(address: &SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}

fn anchors(path: &Path) -> Result<TrustAnchors, String> {
    TrustAnchors::from_file(path).map_err(|error| {
        format!("the DNSSEC anchors in {} cannot be read: {error}", path.display())
    })
}

/// What the records say that answer `question`, by its own name or by one that it is an alias of.
fn reply(question: &Name, found: &[Record], wanted: RecordType) -> Reply {
    let mut names = HashSet::from([question.clone()]);
    let mut used = Vec::new();
    let follows = wanted != RecordType::CNAME;
    // Aliases may come in any order; each round follows at least one, or is the last.
    loop {
        let aliases: Vec<_> = found
            .iter()
            .filter_map(|record| match &record.data {
                RData::CNAME(to) if follows && names.contains(&record.name) => {
                    Some((record, &to.0))
                }
                _ => None,
            })
            .filter(|(_, to)| !names.contains(to))
            .collect();
        if aliases.is_empty() {
            break;
        }
        for (record, to) in aliases {
            used.push(record);
            names.insert(to.clone());
        }
    }
    let fits = |record: &&Record| record.record_type() == wanted && names.contains(&record.name);
    used.extend(found.iter().filter(fits));
    let fitting = used.iter().filter(|record| record.record_type() == wanted);
    let records: Arc<[Data]> = fitting.filter_map(|record| data(&record.data)).collect();
    Reply {
        is_signed: !used.is_empty() && used.iter().all(|record| record.proof.is_secure()),
        ttl: used.iter().map(|record| record.ttl).min().map_or(NEGATIVE, seconds),
        exists: true,
        records,
    }
}

fn data(data: &RData) -> Option<Data> {
    match data {
        RData::SRV(srv) => Some(Data::Srv {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: text(&srv.target),
        }),
        RData::CNAME(to) => Some(Data::Alias(text(&to.0))),
        RData::A(a) => Some(Data::Address(a.0.into())),
        RData::AAAA(aaaa) => Some(Data::Address(aaaa.0.into())),
        RData::TLSA(tlsa) => Some(Data::Tlsa(Tlsa {
            usage: tlsa.cert_usage.into(),
            selector: tlsa.selector.into(),
            matching: tlsa.matching.into(),
            data: tlsa.cert_data.clone(),
        })),
        _ => None,
    }
}

fn text(name: &Name) -> Arc<str> {
    let text = name.to_ascii().to_ascii_lowercase();
    text.trim_end_matches('.').into()
}

/// What an error of the resolver means.
fn nothing(name: &Arc<str>, error: NetError) -> Result<Reply, NameTrouble> {
    let failed = |why: String| NameTrouble::Failed { name: name.clone(), why: why.into() };
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => {
            let exists = none.response_code != ResponseCode::NXDomain;
            let soa = none.soa.as_ref().map(|soa| soa.ttl.min(soa.data.minimum));
            let ttl = none.negative_ttl.or(soa).map_or(NEGATIVE, seconds);
            Ok(Reply::none(exists, is_proven(&none), ttl))
        }
        // RFC 5155 §10.3, RFC 9276 §3.2: proofs that would take too long to check prove nothing.
        NetError::Dns(DnsError::Nsec { response, proof: Proof::Insecure, .. }) => {
            let exists = response.response_code != ResponseCode::NXDomain;
            Ok(Reply::none(exists, false, NEGATIVE))
        }
        NetError::Dns(DnsError::Nsec { .. } | DnsError::DnssecBogus) => {
            Err(NameTrouble::Bogus(name.clone()))
        }
        NetError::Dns(DnsError::ResponseCode(code)) => {
            Err(failed(format!("the DNS server says {}", code.to_str())))
        }
        error if is_silence(&error) => Err(NameTrouble::NoAnswer(name.clone())),
        error => Err(failed(error.to_string())),
    }
}

/// Whether DNSSEC proves that there is nothing.
fn is_proven(none: &NoRecords) -> bool {
    let authorities = none.authorities.as_deref().unwrap_or_default();
    let proves = |record: &Record| {
        matches!(record.record_type(), RecordType::NSEC | RecordType::NSEC3)
            && record.proof.is_secure()
    };
    authorities.iter().any(proves)
}

/// Whether nobody said anything.
fn is_silence(error: &NetError) -> bool {
    matches!(error, NetError::Timeout | NetError::NoConnections | NetError::Io(_) | NetError::Busy)
}

/// Whether the name is of a private network, as far as its end tells.
fn is_private(name: &str) -> bool {
    PRIVATE.contains(&name.rsplit('.').next().unwrap_or_default())
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_private_networks_are_known_by_their_end() {
        for name in ["xmpp.lan", "_xmpp-server._tcp.office.internal", "localhost", "a.b.test"] {
            assert!(is_private(name), "{name}");
        }
        for name in ["lan.org", "internal.example.org", "home.arpa", "xmpp.net"] {
            assert!(!is_private(name), "{name}");
        }
    }
}
