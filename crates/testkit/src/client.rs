//! A client that signs in by itself, answers what a client must answer, and otherwise says only
//! what it is told to say.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::time::Duration;

use waxwing_stream::Framing;

use crate::link::{Link, Sent};
use crate::node::{CLIENT, Node, Piece, Reader};
use crate::script::Name;
use crate::world::PASSWORD;

pub(crate) const STREAMS: &str = "http://etherx.jabber.org/streams";
const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
const BIND: &str = "urn:ietf:params:xml:ns:xmpp-bind";
const FRAMES: &str = "urn:ietf:params:xml:ns:xmpp-framing";
const ACKS: &str = "urn:xmpp:sm:3";
const PING: &str = "urn:xmpp:ping";

/// How long the server may take for what it owes. In memory it needs microseconds; a scenario that
/// fails waits so long once.
const PATIENCE: Duration = Duration::from_secs(2);

/// One client with its connection, if it has one.
pub struct Client {
    name: Name,
    link: Option<Link>,
    reader: Reader,
    /// What came and was not asked for yet.
    inbox: VecDeque<Node>,
    /// The server has ended the stream.
    is_ended: bool,
    /// The bound address.
    jid: Option<String>,
    /// Whether it has sent available presence.
    pub(crate) is_available: bool,
    acks: Option<Acks>,
}

/// The client's side of XEP-0198.
#[derive(Default)]
struct Acks {
    /// Given by `<enabled/>`; counting what comes starts there.
    id: Option<String>,
    is_enabled: bool,
    received: u32,
    acknowledged: u32,
    sent: VecDeque<String>,
}

impl Client {
    /// Opens a stream and reads the features.
    ///
    /// # Errors
    /// What went wrong, in words.
    pub async fn connect(name: Name, link: Link) -> Result<Self, String> {
        let mut client = Self {
            name,
            link: Some(link),
            reader: Reader::default(),
            inbox: VecDeque::new(),
            is_ended: false,
            jid: None,
            is_available: false,
            acks: None,
        };
        client.open().await?;
        Ok(client)
    }

    /// Authenticates; binds nothing.
    ///
    /// # Errors
    /// What the server answered instead.
    pub async fn sign_in(&mut self) -> Result<(), String> {
        let token = base64(format!("\0{}\0{PASSWORD}", self.name.local).as_bytes());
        self.write(&format!("<auth xmlns='{SASL}' mechanism='PLAIN'>{token}</auth>")).await?;
        let answer = self.take().await?;
        if !answer.is("success", SASL) {
            return Err(format!("{} cannot sign in: {answer}", self.name));
        }
        self.open().await.map(drop)
    }

    /// Binds its resource.
    ///
    /// # Errors
    /// What the server answered instead.
    pub async fn bind(&mut self) -> Result<(), String> {
        let resource = &self.name.resource;
        let bind = format!("<bind xmlns='{BIND}'><resource>{resource}</resource></bind>");
        self.write(&format!("<iq xmlns='{CLIENT}' type='set' id='bind'>{bind}</iq>")).await?;
        let answer = self.take().await?;
        let jid = answer.child("bind", BIND).and_then(|bind| bind.child("jid", BIND));
        match jid {
            Some(jid) => self.jid = Some(jid.text.clone()),
            None => return Err(format!("{} cannot bind: {answer}", self.name)),
        }
        Ok(())
    }

    /// Resumes the session of the connection that was lost, and sends again what did not arrive.
    ///
    /// # Errors
    /// What the server answered instead.
    pub async fn resume(&mut self, link: Link) -> Result<(), String> {
        let acks = self.acks.as_ref().and_then(|acks| Some((acks.id.clone()?, acks.received)));
        let (id, received) = acks.ok_or("there is no session to resume")?;
        let kept = std::mem::take(&mut self.inbox);
        (self.link, self.is_ended) = (Some(link), false);
        self.open().await?;
        self.sign_in().await?;
        self.write(&format!("<resume xmlns='{ACKS}' previd='{id}' h='{received}'/>")).await?;
        let answer = self.take().await?;
        self.inbox.extend(kept);
        if !answer.is("resumed", ACKS) {
            return Err(format!("the session is not resumed: {answer}"));
        }
        let resent = match &mut self.acks {
            Some(acks) => {
                acks.acknowledge(count(&answer));
                acks.sent.clone()
            }
            None => VecDeque::new(),
        };
        for stanza in resent {
            self.write(&stanza).await?;
        }
        Ok(())
    }

    /// Sends what a scenario says, as it is.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send(&mut self, xml: &str) -> Result<(), String> {
        let node = Node::parse(xml).ok();
        if let Some(node) = &node {
            self.note_presence(node);
            if node.is("enable", ACKS) {
                self.acks = Some(Acks::default());
            } else if let Some(acks) = self.acks.as_mut().filter(|_| is_stanza(node)) {
                acks.sent.push_back(xml.to_owned());
            }
        }
        self.write(xml).await
    }

    /// Closes its stream and waits until the server has done the same.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn close(&mut self) -> Result<(), String> {
        let close = match self.framing() {
            Framing::Tcp => "</stream:stream>".to_owned(),
            Framing::WebSocket => format!("<close xmlns='{FRAMES}'/>"),
        };
        self.write(&close).await?;
        self.is_available = false;
        self.ended().await
    }

    /// Waits until the server has ended the stream.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ended(&mut self) -> Result<(), String> {
        while !self.is_ended {
            self.wait().await?;
        }
        self.cut();
        Ok(())
    }

    /// Loses the connection.
    pub fn cut(&mut self) {
        self.link = None;
        self.reader = Reader::default();
    }

    /// Whether it has a connection.
    pub fn is_connected(&self) -> bool {
        self.link.is_some()
    }

    /// Whether it has bound its resource.
    pub fn is_bound(&self) -> bool {
        self.jid.is_some()
    }

    /// Its name in the scenario.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Its framing, which it keeps without a connection.
    pub fn framing(&self) -> Framing {
        self.link.as_ref().map_or(Framing::Tcp, Link::framing)
    }

    /// What came and was not asked for.
    pub fn inbox(&mut self) -> &mut VecDeque<Node> {
        &mut self.inbox
    }

    /// Waits for the next element. `None`: the server has ended the stream.
    ///
    /// # Errors
    /// When nothing comes.
    pub async fn next(&mut self) -> Result<Option<Node>, String> {
        loop {
            if let Some(node) = self.inbox.pop_front() {
                return Ok(Some(node));
            }
            if self.is_ended || self.link.is_none() {
                return Ok(None);
            }
            self.wait().await?;
        }
    }

    /// Reads what there is, without waiting.
    ///
    /// # Errors
    /// When it is no XML.
    pub async fn read_all(&mut self) -> Result<(), String> {
        while !self.is_ended && self.link.is_some() {
            match tokio::time::timeout(Duration::ZERO, self.receive()).await {
                Ok(sent) => self.take_in(sent).await?,
                Err(_) => break,
            }
        }
        Ok(())
    }

    async fn take(&mut self) -> Result<Node, String> {
        let ended = || format!("the server has ended the stream of {}", self.name);
        let ended = ended();
        self.next().await?.ok_or(ended)
    }

    async fn wait(&mut self) -> Result<(), String> {
        let sent = tokio::time::timeout(PATIENCE, self.receive());
        let sent = sent.await.map_err(|_| "nothing".to_owned())?;
        self.take_in(sent).await
    }

    async fn receive(&mut self) -> Option<Sent> {
        match &mut self.link {
            Some(link) => poll_fn(|cx| link.poll_receive(cx)).await,
            None => None,
        }
    }

    /// Opens the stream, under TLS when that is offered, up to its features.
    async fn open(&mut self) -> Result<Node, String> {
        let features = self.header().await?;
        if features.child("starttls", TLS).is_none() {
            return Ok(features);
        }
        self.write(&format!("<starttls xmlns='{TLS}'/>")).await?;
        let answer = self.take().await?;
        if !answer.is("proceed", TLS) {
            return Err(format!("STARTTLS is refused: {answer}"));
        }
        let link = self.link.take().ok_or("the connection is gone")?;
        self.link = Some(link.secure(&self.name.domain).await?);
        self.header().await
    }

    async fn header(&mut self) -> Result<Node, String> {
        self.reader = Reader::default();
        let to = self.name.domain.clone();
        let header = match self.framing() {
            Framing::Tcp => format!(
                "<?xml version='1.0'?><stream:stream to='{to}' version='1.0' \
                 xmlns='{CLIENT}' xmlns:stream='{STREAMS}'>"
            ),
            Framing::WebSocket => format!("<open xmlns='{FRAMES}' to='{to}' version='1.0'/>"),
        };
        self.write(&header).await?;
        let features = self.take().await?;
        if features.is("features", STREAMS) {
            Ok(features)
        } else {
            Err(format!("expected stream features, got {features}"))
        }
    }

    async fn write(&mut self, xml: &str) -> Result<(), String> {
        let framing = self.framing();
        let Some(link) = &mut self.link else {
            return Err(format!("{} has no connection", self.name));
        };
        match framing {
            Framing::Tcp => link.send(xml).await,
            Framing::WebSocket => link.send(&standalone(xml)).await,
        }
    }

    async fn take_in(&mut self, sent: Option<Sent>) -> Result<(), String> {
        let mut pieces = Vec::new();
        match sent {
            None => self.is_ended = true,
            Some(Sent::Ping) => {
                if let Some(link) = &mut self.link {
                    link.pong().await?;
                }
            }
            Some(Sent::Data(data)) => match self.framing() {
                Framing::Tcp => self.reader.read(&data, &mut |piece| pieces.push(piece))?,
                Framing::WebSocket => pieces.push(message(&data)?),
            },
        }
        for piece in pieces {
            match piece {
                Piece::Header(_) => {}
                Piece::Footer => self.is_ended = true,
                Piece::Element(node) => {
                    self.answer(&node).await?;
                    self.inbox.push_back(node);
                }
            }
        }
        Ok(())
    }

    /// Does what a client must do with what comes.
    async fn answer(&mut self, node: &Node) -> Result<(), String> {
        if is_stanza(node) {
            if let Some(acks) = self.acks.as_mut().filter(|acks| acks.is_enabled) {
                acks.received += 1;
            }
            if node.name == "iq" && node.child("ping", PING).is_some() {
                let id = node.attribute("id").unwrap_or_default();
                return self.send(&format!("<iq type='result' id='{id}'/>")).await;
            }
        }
        let Some(acks) = self.acks.as_mut().filter(|_| node.namespace == ACKS) else {
            return Ok(());
        };
        match node.name.as_str() {
            "enabled" => {
                acks.is_enabled = true;
                acks.id = node.attribute("id").map(str::to_owned);
            }
            "r" => {
                let h = acks.received;
                return self.write(&format!("<a xmlns='{ACKS}' h='{h}'/>")).await;
            }
            "a" => acks.acknowledge(count(node)),
            _ => {}
        }
        Ok(())
    }

    fn note_presence(&mut self, node: &Node) {
        if node.is("presence", CLIENT) && node.attribute("to").is_none() {
            match node.attribute("type") {
                None => self.is_available = true,
                Some("unavailable") => self.is_available = false,
                Some(_) => {}
            }
        }
    }
}

impl Acks {
    fn acknowledge(&mut self, h: u32) {
        while self.acknowledged < h && self.sent.pop_front().is_some() {
            self.acknowledged += 1;
        }
    }
}

/// What the client has answered by itself, or need not answer: a scenario need not mention it.
pub(crate) fn is_noise(node: &Node) -> bool {
    let is_ack = node.namespace == ACKS && matches!(node.name.as_str(), "r" | "a");
    is_ack || (node.is("iq", CLIENT) && node.child("ping", PING).is_some())
}

fn is_stanza(node: &Node) -> bool {
    node.namespace == CLIENT && matches!(node.name.as_str(), "message" | "presence" | "iq")
}

fn count(node: &Node) -> u32 {
    node.attribute("h").and_then(|h| h.parse().ok()).unwrap_or_default()
}

/// A WebSocket message: a whole document.
fn message(data: &[u8]) -> Result<Piece, String> {
    let mut pieces = Vec::new();
    // It must stand alone, so nothing declares a namespace around it.
    let wrapped = [b"<message-of-websocket>", data, b"</message-of-websocket>"].concat();
    Reader::default().read(&wrapped, &mut |piece| pieces.push(piece))?;
    match (pieces.len(), pieces.into_iter().nth(1)) {
        (3, Some(Piece::Element(node))) if node.namespace == FRAMES => Ok(match &node.name[..] {
            "close" => Piece::Footer,
            _ => Piece::Header(node),
        }),
        (3, Some(piece)) => Ok(piece),
        _ => Err(format!("not one element: {}", String::from_utf8_lossy(data))),
    }
}

/// On a WebSocket every stanza declares its namespace.
fn standalone(xml: &str) -> String {
    let end = xml.find('>').unwrap_or(xml.len());
    let name = xml.find(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>'));
    match name {
        Some(name) if xml.starts_with('<') && name > 1 && !xml[..end].contains("xmlns=") => {
            format!("{} xmlns='{CLIENT}'{}", &xml[..name], &xml[name..])
        }
        _ => xml.to_owned(),
    }
}

/// RFC 4648 §4, for the one token that a client needs.
fn base64(data: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in data.chunks(3) {
        let byte = |index| u32::from(chunk.get(index).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    text
}
