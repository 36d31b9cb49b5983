//! What names say of a server, step by step, for a person.

use std::sync::Arc;

use waxwing_kernel::links::survey::{Step, Survey, Verdict};

use super::domain::Domain;
use super::resolver::Mode;
use super::source::{Data, Kind, Source};
use super::target::{Places, Target, Tlsa};
use super::trouble::NameTrouble;
use super::{Answer, Names, service_of};

impl Names {
    /// Asks for everything that other servers ask for to find `domain`, and says what each answer
    /// means. What is known from before is not asked for again.
    pub async fn survey(&self, domain: &str) -> Survey {
        let mut survey = Survey::default();
        let name = match Domain::read(domain) {
            Ok(Domain::Name(name)) => name,
            Ok(Domain::Literal(address)) => {
                let found = "it is an address, so no records lead to its server";
                survey.add(Step::new(address.to_string(), found, Verdict::Note));
                return survey;
            }
            Err(trouble) => {
                survey.add(failed(format!("the name {domain}"), &trouble));
                return survey;
            }
        };
        let (direct, plain) = (service_of(&name, true), service_of(&name, false));
        let (direct_found, plain_found) =
            tokio::join!(self.ask(&direct, Kind::Srv), self.ask(&plain, Kind::Srv));
        let [has_direct, has_plain] = [&direct_found, &plain_found].map(has_servers);
        survey.add(services(
            &plain,
            &plain_found,
            &name,
            Service { is_direct: false, has_other: has_direct },
        ));
        survey.add(services(
            &direct,
            &direct_found,
            &name,
            Service { is_direct: true, has_other: has_plain },
        ));
        match self.places(&name).await {
            Ok(places) => {
                survey.add(self.signatures(&name, &places));
                self.machines(&places, &mut survey).await;
            }
            Err(trouble) => survey.add(failed(format!("the server of {name}"), &trouble)),
        }
        let (meta, posh) = tokio::join!(self.meta_step(&name), self.posh_step(&name));
        survey.add(meta);
        survey.add(posh);
        survey
    }

    fn signatures(&self, name: &Arc<str>, places: &Places) -> Step {
        let what = format!("DNSSEC of {name}");
        let state = self.state();
        let is_checked = match &state.source {
            Source::Dns(resolver) => resolver.mode() == Mode::Validating,
            Source::Table(_) => true,
        };
        match (is_checked, places.is_signed) {
            (_, true) => Step::new(
                what,
                "the records are signed, and the signatures are right",
                Verdict::Good,
            ),
            (true, false) => Step::new(what, "the records are not signed", Verdict::Note)
                .remedy(format!("Sign the zone of {name}, so that nobody can forge its records.")),
            (false, false) => Step::new(
                what,
                "not looked at: this machine's DNS servers hand out no signatures",
                Verdict::Note,
            )
            .remedy(
                "Let this machine ask a DNS server that supports DNSSEC (dns in [federation]).",
            ),
        }
    }

    /// Addresses and TLSA records of each machine.
    async fn machines(&self, places: &Places, survey: &mut Survey) {
        let mut seen: Vec<&Arc<str>> = Vec::new();
        for target in &places.targets {
            let is_first = !seen.contains(&&target.host);
            seen.push(&target.host);
            let found = self.addresses(target).await;
            let is_signed = target.is_signed && found.as_ref().is_ok_and(|found| found.is_signed);
            if is_first {
                survey.add(addresses(target, found));
            }
            if is_signed {
                survey.add(dane(target, self.tlsa(&target.host, target.port).await));
            }
        }
    }

    async fn meta_step(&self, name: &Arc<str>) -> Step {
        let what = format!("https://{name}/.well-known/host-meta.json");
        match self.host_meta(name).await {
            Ok(document) if document.links.is_empty() => {
                Step::new(what, "it says nothing of servers, and need not", Verdict::Note)
            }
            Ok(document) => {
                let links = document.links.iter().map(|(_, _, target)| place(target));
                let links = links.collect::<Vec<_>>().join(", ");
                Step::new(what, format!("servers are at {links}"), Verdict::Good)
            }
            Err(why) => Step::new(what, format!("not read ({why}), and not needed"), Verdict::Note),
        }
    }

    async fn posh_step(&self, name: &Arc<str>) -> Step {
        let what = format!("https://{name}/.well-known/posh/xmpp-server.json");
        match self.posh_file(name).await {
            Ok(None) => Step::new(what, "there is none, and none is needed", Verdict::Note),
            Ok(Some(posh)) => {
                let count = posh.fingerprints.len();
                Step::new(
                    what,
                    format!("it names {}", counted(count, "certificate")),
                    Verdict::Good,
                )
            }
            Err(why) => Step::new(what, format!("not read ({why}), and not needed"), Verdict::Note),
        }
    }
}

/// Which of the two SRV services a step is about, and whether the other one has servers.
#[derive(Clone, Copy)]
struct Service {
    is_direct: bool,
    has_other: bool,
}

fn services(asked: &Arc<str>, found: &Answer, name: &Arc<str>, service: Service) -> Step {
    let what = format!("SRV {asked}");
    let reply = match found {
        Ok(reply) => reply,
        Err(trouble) => return failed(what, trouble),
    };
    let servers: Vec<_> = reply.records.iter().filter_map(server).collect();
    if !servers.is_empty() {
        return Step::new(what, servers.join(", "), Verdict::Good);
    }
    let is_declined = !reply.records.is_empty();
    let port = if service.is_direct { 5270 } else { 5269 };
    let line = format!("Add to the zone: {asked}. 3600 IN SRV 5 0 {port} HOST.");
    match (is_declined, service.is_direct, service.has_other) {
        (true, true, _) => Step::new(what, "'.': there is no direct TLS", Verdict::Note),
        (true, false, true) => {
            Step::new(what, "'.': there is direct TLS only", Verdict::Poor).remedy(line)
        }
        (true, false, false) => {
            let found = format!("'.': {name} has no server for other servers");
            Step::new(what, found, Verdict::Bad).remedy(line)
        }
        (false, true, _) => Step::new(what, "none: there is no direct TLS", Verdict::Note),
        (false, false, true) => {
            let found = "none: servers that know no direct TLS do not find this one";
            Step::new(what, found, Verdict::Poor).remedy(line)
        }
        (false, false, false) => {
            let found = format!("none: other servers try {name} itself on port 5269");
            Step::new(what, found, Verdict::Poor).remedy(line)
        }
    }
}

/// One SRV record in words; None for `.`.
fn server(data: &Data) -> Option<String> {
    match data {
        Data::Srv { target, .. } if target.is_empty() => None,
        Data::Srv { priority, weight, port, target } => {
            Some(format!("{target}:{port} (priority {priority}, weight {weight})"))
        }
        _ => None,
    }
}

fn has_servers(found: &Answer) -> bool {
    found.as_ref().is_ok_and(|reply| reply.records.iter().any(|data| server(data).is_some()))
}

fn addresses(target: &Target, found: Result<super::Addresses, NameTrouble>) -> Step {
    let what = format!("addresses of {}", target.host);
    let found = match found {
        Ok(found) => found,
        Err(trouble) => return failed(what, &trouble),
    };
    let (v6, v4) =
        (found.v6.iter().map(ToString::to_string), found.v4.iter().map(ToString::to_string));
    let list = v6.chain(v4).collect::<Vec<_>>().join(", ");
    let host = &target.host;
    match (found.v6.is_empty(), found.v4.is_empty()) {
        (true, false) => Step::new(what, format!("{list}; no IPv6"), Verdict::Poor)
            .remedy(format!("Add an AAAA record of {host} if the machine has IPv6.")),
        (false, true) => Step::new(what, format!("{list}; no IPv4"), Verdict::Poor)
            .remedy(format!("Many servers have no IPv6: add an A record of {host}.")),
        _ => Step::new(what, list, Verdict::Good),
    }
}

fn dane(target: &Target, found: Result<Vec<Tlsa>, NameTrouble>) -> Step {
    let Target { host, port, .. } = target;
    let what = format!("TLSA _{port}._tcp.{host}");
    match found {
        Ok(records) if records.is_empty() => {
            Step::new(what, "none: DANE says nothing of the certificate", Verdict::Note).remedy(
                "As the zone is signed, a TLSA record (3 1 1) would prove the certificate right.",
            )
        }
        Ok(records) => {
            let list = records
                .iter()
                .map(|tlsa| format!("{} {} {}", tlsa.usage, tlsa.selector, tlsa.matching));
            let (list, count) = (list.collect::<Vec<_>>().join(", "), records.len());
            Step::new(what, format!("{}: {list}", counted(count, "record")), Verdict::Good)
        }
        Err(trouble) => failed(what, &trouble),
    }
}

fn failed(what: String, trouble: &NameTrouble) -> Step {
    Step::new(what, trouble.to_string(), Verdict::Bad).remedy(trouble.advice())
}

fn place(target: &Target) -> String {
    match &target.way {
        super::Way::WebSocket { path } => format!("wss://{}:{}{path}", target.host, target.port),
        _ => format!("{}:{}", target.host, target.port),
    }
}

fn counted(count: usize, thing: &str) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{end}")
}
