//! The way to the server: names, records, addresses and ports.

use std::io;
use std::net::{IpAddr, TcpListener, ToSocketAddrs, UdpSocket};

use waxwing_kernel::config::Config;
use waxwing_kernel::config::sections::Address;

use super::{Finding, Trouble, fatal, warning};

/// XEP-0156 allows nothing else.
const UNSAFE: &str = "it is no https:// address, so clients are not told of it: host-meta is off\n\
                      let a proxy speak TLS there, or leave it out to use the https port";

/// Where browsers are told to go must be safe to go to.
pub(super) fn public_url(config: &Config) -> Option<Finding> {
    let url = config.http.public_url.as_ref()?;
    let safe = if url.is_secure() { Ok(()) } else { Err(warning(UNSAFE)) };
    Some(Finding::new(format!("http.public_url {url}"), safe))
}

/// Whether the machine is found by the name of a domain.
pub(super) fn domain(domain: &str) -> Finding {
    Finding::new(format!("domain {domain}"), resolves(domain))
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

pub(super) fn ports(config: &Config) -> Vec<Finding> {
    config.addresses().into_iter().map(port).collect()
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

#[cfg(test)]
mod tests {
    use waxwing_kernel::config::Source;

    use super::*;

    fn config(text: &str) -> Config {
        Config::read(Source { name: "test", text }, &crate::sections()).expect("it is right")
    }

    #[test]
    fn a_public_url_without_tls_is_told() {
        let trouble = |text: &str| public_url(&config(text)).map(|found| found.trouble.is_some());
        assert_eq!(trouble(""), None);
        assert_eq!(trouble("[http]\npublic_url = 'https://a.example'\n"), Some(false));
        assert_eq!(trouble("[http]\npublic_url = 'http://a.example'\n"), Some(true));
    }
}
