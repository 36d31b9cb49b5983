//! The network layer as a whole: what its listeners share, and how they start and stop.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use waxwing_kernel::clock::Clock;
use waxwing_kernel::wire::Wire;
use waxwing_stream::Security;

use crate::bosh::Sessions;
use crate::census::{Census, Counts, Full, Permit};
use crate::http::Site;
use crate::limits::Limits;
use crate::listener::{Cause, Kind, ListenError, Listener};
use crate::port::Port;
use crate::tls::Tls;

/// Where each client and each other server goes in, told apart by the wire's transport: the kernel
/// starts its session or its stream.
pub type Entry = Arc<dyn Fn(Box<dyn Wire>, Security) + Send + Sync>;

/// The network layer of one server.
pub struct Net {
    limits: RwLock<Arc<Limits>>,
    tls: Option<Arc<Tls>>,
    site: RwLock<Arc<Site>>,
    entry: Entry,
    clock: Clock,
    census: Census,
    /// What BOSH clients come back to.
    pub(crate) bosh: Sessions,
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
        let limits = RwLock::new(Arc::new(limits));
        let bosh = Sessions::default();
        Arc::new(Self { limits, tls, site, entry, clock, census, bosh })
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
            let net = self.clone();
            let period = move || Duration::from_secs(net.limits().certificate_check_seconds.max(1));
            loops.spawn(tls.clone().watch(period, stopped));
        }
        Ok(Listening { addresses, stop, loops })
    }

    /// What HTTP answers from now on.
    pub fn replace_site(&self, site: Site) {
        *self.site.write() = Arc::new(site);
    }

    /// Changes the bounds. Connections that are open keep theirs.
    pub fn set_limits(&self, limits: Limits) {
        self.census.set_limits(limits.clone());
        *self.limits.write() = Arc::new(limits);
    }

    /// What has happened on all listeners so far, for metrics.
    pub fn counts(&self) -> Counts {
        self.census.counts()
    }

    fn check(&self, listener: &Listener) -> Result<(), Cause> {
        match &self.tls {
            None if listener.kind.is_tls() || listener.kind == Kind::Challenges => {
                Err(Cause::NoTls)
            }
            Some(tls) if listener.asks_certificate && !tls.has_authorities() => {
                Err(Cause::NoAuthority)
            }
            _ => Ok(()),
        }
    }

    /// Lets a connection in, or not.
    pub(crate) fn admit(&self, ip: IpAddr) -> Result<Permit, Full> {
        let is_exempt = ip.is_loopback() || self.site().proxies.trust(ip);
        self.census.admit(ip, is_exempt, self.clock.now())
    }

    /// Counts a TLS handshake that failed.
    pub(crate) fn note_failure(&self) {
        self.census.note_failure();
    }

    /// Counts an open connection for the client that a proxy names.
    pub(crate) fn admit_behind(&self, ip: IpAddr) -> Result<Permit, Full> {
        self.census.admit_behind(ip, self.clock.now())
    }

    pub(crate) fn enter(&self, wire: Box<dyn Wire>, security: Security) {
        (self.entry)(wire, security);
    }

    pub(crate) fn limits(&self) -> Arc<Limits> {
        self.limits.read().clone()
    }

    pub(crate) fn tls(&self) -> Option<&Arc<Tls>> {
        self.tls.as_ref()
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

/// Whether it is our own listener that stands in the way.
fn why(error: io::Error, address: SocketAddr, bound: &[(Listener, TcpListener)]) -> Cause {
    let others = bound.iter().map(|(listener, _)| listener.address);
    match others.filter(|other| other.port() == address.port()).last() {
        Some(other) if error.kind() == ErrorKind::AddrInUse => Cause::Twice(other),
        _ => Cause::Bind(error),
    }
}
