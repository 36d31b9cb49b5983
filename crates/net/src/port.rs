//! One listener at work: accepts, counts, puts TLS in place, hands each client to the kernel.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use waxwing_kernel::wire::Transport;
use waxwing_stream::Security;

use crate::acme;
use crate::census::Full;
use crate::http::serve;
use crate::listener::{Kind, Listener};
use crate::net::Net;
use crate::proxied;
use crate::socket::Socket;
use crate::tcp::{TcpWire, Upgrade};
use crate::tls::{self, Alpn, Asks, Manner, StartTls};

/// One listener at work.
pub(crate) struct Port {
    net: Arc<Net>,
    listener: Listener,
    starttls: Option<Arc<dyn Upgrade>>,
    stop: watch::Receiver<bool>,
    /// The server had its most connections when the last client came.
    is_full: AtomicBool,
}

impl Port {
    pub(crate) fn new(net: Arc<Net>, listener: Listener, stop: watch::Receiver<bool>) -> Arc<Self> {
        let starttls = net.tls().cloned().map(|tls| {
            let within = net.limits().handshake();
            Arc::new(StartTls { tls, asks: asks(&listener), within }) as Arc<dyn Upgrade>
        });
        Arc::new(Self { net, listener, starttls, stop, is_full: AtomicBool::new(false) })
    }

    pub(crate) async fn accept(self: Arc<Self>, socket: TcpListener) {
        let mut stop = self.stop.clone();
        let pause = Duration::from_millis(self.net.limits().accept_pause_millis);
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
            Err(full) => return self.refuse(peer, full),
        };
        self.is_full.store(false, Ordering::Relaxed);
        // Stanzas are small and somebody waits for them. Failing is no reason to refuse.
        let _ = stream.set_nodelay(true);
        let socket = Socket::plain(stream, peer, permit);
        if self.listener.is_proxied {
            let port = self.clone();
            self.net.clock().spawn(async move {
                match port.introduce(socket).await {
                    Ok((socket, security)) => port.receive(socket, security),
                    Err(error) => tracing::debug!(%peer, %error, "refused: no PROXY header"),
                }
            });
        } else {
            self.receive(socket, Security::default());
        }
    }

    /// Says once that the server is full; the rest is for metrics.
    fn refuse(&self, peer: SocketAddr, full: Full) {
        if full == Full::Total && !self.is_full.swap(true, Ordering::Relaxed) {
            let connections_max = self.net.limits().connections_max;
            tracing::warn!(connections_max, "refusing clients: {full}; raise the limit");
        }
        tracing::debug!(%peer, "refused: {full}");
    }

    /// Hears from a trusted proxy for whom it speaks.
    async fn introduce(&self, mut socket: Socket) -> io::Result<(Socket, Security)> {
        let denied = |text: String| io::Error::new(ErrorKind::PermissionDenied, text);
        if !self.net.site().proxies.trust(socket.peer().ip()) {
            return Err(denied("the peer is no trusted proxy".to_owned()));
        }
        let late = |_| io::Error::from(ErrorKind::TimedOut);
        let reading = proxied::read(&mut socket);
        let origin = timeout(self.net.limits().handshake(), reading).await.map_err(late)??;
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
            Kind::Xmpp | Kind::Server => {
                let transport = match self.listener.kind {
                    Kind::Server => Transport::ServerTcp,
                    _ => Transport::Tcp,
                };
                let drain = net.limits().farewell_bytes_max;
                let wire = TcpWire::plain(socket, drain, transport, self.starttls.clone());
                net.enter(Box::new(wire), security);
            }
            Kind::Component => {
                let drain = net.limits().farewell_bytes_max;
                let wire = TcpWire::secure(socket, drain, Transport::Component);
                net.enter(Box::new(wire), security);
            }
            Kind::Challenges => {
                let tls = net.tls().expect("listen refused a port for challenges without TLS");
                let (proofs, stop) = (tls.proofs().clone(), self.stop.clone());
                net.clock().spawn(acme::serve(proofs, socket, net.limits(), stop));
            }
            Kind::Http => {
                let stop = self.stop.clone();
                net.clock().spawn(serve(net.clone(), socket, security, (false, stop)));
            }
            Kind::XmppTls | Kind::Https | Kind::ServerTls => {
                net.clock().spawn(self.clone().receive_tls(socket));
            }
        }
    }

    async fn receive_tls(self: Arc<Self>, socket: Socket) {
        let (net, peer) = (&self.net, socket.peer());
        let tls = net.tls().expect("listen refused a TLS port without TLS");
        let manner = Manner { has_alpn: true, asks: asks(&self.listener) };
        let shaken = tls::handshake(tls, socket, manner, net.limits().handshake()).await;
        let (socket, security, alpn) = match shaken {
            Ok(shaken) => shaken,
            Err(error) => {
                net.note_failure();
                return tracing::debug!(%peer, %error, "no TLS");
            }
        };
        let spoken = alpn.unwrap_or(match self.listener.kind {
            Kind::XmppTls => Alpn::Xmpp,
            Kind::ServerTls => Alpn::XmppServer,
            _ => Alpn::Http,
        });
        let transport = match spoken {
            Alpn::Xmpp => Transport::DirectTls,
            Alpn::XmppServer => Transport::ServerTls,
            // It has seen what it came for.
            Alpn::Acme => return,
            Alpn::Http | Alpn::Http2 => {
                let is_second = spoken == Alpn::Http2;
                return serve(net.clone(), socket, security, (is_second, self.stop.clone())).await;
            }
        };
        let drain = net.limits().farewell_bytes_max;
        net.enter(Box::new(TcpWire::secure(socket, drain, transport)), security);
    }
}

/// Who is asked for a certificate on a port.
fn asks(listener: &Listener) -> Asks {
    match listener.kind {
        Kind::Server | Kind::ServerTls => Asks::Servers,
        _ if listener.asks_certificate => Asks::Clients,
        _ => Asks::Nobody,
    }
}

/// Errors of one connection, which say nothing about the listener.
fn is_clients(error: &io::Error) -> bool {
    use ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | ConnectionRefused | Interrupted)
}
