//! What proves to an authority that a name leads here, for as long as it looks: pages (RFC 8555
//! §8.3) and certificates (RFC 8737).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::ClientHello;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// What an authority speaks when it looks at a certificate (RFC 8737 §6.2).
pub(crate) const ALPN: &[u8] = b"acme-tls/1";
/// Where an authority looks for pages (RFC 8555 §8.3).
pub const PAGES: &str = "/.well-known/acme-challenge/";

/// The proofs of the moment. Empty but for the seconds of an order.
#[derive(Default)]
pub struct Proofs {
    /// By token.
    pages: RwLock<HashMap<String, String>>,
    /// By name, an A-label in lower case.
    configs: RwLock<HashMap<String, Arc<ServerConfig>>>,
}

/// A proof that can be seen until this is dropped.
pub(super) struct Proof {
    proofs: Arc<Proofs>,
    kind: Kind,
    key: String,
}

#[derive(Clone, Copy)]
enum Kind {
    Page,
    Certificate,
}

impl Proofs {
    /// What the page at `path` says, if there is one at the moment.
    pub fn page(&self, path: &str) -> Option<String> {
        let token = path.strip_prefix(PAGES)?;
        self.pages.read().get(token).cloned()
    }

    /// What to answer an authority with that looks at a certificate; None for everybody else.
    ///
    /// RFC 8737 §3: an authority offers this one protocol and nothing else, and names the domain
    /// that it looks at (SNI).
    pub(crate) fn config(&self, hello: &ClientHello<'_>) -> Option<Arc<ServerConfig>> {
        let mut protocols = hello.alpn()?;
        if protocols.next() != Some(ALPN) || protocols.next().is_some() {
            return None;
        }
        let name = hello.server_name()?.to_ascii_lowercase();
        self.configs.read().get(&name).cloned()
    }

    /// Shows `text` on the page of `token`.
    pub(super) fn show_page(self: &Arc<Self>, token: &str, text: &str) -> Proof {
        self.pages.write().insert(token.to_owned(), text.to_owned());
        Proof { proofs: Arc::clone(self), kind: Kind::Page, key: token.to_owned() }
    }

    /// Shows a certificate that holds `digest` to whoever asks for `name` in the way of RFC 8737.
    pub(super) fn show_certificate(
        self: &Arc<Self>,
        name: &str,
        digest: &[u8],
    ) -> Result<Proof, String> {
        let config = certificate(name, digest).map_err(|error| error.to_string())?;
        self.configs.write().insert(name.to_owned(), Arc::new(config));
        Ok(Proof { proofs: Arc::clone(self), kind: Kind::Certificate, key: name.to_owned() })
    }
}

impl Drop for Proof {
    fn drop(&mut self) {
        match self.kind {
            Kind::Page => drop(self.proofs.pages.write().remove(&self.key)),
            Kind::Certificate => drop(self.proofs.configs.write().remove(&self.key)),
        }
    }
}

impl fmt::Debug for Proofs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proofs").finish_non_exhaustive()
    }
}

/// RFC 8737 §3: "The client prepares for validation by constructing a self-signed certificate that
/// MUST contain an acmeIdentifier extension and a subjectAlternativeName extension".
fn certificate(name: &str, digest: &[u8]) -> Result<ServerConfig, Box<dyn std::error::Error>> {
    let mut params = CertificateParams::new(vec![name.to_owned()])?;
    params.distinguished_name = DistinguishedName::new();
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(aws_lc_rs::default_provider());
    let key = provider.key_provider.load_private_key(key)?;
    // Put together by hand: rustls would look into the certificate, and refuse what is critical in
    // it and not known to it.
    let certified = CertifiedKey::new(vec![certificate.der().clone()], key);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    // Nobody comes back.
    config.send_tls13_tickets = 0;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use x509_parser::certificate::X509Certificate;
    use x509_parser::prelude::FromDer;

    use super::*;

    #[test]
    fn a_page_is_there_as_long_as_its_proof() {
        let proofs = Arc::new(Proofs::default());
        let proof = proofs.show_page("token", "token.thumb");
        let page = "/.well-known/acme-challenge/token";
        assert_eq!(proofs.page(page).as_deref(), Some("token.thumb"));
        assert_eq!(proofs.page("/.well-known/acme-challenge/other"), None);
        assert_eq!(proofs.page("token"), None);
        drop(proof);
        assert_eq!(proofs.page(page), None);
    }

    #[test]
    fn a_certificate_holds_the_digest_in_a_critical_extension() {
        let params = {
            let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
            params.custom_extensions = vec![CustomExtension::new_acme_identifier(&[7; 32])];
            params
        };
        let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let (_, parsed) = X509Certificate::from_der(made.der()).unwrap();
        // RFC 8737 §3: id-pe-acmeIdentifier, 1.3.6.1.5.5.7.1.31, "The acmeIdentifier
        // extension MUST be critical"; the value is "an ASN.1 OCTET STRING" of 32 bytes.
        let mut extensions = parsed.extensions().iter();
        let found = extensions.find(|it| it.oid.to_id_string() == "1.3.6.1.5.5.7.1.31").unwrap();
        assert!(found.critical);
        assert_eq!(found.value, [&[4, 32][..], &[7; 32]].concat());
        assert!(certificate("a.example", &[7; 32]).is_ok());
    }
}
