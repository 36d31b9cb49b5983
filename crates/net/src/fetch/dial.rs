//! Connections to others: a name becomes addresses, one of them a socket, and TLS comes on top.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tower_service::Service;
use waxwing_kernel::outgoing::{FetchError, Reach};
use waxwing_kernel::request::Answer;

use super::address::is_public;

/// Addresses of one name that are tried, one after the other.
const TRIES: usize = 4;

/// Who is believed to be who they say.
#[derive(Clone)]
pub(super) enum Trust {
    /// Whom this machine trusts.
    System,
    /// Whom these vouch for.
    These(Arc<RootCertStore>),
}

/// Makes connections for the pool.
#[derive(Clone)]
pub(super) struct Dialer {
    reach: Reach,
    time: Duration,
    trust: Trust,
    tls: Arc<OnceCell<TlsConnector>>,
}

/// Bytes both ways.
pub(super) trait Line: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Line for T {}

impl Connection for Box<dyn Line> {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Service<Uri> for Dialer {
    type Response = TokioIo<Box<dyn Line>>;
    type Error = FetchError;
    type Future = Answer<'static, Result<Self::Response, FetchError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), FetchError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let dialer = self.clone();
        Box::pin(async move {
            let dialled = tokio::time::timeout(dialer.time, dialer.dial(&url)).await;
            dialled.unwrap_or(Err(FetchError::TimedOut)).map(TokioIo::new)
        })
    }
}

impl Dialer {
    pub(super) fn new(reach: Reach, time: Duration, trust: Trust) -> Self {
        Self { reach, time, trust, tls: Arc::default() }
    }

    async fn dial(&self, url: &Uri) -> Result<Box<dyn Line>, FetchError> {
        let is_secure = url.scheme_str() == Some("https");
        let host = url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let port = url.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        let socket = connect(&self.addresses(host, port).await?).await?;
        let _ = socket.set_nodelay(true);
        if !is_secure {
            return Ok(Box::new(socket));
        }
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_| FetchError::BadUrl("its host is no name"))?;
        let tls = self.tls.get_or_try_init(|| connector(self.trust.clone())).await?;
        let secured = tls.connect(name, socket).await;
        let secured = secured.map_err(|error| FetchError::Untrusted(error.to_string()))?;
        Ok(Box::new(secured))
    }

    /// Where `host` is, as far as that may be dialled.
    async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, FetchError> {
        let found = tokio::net::lookup_host((host, port)).await;
        let found = found.map_err(|error| FetchError::Unreachable(error.to_string()))?;
        let mut found: Vec<SocketAddr> = found.collect();
        if found.is_empty() {
            return Err(FetchError::Unreachable("the name has no address".to_owned()));
        }
        if self.reach == Reach::Public {
            found.retain(|address| is_public(address.ip()));
        }
        if found.is_empty() {
            return Err(FetchError::NotPublic);
        }
        found.truncate(TRIES);
        Ok(found)
    }
}

async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, FetchError> {
    let mut refusal = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(socket) => return Ok(socket),
            Err(error) => refusal = error,
        }
    }
    Err(FetchError::Unreachable(refusal.to_string()))
}

async fn connector(trust: Trust) -> Result<TlsConnector, FetchError> {
    let roots = match trust {
        Trust::These(roots) => roots,
        Trust::System => {
            // A file with hundreds of certificates, or a folder of as many files.
            let read = tokio::task::spawn_blocking(system_roots).await;
            Arc::new(read.map_err(|error| FetchError::Untrusted(error.to_string()))??)
        }
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| FetchError::Untrusted(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn system_roots() -> Result<RootCertStore, FetchError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(found.certs);
    if taken > 0 {
        return Ok(roots);
    }
    let why = found.errors.first().map_or_else(String::new, |error| format!(" ({error})"));
    Err(FetchError::Untrusted(format!(
        "this machine has no certificates of authorities{why}; install its ca-certificates"
    )))
}
