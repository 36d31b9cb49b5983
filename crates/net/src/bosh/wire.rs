//! A session as the kernel sees it: elements in, elements out.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use waxwing_kernel::clock::Clock;
use waxwing_kernel::wire::{Transport, Upgraded, Wire};
use waxwing_stream::{Input, Outbox};

use super::body::Terminal;
use super::session::{Session, Sessions};
use super::state::Piece;
use crate::census::Permit;

/// The server's end of a session.
pub(super) struct BoshWire {
    pub(super) session: Arc<Session>,
    pub(super) sessions: Sessions,
    pub(super) clock: Clock,
    pub(super) peer: SocketAddr,
    pub(super) message_bytes_max: usize,
    /// Counts the session like a connection.
    pub(super) _permit: Permit,
    /// Whether the stream knows that nobody is there any more.
    pub(super) is_told: bool,
}

impl Wire for BoshWire {
    fn poll_read(&mut self, cx: &mut Context<'_>, sink: &mut dyn FnMut(Input<'_>)) -> Poll<()> {
        let pieces = {
            let mut state = self.session.lock();
            let pieces = state.hear(self.clock.now());
            if pieces.is_empty() && (self.is_told || !state.is_over()) {
                state.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            pieces
        };
        if pieces.is_empty() {
            self.is_told = true;
            sink(Input::End);
        }
        for piece in pieces {
            match piece {
                Piece::Message(text) => sink(Input::Message(text.as_bytes())),
                Piece::Alive => sink(Input::Alive),
                Piece::End if self.is_told => {}
                Piece::End => {
                    self.is_told = true;
                    sink(Input::End);
                }
            }
        }
        Poll::Ready(())
    }

    /// Ready once the words are in the answer to a request: until then they can still be given
    /// to somebody else.
    fn poll_write(&mut self, cx: &mut Context<'_>, out: &mut Outbox) -> Poll<io::Result<()>> {
        let mut state = self.session.lock();
        if state.is_over() {
            out.clear();
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        if state.say(self.clock.now(), out) {
            out.clear();
            return Poll::Ready(Ok(()));
        }
        state.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_close(&mut self, _: &mut Context<'_>) -> Poll<()> {
        self.session.lock().end(Terminal::Clean, "");
        Poll::Ready(())
    }

    fn upgrade(self: Box<Self>) -> Pin<Box<dyn Future<Output = Upgraded> + Send>> {
        // XEP-0206 §2 "channel encryption SHOULD be completed at the HTTP (transport) layer".
        let refused = io::Error::new(ErrorKind::Unsupported, "no STARTTLS over BOSH");
        Box::pin(std::future::ready(Err(refused)))
    }

    fn trust(&mut self, message_bytes: usize) {
        self.session.trust(message_bytes.min(self.message_bytes_max));
    }

    fn transport(&self) -> Transport {
        if self.session.is_secure { Transport::SecureBosh } else { Transport::Bosh }
    }

    fn peer(&self) -> SocketAddr {
        self.peer
    }
}

impl Drop for BoshWire {
    fn drop(&mut self) {
        self.session.lock().end(Terminal::Clean, "");
        self.sessions.remove(&self.session);
    }
}
