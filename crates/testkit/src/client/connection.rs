//! A stream on a link: elements in, elements out, in either framing.

use std::future::poll_fn;
use std::time::Duration;

use waxwing_stream::Framing;

use super::component::{COMPONENT, as_client};
use crate::link::{Link, Sent};
use crate::node::{CLIENT, Node, Piece, Reader};

pub(super) const FRAMES: &str = "urn:ietf:params:xml:ns:xmpp-framing";
const STREAMS: &str = "http://etherx.jabber.org/streams";

/// How long the server may take for what it owes. In memory it needs microseconds; a scenario that
/// fails waits so long once.
const PATIENCE: Duration = Duration::from_secs(2);

/// One connection to the server.
pub(super) struct Connection {
    link: Link,
    reader: Reader,
    /// The server has ended the stream.
    pub(super) is_ended: bool,
    /// The content namespace of the stream.
    content: &'static str,
    /// What the server called the stream.
    pub(super) id: Option<String>,
}

impl Connection {
    pub(super) fn new(link: Link) -> Self {
        let reader = Reader::default();
        Self { link, reader, is_ended: false, content: CLIENT, id: None }
    }

    /// The same for a component.
    pub(super) fn of_component(link: Link) -> Self {
        Self { content: COMPONENT, ..Self::new(link) }
    }

    /// Opens a stream, or a new one on the same link.
    pub(super) async fn open(&mut self, domain: &str) -> Result<(), String> {
        self.open_as(domain, None).await
    }

    /// The same for one who says in the header who it is.
    pub(super) async fn open_as(&mut self, domain: &str, who: Option<&str>) -> Result<(), String> {
        self.reader = Reader::default();
        let content = self.content;
        let from = who.map(|who| format!(" from='{who}'")).unwrap_or_default();
        let header = match self.link.framing() {
            Framing::Tcp => format!(
                "<?xml version='1.0'?><stream:stream to='{domain}'{from} version='1.0' \
                 xmlns='{content}' xmlns:stream='{STREAMS}'>"
            ),
            Framing::WebSocket => {
                format!("<open xmlns='{FRAMES}' to='{domain}'{from} version='1.0'/>")
            }
        };
        self.link.send(&header).await
    }

    /// What binds something to this very connection, if it has TLS.
    pub(super) fn exporter(&self) -> Option<[u8; 32]> {
        self.link.exporter()
    }

    /// Closes the stream.
    pub(super) async fn close(&mut self) -> Result<(), String> {
        match self.link.framing() {
            Framing::Tcp => self.link.send("</stream:stream>").await,
            Framing::WebSocket => self.link.send(&format!("<close xmlns='{FRAMES}'/>")).await,
        }
    }

    /// The same connection under TLS.
    pub(super) async fn secure(self, domain: &str) -> Result<Self, String> {
        self.link.secure(domain).await.map(Self::new)
    }

    pub(super) async fn write(&mut self, xml: &str) -> Result<(), String> {
        match self.link.framing() {
            Framing::Tcp => self.link.send(xml).await,
            Framing::WebSocket => self.link.send(&standalone(xml)).await,
        }
    }

    /// Waits for something; what came may be no whole element.
    pub(super) async fn wait(&mut self) -> Result<Vec<Node>, String> {
        let sent = tokio::time::timeout(PATIENCE, self.receive()).await;
        self.take_in(sent.map_err(|_| "nothing".to_owned())?).await
    }

    /// Reads what there is, without waiting. `None`: there is nothing.
    pub(super) async fn look(&mut self) -> Result<Option<Vec<Node>>, String> {
        if self.is_ended {
            return Ok(None);
        }
        match tokio::time::timeout(Duration::ZERO, self.receive()).await {
            Ok(sent) => self.take_in(sent).await.map(Some),
            Err(_) => Ok(None),
        }
    }

    async fn receive(&mut self) -> Option<Sent> {
        poll_fn(|cx| self.link.poll_receive(cx)).await
    }

    async fn take_in(&mut self, sent: Option<Sent>) -> Result<Vec<Node>, String> {
        let mut pieces = Vec::new();
        match sent {
            None => self.is_ended = true,
            Some(Sent::Ping) => self.link.pong().await?,
            Some(Sent::Body(body)) => {
                self.is_ended = bosh(&body, &mut pieces)?;
            }
            Some(Sent::Data(data)) => match self.link.framing() {
                Framing::Tcp => self.reader.read(&data, &mut |piece| pieces.push(piece))?,
                Framing::WebSocket => pieces.push(message(&data)?),
            },
        }
        let mut nodes = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Header(header) => self.id = header.attribute("id").map(str::to_owned),
                Piece::Element(node) if self.content == COMPONENT => nodes.push(as_client(node)),
                Piece::Element(node) => nodes.push(node),
                Piece::Footer => self.is_ended = true,
            }
        }
        Ok(nodes)
    }
}

/// A WebSocket message: a whole document, so nothing around it declares a namespace.
fn message(data: &[u8]) -> Result<Piece, String> {
    let mut pieces = Vec::new();
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

/// What stands in the `<body/>` of an answer, and whether it is the last.
fn bosh(body: &[u8], pieces: &mut Vec<Piece>) -> Result<bool, String> {
    let mut is_last = false;
    Reader::default().read(body, &mut |piece| match piece {
        Piece::Header(body) => is_last = body.attribute("type").is_some(),
        Piece::Element(_) => pieces.push(piece),
        Piece::Footer => {}
    })?;
    Ok(is_last)
}

/// RFC 7395 §3.3.3: on a WebSocket every stanza declares its namespace.
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
