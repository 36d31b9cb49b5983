//! Which certificates the server gets by itself, from what the operator wrote.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use waxwing_jid::is_subdomain;
use waxwing_kernel::Hub;
use waxwing_kernel::config::sections::{Challenge as Wish, KeyKind as Kind, Port};
use waxwing_kernel::config::{Config, Host};
use waxwing_net::acme::{
    Acme, AcmeOptions, Challenge, Keeper, KeyKind, NAMES_MAX, Wanted, certificate_file,
    external_key,
};
use waxwing_net::http::host_in_url;
use waxwing_net::{Fetcher, Tls};

use crate::wiring;

/// Where accounts, keys and certificates of authorities are kept.
pub(crate) fn folder(data: &Path) -> PathBuf {
    data.join("acme")
}

/// What certificates are got by.
///
/// # Errors
/// A sentence for the operator: a key that cannot be read, or too many names.
pub(crate) fn options(config: &Config, data: &Path) -> Result<AcmeOptions, String> {
    let acme = &config.acme;
    let seconds = |seconds: u32| Duration::from_secs(seconds.into());
    let orders = orders(config);
    let large = orders.iter().find(|wanted| wanted.names.len() > NAMES_MAX);
    if let Some(Wanted { domain, .. }) = large {
        return Err(format!("The certificate of {domain} can have {NAMES_MAX} names at most."));
    }
    Ok(AcmeOptions {
        is_on: acme.enabled,
        directory: acme.directory.as_str().to_owned(),
        contacts: acme.contact.iter().map(|uri| uri.as_str().to_owned()).collect(),
        terms_agreed: acme.terms_agreed,
        external: external(config)?,
        authorities: acme.authorities.clone(),
        challenges: challenges(config),
        key: match acme.key {
            Kind::P256 => KeyKind::P256,
            Kind::P384 => KeyKind::P384,
            Kind::Rsa2048 => KeyKind::Rsa2048,
            Kind::Rsa4096 => KeyKind::Rsa4096,
        },
        folder: folder(data),
        orders,
        order_time: seconds(acme.order_seconds),
        retry: seconds(acme.retry_seconds),
    })
}

/// Who gets certificates, and tells the commands of them.
///
/// # Errors
/// As [`options`].
pub(crate) fn keep(
    hub: &Hub,
    tls: &Arc<Tls>,
    config: &Config,
    data: &Path,
) -> Result<Arc<Acme>, String> {
    let limits = wiring::net_limits(config);
    let fetcher = Arc::new(Fetcher::new(&limits));
    let surroundings = (hub.clock().clone(), Arc::clone(hub.metrics()));
    let options = options(config, data)?;
    let acme = Acme::new((Arc::clone(tls), fetcher), limits, surroundings, options);
    hub.keep_certificates_with(Arc::new(Keeper::new(Arc::clone(&acme))));
    Ok(acme)
}

/// The domains with certificates that are got, and where those are.
pub(crate) fn obtained(config: &Config, data: &Path) -> Vec<(String, PathBuf)> {
    let file = |wanted: Wanted| {
        let file = certificate_file(&folder(data), &wanted.domain);
        (wanted.domain, file)
    };
    orders(config).into_iter().map(file).collect()
}

/// Whether the certificate of a host is got by the server.
pub(crate) fn is_ordered(host: &Host, config: &Config) -> bool {
    let own = &host.config;
    let domain = own.domain.as_str();
    // No authority gives a certificate for what only this machine knows, nor for bare addresses.
    let is_name = domain != "localhost"
        && !domain.ends_with(".localhost")
        && domain.trim_matches(['[', ']']).parse::<IpAddr>().is_err();
    config.acme.enabled && own.acme && own.certificate.is_none() && is_name
}

fn orders(config: &Config) -> Vec<Wanted> {
    let hosts = config.hosts.iter().filter(|host| is_ordered(host, config));
    hosts.map(|host| wanted(host, config)).collect()
}

fn wanted(host: &Host, config: &Config) -> Wanted {
    let domain = host_in_url(host.config.domain.as_str());
    let mut names = vec![domain.clone()];
    names.extend(host.config.names.iter().map(|name| host_in_url(name.as_str())));
    let services = if config.acme.services { services(host, config) } else { Vec::new() };
    let mut services: Vec<String> = services.iter().map(|name| host_in_url(name)).collect();
    services.retain(|name| !names.contains(name));
    for list in [&mut names, &mut services] {
        let mut seen = Vec::new();
        list.retain(|name| {
            !seen.contains(name) && {
                seen.push(name.clone());
                true
            }
        });
    }
    Wanted { domain, names, services }
}

/// The domains below a host that other servers may ask for.
pub(crate) fn services(host: &Host, config: &Config) -> Vec<String> {
    let domain = host.config.domain.as_str();
    let modules = host.modules.values().filter(|module| module.is_on);
    let labels = modules.filter_map(|module| module.about.service);
    let own = labels.map(|label| format!("{label}.{domain}"));
    let is_nearest = |name: &str| {
        let hosts = config.hosts.iter().map(|host| host.config.domain.as_str());
        let above = hosts.filter(|host| is_subdomain(name, host));
        above.max_by_key(|host| host.len()) == Some(domain)
    };
    let components = config.components.iter().map(|component| component.domain.as_str());
    let components = components.filter(|name| is_nearest(name)).map(str::to_owned);
    own.chain(components).collect()
}

/// How names are proven: by the port that is ours, first.
fn challenges(config: &Config) -> Vec<Challenge> {
    let addresses = config.addresses();
    let listens = |number: u16, ports: &[Port]| {
        let mut addresses = addresses.iter();
        addresses.any(|it| it.address.port() == number && ports.contains(&it.port))
    };
    match config.acme.challenge {
        Wish::Http01 => vec![Challenge::Http01],
        Wish::TlsAlpn01 => vec![Challenge::TlsAlpn01],
        Wish::Auto => {
            let has_pages = listens(80, &[Port::Challenges, Port::Http]);
            let has_tls = listens(443, &[Port::Https, Port::XmppTls, Port::ServerTls]);
            match has_tls && !has_pages {
                true => vec![Challenge::TlsAlpn01, Challenge::Http01],
                false => vec![Challenge::Http01, Challenge::TlsAlpn01],
            }
        }
    }
}

fn external(config: &Config) -> Result<Option<(String, Vec<u8>)>, String> {
    let acme = &config.acme;
    let Some(name) = &acme.external_account else { return Ok(None) };
    let text = match &acme.external_key_file {
        Some(file) => fs::read_to_string(file).map_err(|error| {
            format!("The key of the account {name}, {}, cannot be read: {error}.", file.display())
        })?,
        None => acme.external_key.as_ref().map_or("", |key| key.as_str()).to_owned(),
    };
    let key = external_key(text.trim()).ok_or_else(|| {
        format!("The key of the account {name} (acme.external_key) is no base64url.")
    })?;
    Ok(Some((name.clone(), key)))
}

#[cfg(test)]
mod tests {
    use waxwing_kernel::config::Source;

    use super::*;

    fn config(text: &str) -> Config {
        let text = format!("[acme]\nenabled = true\nterms_agreed = true\n{text}");
        Config::read(Source { name: "test", text: &text }, &crate::sections()).expect("it is right")
    }

    #[test]
    fn a_host_without_a_certificate_gets_one_with_its_services() {
        let config = config(
            "[[host]]\ndomain = 'bücher.example'\nnames = ['chat.example']\n\
             [[host]]\ndomain = 'own.example'\ncertificate = 'a'\nkey = 'b'\n\
             [[host]]\ndomain = 'off.example'\nacme = false\n\
             [[host]]\ndomain = 'localhost'\n\
             [[component]]\ndomain = 'irc.bücher.example'\nsecret = 'long and random'\n",
        );
        let orders = orders(&config);
        assert_eq!(orders.len(), 1, "{orders:?}");
        assert_eq!(orders[0].names, ["xn--bcher-kva.example", "chat.example"]);
        let services = &orders[0].services;
        for label in ["rooms", "pubsub", "upload", "irc"] {
            assert!(services.contains(&format!("{label}.xn--bcher-kva.example")), "{services:?}");
        }
        let files = obtained(&config, Path::new("/data"));
        let file = PathBuf::from("/data/acme/xn--bcher-kva.example.pem");
        assert_eq!(files, [("xn--bcher-kva.example".to_owned(), file)]);
    }

    #[test]
    fn the_port_that_is_ours_says_how_names_are_proven() {
        let of = |text: &str| challenges(&config(text));
        let both = [Challenge::Http01, Challenge::TlsAlpn01];
        assert_eq!(of(""), both);
        assert_eq!(of("[listen]\nhttps = ['[::]:443']\n"), [both[1], both[0]]);
        assert_eq!(of("[listen]\nhttps = ['[::]:443']\nchallenges = ['[::]:80']\n"), both);
        assert_eq!(of("challenge = 'tls-alpn-01'\n"), [both[1]]);
    }

    #[test]
    fn the_key_of_an_account_is_read() {
        let of = |key: &str| {
            external(&config(&format!("external_account = 'kid'\nexternal_key = '{key}'\n")))
        };
        assert_eq!(of("AQID").unwrap(), Some(("kid".to_owned(), vec![1, 2, 3])));
        assert_eq!(of("_-8").unwrap(), Some(("kid".to_owned(), vec![0xff, 0xef])));
        assert!(of("no key").unwrap_err().contains("external_key"));
    }
}
