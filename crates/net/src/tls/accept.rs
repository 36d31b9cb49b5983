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
use waxwing_kernel::request::Answer;
use waxwing_stream::Security;

use super::exporter::Material;
use super::stream::TlsStream;
use super::{Asks, Manner, Stand, Store, Tls, binding};
use crate::acme::{ALPN as ACME, Proofs};
use crate::socket::Socket;
use crate::tcp::Upgrade;

/// What a client wants to speak on a TLS port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
    /// `xmpp-client` (XEP-0368 §3).
    Xmpp,
    /// `xmpp-server` (XEP-0368 §3): another server, not a client.
    XmppServer,
    /// `http/1.1`.
    Http,
    /// `h2`.
    Http2,
    /// `acme-tls/1`: an authority that only looks at the certificate (RFC 8737).
    Acme,
}

impl Alpn {
    /// All that we speak, ours first.
    pub(crate) fn offered() -> Vec<Vec<u8>> {
        [XMPP_CLIENT, XMPP_SERVER, b"h2", b"http/1.1"].map(<[u8]>::to_vec).to_vec()
    }

    fn of(facts: &CommonState) -> Option<Self> {
        match facts.alpn_protocol()? {
            XMPP_CLIENT => Some(Self::Xmpp),
            XMPP_SERVER => Some(Self::XmppServer),
            b"h2" => Some(Self::Http2),
            ACME => Some(Self::Acme),
            _ => Some(Self::Http),
        }
    }
}

const XMPP_CLIENT: &[u8] = b"xmpp-client";
/// What servers offer and choose among themselves.
pub(crate) const XMPP_SERVER: &[u8] = b"xmpp-server";

/// Room for a `ClientHello`: with post-quantum key exchange it is about 1700 bytes.
const HELLO_BYTES: usize = 2048;

/// How STARTTLS is done on a listener.
pub(crate) struct StartTls {
    pub(crate) tls: Arc<Tls>,
    pub(crate) asks: Asks,
    /// The time for the handshake.
    pub(crate) within: Duration,
}

impl Upgrade for StartTls {
    fn upgrade(self: Arc<Self>, socket: Socket) -> Answer<'static, io::Result<(Socket, Security)>> {
        let manner = Manner { has_alpn: false, asks: self.asks };
        Box::pin(async move {
            let (socket, security, _) = handshake(&self.tls, socket, manner, self.within).await?;
            Ok((socket, security))
        })
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
    let shaking = Box::pin(shake((&store, tls.proofs()), manner, stream));
    let (stream, security) = timeout(within, shaking).await.map_err(late)??;
    let alpn = Alpn::of(stream.facts());
    Ok((Socket::tls(stream, peer, permit), security, alpn))
}

pub(super) async fn shake(
    (store, proofs): (&Store, &Proofs),
    manner: Manner,
    mut tcp: TcpStream,
) -> io::Result<(TlsStream, Security)> {
    // The certificate is chosen before the handshake, not by a resolver inside it, because the
    // channel binding must be that of this very certificate.
    let (accepted, read) = hello(&mut tcp).await?;
    let hello = accepted.client_hello();
    let stand = store.stand(hello.server_name()).clone();
    let asks = whom(manner, hello.alpn());
    let manner = Manner { asks, ..manner };
    let proof = proofs.config(&hello).filter(|_| manner.has_alpn);
    drop(accepted);
    let config = proof.or_else(|| stand.config(manner)).ok_or_else(|| {
        io::Error::other("client certificates are asked for, but no authority is configured")
    })?;
    let mut material = Material::default();
    let mut stream = TlsStream::new(tcp, config, read, &mut material)?;
    poll_fn(|cx| stream.poll_shake(cx, &mut material)).await?;
    let security = match asks {
        Asks::Servers => of_server(stream.facts()),
        Asks::Nobody | Asks::Clients => security(stream.facts(), &material, &stand, store),
    };
    Ok((stream, security))
}

/// Who is asked for a certificate once it is known what the caller wants to speak. A port for
/// servers does not bother browsers, and servers that come to another port are asked there.
fn whom<'a>(manner: Manner, alpn: Option<impl Iterator<Item = &'a [u8]>>) -> Asks {
    let Some(offers) = alpn.filter(|_| manner.has_alpn) else { return manner.asks };
    let (mut is_client, mut is_server) = (false, false);
    for offer in offers {
        is_client |= offer == XMPP_CLIENT;
        is_server |= offer == XMPP_SERVER;
    }
    match manner.asks {
        // What we offer first is chosen, and that is `xmpp-client`.
        _ if is_server && !is_client => Asks::Servers,
        Asks::Servers => Asks::Nobody,
        asks => asks,
    }
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

/// What TLS knows of another server, from either end. Nothing is bound to the channel there.
pub(crate) fn of_server(facts: &CommonState) -> Security {
    let chain = facts.peer_certificates().unwrap_or_default();
    Security {
        tls: true,
        tls_version: facts.protocol_version().map(u16::from),
        cipher: cipher(facts),
        peer_chain: chain.iter().map(|certificate| certificate.to_vec()).collect(),
        ..Security::default()
    }
}

/// The cipher suite by its name at IANA.
fn cipher(facts: &CommonState) -> Option<Arc<str>> {
    let name = facts.negotiated_cipher_suite()?.suite().as_str()?;
    Some(name.replace("TLS13_", "TLS_").into())
}

fn security(facts: &CommonState, material: &Material, stand: &Stand, store: &Store) -> Security {
    let chain = facts.peer_certificates().unwrap_or_default();
    Security {
        tls: true,
        tls_version: facts.protocol_version().map(u16::from),
        exporter: binding::exporter(facts, material),
        end_point: stand.end_point(),
        peer_certificate: chain.first().map(|leaf| leaf.to_vec()),
        peer_verified: store.visitors().is_some_and(|visitors| visitors.vouch(chain)),
        cipher: cipher(facts),
        ..Security::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_asked_for_a_certificate_depends_on_what_is_spoken() {
        let asked = |asks, offers: Option<&[&'static [u8]]>| {
            let manner = Manner { has_alpn: true, asks };
            whom(manner, offers.map(|offers| offers.iter().copied()))
        };
        for asks in [Asks::Nobody, Asks::Clients, Asks::Servers] {
            assert_eq!(asked(asks, Some(&[XMPP_SERVER])), Asks::Servers);
            assert_eq!(asked(asks, None), asks, "without ALPN the port decides");
        }
        assert_eq!(asked(Asks::Clients, Some(&[XMPP_CLIENT])), Asks::Clients);
        assert_eq!(asked(Asks::Servers, Some(&[b"h2", b"http/1.1"])), Asks::Nobody);
        // We offer `xmpp-client` first, so that is what is spoken.
        assert_eq!(asked(Asks::Nobody, Some(&[XMPP_SERVER, XMPP_CLIENT])), Asks::Nobody);
        let late = Manner { has_alpn: false, asks: Asks::Servers };
        assert_eq!(whom(late, Some([XMPP_CLIENT].into_iter())), Asks::Servers, "STARTTLS");
    }
}
