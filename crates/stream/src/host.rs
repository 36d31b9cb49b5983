//! What a stream must know about the domains served and about its own transport.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::error::StreamError;
use crate::limits::Limits;
use crate::role::server::Border;
use crate::sasl::{Hash, Mechanism, ScramKeys};

/// Fills the slice with bytes that nobody can guess.
pub type Entropy = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// The domains served here.
pub trait Hosts: Send + Sync {
    /// The virtual host of a prepared domain name.
    fn host(&self, domain: &str) -> Option<Arc<Host>>;
    /// The host of a stream that names none.
    fn default_host(&self) -> Option<Arc<Host>>;
    /// The limits of every stream.
    fn limits(&self) -> &Limits;
    /// The component of a prepared domain name.
    ///
    /// # Errors
    /// What its stream is told when it is not served, or not to this peer.
    fn component(&self, domain: &str) -> Result<Component, StreamError> {
        let _ = domain;
        Err(StreamError::host_unknown())
    }
    /// What holds for streams of other servers for `local`, a prepared domain name: a host, a
    /// service of one, or the domain of a component. `peer` is who the other server says it is,
    /// prepared but not yet proven; `None` where it does not say.
    ///
    /// # Errors
    /// `host-unknown` where `local` is not ours; otherwise why `peer` may not come.
    fn border(&self, local: &str, peer: Option<&str>) -> Result<Border, StreamError> {
        let _ = (local, peer);
        Err(StreamError::host_unknown())
    }
    /// What dialback keys are made with, the same for all domains (XEP-0185 §2); `None` where
    /// there is no dialback.
    fn dialback_secret(&self) -> Option<&[u8]> {
        None
    }
}

/// A component as its stream sees it (XEP-0114).
#[derive(Clone)]
pub struct Component {
    /// The prepared domain name that it speaks for.
    pub domain: Arc<str>,
    /// What it proves to know.
    pub secret: Arc<Zeroizing<String>>,
    /// The domain of the server, which asks whether it is still there.
    pub server: Arc<str>,
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Component").field("domain", &self.domain).finish_non_exhaustive()
    }
}

/// One virtual host as its streams see it.
#[derive(Clone)]
pub struct Host {
    /// The prepared domain name.
    pub domain: Arc<str>,
    /// The mechanisms that the policy of this host allows.
    pub mechanisms: Mechanisms,
    /// STARTTLS is offered: there is a certificate for this domain.
    pub starttls: bool,
    /// Nobody authenticates without TLS.
    pub require_tls: bool,
    /// PLAIN is offered without TLS too. Only for loopback and tests.
    pub plain_without_tls: bool,
    /// `jabber:iq:register` is answered before authentication (XEP-0077).
    pub registration: bool,
    /// Stream features before authentication besides our own; whole elements.
    pub early_features: Vec<Arc<str>>,
    /// Stream features after authentication besides our own; whole elements.
    pub features: Vec<Arc<str>>,
    /// Namespaces of elements other than stanzas that modules understand once a resource is
    /// bound, for example `urn:xmpp:csi:0`.
    pub nonzas: Vec<Arc<str>>,
    /// Authentication by XEP-0388 is offered beside that of RFC 6120.
    pub sasl2: bool,
    /// Tokens are given out and taken (XEP-0484).
    pub tokens: bool,
    /// Tokens that somebody else gave out are taken (RFC 7628), and what a client is told of them.
    pub bearer: Option<BearerOffer>,
    /// Namespaces of what modules enable in a session that is bound along with the authentication
    /// (XEP-0386 §3), for example `urn:xmpp:carbons:2`.
    pub inline: Vec<Arc<str>>,
    /// Key for the salts of accounts that do not exist.
    pub secret: [u8; 32],
    /// Iteration count shown for accounts that do not exist; should be the one of new accounts.
    pub scram_iterations: u32,
    /// Web origins whose pages may open a stream; empty where every page may.
    pub origins: Vec<Arc<str>>,
    /// Where new streams are sent while this node drains.
    pub redirect: Redirect,
    /// Default language of what the server says.
    pub lang: Arc<str>,
}

impl Host {
    /// A host with the defaults: TLS required, SCRAM and (under TLS) PLAIN, nothing else.
    pub fn new(domain: impl Into<Arc<str>>, secret: [u8; 32]) -> Host {
        Host {
            domain: domain.into(),
            mechanisms: Mechanisms::default(),
            starttls: true,
            require_tls: true,
            plain_without_tls: false,
            registration: false,
            early_features: Vec::new(),
            features: Vec::new(),
            nonzas: Vec::new(),
            sasl2: true,
            tokens: false,
            bearer: None,
            inline: Vec::new(),
            secret,
            scram_iterations: ScramKeys::ITERATIONS,
            origins: Vec::new(),
            redirect: Redirect::default(),
            lang: "en".into(),
        }
    }

    /// A hash of `parts` that nobody without the secret of this host can make or undo.
    pub fn seal(&self, purpose: &str, parts: &[&str]) -> Vec<u8> {
        let mut text = purpose.to_owned();
        for part in parts {
            text.push('\0');
            text.push_str(part);
        }
        Hash::Sha256.hmac(&self.secret, text.as_bytes())
    }

    /// Whether pages of `origin` may talk to this host. A client that names none is no browser.
    pub(crate) fn admits(&self, origin: Option<&str>) -> bool {
        let Some(origin) = origin else { return true };
        let is_it = |listed: &Arc<str>| listed.eq_ignore_ascii_case(origin);
        self.origins.is_empty() || self.origins.iter().any(is_it)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("domain", &self.domain).finish_non_exhaustive()
    }
}

/// What a client is told whose token is not good (RFC 7628 §3.2.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BearerOffer {
    /// The scope that a token must have: `xmpp:client:normal`.
    pub scope: Option<Arc<str>>,
    /// Where the identity provider describes itself: the URL of a document of OpenID Connect
    /// Discovery or RFC 8414.
    pub discovery: Option<Arc<str>>,
}

/// Where a draining node sends new streams.
#[derive(Clone, Debug, Default)]
pub struct Redirect {
    /// Absolute URI for WebSockets: `<close see-other-uri/>` (RFC 7395 §3.6.1).
    pub uri: Option<Arc<str>>,
    /// `host` or `host:port` for TCP: `<see-other-host/>` (RFC 6120 §4.9.3.19).
    pub host: Option<Arc<str>>,
}

/// The SASL mechanisms that a host's policy allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mechanisms {
    /// SCRAM-SHA-1 and, with channel binding, SCRAM-SHA-1-PLUS.
    pub scram_sha_1: bool,
    /// SCRAM-SHA-256(-PLUS).
    pub scram_sha_256: bool,
    /// SCRAM-SHA-512(-PLUS).
    pub scram_sha_512: bool,
    /// PLAIN, where the transport is encrypted.
    pub plain: bool,
    /// EXTERNAL, for clients that show a certificate.
    pub external: bool,
    /// ANONYMOUS.
    pub anonymous: bool,
}

impl Default for Mechanisms {
    fn default() -> Self {
        Mechanisms {
            scram_sha_1: true,
            scram_sha_256: true,
            scram_sha_512: true,
            plain: true,
            external: false,
            anonymous: false,
        }
    }
}

impl Mechanisms {
    /// Whether the policy allows `mechanism`, whatever the transport.
    pub fn allow(&self, mechanism: Mechanism) -> bool {
        match mechanism {
            Mechanism::Scram(Hash::Sha1, _) => self.scram_sha_1,
            Mechanism::Scram(Hash::Sha256, _) => self.scram_sha_256,
            Mechanism::Scram(Hash::Sha512, _) => self.scram_sha_512,
            Mechanism::Plain => self.plain,
            Mechanism::External => self.external,
            Mechanism::Anonymous => self.anonymous,
            // Not the operator's list but a module decides whether there are tokens.
            Mechanism::Token(_) | Mechanism::Bearer => true,
        }
    }
}

/// What protects the transport below a stream.
#[derive(Clone, Debug, Default)]
pub struct Security {
    /// TLS ends in this process.
    pub tls: bool,
    /// TLS ends at a proxy that the configuration trusts; there is no channel binding then.
    pub trusted_proxy: bool,
    /// Both ends are on this machine and nothing stands between them: as good as TLS, except
    /// that passwords are not sent in the clear.
    pub local: bool,
    /// The version of TLS that ends in this process, as RFC 8446 §4.1.2 numbers it: 0x0304.
    pub tls_version: Option<u16>,
    /// The `tls-exporter` channel binding (RFC 9266).
    pub exporter: Option<[u8; 32]>,
    /// The `tls-server-end-point` channel binding (RFC 5929 §4): the certificate's hash.
    pub end_point: Option<Vec<u8>>,
    /// The client's certificate in DER.
    pub peer_certificate: Option<Vec<u8>>,
    /// The client's certificate leads to an authority that the configuration trusts.
    pub peer_verified: bool,
    /// The certificates that another server has shown, in DER, its own first; dropped once they are
    /// judged.
    pub peer_chain: Vec<Vec<u8>>,
    /// What the certificate of a server that we have called is worth.
    pub peer_trust: Option<PeerTrust>,
    /// The cipher suite of TLS that ends in this process, by its usual name.
    pub cipher: Option<Arc<str>>,
    /// The origin (RFC 6454) of the web page that opened the connection, as its browser tells.
    pub origin: Option<Arc<str>>,
}

/// What vouches for the certificate of a server that we have called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerTrust {
    /// An authority, and it names the domain (RFC 9525).
    Certificate,
    /// Signed records in the DNS (RFC 7673).
    Dane,
    /// A document of the domain's web server (RFC 7711).
    Posh,
    /// Nothing; with the reason in words.
    Untrusted(Arc<str>),
}

impl Security {
    /// Whether nobody between the client and us (or our proxy) reads along.
    pub fn is_encrypted(&self) -> bool {
        self.tls || self.trusted_proxy
    }

    /// Whether the stream may go on without (further) TLS where TLS is required.
    pub fn is_private(&self) -> bool {
        self.is_encrypted() || self.local
    }

    /// Whether a -PLUS mechanism can work.
    pub fn binds_channel(&self) -> bool {
        self.exporter.is_some() || self.end_point.is_some()
    }

    /// The data of a channel binding type (RFC 5056), if this transport has it.
    pub(crate) fn binding(&self, kind: &str) -> Option<&[u8]> {
        match kind {
            "tls-exporter" => self.exporter.as_ref().map(|data| data.as_slice()),
            "tls-server-end-point" => self.end_point.as_deref(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_origins_binds_pages_only() {
        let mut host = Host::new("example.org", [0; 32]);
        assert!(host.admits(Some("https://any.example")));
        host.origins = vec!["https://app.example".into()];
        assert!(host.admits(Some("https://App.example")) && host.admits(None));
        assert!(!host.admits(Some("https://app.example.org")) && !host.admits(Some("null")));
    }
}
