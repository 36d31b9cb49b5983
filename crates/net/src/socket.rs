//! A connected socket, plain or under TLS, read through a buffer that the thread lends.

use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::census::Permit;
use crate::tls::TlsStream;

/// The most one read takes: a whole TLS record.
const READ_BYTES: usize = 16 * 1024;

thread_local! {
    /// One buffer per thread serves all its connections; see [`Socket::poll_lend`].
    static LENT: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// A connected socket. Idle, it owns no buffer: on plain TCP nothing at all, under TLS the keys
/// and what else rustls keeps.
pub(crate) struct Socket {
    io: Io,
    peer: SocketAddr,
    farewell: Farewell,
    /// Counts the connection until it is dropped, if it came in here.
    permit: Option<Permit>,
}

enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream>),
    /// A stream of an HTTP/2 connection, which is under TLS.
    Stream(Box<TokioIo<Upgraded>>),
}

/// How far the end of a connection has come.
#[derive(Clone, Copy)]
enum Farewell {
    No,
    /// Our end is sent; this many bytes of the peer may still be thrown away.
    Waiting(usize),
    Done,
}

impl Socket {
    pub(crate) fn plain(stream: TcpStream, peer: SocketAddr, permit: Permit) -> Self {
        Self { io: Io::Plain(stream), peer, farewell: Farewell::No, permit: Some(permit) }
    }

    /// A socket that we opened ourselves.
    pub(crate) fn called(stream: TcpStream, peer: SocketAddr) -> Self {
        Self { io: Io::Plain(stream), peer, farewell: Farewell::No, permit: None }
    }

    pub(crate) fn tls(stream: TlsStream, peer: SocketAddr, permit: Option<Permit>) -> Self {
        Self { io: Io::Tls(Box::new(stream)), peer, farewell: Farewell::No, permit }
    }

    pub(crate) fn stream(stream: Upgraded, peer: SocketAddr, permit: Permit) -> Self {
        let io = Io::Stream(Box::new(TokioIo::new(stream)));
        Self { io, peer, farewell: Farewell::No, permit: Some(permit) }
    }

    /// The client's address: the socket's, or what a trusted proxy said.
    pub(crate) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The connection now counts for whom a trusted proxy speaks.
    pub(crate) fn speak_for(&mut self, peer: SocketAddr, permit: Permit) {
        self.peer = peer;
        if let Some(own) = &mut self.permit {
            own.follow(permit);
        }
    }

    pub(crate) fn is_tls(&self) -> bool {
        !matches!(self.io, Io::Plain(_))
    }

    /// The parts of a plain socket; an error under TLS.
    pub(crate) fn into_plain(self) -> io::Result<(TcpStream, SocketAddr, Option<Permit>)> {
        match self.io {
            Io::Plain(stream) => Ok((stream, self.peer, self.permit)),
            Io::Tls(_) | Io::Stream(_) => {
                Err(io::Error::new(ErrorKind::Unsupported, "TLS is already in place"))
            }
        }
    }

    /// Reads once into the thread's buffer and lends what came to `take`; nothing at the end of
    /// the connection, whether it was proper or not. While there is nothing to read, the
    /// connection holds no buffer: that is what makes an idle one cheap.
    pub(crate) fn poll_lend(
        &mut self,
        cx: &mut Context<'_>,
        take: impl FnOnce(&mut [u8]),
    ) -> Poll<()> {
        if let Io::Tls(stream) = &mut self.io {
            return stream.poll_lend(cx, take);
        }
        let mut lent = LENT.take().unwrap_or_else(|| vec![0; READ_BYTES].into_boxed_slice());
        let mut read = ReadBuf::new(&mut lent);
        let polled = Pin::new(&mut *self).poll_read(cx, &mut read);
        let result = polled.map(|outcome| {
            let filled = match outcome {
                Ok(()) => read.filled_mut(),
                Err(_) => &mut [],
            };
            take(filled);
        });
        LENT.set(Some(lent));
        result
    }

    /// Writes all of `bytes` from `*written` on, which moves on with what has gone out, and
    /// flushes.
    pub(crate) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        written: &mut usize,
    ) -> Poll<io::Result<()>> {
        while *written < bytes.len() {
            match ready!(Pin::new(&mut *self).poll_write(cx, &bytes[*written..]))? {
                0 => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                count => *written += count,
            }
        }
        Pin::new(self).poll_flush(cx)
    }

    /// Sends `close_notify` and FIN, then waits for the peer's end: closing at once with
    /// unread input would reset the connection and may destroy our last words on their way.
    pub(crate) fn poll_farewell(&mut self, cx: &mut Context<'_>, bytes_max: usize) -> Poll<()> {
        loop {
            match self.farewell {
                Farewell::No => {
                    self.farewell = match ready!(Pin::new(&mut *self).poll_shutdown(cx)) {
                        Ok(()) => Farewell::Waiting(bytes_max),
                        Err(_) => Farewell::Done,
                    };
                }
                Farewell::Waiting(left) => {
                    let mut count = 0;
                    ready!(self.poll_lend(cx, |bytes| count = bytes.len()));
                    self.farewell = match left.checked_sub(count) {
                        Some(left) if count > 0 => Farewell::Waiting(left),
                        _ => Farewell::Done,
                    };
                }
                Farewell::Done => return Poll::Ready(()),
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Io::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            Io::Stream(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().io {
            Io::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Io::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
            Io::Stream(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Io::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Io::Stream(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Io::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Io::Stream(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
