//! A look at a port as somebody outside has it: which TLS it speaks, and which certificate it
//! shows.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs as provider;
use rustls_pki_types::{ServerName, UnixTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use waxwing_stream::Security;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::authorities::Authorities;
use super::identity::Reference;
use super::judge::{Role, Shown};
use crate::tls::{TlsError, Unjudged, days_left, names, of_server};

/// The most that is read before TLS: a header and features.
const EARLY_BYTES: usize = 16 * 1024;

/// How a port is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// By clients, STARTTLS.
    Client,
    /// By clients, TLS from the first byte.
    ClientTls,
    /// By servers, STARTTLS.
    Server,
    /// By servers, TLS from the first byte.
    ServerTls,
    /// By browsers.
    Https,
}

/// Looks at ports.
pub struct Probe {
    authorities: Authorities,
    time: Duration,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// The version and the cipher suite, in words.
    pub tls: String,
    /// The names in the certificate.
    pub names: Vec<String>,
    /// Whole days until the certificate expires; negative when it has.
    pub days_left: i64,
    /// Why clients and servers elsewhere do not trust it, in words, if they do not.
    pub reproach: Option<String>,
    /// SHA-256 of its public key, for TLSA records.
    pub key: [u8; 32],
}

impl Speech {
    fn alpn(self) -> Option<&'static [u8]> {
        match self {
            Self::Client | Self::Server => None,
            Self::ClientTls => Some(b"xmpp-client"),
            Self::ServerTls => Some(b"xmpp-server"),
            Self::Https => Some(b"http/1.1"),
        }
    }
}

impl Probe {
    /// Trusts whom this machine trusts, and those in the PEM file `added`. One look takes `time` at
    /// most.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn new(added: Option<&Path>, time: Duration) -> Result<Self, TlsError> {
        Ok(Self { authorities: Authorities::read(added)?, time })
    }

    /// What `domain` shows at `address`.
    ///
    /// # Errors
    /// In words: why nothing was seen.
    pub async fn look(
        &self,
        address: SocketAddr,
        domain: &str,
        speech: Speech,
    ) -> Result<Sight, String> {
        match timeout(self.time, self.shake(address, domain, speech)).await {
            Err(_) => Err("no answer in time".to_owned()),
            Ok(Err(error)) => Err(error.to_string()),
            Ok(Ok(security)) => self.judge(domain, &security).await,
        }
    }

    async fn shake(
        &self,
        address: SocketAddr,
        domain: &str,
        speech: Speech,
    ) -> io::Result<Security> {
        let mut tcp = TcpStream::connect(address).await?;
        match speech {
            Speech::Client => upgrade(&mut tcp, domain, "jabber:client").await?,
            Speech::Server => upgrade(&mut tcp, domain, "jabber:server").await?,
            _ => {}
        }
        let provider = Arc::new(provider::default_provider());
        let verifier = Arc::new(Unjudged::new(&provider));
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        config.alpn_protocols = speech.alpn().map(<[u8]>::to_vec).into_iter().collect();
        let name = idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_owned());
        let name = ServerName::try_from(name).map_err(io::Error::other)?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
        Ok(of_server(stream.get_ref().1))
    }

    async fn judge(&self, domain: &str, security: &Security) -> Result<Sight, String> {
        let chain = &security.peer_chain;
        let own = chain.first().ok_or("it shows no certificate")?;
        let (_, leaf) = X509Certificate::from_der(own).map_err(|error| error.to_string())?;
        let judged = Shown::read(chain).map(|shown| (shown, Reference::of(domain)));
        let judge = self.authorities.judge().await;
        let judged = judged.and_then(|(shown, whom)| {
            let whom: Vec<Reference> = whom.into_iter().collect();
            judge.judge(&shown, &whom, (Role::Server, UnixTime::now()))
        });
        let key = digest::digest(&digest::SHA256, leaf.public_key().raw);
        let version = match security.tls_version {
            Some(0x0304) => "TLS 1.3",
            Some(0x0303) => "TLS 1.2",
            _ => "TLS",
        };
        Ok(Sight {
            tls: format!("{version}, {}", security.cipher.as_deref().unwrap_or("unknown cipher")),
            names: names(&leaf),
            days_left: days_left(own).unwrap_or_default(),
            reproach: judged.err().map(|reproach| reproach.words(domain)),
            key: key.as_ref().try_into().unwrap_or_default(),
        })
    }
}

/// RFC 6120 §5.4.2: asks for TLS, and goes on when the other side does.
async fn upgrade(tcp: &mut TcpStream, domain: &str, namespace: &str) -> io::Result<()> {
    let header = format!(
        "<?xml version='1.0'?><stream:stream xmlns='{namespace}' to='{domain}' version='1.0' \
         xmlns:stream='http://etherx.jabber.org/streams'>"
    );
    tcp.write_all(header.as_bytes()).await?;
    read_until(tcp, &["</stream:features>", "</features>"], "<starttls").await?;
    tcp.write_all(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").await?;
    read_until(tcp, &[">"], "<proceed").await
}

/// Reads up to one of `ends`; what came must hold `wanted`.
async fn read_until(tcp: &mut TcpStream, ends: &[&str], wanted: &str) -> io::Result<()> {
    let mut heard = Vec::new();
    loop {
        if tcp.read_buf(&mut heard).await? == 0 || heard.len() > EARLY_BYTES {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let text = String::from_utf8_lossy(&heard);
        if text.contains("<stream:error") || text.contains("<failure") {
            return Err(io::Error::other("it refuses the stream"));
        }
        if ends.iter().any(|end| text.trim_end().ends_with(end)) {
            return match text.contains(wanted) {
                true => Ok(()),
                false => Err(io::Error::other("it offers no encryption")),
            };
        }
    }
}
