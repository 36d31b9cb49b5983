//! One client: connects, signs in, sends, and reads element by element.

use std::collections::VecDeque;
use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cutter::{Cutter, attribute, text};
use crate::scram::Scram;
use crate::target::{PASSWORD, RESOURCE, Target, Transport};
use crate::websocket::{Frames, Heard};
use crate::{Outcome, tls, websocket};

const READ_BYTES: usize = 8192;
const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";

/// A connection to the server.
pub(crate) struct Client {
    socket: Box<dyn Socket>,
    framing: Framing,
    domain: String,
    /// Whole elements that nobody has asked for yet.
    heard: VecDeque<String>,
    buffer: Box<[u8]>,
}

trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

enum Framing {
    Tcp(Cutter),
    WebSocket(Frames),
}

impl Client {
    /// Opens a stream, up to the features of the server.
    pub(crate) async fn connect(target: &Target) -> Outcome<Self> {
        let lost = |error: io::Error| format!("{} cannot be reached: {error}", target.address);
        let mut socket = TcpStream::connect(target.address).await.map_err(lost)?;
        socket.set_nodelay(true).map_err(lost)?;
        let domain = target.domain.clone();
        let buffer = vec![0; READ_BYTES].into_boxed_slice();
        let (socket, framing): (Box<dyn Socket>, _) = match target.transport {
            Transport::Tcp => (Box::new(socket), Framing::Tcp(Cutter::default())),
            Transport::Tls => {
                let socket = tls::connect(socket, &domain).await?;
                (Box::new(socket), Framing::Tcp(Cutter::default()))
            }
            Transport::Websocket => {
                websocket::open(&mut socket, &domain).await?;
                (Box::new(socket), Framing::WebSocket(Frames::default()))
            }
        };
        let mut client = Self { socket, framing, domain, heard: VecDeque::new(), buffer };
        client.open().await?;
        Ok(client)
    }

    /// Makes an account (XEP-0077).
    pub(crate) async fn register(&mut self, user: &str) -> Outcome<()> {
        self.ask(
            "set",
            "register",
            &format!(
                "<query xmlns='jabber:iq:register'><username>{user}</username>\
                 <password>{PASSWORD}</password></query>"
            ),
        )
        .await
    }

    /// Signs in with SCRAM-SHA-1 and binds the resource that all clients bind.
    pub(crate) async fn sign_in(&mut self, user: &str) -> Outcome<()> {
        let scram = Scram::new(user);
        let first = scram.first();
        self.send(&format!("<auth xmlns='{SASL}' mechanism='SCRAM-SHA-1'>{first}</auth>")).await?;
        let challenge = self.expect("<challenge").await?;
        let (answer, verifier) = scram.answer(text(&challenge), PASSWORD)?;
        self.send(&format!("<response xmlns='{SASL}'>{answer}</response>")).await?;
        let success = self.expect("<success").await?;
        if text(&success) != verifier {
            return Err(format!("the server does not know the password of {user} itself"));
        }
        self.open().await?;
        let bind = format!(
            "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{RESOURCE}</resource></bind>"
        );
        self.ask("set", "bind", &bind).await
    }

    /// Shows presence, and returns when the server has dealt with it.
    pub(crate) async fn show(&mut self) -> Outcome<()> {
        self.send(&self.stanza("<presence", "/>")).await?;
        self.ask("get", "shown", "<query xmlns='http://jabber.org/protocol/disco#info'/>").await
    }

    /// A stanza's start tag, with the namespace where the framing asks for it, and its rest.
    pub(crate) fn stanza(&self, start: &str, rest: &str) -> String {
        match self.framing {
            Framing::Tcp(_) => format!("{start}{rest}"),
            Framing::WebSocket(_) => format!("{start} xmlns='jabber:client'{rest}"),
        }
    }

    /// Sends elements: any number on TCP, one on a WebSocket.
    pub(crate) async fn send(&mut self, elements: &str) -> Outcome<()> {
        let written = match self.framing {
            Framing::Tcp(_) => self.socket.write_all(elements.as_bytes()).await,
            Framing::WebSocket(_) => self.socket.write_all(&websocket::message(elements)).await,
        };
        written.and(self.socket.flush().await).map_err(|error| format!("cannot write: {error}"))
    }

    /// The next element; requests of the server are answered on the way.
    pub(crate) async fn next(&mut self) -> Outcome<String> {
        loop {
            match self.heard.pop_front() {
                Some(element) if element.starts_with("<iq") && is_request(&element) => {
                    let id = attribute(&element, "id").unwrap_or_default();
                    let reply = self.stanza("<iq", &format!(" type='result' id='{id}'/>"));
                    self.send(&reply).await?;
                }
                Some(element) => return Ok(element),
                None => self.read().await?,
            }
        }
    }

    async fn open(&mut self) -> Outcome<()> {
        let domain = &self.domain;
        let header = match self.framing {
            Framing::Tcp(_) => format!(
                "<?xml version='1.0'?><stream:stream to='{domain}' version='1.0' xml:lang='en' \
                 xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
            ),
            Framing::WebSocket(_) => format!(
                "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='{domain}' version='1.0' \
                 xml:lang='en'/>"
            ),
        };
        self.send(&header).await?;
        self.expect("<stream:features").await.map(|_| ())
    }

    /// Sends a request and waits for its result.
    async fn ask(&mut self, kind: &str, id: &str, payload: &str) -> Outcome<()> {
        // Binding is for the stream, not for an address.
        let to = if id == "bind" { String::new() } else { format!(" to='{}'", self.domain) };
        let rest = format!(" type='{kind}' id='{id}'{to}>{payload}</iq>");
        self.send(&self.stanza("<iq", &rest)).await?;
        loop {
            let element = self.next().await?;
            if element.starts_with("<iq") && attribute(&element, "id") == Some(id) {
                return match attribute(&element, "type") {
                    Some("result") => Ok(()),
                    _ => Err(format!("the server refuses: {element}")),
                };
            }
        }
    }

    /// Reads up to the element that begins so. A refusal ends the wait.
    async fn expect(&mut self, start: &str) -> Outcome<String> {
        loop {
            let element = self.next().await?;
            if element.starts_with(start) {
                return Ok(element);
            }
            if ["<failure", "<stream:error", "<close"].iter().any(|end| element.starts_with(end)) {
                return Err(format!("{element} instead of {start}"));
            }
        }
    }

    async fn read(&mut self) -> Outcome<()> {
        let read = self.socket.read(&mut self.buffer).await;
        let count = read.map_err(|error| format!("cannot read: {error}"))?;
        if count == 0 {
            return Err("the server has closed the connection".into());
        }
        let mut replies = Vec::new();
        match &mut self.framing {
            Framing::Tcp(cutter) => {
                cutter.push(&self.buffer[..count]);
                while let Some(element) = cutter.next() {
                    self.heard.push_back(element.to_owned());
                }
            }
            Framing::WebSocket(frames) => {
                frames.push(&self.buffer[..count]);
                while let Some(frame) = frames.next() {
                    match frame {
                        Heard::Text(element) => self.heard.push_back(element),
                        Heard::Ping(reply) => replies.push(reply),
                        Heard::Other => {}
                    }
                }
            }
        }
        for reply in replies {
            let written = self.socket.write_all(&reply).await;
            written.map_err(|error| format!("cannot write: {error}"))?;
        }
        Ok(())
    }
}

fn is_request(iq: &str) -> bool {
    matches!(attribute(iq, "type"), Some("get" | "set"))
}
