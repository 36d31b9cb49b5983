//! `waxwing check`: finds what would hurt later.

use std::fs;
use std::io;
use std::net::{IpAddr, TcpListener, ToSocketAddrs, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use serde_json::json;
use waxwing_kernel::config::sections::Address;
use waxwing_kernel::config::{Config, HostConfig};

use super::args::Common;
use super::setup::{Program, Setup};
use super::{REFUSED, Stop, database, say};
use crate::control::is_running;

/// One thing looked at.
struct Finding {
    /// What it is about.
    about: String,
    /// What is wrong and what to do; none if it is well.
    trouble: Option<Trouble>,
}

struct Trouble {
    text: String,
    /// Whether the server would not start, or could not be used.
    is_fatal: bool,
}

impl Finding {
    fn new(about: impl Into<String>, verdict: Result<(), Trouble>) -> Self {
        Self { about: about.into(), trouble: verdict.err() }
    }
}

fn fatal(text: impl Into<String>) -> Trouble {
    Trouble { text: text.into(), is_fatal: true }
}

fn warning(text: impl Into<String>) -> Trouble {
    Trouble { text: text.into(), is_fatal: false }
}

/// Checks everything, prints what was found.
pub(super) fn run(program: &Program, common: &Common) -> Result<ExitCode, Stop> {
    let setup = Setup::load(program, common)?;
    let findings = findings(&setup);
    if common.json {
        say(&format!("{}\n", to_json(&findings)))?;
    } else {
        say(&to_text(&findings))?;
    }
    let is_bad = findings.iter().flat_map(|found| &found.trouble).any(|trouble| trouble.is_fatal);
    Ok(if is_bad { ExitCode::from(REFUSED) } else { ExitCode::SUCCESS })
}

fn to_text(findings: &[Finding]) -> String {
    let mut out = String::new();
    for found in findings {
        match &found.trouble {
            None => out.push_str(&format!("ok       {}\n", found.about)),
            Some(Trouble { text, is_fatal }) => {
                let word = if *is_fatal { "wrong" } else { "careful" };
                let text = text.replace('\n', "\n         ");
                out.push_str(&format!("{word:8} {}\n         {text}\n", found.about));
            }
        }
    }
    out
}

fn to_json(findings: &[Finding]) -> serde_json::Value {
    let finding = |found: &Finding| {
        let verdict = match &found.trouble {
            None => "ok",
            Some(trouble) if trouble.is_fatal => "wrong",
            Some(_) => "careful",
        };
        let text = found.trouble.as_ref().map(|trouble| &trouble.text);
        json!({ "about": found.about, "verdict": verdict, "text": text })
    };
    findings.iter().map(finding).collect()
}

fn findings(setup: &Setup) -> Vec<Finding> {
    let config = &setup.config;
    let file = match &setup.file {
        Some(file) => format!("configuration {}", file.display()),
        None => "configuration: the defaults".to_owned(),
    };
    let mut all = vec![Finding::new(file, Ok(()))];
    let data = &config.server.data;
    all.push(Finding::new(format!("data folder {}", data.display()), writable(data)));
    for host in &config.hosts {
        let domain = host.config.domain.as_str();
        all.push(certificate(&host.config));
        if config.server.public {
            all.push(Finding::new(format!("domain {domain}"), resolves(domain)));
        }
    }
    if is_running(data) {
        let about = "database and ports: not tried, because the server is running";
        all.push(Finding::new(about, Ok(())));
    } else {
        all.push(Finding::new(database::name(config), database::works(config).map_err(fatal)));
        all.extend(ports(config));
    }
    all
}

/// The folder, or the nearest one above it that exists, must take a file.
fn writable(folder: &Path) -> Result<(), Trouble> {
    let mut existing = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    while !existing.exists() && existing.pop() {}
    let trial = existing.join(format!(".waxwing-check-{}", std::process::id()));
    match fs::write(&trial, b"") {
        Ok(()) => {
            let _ = fs::remove_file(&trial);
            Ok(())
        }
        Err(error) => Err(fatal(format!(
            "{} may not be written: {error}\nmake it yours with chown, or choose another --data",
            existing.display()
        ))),
    }
}

fn certificate(host: &HostConfig) -> Finding {
    let domain = host.domain.as_str();
    let (Some(chain), Some(key)) = (&host.certificate, &host.key) else {
        let about = format!("certificate of {domain}: self-signed, made at the first start");
        return Finding::new(about, Ok(()));
    };
    let about = format!("certificate of {domain}: {}", chain.display());
    Finding::new(about, fits(domain, chain, key))
}

fn fits(domain: &str, chain: &PathBuf, key: &PathBuf) -> Result<(), Trouble> {
    let unreadable = |path: &Path, error: &dyn std::fmt::Display| {
        fatal(format!("{}: {error}\nexpected a PEM file", path.display()))
    };
    let certificates = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable(chain, &error))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, &error))?;
    let Some(leaf) = certificates.first().cloned() else {
        return Err(unreadable(chain, &"there is no certificate in it"));
    };
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    CertifiedKey::from_der(certificates, private, &provider).map_err(|error| {
        fatal(format!("the key {} does not belong to it: {error}", key.display()))
    })?;
    let parsed = ParsedCertificate::try_from(&leaf).map_err(|error| unreadable(chain, &error))?;
    let name = ServerName::try_from(domain.to_owned())
        .map_err(|error| warning(format!("{domain} cannot be in a certificate: {error}")))?;
    verify_server_name(&parsed, &name)
        .map_err(|_| fatal(format!("it is not made out to {domain}; clients will refuse it")))
}

/// Whether the name leads to an address of this machine.
fn resolves(domain: &str) -> Result<(), Trouble> {
    let addresses: Vec<IpAddr> = match (domain, 0).to_socket_addrs() {
        Ok(found) => found.map(|address| address.ip()).collect(),
        Err(error) => {
            return Err(warning(format!(
                "the name does not resolve: {error}\nadd an A or AAAA record, or SRV records \
                 _xmpp-client._tcp and _xmpps-client._tcp that name this machine"
            )));
        }
    };
    if addresses.iter().any(|address| is_own(*address)) {
        return Ok(());
    }
    let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    Err(warning(format!(
        "the name leads to {}, which is no address of this machine\nthat is right behind address \
         translation, a proxy, or with SRV records; otherwise clients will not find the server",
        list.join(", ")
    )))
}

/// An address is ours if a socket can be bound to it.
fn is_own(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

fn ports(config: &Config) -> Vec<Finding> {
    let addresses = config.listen.addresses(config.server.public);
    addresses.iter().map(|wanted| port(*wanted)).collect()
}

fn port(wanted: Address) -> Finding {
    let about = format!("port {} for {}", wanted.address, wanted.port.key());
    let verdict = match TcpListener::bind(wanted.address) {
        Ok(_) => Ok(()),
        // A usual address may be missing: a machine without IPv6 is fine.
        Err(error) if !wanted.is_asked && is_missing(&error) => match wanted.fallback() {
            Some(other) => return port(Address { address: other, ..wanted }),
            None => Ok(()),
        },
        Err(error) => Err(port_trouble(wanted.address.port(), &error)),
    };
    Finding::new(about, verdict)
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported)
}

fn port_trouble(port: u16, error: &io::Error) -> Trouble {
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("another program has it; find it with `ss -ltnp 'sport = :{port}'`")
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need a privilege; choose a higher one in [listen]".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => {
            "no network interface of this machine has this address; mend it in [listen]".to_owned()
        }
        _ => "choose another address in [listen]".to_owned(),
    };
    fatal(format!("{error}\n{remedy}"))
}
