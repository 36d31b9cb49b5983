//! Listeners: they accept, count, put TLS in place, and hand each client to the kernel.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use waxwing_kernel::clock::Clock;
use waxwing_kernel::wire::{Transport, Wire};
use waxwing_stream::Security;

use crate::census::{Census, Full, Permit};
use crate::http::{Site, serve};
use crate::limits::Limits;
use crate::proxied;
use crate::socket::Socket;
use crate::tcp::TcpWire;
use crate::tls::{self, Alpn, Manner, StartTls, Tls};

/// Where each client goes in: the kernel starts its session.
pub type Entry = Arc<dyn Fn(Box<dyn Wire>, Security) + Send + Sync>;

/// A port to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where. `[::]` also takes IPv4 on most systems; port 0 takes any that is free.
    pub address: SocketAddr,
    /// For whom.
    pub kind: Kind,
    /// Ask clients for a certificate, for SASL EXTERNAL.
    pub asks_certificate: bool,
    /// Every connection begins with a PROXY protocol header (version 1 or 2) of a trusted proxy;
    /// others are refused.
    pub is_proxied: bool,
}

impl Listener {
    /// A listener without client certificates and without the PROXY protocol.
    pub fn new(address: SocketAddr, kind: Kind) -> Self {
        Self { address, kind, asks_certificate: false, is_proxied: false }
    }
}

/// What is spoken on a port. On the two TLS kinds, ALPN decides if the client uses it:
/// `xmpp-client` and `http/1.1` are both served; the kind is for clients that do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// XMPP with STARTTLS, 5222 as a rule.
    Xmpp,
    /// XMPP inside TLS (XEP-0368), 5223 as a rule.
    XmppTls,
    /// HTTP, 5280 as a rule: for a proxy on the same machine.
    Http,
    /// HTTPS, 5443 as a rule.
    Https,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Xmpp => "XMPP",
            Self::XmppTls => "XMPP with direct TLS",
            Self::Http => "HTTP",
            Self::Https => "HTTPS",
        })
    }
}

/// Why a port cannot be listened on. The text is for the operator.
#[derive(Debug)]
pub struct ListenError {
    listener: Listener,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    Bind(io::Error),
    /// Another of the listeners has the port.
    Twice(SocketAddr),
    NoTls,
    NoAuthority,
}

impl std::error::Error for ListenError {}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Listener { address, kind, .. } = self.listener;
        write!(f, "Cannot listen on {address} for {kind}: ")?;
        let port = address.port();
        match &self.cause {
            Cause::Twice(other) => write!(
                f,
                "the listener on {other} has port {port} already. '[::]' takes IPv4 as well, so \
                 it needs no '0.0.0.0' beside it."
            ),
            Cause::NoTls => f.write_str("TLS is not set up."),
            Cause::NoAuthority => tls::TlsError::NoAuthority.fmt(f),
            Cause::Bind(error) => match error.kind() {
                ErrorKind::AddrInUse => write!(
                    f,
                    "port {port} is in use. Stop the program that holds it ('ss -ltnp sport = \
                     :{port}' names it), or choose another port."
                ),
                ErrorKind::PermissionDenied => write!(
                    f,
                    "the system does not permit port {port}. Ports below 1024 need the \
                     capability CAP_NET_BIND_SERVICE; or choose a higher port."
                ),
                ErrorKind::AddrNotAvailable => write!(
                    f,
                    "this machine has no address {}. Use one of its own, or 0.0.0.0 or [::] for \
                     all.",
                    address.ip()
                ),
                _ => write!(f, "{error}."),
            },
        }
    }
}

/// The network layer of one server.
pub struct Net {
    limits: Limits,
    tls: Option<Arc<Tls>>,
    site: RwLock<Arc<Site>>,
    entry: Entry,
    clock: Clock,
    census: Census,
}

/// Open listeners.
pub struct Listening {
    addresses: Vec<(Kind, SocketAddr)>,
    stop: watch::Sender<bool>,
    loops: JoinSet<()>,
}

impl Net {
    /// A network layer that listens nowhere yet.
    pub fn new(
        limits: Limits,
        tls: Option<Arc<Tls>>,
        site: Site,
        entry: Entry,
        clock: Clock,
    ) -> Arc<Self> {
        let census = Census::new(limits.clone());
        let site = RwLock::new(Arc::new(site));
        Arc::new(Self { limits, tls, site, entry, clock, census })
    }

    /// Binds every listener, or none: the first that fails is the error.
    pub async fn listen(
        self: &Arc<Self>,
        listeners: &[Listener],
    ) -> Result<Listening, ListenError> {
        let mut bound: Vec<(Listener, TcpListener)> = Vec::new();
        for listener in listeners {
            let failed = |cause| ListenError { listener: *listener, cause };
            self.check(listener).map_err(failed)?;
            match TcpListener::bind(listener.address).await {
                Ok(socket) => bound.push((*listener, socket)),
                Err(error) => return Err(failed(why(error, listener.address, &bound))),
            }
        }
        let (stop, stopped) = watch::channel(false);
        let mut loops = JoinSet::new();
        let mut addresses = Vec::new();
        for (listener, socket) in bound {
            let address = socket.local_addr().unwrap_or(listener.address);
            addresses.push((listener.kind, address));
            let port = Port::new(self.clone(), listener, stopped.clone());
            loops.spawn(port.accept(socket));
        }
        if let Some(tls) = &self.tls {
            let period = Duration::from_secs(self.limits.certificate_check_seconds.max(1));
            loops.spawn(tls.clone().watch(period, stopped));
        }
        Ok(Listening { addresses, stop, loops })
    }

    /// What HTTP answers from now on.
    pub fn replace_site(&self, site: Site) {
        *self.site.write() = Arc::new(site);
    }

    /// Connections that are open, on all listeners.
    pub fn connections(&self) -> usize {
        self.census.open()
    }

    fn check(&self, listener: &Listener) -> Result<(), Cause> {
        match &self.tls {
            None if matches!(listener.kind, Kind::XmppTls | Kind::Https) => Err(Cause::NoTls),
            Some(tls) if listener.asks_certificate && !tls.has_authorities() => {
                Err(Cause::NoAuthority)
            }
            _ => Ok(()),
        }
    }

    fn admit(&self, ip: IpAddr) -> Result<Permit, Full> {
        let is_exempt = ip.is_loopback() || self.site().proxies.trust(ip);
        self.census.admit(ip, is_exempt, self.clock.now())
    }

    /// Counts an open connection for the client that a proxy names.
    pub(crate) fn admit_behind(&self, ip: IpAddr) -> Result<Permit, Full> {
        self.census.admit_behind(ip, self.clock.now())
    }

    pub(crate) fn enter(&self, wire: Box<dyn Wire>, security: Security) {
        (self.entry)(wire, security);
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn site(&self) -> Arc<Site> {
        self.site.read().clone()
    }
}

impl Listening {
    /// Which ports were opened.
    pub fn addresses(&self) -> &[(Kind, SocketAddr)] {
        &self.addresses
    }

    /// Stops accepting and closes the ports. HTTP requests under way are finished, and clients
    /// that are in stay in: ending them is the kernel's part.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.loops.join_next().await.is_some() {}
    }
}

/// One listener at work.
struct Port {
    net: Arc<Net>,
    listener: Listener,
    starttls: Option<Arc<StartTls>>,
    stop: watch::Receiver<bool>,
}

impl Port {
    fn new(net: Arc<Net>, listener: Listener, stop: watch::Receiver<bool>) -> Arc<Self> {
        let starttls = net.tls.clone().map(|tls| {
            let within = net.limits.handshake();
            Arc::new(StartTls { tls, asks_certificate: listener.asks_certificate, within })
        });
        Arc::new(Self { net, listener, starttls, stop })
    }

    async fn accept(self: Arc<Self>, socket: TcpListener) {
        let mut stop = self.stop.clone();
        let pause = Duration::from_millis(self.net.limits.accept_pause_millis);
        let mut is_starved = false;
        loop {
            let accepted = tokio::select! {
                _ = stop.changed() => return,
                accepted = socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    is_starved = false;
                    self.welcome(stream, peer);
                }
                // The client went away before its turn came.
                Err(error) if is_clients(&error) => {}
                // No more file descriptors, or no memory: trying on at once would only burn time.
                Err(error) => {
                    if !is_starved {
                        tracing::error!(
                            %error, address = %self.listener.address,
                            "cannot accept; raise the limit of open files (ulimit -n)"
                        );
                    }
                    is_starved = true;
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    fn welcome(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let permit = match self.net.admit(peer.ip()) {
            Ok(permit) => permit,
            Err(full) => return tracing::debug!(%peer, "refused: {full}"),
        };
        // Stanzas are small and somebody waits for them. Failing is no reason to refuse.
        let _ = stream.set_nodelay(true);
        let socket = Socket::plain(stream, peer, permit);
        if self.listener.is_proxied {
            let port = self.clone();
            self.net.clock.spawn(async move {
                match port.introduce(socket).await {
                    Ok((socket, security)) => port.receive(socket, security),
                    Err(error) => tracing::debug!(%peer, %error, "refused: no PROXY header"),
                }
            });
        } else {
            self.receive(socket, Security::default());
        }
    }

    /// Hears from a trusted proxy for whom it speaks.
    async fn introduce(&self, mut socket: Socket) -> io::Result<(Socket, Security)> {
        let denied = |text: String| io::Error::new(ErrorKind::PermissionDenied, text);
        if !self.net.site().proxies.trust(socket.peer().ip()) {
            return Err(denied("the peer is no trusted proxy".to_owned()));
        }
        let late = |_| io::Error::from(ErrorKind::TimedOut);
        let reading = proxied::read(&mut socket);
        let origin = timeout(self.net.limits.handshake(), reading).await.map_err(late)??;
        if let Some(client) = origin.client {
            let permit = self.net.admit_behind(client.ip());
            socket.speak_for(client, permit.map_err(|full| denied(full.to_string()))?);
        }
        let security = Security { trusted_proxy: origin.is_secure, ..Security::default() };
        Ok((socket, security))
    }

    fn receive(self: &Arc<Self>, socket: Socket, security: Security) {
        let net = &self.net;
        match self.listener.kind {
            Kind::Xmpp => {
                let drain = net.limits.farewell_bytes_max;
                let wire = TcpWire::plain(socket, drain, self.starttls.clone());
                net.enter(Box::new(wire), security);
            }
            Kind::Http => {
                let stop = self.stop.clone();
                net.clock.spawn(serve(net.clone(), socket, security, stop));
            }
            Kind::XmppTls | Kind::Https => net.clock.spawn(self.clone().receive_tls(socket)),
        }
    }

    async fn receive_tls(self: Arc<Self>, socket: Socket) {
        let (net, peer) = (&self.net, socket.peer());
        let tls = net.tls.as_ref().expect("listen refused a TLS port without TLS");
        let asks_certificate = self.listener.asks_certificate;
        let manner = Manner { has_alpn: true, asks_certificate };
        let shaken = tls::handshake(tls, socket, manner, net.limits.handshake()).await;
        let (socket, security, alpn) = match shaken {
            Ok(shaken) => shaken,
            Err(error) => return tracing::debug!(%peer, %error, "no TLS"),
        };
        let is_xmpp = match alpn {
            Some(alpn) => alpn == Alpn::Xmpp,
            None => self.listener.kind == Kind::XmppTls,
        };
        if is_xmpp {
            let drain = net.limits.farewell_bytes_max;
            let wire = TcpWire::secure(socket, drain, Transport::DirectTls);
            net.enter(Box::new(wire), security);
        } else {
            serve(net.clone(), socket, security, self.stop.clone()).await;
        }
    }
}

/// Whether it is our own listener that stands in the way.
fn why(error: io::Error, address: SocketAddr, bound: &[(Listener, TcpListener)]) -> Cause {
    let others = bound.iter().map(|(listener, _)| listener.address);
    match others.filter(|other| other.port() == address.port()).last() {
        Some(other) if error.kind() == ErrorKind::AddrInUse => Cause::Twice(other),
        _ => Cause::Bind(error),
    }
}

/// Errors of one connection, which say nothing about the listener.
fn is_clients(error: &io::Error) -> bool {
    use ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | ConnectionRefused | Interrupted)
}
