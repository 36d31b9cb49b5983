//! What the kernel asks of a connection. `waxwing-net` implements it; the session task drives it.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use waxwing_stream::{Input, Outbox, Security};

/// What an upgraded connection becomes: the same peer behind TLS, and what TLS knows of it.
pub type Upgraded = io::Result<(Box<dyn Wire>, Security)>;

/// One client connection, already decoded to [`Input`].
///
/// An idle wire owns no read buffer: reads go through a buffer that the thread lends, so what
/// arrives must be used inside `sink`.
pub trait Wire: Send {
    /// Polls for input and hands each piece to `sink`, in order. Ready after at least one call;
    /// the end of the connection and its errors arrive as [`Input::End`].
    fn poll_read(&mut self, cx: &mut Context<'_>, sink: &mut dyn FnMut(Input<'_>)) -> Poll<()>;

    /// Writes and flushes all of `out`, emptying it. An error means that the socket is gone.
    fn poll_write(&mut self, cx: &mut Context<'_>, out: &mut Outbox) -> Poll<io::Result<()>>;

    /// Ends the connection properly: TLS `close_notify`, WebSocket closing handshake, FIN.
    /// The caller bounds the time.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Puts TLS under the stream (STARTTLS). An error on a wire that cannot be upgraded.
    fn upgrade(self: Box<Self>) -> Pin<Box<dyn Future<Output = Upgraded> + Send>>;

    /// The client has signed in: single messages may be as large as this from now on (bytes).
    /// Only wires that put messages together before anybody sees them have such a bound.
    fn trust(&mut self, message_bytes: usize) {
        let _ = message_bytes;
    }

    /// How the client came in, for logs and metrics.
    fn transport(&self) -> Transport;

    /// The client's address, as the socket or a trusted proxy tells it.
    fn peer(&self) -> SocketAddr;
}

/// The ways in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Plain TCP, STARTTLS not (yet) done.
    Tcp,
    /// TCP after STARTTLS.
    StartTls,
    /// TLS from the first byte (XEP-0368).
    DirectTls,
    /// RFC 7395 on plain HTTP.
    WebSocket,
    /// RFC 7395 on HTTPS.
    SecureWebSocket,
    /// XEP-0206 on plain HTTP.
    Bosh,
    /// XEP-0206 on HTTPS.
    SecureBosh,
    /// A component (XEP-0114) on plain TCP.
    Component,
    /// Another server on plain TCP, STARTTLS not (yet) done.
    ServerTcp,
    /// Another server after STARTTLS.
    ServerStartTls,
    /// Another server on TLS from the first byte (XEP-0368).
    ServerTls,
    /// Another server on a secure WebSocket (XEP-0468).
    ServerWebSocket,
    /// An in-memory pair, in tests.
    Memory,
}

impl Transport {
    /// Whether it is a WebSocket.
    pub fn is_websocket(self) -> bool {
        matches!(self, Self::WebSocket | Self::SecureWebSocket | Self::ServerWebSocket)
    }

    /// Whether whole elements come and go, one by one, as RFC 7395 frames them.
    pub fn is_framed(self) -> bool {
        self.is_websocket() || matches!(self, Self::Bosh | Self::SecureBosh)
    }

    /// A short, stable name for logs, metrics and `session list`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::StartTls => "starttls",
            Self::DirectTls => "tls",
            Self::WebSocket => "ws",
            Self::SecureWebSocket => "wss",
            Self::Bosh => "bosh",
            Self::SecureBosh => "bosh-tls",
            Self::Component => "component",
            Self::ServerTcp => "s2s",
            Self::ServerStartTls => "s2s-starttls",
            Self::ServerTls => "s2s-tls",
            Self::ServerWebSocket => "s2s-wss",
            Self::Memory => "memory",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
