//! XMPP on a WebSocket (RFC 7395, between servers XEP-0468), plain or under TLS.

use std::cell::Cell;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::mem;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use waxwing_kernel::clock::Clock;
use waxwing_kernel::metrics::Deflated;
use waxwing_kernel::wire::{Transport, Upgraded, Wire};
use waxwing_stream::{Input, MarkKind, Outbox, Violation};

use super::codec::{self, Decoder, Fault, Opcode, Piece};
use super::extension::Agreed;
use crate::limits::Limits;
use crate::socket::Socket;

/// While this much waits to be sent, only the latest ping is remembered. §5.5.3 allows to answer
/// "only the most recently processed Ping frame".
const PONG_BACKLOG_BYTES: usize = 2048;
/// Frames are encoded up to about this size ahead of the socket.
const AHEAD_BYTES: usize = 64 * 1024;
/// The closing code when the stream named none.
const NORMAL: u16 = 1000;

thread_local! {
    /// Frames are encoded here; a connection owns a send buffer only while the socket is full.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A client or another server on a WebSocket. Idle it owns no buffer, neither to read nor to write.
pub(crate) struct WebSocketWire {
    socket: Socket,
    /// What came behind the handshake's request.
    early: Bytes,
    decoder: Decoder,
    sending: Sending,
    farewell_bytes_max: usize,
    message_bytes_max: usize,
}

/// Frames on their way out.
#[derive(Default)]
struct Sending {
    /// Whole frames, of which `sent` bytes have gone out.
    frames: Vec<u8>,
    sent: usize,
    /// Marks and bytes of the outbox that are encoded.
    marks: usize,
    bytes: usize,
    /// A ping that waits for room.
    ping: Option<Box<[u8]>>,
    needs_flush: bool,
    close: Close,
    deflate: Option<Deflate>,
    /// The peer is another server.
    server: Option<Box<Server>>,
}

/// What there is of a connection between servers, of which there are few.
#[derive(Default)]
struct Server {
    /// Where masks come from; we have called, and are the client.
    masks: Option<Clock>,
}

/// What of ours is compressed, where that was agreed on.
struct Deflate {
    stage: Stage,
    /// Messages of this many bytes are worth it.
    bytes_min: usize,
    bytes_max: usize,
    counts: Arc<Deflated>,
}

/// How much an attacker learns from the size of a compressed message that holds a secret beside
/// text of his own, CRIME and BREACH have shown. What is secret belongs to signing in: until that
/// is over, and its last words are out, nothing of ours is compressed.
#[derive(PartialEq, Eq)]
enum Stage {
    SignIn,
    /// The client is signed in, which the next words may have to tell it.
    LastWords,
    Session,
}

/// Which close frames have passed.
#[derive(Default)]
struct Close {
    is_sent: bool,
    is_received: bool,
}

impl WebSocketWire {
    /// A connection whose handshake is done; `early` is what was read beyond it.
    pub(crate) fn new(socket: Socket, early: Bytes, limits: &Limits) -> Self {
        Self {
            socket,
            // Empty bytes may still hold on to the buffer of HTTP that they were cut from.
            early: if early.is_empty() { Bytes::new() } else { early },
            decoder: Decoder::new(limits.early_message_bytes_max.min(limits.message_bytes_max)),
            message_bytes_max: limits.message_bytes_max,
            sending: Sending::default(),
            farewell_bytes_max: limits.farewell_bytes_max,
        }
    }

    /// The peer is another server that has called us.
    pub(crate) fn of_server(mut self) -> Self {
        self.sending.server = Some(Box::default());
        self
    }

    /// The peer is another server that we have called; masks come from `clock`.
    pub(crate) fn called(mut self, limits: &Limits, clock: Clock) -> Self {
        let bytes_max = limits.early_message_bytes_max.min(limits.message_bytes_max);
        self.decoder = Decoder::of_client(bytes_max);
        self.sending.server = Some(Box::new(Server { masks: Some(clock) }));
        self
    }

    /// Messages may be compressed, in both directions.
    pub(crate) fn deflate(&mut self, agreed: Agreed, counts: Arc<Deflated>, limits: &Limits) {
        self.decoder.inflate(counts.clone());
        self.sending.deflate = Some(Deflate {
            stage: Stage::SignIn,
            bytes_min: limits.deflate_bytes_min,
            bytes_max: agreed.bytes_max(),
            counts,
        });
    }

    /// Takes in what was read.
    fn hear(
        decoder: &mut Decoder,
        sending: &mut Sending,
        bytes: &mut [u8],
        sink: &mut dyn FnMut(Input<'_>),
    ) {
        decoder.decode(bytes, &mut |piece| match piece {
            Piece::Text(text) => sink(Input::Message(text)),
            Piece::Fragment | Piece::Pong => sink(Input::Alive),
            Piece::Ping(payload) => {
                sending.pong(payload);
                sink(Input::Alive);
            }
            Piece::Close(code) => {
                sending.answer_close(code);
                sink(Input::End);
            }
            Piece::Fault(fault) => {
                sending.close.is_received = true;
                sink(Input::Violation(violation(fault)));
            }
        });
    }

    /// Reads once. Ready tells whether `sink` was called.
    fn poll_hear(&mut self, cx: &mut Context<'_>, sink: &mut dyn FnMut(Input<'_>)) -> Poll<bool> {
        let mut is_told = false;
        let mut telling = |input: Input<'_>| {
            is_told = true;
            sink(input);
        };
        let (decoder, sending) = (&mut self.decoder, &mut self.sending);
        if self.early.has_remaining() {
            let mut early = mem::take(&mut self.early).to_vec();
            Self::hear(decoder, sending, &mut early, &mut telling);
            return Poll::Ready(is_told);
        }
        let mut is_ended = false;
        ready!(self.socket.poll_lend(cx, |bytes| match bytes {
            [] => is_ended = true,
            bytes => Self::hear(decoder, sending, bytes, &mut telling),
        }));
        if is_ended {
            // Nobody is left to send to, or to wait for.
            sending.close = Close { is_sent: true, is_received: true };
            telling(Input::End);
        }
        Poll::Ready(is_told)
    }
}

impl Wire for WebSocketWire {
    fn poll_read(&mut self, cx: &mut Context<'_>, sink: &mut dyn FnMut(Input<'_>)) -> Poll<()> {
        loop {
            let heard = self.poll_hear(cx, sink);
            // A pong must not wait for the stream to have something to say. Should the socket be
            // gone, the next read says so.
            let _ = self.sending.poll_frames(cx, &mut self.socket);
            if ready!(heard) {
                return Poll::Ready(());
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, out: &mut Outbox) -> Poll<io::Result<()>> {
        let result = ready!(self.sending.poll_outbox(cx, &mut self.socket, out));
        (self.sending.marks, self.sending.bytes) = (0, 0);
        self.sending.enter(Stage::LastWords, Stage::Session);
        out.clear();
        Poll::Ready(result)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.sending.close(NORMAL);
        if ready!(self.sending.poll_frames(cx, &mut self.socket)).is_err() {
            return Poll::Ready(());
        }
        while !self.sending.close.is_received {
            ready!(self.poll_hear(cx, &mut |_| {}));
        }
        self.socket.poll_farewell(cx, self.farewell_bytes_max)
    }

    fn upgrade(self: Box<Self>) -> Pin<Box<dyn Future<Output = Upgraded> + Send>> {
        // RFC 7395 §3.9: TLS is the business of the WebSocket layer.
        let refused = io::Error::new(ErrorKind::Unsupported, "no STARTTLS on a WebSocket");
        Box::pin(std::future::ready(Err(refused)))
    }

    fn trust(&mut self, message_bytes: usize) {
        self.decoder.raise(message_bytes.min(self.message_bytes_max));
        self.sending.enter(Stage::SignIn, Stage::LastWords);
    }

    fn transport(&self) -> Transport {
        match (self.sending.server.is_some(), self.socket.is_tls()) {
            (true, _) => Transport::ServerWebSocket,
            (false, true) => Transport::SecureWebSocket,
            (false, false) => Transport::WebSocket,
        }
    }

    fn peer(&self) -> SocketAddr {
        self.socket.peer()
    }
}

impl Sending {
    /// Encodes and sends what the stream wants written.
    fn poll_outbox(
        &mut self,
        cx: &mut Context<'_>,
        socket: &mut Socket,
        out: &Outbox,
    ) -> Poll<io::Result<()>> {
        loop {
            self.encode(out);
            ready!(self.poll_frames(cx, socket))?;
            if self.marks == out.marks.len() {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Encodes the next messages of `out`, up to a buffer's worth.
    fn encode(&mut self, out: &Outbox) {
        if self.frames.capacity() == 0 {
            self.frames = SCRATCH.take();
        }
        while let Some(mark) = out.marks.get(self.marks) {
            if self.frames.len() >= AHEAD_BYTES {
                return;
            }
            self.marks += 1;
            let bytes = &out.text.as_bytes()[mem::replace(&mut self.bytes, mark.end)..mark.end];
            // RFC 6455 §5.5.1 "The application MUST NOT send any more data frames after sending a
            // Close frame."
            match mark.kind {
                _ if self.close.is_sent => {}
                MarkKind::Text => self.write_text(bytes),
                MarkKind::Ping => self.write(Opcode::Ping, &[]),
                MarkKind::Close(code) => self.close(code),
            }
        }
    }

    fn write_text(&mut self, text: &[u8]) {
        if let Some(deflate) = &self.deflate
            && deflate.stage == Stage::Session
            && (deflate.bytes_min..=deflate.bytes_max).contains(&text.len())
            && let Some(bytes) = codec::encode_deflated(&mut self.frames, text)
        {
            return deflate.counts.sent(bytes, text.len());
        }
        self.write(Opcode::Text, text);
    }

    /// Encodes a frame.
    fn write(&mut self, opcode: Opcode, payload: &[u8]) {
        match self.server.as_ref().and_then(|server| server.masks.as_ref()) {
            None => codec::encode(&mut self.frames, opcode, payload),
            Some(clock) => {
                let mut key = [0; 4];
                clock.random(&mut key);
                codec::encode_masked(&mut self.frames, opcode, payload, key);
            }
        }
    }

    fn write_close(&mut self, code: Option<u16>) {
        match code {
            Some(code) => self.write(Opcode::Close, &code.to_be_bytes()),
            None => self.write(Opcode::Close, &[]),
        }
    }

    /// Goes from one stage to the next.
    fn enter(&mut self, from: Stage, to: Stage) {
        if let Some(deflate) = self.deflate.as_mut().filter(|deflate| deflate.stage == from) {
            deflate.stage = to;
        }
    }

    /// Sends the frames at hand, then gives their buffer away.
    fn poll_frames(&mut self, cx: &mut Context<'_>, socket: &mut Socket) -> Poll<io::Result<()>> {
        loop {
            if !self.frames.is_empty() || self.needs_flush {
                self.needs_flush = true;
                ready!(socket.poll_send(cx, &self.frames, &mut self.sent))?;
                self.needs_flush = false;
                self.sent = 0;
                self.frames.clear();
            }
            match self.ping.take() {
                Some(payload) if !self.close.is_sent => {
                    self.write(Opcode::Pong, &payload);
                }
                _ => break,
            }
        }
        let frames = mem::take(&mut self.frames);
        if frames.capacity() > 0 && frames.capacity() <= 2 * AHEAD_BYTES {
            SCRATCH.set(frames);
        }
        Poll::Ready(Ok(()))
    }

    fn pong(&mut self, payload: &[u8]) {
        if self.close.is_sent {
            return;
        }
        if self.frames.len() < PONG_BACKLOG_BYTES {
            self.write(Opcode::Pong, payload);
        } else {
            self.ping = Some(payload.into());
        }
    }

    /// §5.5.1 "the endpoint typically echos the status code it received".
    fn answer_close(&mut self, code: Option<u16>) {
        self.close.is_received = true;
        if !self.close.is_sent {
            self.write_close(code);
            self.close.is_sent = true;
        }
    }

    fn close(&mut self, code: u16) {
        if !self.close.is_sent {
            self.write_close(Some(code));
            self.close.is_sent = true;
        }
    }
}

fn violation(fault: Fault) -> Violation {
    match fault {
        Fault::Protocol(_) => Violation::Protocol,
        Fault::Binary => Violation::Binary,
        Fault::NotUtf8 => Violation::NotUtf8,
        Fault::TooBig => Violation::TooBig,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_wire_is_small() {
        assert!(size_of::<WebSocketWire>() <= 384, "{}", size_of::<WebSocketWire>());
    }
}
