//! One client: connects, signs in, sends, and reads element by element.

mod cutter;
mod managed;
mod sign_in;
mod socket;
mod websocket;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use self::cutter::Cutter;
pub(crate) use self::cutter::{attribute, text};
pub(crate) use self::managed::Managed;
pub(crate) use self::sign_in::is_result;
use self::socket::Socket;
use self::websocket::{Frames, Heard};
use crate::Outcome;
use crate::target::Target;

/// Bytes that are read at a time. A client that waits keeps none.
const READ_BYTES: usize = 8192;

/// A connection to the server.
pub(crate) struct Client {
    socket: Box<dyn Socket>,
    framing: Framing,
    /// Whole elements that nobody has asked for yet.
    heard: VecDeque<String>,
    /// What is to be sent, and how much of it has been.
    out: Vec<u8>,
    sent: usize,
    /// What is needed to go on with the session after a lost connection, where that was agreed.
    managed: Option<Box<Managed>>,
}

enum Framing {
    Tcp(Cutter),
    WebSocket(Frames),
}

impl Client {
    /// Opens a connection; on a server that speaks XMPP, no stream yet.
    pub(crate) async fn connect(target: &Target) -> Outcome<Self> {
        let connecting = tokio::time::timeout(target.patience, socket::connect(target));
        let socket = connecting.await.map_err(|_| slow(target, "connect"))??;
        let framing = match target.transport.is_websocket() {
            true => Framing::WebSocket(Frames::default()),
            false => Framing::Tcp(Cutter::default()),
        };
        Ok(Self {
            socket,
            framing,
            heard: VecDeque::new(),
            out: Vec::new(),
            sent: 0,
            managed: None,
        })
    }

    /// A stanza's start tag, with the namespace where the framing asks for it, and its rest.
    pub(crate) fn stanza(&self, start: &str, rest: &str) -> String {
        match self.framing {
            Framing::Tcp(_) => format!("{start}{rest}"),
            Framing::WebSocket(_) => format!("{start} xmlns='jabber:client'{rest}"),
        }
    }

    /// Puts one element in the row of what is sent next.
    pub(crate) fn push(&mut self, element: &str) {
        self.write(element);
        if self.managed.as_deref_mut().is_some_and(|managed| managed.sent(element)) {
            self.write(managed::REQUEST);
        }
    }

    fn write(&mut self, element: &str) {
        match self.framing {
            Framing::Tcp(_) => self.out.extend_from_slice(element.as_bytes()),
            Framing::WebSocket(_) => websocket::message(element.as_bytes(), &mut self.out),
        }
    }

    /// Bytes that wait for being sent.
    pub(crate) fn waiting(&self) -> usize {
        self.out.len() - self.sent
    }

    /// Sends all that is in the row. May be given up halfway and called again.
    pub(crate) async fn flush(&mut self) -> Outcome<()> {
        let failed = |error: io::Error| format!("cannot write: {error}");
        while self.sent < self.out.len() {
            self.sent += self.socket.write(&self.out[self.sent..]).await.map_err(failed)?;
        }
        self.out.clear();
        self.sent = 0;
        self.socket.flush().await.map_err(failed)
    }

    /// Sends one element.
    pub(crate) async fn send(&mut self, element: &str) -> Outcome<()> {
        self.push(element);
        self.flush().await
    }

    /// The next element; requests of the server are answered on the way. May be given up and called
    /// again: nothing gets lost.
    pub(crate) async fn next(&mut self) -> Outcome<String> {
        loop {
            if self.waiting() > 0 {
                self.flush().await?;
            }
            match self.heard()? {
                Some(element) => return Ok(element),
                None if self.waiting() == 0 => self.read().await?,
                None => {}
            }
        }
    }

    /// The next element that has come already. Answers to requests of the server are put in the row
    /// of what is sent next; the end of the stream is an error.
    pub(crate) fn heard(&mut self) -> Outcome<Option<String>> {
        while let Some(element) = self.heard.pop_front() {
            if is_end(&element) {
                return Err(format!("the server ends the stream: {element}"));
            }
            if let Some(managed) = &mut self.managed {
                match managed.heard(&element)? {
                    Some(reply) if reply.is_empty() => continue,
                    Some(reply) => {
                        self.write(&reply);
                        continue;
                    }
                    None => {}
                }
            }
            if !element.starts_with("<iq") || !is_request(&element) {
                return Ok(Some(element));
            }
            let id = attribute(&element, "id").unwrap_or_default();
            let reply = self.stanza("<iq", &format!(" type='result' id='{id}'/>"));
            self.push(&reply);
        }
        Ok(None)
    }

    /// Sends and reads, whatever is possible first: for those who pour and do not wait. May be
    /// given up and called again.
    pub(crate) async fn exchange(&mut self) -> Outcome<()> {
        poll_fn(|context| {
            let wrote = self.poll_write(context)?;
            match self.poll_read(context) {
                Poll::Pending if wrote => Poll::Ready(Ok(())),
                read => read,
            }
        })
        .await
    }

    /// Shows that it is still there, with bytes that mean nothing (RFC 6120 §4.6.1, RFC 6455
    /// §5.5.3).
    pub(crate) async fn beat(&mut self) -> Outcome<()> {
        match self.framing {
            Framing::Tcp(_) => self.push(" "),
            Framing::WebSocket(_) => websocket::pong(&mut self.out),
        }
        self.flush().await
    }

    /// The next element, where it has come already and is a message.
    pub(crate) fn message(&mut self) -> Option<String> {
        let is_message = self.heard.front().is_some_and(|first| first.starts_with("<message"));
        is_message.then(|| self.heard.pop_front()).flatten()
    }

    async fn read(&mut self) -> Outcome<()> {
        poll_fn(|context| self.poll_read(context)).await
    }

    /// The buffer lives as long as one poll: thousands of clients that wait share the stack.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Outcome<()>> {
        let Self { socket, framing, heard, out, .. } = self;
        let mut room = [MaybeUninit::uninit(); READ_BYTES];
        let mut buffer = ReadBuf::uninit(&mut room);
        let read = ready!(Pin::new(&mut *socket).poll_read(context, &mut buffer));
        Poll::Ready(match read {
            Err(error) => Err(format!("cannot read: {error}")),
            Ok(()) if buffer.filled().is_empty() => {
                Err("the server has closed the connection".into())
            }
            Ok(()) => {
                framing.take(buffer.filled(), heard, out);
                Ok(())
            }
        })
    }

    /// Writes what the socket takes now; gives whether it took anything.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Outcome<bool> {
        let failed = |error: io::Error| format!("cannot write: {error}");
        let before = self.sent;
        while self.sent < self.out.len() {
            match Pin::new(&mut self.socket).poll_write(context, &self.out[self.sent..]) {
                Poll::Ready(count) => self.sent += count.map_err(failed)?,
                Poll::Pending => return Ok(self.sent > before),
            }
        }
        let wrote = self.sent > before;
        self.out.clear();
        self.sent = 0;
        if let Poll::Ready(flushed) = Pin::new(&mut self.socket).poll_flush(context) {
            flushed.map_err(failed)?;
        }
        Ok(wrote)
    }
}

impl Framing {
    /// Cuts what came into elements; what has to be sent back goes to `out`.
    fn take(&mut self, bytes: &[u8], heard: &mut VecDeque<String>, out: &mut Vec<u8>) {
        match self {
            Self::Tcp(cutter) => {
                cutter.push(bytes);
                while let Some(element) = cutter.next() {
                    heard.push_back(element.to_owned());
                }
            }
            Self::WebSocket(frames) => {
                frames.push(bytes);
                while let Some(frame) = frames.next(out) {
                    if let Heard::Text(element) = frame {
                        heard.push_back(element);
                    }
                }
            }
        }
    }
}

/// What to say when an answer is overdue.
fn slow(target: &Target, what: &str) -> String {
    let seconds = target.patience.as_secs();
    format!(
        "no answer within {seconds} s while trying to {what}: the server is overloaded or does not \
         speak {} on this port; --patience waits longer",
        target.transport.name()
    )
}

fn is_request(iq: &str) -> bool {
    matches!(attribute(iq, "type"), Some("get" | "set"))
}

fn is_end(element: &str) -> bool {
    element.starts_with("<stream:error")
        || element.starts_with("</stream:stream")
        || element.starts_with("<close")
        || element.starts_with("<error")
}
