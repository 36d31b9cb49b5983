//! The server's side of a TLS handshake.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConnection;
use rustls::server::Acceptor;
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
use waxwing_stream::Security;

use super::{Manner, Stand, Store, Tls, binding};
use crate::socket::Socket;

/// What a client wants to speak on a TLS port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
    /// `xmpp-client` (XEP-0368 §3).
    Xmpp,
    /// `http/1.1`.
    Http,
}

impl Alpn {
    /// All that we speak, ours first.
    pub(crate) fn offered() -> Vec<Vec<u8>> {
        vec![b"xmpp-client".to_vec(), b"http/1.1".to_vec()]
    }

    fn of(connection: &ServerConnection) -> Option<Self> {
        match connection.alpn_protocol()? {
            b"xmpp-client" => Some(Self::Xmpp),
            _ => Some(Self::Http),
        }
    }
}

/// How STARTTLS is done on a listener.
pub(crate) struct StartTls {
    pub(crate) tls: Arc<Tls>,
    pub(crate) asks_certificate: bool,
    /// The time for the handshake.
    pub(crate) within: Duration,
}

impl StartTls {
    pub(crate) async fn accept(&self, socket: Socket) -> io::Result<(Socket, Security)> {
        let manner = Manner { has_alpn: false, asks_certificate: self.asks_certificate };
        let (socket, security, _) = handshake(&self.tls, socket, manner, self.within).await?;
        Ok((socket, security))
    }
}

/// Puts TLS on a plain socket.
pub(crate) async fn handshake(
    tls: &Tls,
    socket: Socket,
    manner: Manner,
    within: Duration,
) -> io::Result<(Socket, Security, Option<Alpn>)> {
    let store = tls.store();
    let (stream, peer, permit) = socket.into_plain()?;
    let shaking = async {
        // The certificate is chosen before the handshake, not by a resolver inside it, because
        // the channel binding must be that of this very certificate.
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let stand = store.stand(start.client_hello().server_name()).clone();
        let config = stand.config(manner).ok_or_else(|| {
            io::Error::other("client certificates are asked for, but no authority is configured")
        })?;
        Ok::<_, io::Error>((start.into_stream(config).await?, stand))
    };
    let late = |_| io::Error::new(ErrorKind::TimedOut, "the TLS handshake took too long");
    let (stream, stand) = timeout(within, shaking).await.map_err(late)??;
    let connection = stream.get_ref().1;
    let (security, alpn) = (security(connection, &stand, &store), Alpn::of(connection));
    Ok((Socket::tls(stream, peer, permit), security, alpn))
}

fn security(connection: &ServerConnection, stand: &Stand, store: &Store) -> Security {
    let chain = connection.peer_certificates().unwrap_or_default();
    Security {
        tls: true,
        trusted_proxy: false,
        local: false,
        exporter: binding::exporter(connection),
        end_point: stand.end_point(),
        peer_certificate: chain.first().map(|leaf| leaf.to_vec()),
        peer_verified: store.visitors().is_some_and(|visitors| visitors.vouch(chain)),
    }
}
