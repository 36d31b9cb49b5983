//! The connection below XMPP: a socket, TLS where asked for, and the WebSocket handshake.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::client::websocket;
use crate::target::{Target, Transport};
use crate::{Outcome, tls};

const TLS_PROCEED: &[u8] = b"<proceed";
/// The most that may come before a server agrees to TLS, in bytes.
const PREAMBLE_BYTES: usize = 16_384;

/// What a client reads from and writes to.
pub(super) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// Connects to the server, up to where the stream header is due.
pub(super) async fn connect(target: &Target) -> Outcome<Box<dyn Socket>> {
    let explain = |error| explain(target, &error);
    let mut plain = open(target).await?;
    plain.set_nodelay(true).map_err(explain)?;
    let (domain, path) = (&target.domain, &target.path);
    Ok(match target.transport {
        Transport::Tcp => Box::new(plain),
        Transport::Starttls => {
            ask_for_tls(&mut plain, domain).await?;
            Box::new(tls::connect(plain, domain, b"xmpp-client").await?)
        }
        Transport::Tls => Box::new(tls::connect(plain, domain, b"xmpp-client").await?),
        Transport::Ws => {
            websocket::open(&mut plain, domain, path).await?;
            Box::new(plain)
        }
        Transport::Wss => {
            let mut secure = tls::connect(plain, domain, b"http/1.1").await?;
            websocket::open(&mut secure, domain, path).await?;
            Box::new(secure)
        }
    })
}

/// A connection, from the address whose turn it is.
async fn open(target: &Target) -> Outcome<TcpStream> {
    let failed = |error| explain(target, &error);
    let Some(source) = target.sources.next() else {
        return TcpStream::connect(target.address).await.map_err(failed);
    };
    let socket = if source.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let socket = socket.map_err(failed)?;
    socket.bind((source, 0).into()).map_err(|error| match error.kind() {
        io::ErrorKind::AddrNotAvailable => {
            format!("{source} is no address of this machine: give --source another")
        }
        _ => explain(target, &error),
    })?;
    socket.connect(target.address).await.map_err(failed)
}

/// The first half of STARTTLS: a stream whose only purpose is to end.
async fn ask_for_tls(socket: &mut TcpStream, domain: &str) -> Outcome<()> {
    let lost = |error: io::Error| format!("the server ends the stream before TLS: {error}");
    let request = format!(
        "<?xml version='1.0'?><stream:stream to='{domain}' version='1.0' xmlns='jabber:client' \
         xmlns:stream='http://etherx.jabber.org/streams'>\
         <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
    );
    socket.write_all(request.as_bytes()).await.map_err(lost)?;
    let mut heard = Vec::new();
    // The server says nothing behind the element until TLS begins, so one byte at a time will do.
    while heard.len() < PREAMBLE_BYTES {
        heard.push(socket.read_u8().await.map_err(lost)?);
        if heard.ends_with(b">") {
            let last = heard.iter().rposition(|byte| *byte == b'<').unwrap_or(0);
            if heard[last..].starts_with(TLS_PROCEED) {
                return Ok(());
            }
            if heard[last..].starts_with(b"</stream:stream")
                || heard[last..].starts_with(b"<failure")
            {
                break;
            }
        }
    }
    Err(format!(
        "the server offers no STARTTLS here; use --transport tcp or tls. It says {}",
        String::from_utf8_lossy(&heard)
    ))
}

/// What a person can do about a connection that was not made.
fn explain(target: &Target, error: &io::Error) -> String {
    let Target { address, transport, .. } = target;
    let transport = transport.name();
    match error.kind() {
        io::ErrorKind::ConnectionRefused => format!(
            "{address} refuses connections: start the server, or give --address the place where \
             it listens for {transport}"
        ),
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse => format!(
            "no port is left for another connection to {address}: use fewer clients, wait a \
             minute until closed ports are free, widen net.ipv4.ip_local_port_range, or name \
             addresses of this machine with --source"
        ),
        // EMFILE has no kind of its own.
        _ if error.raw_os_error() == Some(24) => {
            "no more sockets may be open: raise the limit with `ulimit -n`, or use fewer clients"
                .into()
        }
        _ => format!("{address} cannot be reached: {error}; --address tells where the server is"),
    }
}
