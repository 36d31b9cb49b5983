//! The same server on real sockets: listeners on the loopback address, with the certificates that
//! the server makes for itself.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use waxwing_kernel::wire::Wire;
use waxwing_kernel::{Hub, connection};
use waxwing_net::bosh::BOSH_PATH;
use waxwing_net::http::{Proxies, Site, WEBSOCKET_PATH};
use waxwing_net::{Kind, Limits, Listener, Listening, Net, Tls, TlsOptions};
use waxwing_stream::Security;

use crate::bosh::Bosh;
use crate::link::{Link, Socket, Way};
use crate::script::DOMAIN;
use crate::websocket::WebSocket;
use crate::world::OTHER_DOMAIN;

/// The certificates of both domains, and clients that trust them. Making them takes a while, so
/// one set serves many worlds.
#[derive(Clone)]
pub struct Certificates {
    server: Arc<Tls>,
    client: Secure,
}

impl Certificates {
    /// Makes certificates in `folder`.
    ///
    /// # Errors
    /// What TLS objects to.
    pub fn make(folder: &Path) -> Result<Self, String> {
        let domains = [DOMAIN, OTHER_DOMAIN].map(str::to_owned).to_vec();
        let options = TlsOptions { domains, folder: folder.to_owned(), ..TlsOptions::default() };
        let server = Tls::open(options).map_err(|error| error.to_string())?;
        let mut roots = RootCertStore::empty();
        for domain in [DOMAIN, OTHER_DOMAIN] {
            let file = folder.join(format!("{domain}.pem"));
            let root = CertificateDer::from_pem_file(file).map_err(|error| error.to_string())?;
            roots.add(root).map_err(|error| error.to_string())?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { server, client: Secure(Arc::new(config)) })
    }
}

/// A client that puts TLS under a socket.
#[derive(Clone)]
pub struct Secure(Arc<ClientConfig>);

impl Secure {
    /// Does the handshake with the server of `domain`.
    ///
    /// # Errors
    /// What went wrong with it.
    pub async fn connect(
        &self,
        domain: &str,
        socket: Box<dyn Socket>,
    ) -> Result<Box<dyn Socket>, String> {
        let name = ServerName::try_from(domain.to_owned()).map_err(|error| error.to_string())?;
        let connecting = TlsConnector::from(Arc::clone(&self.0)).connect(name, socket);
        let stream = connecting.await.map_err(|error| format!("TLS: {error}"))?;
        Ok(Box::new(stream))
    }

    fn speaking(&self, protocol: &str) -> Self {
        let mut config = ClientConfig::clone(&self.0);
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        Self(Arc::new(config))
    }
}

/// Listeners of every kind.
pub struct Sockets {
    listening: Listening,
    client: Secure,
}

impl Sockets {
    /// Opens a port of each kind.
    ///
    /// # Errors
    /// The port that cannot be opened.
    pub async fn listen(hub: &Hub, certificates: &Certificates) -> Result<Self, String> {
        let entry_hub = hub.clone();
        let entry = move |wire: Box<dyn Wire>, security: Security| {
            connection::accept(&entry_hub, wire, security);
        };
        let local = "127.0.0.0/8".parse().map_err(|_| "no network")?;
        let site = Site {
            websocket_paths: vec![WEBSOCKET_PATH.to_owned()],
            bosh_paths: vec![BOSH_PATH.to_owned()],
            proxies: Proxies { networks: vec![local], ..Proxies::default() },
            ..Site::default()
        };
        let tls = Some(Arc::clone(&certificates.server));
        let clock = hub.clock().clone();
        let net = Net::new(Limits::default(), tls, site, Arc::new(entry), clock);
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listeners = [Kind::Xmpp, Kind::XmppTls, Kind::Http, Kind::Https, Kind::Component];
        let mut listeners = listeners.map(|kind| Listener::new(loopback, kind)).to_vec();
        // The last one: whoever looks for the others finds them first.
        listeners.push(Listener { is_proxied: true, ..Listener::new(loopback, Kind::Xmpp) });
        let listening = net.listen(&listeners).await.map_err(|error| error.to_string())?;
        Ok(Self { listening, client: certificates.client.clone() })
    }

    /// Connects to the server of `domain`.
    ///
    /// # Errors
    /// What went wrong.
    pub async fn connect(&self, way: Way, domain: &str) -> Result<Link, String> {
        let (kind, protocol) = match way {
            Way::Memory(_) => return Err("this is no socket".to_owned()),
            Way::StartTls | Way::Proxied => (Kind::Xmpp, None),
            Way::DirectTls => (Kind::XmppTls, Some("xmpp-client")),
            Way::WebSocket | Way::Bosh => (Kind::Http, None),
            Way::SecureWebSocket | Way::SecureBosh => (Kind::Https, Some("http/1.1")),
        };
        let mut socket = match way {
            Way::Proxied => self.dial_proxied().await?,
            _ => self.dial(kind).await?,
        };
        if let Some(protocol) = protocol {
            socket = self.client.speaking(protocol).connect(domain, socket).await?;
        }
        Ok(match way {
            Way::WebSocket => Link::WebSocket(WebSocket::open(socket, domain, BEHIND).await?),
            Way::SecureWebSocket => Link::WebSocket(WebSocket::open(socket, domain, "").await?),
            Way::Bosh => {
                let sockets = [socket, self.dial(kind).await?];
                Link::Bosh(Box::new(Bosh::new(sockets, domain, BEHIND)))
            }
            Way::SecureBosh => {
                let other = self.dial(kind).await?;
                let other = self.client.speaking("http/1.1").connect(domain, other).await?;
                Link::Bosh(Box::new(Bosh::new([socket, other], domain, "")))
            }
            Way::StartTls => Link::Stream(socket, Some(self.client.clone())),
            _ => Link::Stream(socket, None),
        })
    }

    async fn dial(&self, kind: Kind) -> Result<Box<dyn Socket>, String> {
        let all = self.listening.addresses();
        let address = all.iter().find(|(known, _)| *known == kind).ok_or("not listening")?.1;
        let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        Ok(Box::new(stream))
    }

    /// Connects as a component does.
    ///
    /// # Errors
    /// What went wrong.
    pub async fn connect_component(&self) -> Result<Link, String> {
        Ok(Link::Stream(self.dial(Kind::Component).await?, None))
    }

    /// As a proxy in front of us, which has ended TLS.
    async fn dial_proxied(&self) -> Result<Box<dyn Socket>, String> {
        let address = self.listening.addresses().last().ok_or("not listening")?.1;
        let mut stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        stream.write_all(&ENDED_TLS).await.map_err(|error| error.to_string())?;
        Ok(Box::new(stream))
    }

    /// Closes the ports.
    pub async fn stop(self) {
        self.listening.stop().await;
    }
}

/// What a trusted proxy in front of plain HTTP says of its client: it came over TLS.
const BEHIND: &str = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n";
/// The same on TCP, by the PROXY protocol, version 2: for 192.0.2.1, which came over TLS.
const ENDED_TLS: [u8; 36] = *b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x14\
    \xC0\0\x02\x01\x7F\0\0\x01\x13\x88\x14\x66\x20\0\x05\x01\0\0\0\0";
