//! A connection in memory: one end is the server's [`Wire`], the other the client's.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use waxwing_kernel::wire::{Transport, Upgraded, Wire};
use waxwing_stream::{Framing, Input, MarkKind, Outbox};

/// Bytes that wait for a client that does not read, before the server has to.
const ROOM: usize = 64 * 1024;

/// What the server sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Sent {
    /// A piece of a TCP stream, or one WebSocket message.
    Data(Vec<u8>),
    /// A WebSocket Ping.
    Ping,
    /// An answer of BOSH: a `<body/>` around whole elements.
    Body(Vec<u8>),
}

#[derive(Default)]
struct Pipe {
    to_server: VecDeque<Vec<u8>>,
    to_client: VecDeque<Sent>,
    waiting_bytes: usize,
    is_alive: bool,
    client_gone: bool,
    server_gone: bool,
    server: Option<Waker>,
    client: Option<Waker>,
}

type Shared = Arc<Mutex<Pipe>>;

/// A new connection: the server's end and the client's.
pub fn pipe(framing: Framing) -> (Near, Far) {
    let pipe = Shared::default();
    (Near { framing, pipe: Arc::clone(&pipe) }, Far(pipe))
}

fn lock(pipe: &Shared) -> MutexGuard<'_, Pipe> {
    pipe.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The server's end.
pub struct Near {
    framing: Framing,
    pipe: Shared,
}

impl Wire for Near {
    fn poll_read(&mut self, cx: &mut Context<'_>, sink: &mut dyn FnMut(Input<'_>)) -> Poll<()> {
        let mut pipe = lock(&self.pipe);
        let taken = std::mem::take(&mut pipe.to_server);
        let is_alive = std::mem::take(&mut pipe.is_alive);
        if taken.is_empty() && !is_alive && !pipe.client_gone {
            pipe.server = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let ended = pipe.client_gone && taken.is_empty();
        drop(pipe);
        for data in &taken {
            sink(match self.framing {
                Framing::Tcp => Input::Bytes(data),
                Framing::WebSocket => Input::Message(data),
            });
        }
        if is_alive {
            sink(Input::Alive);
        }
        if ended {
            sink(Input::End);
        }
        Poll::Ready(())
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, out: &mut Outbox) -> Poll<io::Result<()>> {
        let mut pipe = lock(&self.pipe);
        if pipe.client_gone {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if pipe.waiting_bytes > ROOM {
            pipe.server = Some(cx.waker().clone());
            return Poll::Pending;
        }
        pipe.waiting_bytes += out.text.len();
        match self.framing {
            Framing::Tcp => {
                let text = std::mem::take(&mut out.text);
                pipe.to_client.push_back(Sent::Data(text.into_bytes()));
            }
            Framing::WebSocket => pipe.to_client.extend(messages(out)),
        }
        out.clear();
        wake(pipe, |pipe| &mut pipe.client);
        Poll::Ready(Ok(()))
    }

    fn poll_close(&mut self, _: &mut Context<'_>) -> Poll<()> {
        self.end();
        Poll::Ready(())
    }

    fn upgrade(self: Box<Self>) -> Pin<Box<dyn Future<Output = Upgraded> + Send>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }

    fn transport(&self) -> Transport {
        Transport::Memory
    }

    fn peer(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, 0).into()
    }
}

impl Near {
    fn end(&self) {
        let mut pipe = lock(&self.pipe);
        pipe.server_gone = true;
        wake(pipe, |pipe| &mut pipe.client);
    }
}

impl Drop for Near {
    fn drop(&mut self) {
        self.end();
    }
}

/// Cuts an outbox at its marks, as a WebSocket does.
fn messages(out: &Outbox) -> Vec<Sent> {
    let mut start = 0;
    let mut sent = Vec::new();
    for mark in &out.marks {
        match mark.kind {
            MarkKind::Text => sent.push(Sent::Data(out.text.as_bytes()[start..mark.end].to_vec())),
            MarkKind::Ping => sent.push(Sent::Ping),
            MarkKind::Close(_) => {}
        }
        start = mark.end;
    }
    assert_eq!(start, out.text.len(), "every WebSocket message has an end");
    sent
}

/// Wakes the other side, after the lock is given back.
fn wake(mut pipe: MutexGuard<'_, Pipe>, side: impl Fn(&mut Pipe) -> &mut Option<Waker>) {
    let waker = side(&mut pipe).take();
    drop(pipe);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// The client's end. Dropping it cuts the connection.
pub struct Far(Shared);

impl Far {
    /// Sends a piece of a TCP stream, or one WebSocket message.
    pub fn send(&self, data: &[u8]) {
        let mut pipe = lock(&self.0);
        pipe.to_server.push_back(data.to_vec());
        wake(pipe, |pipe| &mut pipe.server);
    }

    /// Answers a Ping.
    pub fn pong(&self) {
        let mut pipe = lock(&self.0);
        pipe.is_alive = true;
        wake(pipe, |pipe| &mut pipe.server);
    }

    /// Polls for what the server sent; `None` at the end.
    pub fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<Option<Sent>> {
        let mut pipe = lock(&self.0);
        match pipe.to_client.pop_front() {
            Some(sent) => {
                if let Sent::Data(data) = &sent {
                    pipe.waiting_bytes -= data.len();
                }
                wake(pipe, |pipe| &mut pipe.server);
                Poll::Ready(Some(sent))
            }
            None if pipe.server_gone => Poll::Ready(None),
            None => {
                pipe.client = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        let mut pipe = lock(&self.0);
        pipe.client_gone = true;
        wake(pipe, |pipe| &mut pipe.server);
    }
}
