//! TLS on a TCP socket, with buffers that the thread lends.

#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, CommonState, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::exporter::{self, Material};
use super::session::{Hearing, Session};

/// The most one read takes: the largest record of TLS 1.2, with its header.
const READ_BYTES: usize = 16 * 1024 + 2048 + 5;
/// The most that is encrypted ahead of the socket.
const AHEAD_BYTES: usize = 32 * 1024;
/// Above this, nothing more is heard until the peer takes what it was answered: alerts and key
/// updates. What we write ourselves never adds up to it, so whoever sends all before reading is
/// still heard.
const ANSWER_BYTES_MAX: usize = 2 * AHEAD_BYTES;

thread_local! {
    /// Records come in here, and are decrypted here.
    static INCOMING: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    /// What they say.
    static PLAIN: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    /// Records go out from here; a connection keeps them only while the socket is full.
    static OUTGOING: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A TCP connection under TLS, one of its ends. Idle, it owns the state of TLS and nothing else.
///
/// One task must do both the reading and the writing: a read may have to answer, and then waits
/// for the socket like a write.
pub(crate) struct TlsStream {
    tcp: TcpStream,
    session: Session,
    /// Decrypted, and not yet taken by a reader with a small buffer.
    rest: Vec<u8>,
    /// Encrypted, and from `sent` on not yet taken by the socket.
    outgoing: Vec<u8>,
    sent: usize,
    is_closing: bool,
}

impl TlsStream {
    /// Begins a handshake as the server, with `hello`, what has been read of it.
    pub(crate) fn new(
        tcp: TcpStream,
        config: Arc<ServerConfig>,
        mut hello: Vec<u8>,
        material: &mut Material,
    ) -> io::Result<Self> {
        let session = Session::new(config).map_err(io::Error::other)?;
        let mut stream = Self::of(tcp, session, Vec::new());
        exporter::forget();
        stream.session.receive(&mut hello, &mut stream.rest, &mut stream.outgoing);
        material.hear(&stream.outgoing);
        Ok(stream)
    }

    /// Begins a handshake as the client of `name`, offering the protocols `alpn`.
    pub(crate) fn call(
        tcp: TcpStream,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        alpn: Vec<Vec<u8>>,
    ) -> io::Result<Self> {
        let mut hello = Vec::new();
        let session = Session::call(config, name, alpn, &mut hello).map_err(io::Error::other)?;
        Ok(Self::of(tcp, session, hello))
    }

    /// Finishes a handshake in which nothing is to be bound to the channel.
    pub(crate) async fn shake(&mut self) -> io::Result<()> {
        let mut material = Material::default();
        poll_fn(|cx| self.poll_shake(cx, &mut material)).await
    }

    fn of(tcp: TcpStream, session: Session, outgoing: Vec<u8>) -> Self {
        Self { tcp, session, rest: Vec::new(), outgoing, sent: 0, is_closing: false }
    }

    /// What the handshake agreed on.
    pub(crate) fn facts(&self) -> &CommonState {
        self.session.facts()
    }

    /// Finishes the handshake.
    pub(crate) fn poll_shake(
        &mut self,
        cx: &mut Context<'_>,
        material: &mut Material,
    ) -> Poll<io::Result<()>> {
        loop {
            // The alert that says what is wrong, if something is, goes out as well.
            ready!(self.poll_drain(cx))?;
            match self.session.hearing() {
                Hearing::Broken(error) => return Poll::Ready(Err(invalid(error))),
                Hearing::Closed | Hearing::Cut if self.session.is_handshaking() => {
                    return Poll::Ready(Err(ErrorKind::UnexpectedEof.into()));
                }
                _ if !self.session.is_handshaking() => return Poll::Ready(Ok(())),
                _ => {}
            }
            let mut plain = mem::take(&mut self.rest);
            exporter::forget();
            let polled = self.poll_fill(cx, &mut plain);
            self.rest = plain;
            ready!(polled);
            material.hear(&self.outgoing);
        }
    }

    /// Reads until something comes, and lends it to `take`; nothing at the end of the
    /// connection, whether it was proper or not.
    pub(crate) fn poll_lend(
        &mut self,
        cx: &mut Context<'_>,
        take: impl FnOnce(&mut [u8]),
    ) -> Poll<()> {
        if !self.rest.is_empty() {
            take(&mut mem::take(&mut self.rest));
            return Poll::Ready(());
        }
        let mut plain = PLAIN.take();
        plain.clear();
        let polled = self.poll_plain(cx, &mut plain);
        if polled.is_ready() {
            take(&mut plain);
        }
        PLAIN.set(plain);
        polled
    }

    /// Ready with something in `plain`, or nothing at the end.
    fn poll_plain(&mut self, cx: &mut Context<'_>, plain: &mut Vec<u8>) -> Poll<()> {
        while plain.is_empty() && self.session.is_open() {
            let drained = self.poll_drain(cx);
            if self.outgoing.len() > ANSWER_BYTES_MAX {
                let _ = ready!(drained);
            }
            ready!(self.poll_fill(cx, plain));
        }
        // An alert or a key update. Should it have to wait, the next read or write sends it.
        let _ = self.poll_drain(cx);
        Poll::Ready(())
    }

    /// Reads once from the socket.
    fn poll_fill(&mut self, cx: &mut Context<'_>, plain: &mut Vec<u8>) -> Poll<()> {
        let held = self.session.held();
        let mut incoming = INCOMING.take();
        if incoming.len() < held + READ_BYTES {
            incoming.resize(held + READ_BYTES, 0);
        }
        let mut read = ReadBuf::new(&mut incoming[held..]);
        let polled = Pin::new(&mut self.tcp).poll_read(cx, &mut read);
        let count = read.filled().len();
        let result = polled.map(|outcome| match outcome {
            Ok(()) if count > 0 => {
                let bytes = &mut incoming[..held + count];
                self.session.receive(bytes, plain, &mut self.outgoing);
            }
            _ => self.session.cut(),
        });
        INCOMING.set(incoming);
        result
    }

    /// Sends what is encrypted, then gives its buffer away.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.outgoing.len() {
            let polled = Pin::new(&mut self.tcp).poll_write(cx, &self.outgoing[self.sent..]);
            let error = match ready!(polled) {
                Ok(0) => ErrorKind::WriteZero.into(),
                Ok(count) => {
                    self.sent += count;
                    continue;
                }
                Err(error) => error,
            };
            (self.outgoing, self.sent) = (Vec::new(), 0);
            return Poll::Ready(Err(error));
        }
        let mut outgoing = mem::take(&mut self.outgoing);
        self.sent = 0;
        if outgoing.capacity() > 0 && outgoing.capacity() <= 2 * AHEAD_BYTES {
            outgoing.clear();
            OUTGOING.set(outgoing);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let (mut rest, mut is_ended) = (Vec::new(), false);
        ready!(this.poll_lend(cx, |bytes| {
            is_ended = bytes.is_empty();
            let (now, later) = bytes.split_at(bytes.len().min(buf.remaining()));
            buf.put_slice(now);
            rest = later.to_vec();
        }));
        this.rest = rest;
        Poll::Ready(match this.session.hearing() {
            Hearing::Cut if is_ended => Err(ErrorKind::UnexpectedEof.into()),
            Hearing::Broken(error) if is_ended => Err(invalid(error)),
            _ => Ok(()),
        })
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        let count = buf.len().min(AHEAD_BYTES);
        this.outgoing = OUTGOING.take();
        let sealed = this.session.seal(&buf[..count], &mut this.outgoing);
        // What the socket does not take now goes out with the next write or flush.
        if let Poll::Ready(outcome) = this.poll_drain(cx) {
            sealed.and(outcome)?;
        } else {
            sealed?;
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_drain(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !mem::replace(&mut this.is_closing, true) {
            this.session.close(&mut this.outgoing);
        }
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.tcp).poll_shutdown(cx)
    }
}

fn invalid(error: &rustls::Error) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error.clone())
}
