//! XMPP on a TCP stream, plain or under TLS (RFC 6120, XEP-0368).

use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use waxwing_kernel::request::Answer;
use waxwing_kernel::wire::{Transport, Upgraded, Wire};
use waxwing_stream::{Input, Outbox, Security};

use crate::socket::Socket;

/// How a plain socket comes under TLS.
pub(crate) trait Upgrade: Send + Sync {
    /// Does the handshake, in bounded time.
    fn upgrade(self: Arc<Self>, socket: Socket) -> Answer<'static, io::Result<(Socket, Security)>>;
}

/// A client or another server on TCP. Idle it owns no buffer, neither to read nor to write.
pub(crate) struct TcpWire {
    socket: Socket,
    transport: Transport,
    /// How much of the outbox has gone out.
    written: usize,
    farewell_bytes_max: usize,
    starttls: Option<Arc<dyn Upgrade>>,
}

impl TcpWire {
    /// A wire without TLS that can be upgraded by `starttls`; `transport` is one of those that
    /// STARTTLS goes on from.
    pub(crate) fn plain(
        socket: Socket,
        farewell_bytes_max: usize,
        transport: Transport,
        starttls: Option<Arc<dyn Upgrade>>,
    ) -> Self {
        Self { socket, transport, written: 0, farewell_bytes_max, starttls }
    }

    /// A wire under TLS, which came about as `transport` says, or one that has none and gets none.
    pub(crate) fn secure(socket: Socket, farewell_bytes_max: usize, transport: Transport) -> Self {
        Self { socket, transport, written: 0, farewell_bytes_max, starttls: None }
    }

    async fn upgrade(self) -> Upgraded {
        let Some(starttls) = self.starttls else {
            return Err(io::Error::new(ErrorKind::Unsupported, "this wire has no STARTTLS"));
        };
        let (socket, security) = starttls.upgrade(self.socket).await?;
        let transport = match self.transport {
            Transport::ServerTcp => Transport::ServerStartTls,
            _ => Transport::StartTls,
        };
        let wire = Self::secure(socket, self.farewell_bytes_max, transport);
        Ok((Box::new(wire), security))
    }
}

impl Wire for TcpWire {
    fn poll_read(&mut self, cx: &mut Context<'_>, sink: &mut dyn FnMut(Input<'_>)) -> Poll<()> {
        self.socket.poll_lend(cx, |bytes| match bytes {
            [] => sink(Input::End),
            bytes => sink(Input::Bytes(bytes)),
        })
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, out: &mut Outbox) -> Poll<io::Result<()>> {
        let result = ready!(self.socket.poll_send(cx, out.text.as_bytes(), &mut self.written));
        self.written = 0;
        out.clear();
        Poll::Ready(result)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.socket.poll_farewell(cx, self.farewell_bytes_max)
    }

    fn upgrade(self: Box<Self>) -> Pin<Box<dyn Future<Output = Upgraded> + Send>> {
        Box::pin(TcpWire::upgrade(*self))
    }

    fn transport(&self) -> Transport {
        self.transport
    }

    fn peer(&self) -> SocketAddr {
        self.socket.peer()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_wire_is_small() {
        assert!(size_of::<TcpWire>() <= 160, "{}", size_of::<TcpWire>());
    }
}
