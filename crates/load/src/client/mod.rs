//! One client: connects, signs in, sends, and reads element by element.

mod cutter;
mod sign_in;
mod socket;
mod websocket;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Poll, ready};

use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};

use self::cutter::Cutter;
pub(crate) use self::cutter::{attribute, text};
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
        Ok(Self { socket, framing, heard: VecDeque::new(), out: Vec::new(), sent: 0 })
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
            match self.heard.pop_front() {
                Some(element) if element.starts_with("<iq") && is_request(&element) => {
                    let id = attribute(&element, "id").unwrap_or_default();
                    let reply = self.stanza("<iq", &format!(" type='result' id='{id}'/>"));
                    self.push(&reply);
                }
                Some(element) if is_end(&element) => {
                    return Err(format!("the server ends the stream: {element}"));
                }
                Some(element) => return Ok(element),
                None => self.read().await?,
            }
        }
    }

    /// The next element, where it has come already and is a message.
    pub(crate) fn message(&mut self) -> Option<String> {
        let is_message = self.heard.front().is_some_and(|first| first.starts_with("<message"));
        is_message.then(|| self.heard.pop_front()).flatten()
    }

    /// The buffer lives as long as one poll: thousands of clients that wait share the stack.
    async fn read(&mut self) -> Outcome<()> {
        let Self { socket, framing, heard, out, .. } = self;
        let count = poll_fn(|context| {
            let mut room = [MaybeUninit::uninit(); READ_BYTES];
            let mut buffer = ReadBuf::uninit(&mut room);
            ready!(Pin::new(&mut *socket).poll_read(context, &mut buffer))?;
            framing.take(buffer.filled(), heard, out);
            Poll::Ready(io::Result::Ok(buffer.filled().len()))
        });
        match count.await {
            Ok(0) => Err("the server has closed the connection".into()),
            Ok(_) => Ok(()),
            Err(error) => Err(format!("cannot read: {error}")),
        }
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
