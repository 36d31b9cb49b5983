//! A client's end of a connection, whatever carries it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use waxwing_stream::Framing;

use crate::bosh::Bosh;
use crate::pipe::Far;
use crate::sockets::Secure;
use crate::websocket::WebSocket;

pub use crate::pipe::Sent;

/// A way to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A pipe in memory.
    Memory(Framing),
    /// TCP with STARTTLS.
    StartTls,
    /// TLS from the first byte.
    DirectTls,
    /// TCP behind a proxy that speaks TLS with the client, and says so by the PROXY protocol.
    Proxied,
    /// A WebSocket on plain HTTP, behind a proxy that speaks TLS with the client.
    WebSocket,
    /// A WebSocket on HTTPS.
    SecureWebSocket,
    /// BOSH on plain HTTP, behind a proxy that speaks TLS with the client.
    Bosh,
    /// BOSH on HTTPS.
    SecureBosh,
}

impl Way {
    /// The way of the same kind with the other framing.
    pub fn other(self) -> Self {
        match self {
            Self::Memory(Framing::Tcp) => Self::Memory(Framing::WebSocket),
            Self::Memory(Framing::WebSocket) => Self::Memory(Framing::Tcp),
            Self::StartTls | Self::Proxied => Self::WebSocket,
            Self::Bosh => Self::StartTls,
            Self::WebSocket => Self::StartTls,
            Self::DirectTls => Self::SecureWebSocket,
            Self::SecureBosh => Self::DirectTls,
            Self::SecureWebSocket => Self::DirectTls,
        }
    }
}

/// Anything that bytes go through.
pub trait Socket: AsyncRead + AsyncWrite + Unpin + Send {
    /// What binds something to this very connection: `tls-exporter` (RFC 9266), if it has TLS.
    fn exporter(&self) -> Option<[u8; 32]> {
        None
    }
}

impl Socket for TcpStream {}

impl Socket for TlsStream<Box<dyn Socket>> {
    fn exporter(&self) -> Option<[u8; 32]> {
        // §2: this label, and a context that is present and empty.
        let (label, connection) = (b"EXPORTER-Channel-Binding", self.get_ref().1);
        connection.export_keying_material([0; 32], label, Some(&[])).ok()
    }
}

/// A connection to the server. Dropping it cuts it.
pub enum Link {
    /// A pipe in memory.
    Memory(Framing, Far),
    /// A socket of any kind, with what is needed to put TLS under it.
    Stream(Box<dyn Socket>, Option<Secure>),
    /// A WebSocket on a socket of any kind.
    WebSocket(WebSocket),
    /// BOSH on two sockets of any kind.
    Bosh(Box<Bosh>),
}

impl Link {
    /// How it is framed.
    pub fn framing(&self) -> Framing {
        match self {
            Self::Memory(framing, _) => *framing,
            Self::Stream(..) => Framing::Tcp,
            // Whole elements, one by one.
            Self::WebSocket(_) | Self::Bosh(_) => Framing::WebSocket,
        }
    }

    /// Sends a piece of a TCP stream, or one WebSocket message.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send(&mut self, text: &str) -> Result<(), String> {
        match self {
            Self::Memory(_, far) => far.send(text.as_bytes()),
            Self::Stream(socket, _) => {
                write(socket, text.as_bytes()).await.map_err(|error| error.to_string())?;
            }
            Self::WebSocket(socket) => socket.send(text).await?,
            // What RFC 7395 says with an element, BOSH says around all of them.
            Self::Bosh(bosh) if text.starts_with("<open ") => bosh.open().await?,
            Self::Bosh(bosh) if text.starts_with("<close ") => bosh.close().await?,
            Self::Bosh(bosh) => bosh.send(text).await?,
        }
        Ok(())
    }

    /// Answers a WebSocket Ping.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn pong(&mut self) -> Result<(), String> {
        match self {
            Self::Memory(_, far) => far.pong(),
            Self::Stream(..) | Self::Bosh(_) => {}
            Self::WebSocket(socket) => socket.pong().await?,
        }
        Ok(())
    }

    /// Polls for what the server sent; `None` at the end.
    pub fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<Sent>> {
        match self {
            Self::Memory(_, far) => far.poll_receive(cx),
            Self::Stream(socket, _) => {
                let data = std::task::ready!(poll_read(socket, cx));
                Poll::Ready((!data.is_empty()).then_some(Sent::Data(data)))
            }
            Self::WebSocket(socket) => socket.poll_receive(cx),
            Self::Bosh(bosh) => bosh.poll_receive(cx),
        }
    }

    /// What binds something to this very connection, if it has TLS.
    pub fn exporter(&self) -> Option<[u8; 32]> {
        match self {
            Self::Stream(socket, _) => socket.exporter(),
            Self::WebSocket(socket) => socket.exporter(),
            // A session of BOSH has many connections.
            _ => None,
        }
    }

    /// Puts TLS under the stream.
    ///
    /// # Errors
    /// When the handshake fails, or this is no plain socket.
    pub async fn secure(self, domain: &str) -> Result<Self, String> {
        match self {
            Self::Stream(socket, Some(secure)) => {
                Ok(Self::Stream(Box::pin(secure.connect(domain, socket)).await?, None))
            }
            _ => Err("STARTTLS is offered where it cannot be".to_owned()),
        }
    }
}

pub(crate) async fn write(socket: &mut Box<dyn Socket>, data: &[u8]) -> io::Result<()> {
    socket.write_all(data).await?;
    socket.flush().await
}

/// Reads what there is; nothing at the end, however the connection ends.
pub(crate) fn poll_read(socket: &mut Box<dyn Socket>, cx: &mut Context<'_>) -> Poll<Vec<u8>> {
    let mut buffer = [0; 4096];
    let mut read = ReadBuf::new(&mut buffer);
    let outcome = std::task::ready!(Pin::new(socket).poll_read(cx, &mut read));
    Poll::Ready(outcome.map_or_else(|_| Vec::new(), |()| read.filled().to_vec()))
}
