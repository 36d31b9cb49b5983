//! A connection between two servers, in memory: bytes take their time, are held, or are lost with
//! all that was under way.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use waxwing_kernel::clock::Clock;
use waxwing_kernel::wire::{Transport, Upgraded, Wire};
use waxwing_stream::{Input, Outbox, PeerTrust, Security};

use super::{Map, judge};

/// Bytes under way, before whoever sends has to wait.
const ROOM: usize = 64 * 1024;

/// What both ends show, and whom the caller asked for.
pub(super) struct Ends {
    pub(super) caller: Vec<Vec<u8>>,
    pub(super) called: Vec<Vec<u8>>,
    pub(super) name: Arc<str>,
}

/// What lies between two ends.
pub(super) struct Cable {
    clock: Clock,
    delay: Duration,
    /// When both sides know of each other.
    ready: Instant,
    ends: Ends,
    map: Weak<Map>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Towards the one who is called, and back.
    ways: [Way; 2],
    /// The called end and the caller's: nobody reads there any more.
    gone: [bool; 2],
    is_cut: bool,
    is_held: bool,
}

#[derive(Default)]
struct Way {
    pieces: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
    /// Nothing more comes behind the last piece, from then on.
    ended: Option<Instant>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// A cable and its ends: the caller's and that of who is called.
pub(super) fn lay(
    clock: &Clock,
    delay: Duration,
    ends: Ends,
    map: Weak<Map>,
) -> (Arc<Cable>, CableEnd, CableEnd) {
    let (clock, inner) = (clock.clone(), Mutex::default());
    let ready = clock.now() + delay * 2;
    let cable = Arc::new(Cable { clock, delay, ready, ends, map, inner });
    let end = |is_caller| CableEnd {
        cable: Arc::clone(&cable),
        is_caller,
        transport: Transport::ServerTcp,
        timer: None,
    };
    let (near, far) = (end(true), end(false));
    (cable, near, far)
}

impl Cable {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Both ends lose the connection, and what was under way.
    pub(super) fn cut(&self) {
        let mut inner = self.lock();
        inner.is_cut = true;
        for way in &mut inner.ways {
            way.pieces.clear();
        }
        wake_all(inner);
    }

    /// Nothing arrives while it is held.
    pub(super) fn hold(&self, is_held: bool) {
        let mut inner = self.lock();
        inner.is_held = is_held;
        wake_all(inner);
    }

    /// When the next piece arrives that is under way, or the call; none while it is held.
    pub(super) fn due(&self) -> Option<Instant> {
        let inner = self.lock();
        let next = |way: &Way| way.pieces.front().map(|(due, _)| *due).or(way.ended);
        let now = self.clock.now();
        let all = inner.ways.iter().filter_map(next).chain([self.ready]);
        let due = all.filter(|due| *due > now).min();
        due.filter(|_| !inner.is_held && !inner.is_cut)
    }

    fn note(&self) {
        if let Some(map) = self.map.upgrade() {
            map.note();
        }
    }
}

fn wake_all(mut inner: MutexGuard<'_, Inner>) {
    let [one, other] = &mut inner.ways;
    let wakers = [one.reader.take(), one.writer.take(), other.reader.take(), other.writer.take()];
    drop(inner);
    wakers.into_iter().flatten().for_each(Waker::wake);
}

/// What there is to read.
enum Read {
    Data(Vec<u8>),
    End,
}

/// One end of a connection between servers. Dropping it ends the connection behind what was sent.
pub struct CableEnd {
    cable: Arc<Cable>,
    is_caller: bool,
    transport: Transport,
    timer: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl CableEnd {
    fn own(&self) -> usize {
        usize::from(self.is_caller)
    }

    /// When both sides know of each other.
    pub(super) fn ready(&self) -> Instant {
        self.cable.ready
    }

    /// The same with TLS.
    #[must_use]
    pub fn secured(mut self) -> Self {
        self.transport = match self.transport {
            Transport::ServerTcp => Transport::ServerStartTls,
            other => other,
        };
        self
    }

    /// The same with TLS from the first byte.
    pub(super) fn direct(mut self) -> Self {
        self.transport = Transport::ServerTls;
        self
    }

    /// What TLS knows of the other side.
    pub(super) fn security(&self) -> Security {
        let ends = &self.cable.ends;
        let peer_chain = if self.is_caller { &ends.called } else { &ends.caller }.clone();
        let peer_trust = self.is_caller.then(|| match judge(&peer_chain, &ends.name) {
            Ok(()) => PeerTrust::Certificate,
            Err(words) => PeerTrust::Untrusted(words.into()),
        });
        let cipher = Some("TLS13_SIMULATED".into());
        let tls_version = Some(0x0304);
        Security { tls: true, tls_version, cipher, peer_chain, peer_trust, ..Security::default() }
    }

    /// Sends bytes.
    pub fn send(&self, data: &[u8]) {
        let due = self.cable.clock.now() + self.cable.delay;
        let mut inner = self.cable.lock();
        if inner.is_cut {
            return;
        }
        let way = &mut inner.ways[1 - self.own()];
        way.pieces.push_back((due, data.to_vec()));
        way.bytes += data.len();
        let reader = way.reader.take();
        drop(inner);
        self.cable.note();
        reader.into_iter().for_each(Waker::wake);
    }

    /// Polls for what the other side sent; `None` at the end.
    pub fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<u8>>> {
        match std::task::ready!(self.poll(cx)) {
            Read::Data(data) => Poll::Ready(Some(data)),
            Read::End => Poll::Ready(None),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Read> {
        loop {
            let (cable, own) = (Arc::clone(&self.cable), self.own());
            let mut inner = cable.lock();
            if inner.is_cut {
                return Poll::Ready(Read::End);
            }
            let (is_held, now) = (inner.is_held, cable.clock.now());
            let way = &mut inner.ways[own];
            way.reader = Some(cx.waker().clone());
            let due = way.pieces.front().map(|(due, _)| *due).or(way.ended);
            let Some(due) = due.filter(|_| !is_held) else { return Poll::Pending };
            if due <= now {
                let Some((_, data)) = way.pieces.pop_front() else {
                    return Poll::Ready(Read::End);
                };
                way.bytes -= data.len();
                let writer = way.writer.take();
                drop(inner);
                cable.note();
                writer.into_iter().for_each(Waker::wake);
                return Poll::Ready(Read::Data(data));
            }
            drop(inner);
            let clock = cable.clock.clone();
            let mut timer: Pin<Box<dyn Future<Output = ()> + Send>> =
                Box::pin(async move { clock.until(Some(due)).await });
            if timer.as_mut().poll(cx).is_pending() {
                self.timer = Some(timer);
                return Poll::Pending;
            }
        }
    }
}

impl Wire for CableEnd {
    fn poll_read(&mut self, cx: &mut Context<'_>, sink: &mut dyn FnMut(Input<'_>)) -> Poll<()> {
        match std::task::ready!(self.poll(cx)) {
            Read::Data(data) => sink(Input::Bytes(&data)),
            Read::End => sink(Input::End),
        }
        Poll::Ready(())
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, out: &mut Outbox) -> Poll<io::Result<()>> {
        {
            let mut inner = self.cable.lock();
            let other = 1 - self.own();
            if inner.is_cut || inner.gone[other] {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            let way = &mut inner.ways[other];
            if way.bytes > ROOM {
                way.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }
        if !out.text.is_empty() {
            self.send(out.text.as_bytes());
        }
        out.clear();
        Poll::Ready(Ok(()))
    }

    fn poll_close(&mut self, _: &mut Context<'_>) -> Poll<()> {
        end(&self.cable, 1 - self.own());
        Poll::Ready(())
    }

    fn upgrade(self: Box<Self>) -> Pin<Box<dyn Future<Output = Upgraded> + Send>> {
        let security = self.security();
        let wire: Box<dyn Wire> = Box::new(self.secured());
        Box::pin(async move { Ok((wire, security)) })
    }

    fn transport(&self) -> Transport {
        self.transport
    }

    fn peer(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, 5269).into()
    }
}

/// Nothing more is sent on this way.
fn end(cable: &Cable, way: usize) {
    let due = cable.clock.now() + cable.delay;
    let mut inner = cable.lock();
    let way = &mut inner.ways[way];
    if way.ended.is_some() {
        return;
    }
    way.ended = Some(due);
    let (reader, writer) = (way.reader.take(), way.writer.take());
    drop(inner);
    cable.note();
    reader.into_iter().chain(writer).for_each(Waker::wake);
}

impl Drop for CableEnd {
    fn drop(&mut self) {
        end(&self.cable, 1 - self.own());
        // What the other side sends from now on reaches nobody.
        let mut inner = self.cable.lock();
        let own = self.own();
        inner.gone[own] = true;
        inner.ways[own].pieces.clear();
        inner.ways[own].bytes = 0;
        wake_all(inner);
    }
}
