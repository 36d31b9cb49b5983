//! Certificates: whether they are there, belong together, name their domain, and last.

use std::path::{Path, PathBuf};

use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use waxwing_kernel::config::{Config, Host, HostConfig};
use waxwing_net::acme::certificate_file;
use waxwing_net::http::host_in_url;

use super::{Finding, Trouble, Weight, fatal, note, warning};
use crate::certificates::{folder, is_ordered};

/// A certificate that ends sooner is worth a word.
const SOON_DAYS: i64 = 14;

const SELF_SIGNED: &str = "clients on the internet refuse it\nlet [acme] get one from an authority \
                           such as Let's Encrypt, or name its files in [[host]] certificate and \
                           key";

/// What clients of `host` will be shown.
pub(super) fn finding(host: &Host, config: &Config) -> Finding {
    let domain = host.config.domain.as_str();
    let (Some(chain), Some(key)) = (&host.config.certificate, &host.config.key) else {
        if let Some(other) = config.hosts.iter().find(|other| covers(&other.config, domain)) {
            let about = format!("certificate of {domain}: that of {}", other.config.domain);
            return Finding::new(about, Ok(()));
        }
        if is_ordered(host, config) {
            let about = format!("certificate of {domain}: got and renewed by [acme]");
            return Finding::new(about, ordered(domain, config));
        }
        let about = format!("certificate of {domain}: self-signed, made at the first start");
        let verdict = if config.server.public { Err(warning(SELF_SIGNED)) } else { Ok(()) };
        return Finding::new(about, verdict);
    };
    let about = format!("certificate of {domain}: {}", chain.display());
    Finding::new(about, fits(domain, chain, key))
}

/// What is kept of a certificate that the server gets by itself.
fn ordered(domain: &str, config: &Config) -> Result<(), Trouble> {
    let file = certificate_file(&folder(&config.server.data), &host_in_url(domain));
    if !file.exists() {
        return Err(note(
            "there is none yet: it is ordered when the server runs\nport 80 (listen.challenges) or \
             port 443 (TLS) of every name in it must lead here; docs/certificates.md tells more",
        ));
    }
    // Whatever is wrong with it, the server starts, and gets another.
    fits(domain, &file, &file).map_err(|trouble| {
        let text =
            format!("{}\n`waxwing certificate list` tells why it is not renewed", trouble.text);
        warning(text)
    })
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
        .map_err(|_| fatal(format!("it is not made out to {domain}; clients will refuse it")))?;
    lasts(waxwing_net::days_left(&leaf))
}

fn lasts(days_left: Option<i64>) -> Result<(), Trouble> {
    match days_left {
        None => Err(fatal("it cannot be read")),
        Some(days) if days < 0 => Err(fatal("it has expired; renew it")),
        Some(days) if days < SOON_DAYS => Err(warning(format!(
            "it expires in {days} days\nrenew it; a running server notices the new file by itself"
        ))),
        Some(_) => Ok(()),
    }
}

/// Whether the certificate that another host names is made out to `domain` too.
fn covers(host: &HostConfig, domain: &str) -> bool {
    let (Some(chain), Some(key)) = (&host.certificate, &host.key) else { return false };
    !matches!(fits(domain, chain, key), Err(trouble) if trouble.weight == Weight::Wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_that_is_near_is_told() {
        let weight = |days| lasts(days).err().map(|trouble| trouble.weight.name());
        assert_eq!(weight(Some(14)), None);
        assert_eq!(weight(Some(13)), Some("careful"));
        assert_eq!(weight(Some(0)), Some("careful"));
        assert_eq!(weight(Some(-1)), Some("wrong"));
        assert_eq!(weight(None), Some("wrong"));
    }
}
