//! The server as others find it: names in DNS, what its ports show, and what is missing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use waxwing_kernel::clock::Clock;
use waxwing_kernel::config::sections::Port;
use waxwing_kernel::config::{Config, Host};
use waxwing_kernel::links::survey::{Step, Verdict};
use waxwing_net::http::host_in_url;
use waxwing_net::names::{Machine, NameTrouble, Names, NamesOptions, Target, Way, records_for};
use waxwing_net::{Fetcher, Probe, Sight, Speech};

use super::{Finding, Trouble, note, warning};
use crate::{certificates, peers, wiring};

/// How long one port may take to answer.
const PATIENCE: Duration = Duration::from_secs(8);
/// A certificate that ends sooner is worth a word.
const SOON_DAYS: i64 = 14;

/// What is asked, and by what.
struct Outside<'a> {
    config: &'a Config,
    names: Names,
    /// None while the server does not run: there is nobody to look at.
    probe: Option<Probe>,
}

/// Looks up and looks at everything that others need to reach the hosts.
pub(super) fn findings(config: &Config, is_running: bool) -> Vec<Finding> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(look(config, is_running)),
        Err(error) => vec![Finding::new("threads", Err(warning(error.to_string())))],
    }
}

async fn look(config: &Config, is_running: bool) -> Vec<Finding> {
    let limits = wiring::net_limits(config);
    let fetch = Arc::new(Fetcher::new(&limits));
    // These are our own, wherever they are.
    let options = NamesOptions { private_addresses: true, ..peers::names(config) };
    let names = Names::new(&options, &limits, fetch, Clock::system());
    let added = config.federation.authorities.as_deref();
    let probe = is_running.then(|| Probe::new(added, PATIENCE)).transpose();
    let (names, probe) = match (names, probe) {
        (Ok(names), Ok(probe)) => (names, probe),
        (Err(reason), _) => return vec![Finding::new("names", Err(warning(reason)))],
        (_, Err(error)) => {
            return vec![Finding::new("authorities", Err(warning(error.to_string())))];
        }
    };
    let outside = Outside { config, names, probe };
    let mut all = Vec::new();
    for host in &config.hosts {
        all.extend(outside.host(host).await);
        if outside.is_silent(host).await {
            break;
        }
    }
    all
}

impl Outside<'_> {
    async fn host(&self, host: &Host) -> Vec<Finding> {
        let domain = host.config.domain.as_str();
        let mut all = vec![self.clients(domain).await];
        if self.is_silent(host).await {
            all.push(self.wanted(domain, None));
            return all;
        }
        let federates = self.config.federates();
        if federates {
            let survey = self.names.survey(domain).await;
            all.extend(survey.steps.into_iter().map(finding));
        }
        let mut key = None;
        for (target, speech) in self.targets(domain, federates).await {
            let (found, seen) = self.target(domain, &target, speech).await;
            all.extend(found);
            key = key.or(seen);
        }
        for name in certificates::services(host, self.config).iter().filter(|_| federates) {
            all.push(self.service(domain, name).await);
        }
        all.push(self.wanted(domain, key));
        all
    }

    /// What to write into the zone of a domain, for whoever is to find it.
    fn wanted(&self, domain: &str, key: Option<[u8; 32]>) -> Finding {
        let mut lines = self.records(domain, domain, key);
        if !lines.is_empty() {
            lines.insert(0, "these lead everybody to the ports that are open here:".to_owned());
        }
        let page = format!("https://{}/.well-known/host-meta", host_in_url(domain));
        lines.push(format!("browsers ask {page}"));
        Finding::new(format!("records of {domain}"), Err(note(lines.join("\n"))))
    }

    /// Whether nobody answers what is asked of DNS: each further question would be waited for as
    /// long, and say the same. Asked for at once after [`Outside::clients`], this is known.
    async fn is_silent(&self, host: &Host) -> bool {
        let asked = self.names.clients(host.config.domain.as_str()).await;
        matches!(asked, Err(NameTrouble::NoAnswer(_)))
    }

    /// SRV records for clients. Without any, clients take the domain itself and the usual ports.
    async fn clients(&self, domain: &str) -> Finding {
        let about = format!("SRV records of {domain} for clients");
        let lines = |way: &Way| {
            let machine = Machine {
                client: self.port(Port::Xmpp).filter(|_| *way == Way::StartTls),
                client_tls: self.port(Port::XmppTls).filter(|_| *way == Way::DirectTls),
                ..self.machine(domain, None)
            };
            records_for(&host_in_url(domain), &machine).join("\n")
        };
        let verdict = match self.names.clients(domain).await {
            Err(trouble) => Err(told(&trouble)),
            Ok(targets) => {
                let has = |way: &Way| targets.iter().any(|target| target.way == *way);
                let missing = [Way::StartTls, Way::DirectTls].into_iter().filter(|way| !has(way));
                let missing: Vec<String> =
                    missing.map(|way| lines(&way)).filter(|lines| !lines.is_empty()).collect();
                match (missing.is_empty(), targets.is_empty()) {
                    (true, _) => Ok(()),
                    (_, true) => Err(note(format!(
                        "none: clients try {domain} itself, on port 5222 only\n\
                         add to the zone:\n{}",
                        missing.join("\n")
                    ))),
                    _ => Err(note(format!("add to the zone:\n{}", missing.join("\n")))),
                }
            }
        };
        Finding::new(about, verdict)
    }

    /// Where clients, servers and browsers end up.
    async fn targets(&self, domain: &str, federates: bool) -> Vec<(Target, Speech)> {
        let mut found = Vec::new();
        let clients = self.names.clients(domain).await.unwrap_or_default();
        found.extend(clients.into_iter().map(|target| {
            let speech = if target.is_direct() { Speech::ClientTls } else { Speech::Client };
            (target, speech)
        }));
        if federates && let Ok(places) = self.names.places(domain).await {
            found.extend(places.targets.into_iter().map(|target| {
                let speech = if target.is_direct() { Speech::ServerTls } else { Speech::Server };
                (target, speech)
            }));
        }
        found
    }

    /// What each address of a target shows; and the public key of the first.
    async fn target(
        &self,
        domain: &str,
        target: &Target,
        speech: Speech,
    ) -> (Vec<Finding>, Option<[u8; 32]>) {
        let Some(probe) = &self.probe else { return (Vec::new(), None) };
        let addresses = match self.names.addresses(target).await {
            Ok(addresses) => addresses,
            Err(trouble) => {
                let about = format!("addresses of {}", target.host);
                return (vec![Finding::new(about, Err(told(&trouble)))], None);
            }
        };
        let six = addresses.v6.into_iter().map(std::net::IpAddr::from);
        let all = six.chain(addresses.v4.into_iter().map(std::net::IpAddr::from));
        let (mut found, mut key) = (Vec::new(), None);
        for address in all {
            let address = SocketAddr::new(address, target.port);
            let about = format!("{} at {} ({address})", whose(speech), target.host);
            let seen = probe.look(address, domain, speech).await;
            key = key.or(seen.as_ref().ok().map(|sight| sight.key));
            found.push(match seen {
                Ok(sight) => shown(&about, domain, &sight),
                Err(why) => Finding::new(
                    about,
                    Err(warning(format!(
                        "{why}\nopen port {} in the firewall, and see that the address leads here; \
                     some networks do not reach themselves by their own address, so ask from \
                     elsewhere too",
                        target.port
                    ))),
                ),
            });
        }
        (found, key)
    }

    /// A domain below the host: other servers look for it, and authorities too.
    async fn service(&self, domain: &str, name: &str) -> Finding {
        let about = format!("name {name}");
        let lines = || {
            let records = self.records(name, domain, None);
            let servers = records.iter().filter(|line| line.contains("-server."));
            servers.cloned().collect::<Vec<_>>().join("\n")
        };
        let places = match self.names.places(name).await {
            Ok(places) => places,
            Err(trouble) => {
                return Finding::new(about, Err(warning(format!("{trouble}\n{}", lines()))));
            }
        };
        for target in &places.targets {
            if self.names.addresses(target).await.is_ok() {
                return Finding::new(about, Ok(()));
            }
        }
        Finding::new(
            about,
            Err(warning(format!(
                "other servers do not find it, so nobody elsewhere can use it\n\
                 add to the zone:\n{}\n\
             and an A or AAAA record, if its certificate is to come from [acme]",
                lines()
            ))),
        )
    }

    /// The records that lead to `name` on the machine of `domain`.
    fn records(&self, name: &str, domain: &str, key: Option<[u8; 32]>) -> Vec<String> {
        let machine = Machine {
            client: self.port(Port::Xmpp),
            client_tls: self.port(Port::XmppTls),
            server: self.port(Port::Server),
            server_tls: self.port(Port::ServerTls),
            ..self.machine(domain, key)
        };
        records_for(&host_in_url(name), &machine)
    }

    fn machine(&self, domain: &str, key: Option<[u8; 32]>) -> Machine {
        Machine { host: host_in_url(domain), key, ..Machine::default() }
    }

    /// The number of an open port.
    fn port(&self, port: Port) -> Option<u16> {
        let mut addresses = self.config.addresses().into_iter();
        addresses.find(|found| found.port == port).map(|found| found.address.port())
    }
}

/// A step of a survey as a finding of the check.
fn finding(step: Step) -> Finding {
    let text = match &step.remedy {
        Some(remedy) => format!("{}\n{remedy}", step.found),
        None => step.found.clone(),
    };
    let verdict = match step.verdict {
        Verdict::Good => Ok(()),
        Verdict::Note if step.remedy.is_none() => Ok(()),
        Verdict::Note | Verdict::Poor => Err(note(text)),
        Verdict::Bad => Err(warning(text)),
    };
    let about = match step.verdict {
        Verdict::Good | Verdict::Note => format!("{}: {}", step.what, step.found),
        _ => step.what,
    };
    Finding::new(about, verdict)
}

fn shown(about: &str, domain: &str, sight: &Sight) -> Finding {
    let about = format!("{about}: {}, certificate for {} days", sight.tls, sight.days_left);
    let verdict = match &sight.reproach {
        Some(words) => Err(warning(format!(
            "{words}\nsee `waxwing certificate list`; [acme] gets a certificate for {domain} that \
             everybody trusts"
        ))),
        None if sight.days_left < SOON_DAYS => {
            Err(warning(format!("it expires in {} days\nrenew it", sight.days_left)))
        }
        None => Ok(()),
    };
    Finding::new(about, verdict)
}

fn told(trouble: &NameTrouble) -> Trouble {
    warning(format!("{trouble}\n{}", trouble.advice()))
}

fn whose(speech: Speech) -> &'static str {
    match speech {
        Speech::Client => "clients with STARTTLS",
        Speech::ClientTls => "clients with direct TLS",
        Speech::Server => "servers with STARTTLS",
        Speech::ServerTls => "servers with direct TLS",
        Speech::Https => "browsers",
    }
}
