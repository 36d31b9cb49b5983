//! The server's side of a TLS handshake.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use rustls::CommonState;
use rustls::server::{Accepted, AcceptedAlert, Acceptor};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use waxwing_stream::Security;

use super::exporter::Material;
use super::stream::TlsStream;
use super::{Manner, Stand, Store, Tls, binding};
use crate::socket::Socket;

/// What a client wants to speak on a TLS port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
    /// `xmpp-client` (XEP-0368 §3).
    Xmpp,
    /// `http/1.1`.
    Http,
    /// `h2`.
    Http2,
}

impl Alpn {
    /// All that we speak, ours first.
    pub(crate) fn offered() -> Vec<Vec<u8>> {
        [&b"xmpp-client"[..], b"h2", b"http/1.1"].map(<[u8]>::to_vec).to_vec()
    }

    fn of(facts: &CommonState) -> Option<Self> {
        match facts.alpn_protocol()? {
            b"xmpp-client" => Some(Self::Xmpp),
            b"h2" => Some(Self::Http2),
            _ => Some(Self::Http),
        }
    }
}

/// Room for a `ClientHello`: with post-quantum key exchange it is about 1700 bytes.
const HELLO_BYTES: usize = 2048;

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
    let late = |_| io::Error::new(ErrorKind::TimedOut, "the TLS handshake took too long");
    // A future of its own, so that an open connection does not keep its space.
    let shaking = Box::pin(shake(&store, manner, stream));
    let (stream, security) = timeout(within, shaking).await.map_err(late)??;
    let alpn = Alpn::of(stream.facts());
    Ok((Socket::tls(stream, peer, permit), security, alpn))
}

pub(super) async fn shake(
    store: &Store,
    manner: Manner,
    mut tcp: TcpStream,
) -> io::Result<(TlsStream, Security)> {
    // The certificate is chosen before the handshake, not by a resolver inside it, because the
    // channel binding must be that of this very certificate.
    let (accepted, read) = hello(&mut tcp).await?;
    let stand = store.stand(accepted.client_hello().server_name()).clone();
    drop(accepted);
    let config = stand.config(manner).ok_or_else(|| {
        io::Error::other("client certificates are asked for, but no authority is configured")
    })?;
    let mut material = Material::default();
    let mut stream = TlsStream::new(tcp, config, read, &mut material)?;
    poll_fn(|cx| stream.poll_shake(cx, &mut material)).await?;
    let security = security(stream.facts(), &material, &stand, store);
    Ok((stream, security))
}

/// Reads up to the end of the `ClientHello`: what it says, and all that was read.
async fn hello(tcp: &mut TcpStream) -> io::Result<(Accepted, Vec<u8>)> {
    let (mut acceptor, mut read) = (Acceptor::default(), Vec::with_capacity(HELLO_BYTES));
    loop {
        let known = read.len();
        read.reserve(HELLO_BYTES);
        if tcp.read_buf(&mut read).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let mut fresh = &read[known..];
        while !fresh.is_empty() {
            acceptor.read_tls(&mut fresh)?;
            match acceptor.accept() {
                Ok(None) => {}
                Ok(Some(accepted)) => return Ok((accepted, read)),
                Err((error, alert)) => return Err(refuse(tcp, error, alert).await),
            }
        }
    }
}

async fn refuse(tcp: &mut TcpStream, error: rustls::Error, mut alert: AcceptedAlert) -> io::Error {
    let mut bytes = Vec::new();
    if alert.write_all(&mut bytes).is_ok() {
        // Should it not arrive, the end of the connection says enough.
        let _ = tcp.write_all(&bytes).await;
    }
    io::Error::new(ErrorKind::InvalidData, error)
}

fn security(facts: &CommonState, material: &Material, stand: &Stand, store: &Store) -> Security {
    let chain = facts.peer_certificates().unwrap_or_default();
    Security {
        tls: true,
        trusted_proxy: false,
        local: false,
        tls_version: facts.protocol_version().map(u16::from),
        exporter: binding::exporter(facts, material),
        end_point: stand.end_point(),
        origin: None,
        peer_certificate: chain.first().map(|leaf| leaf.to_vec()),
        peer_verified: store.visitors().is_some_and(|visitors| visitors.vouch(chain)),
    }
}
