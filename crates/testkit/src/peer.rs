//! Another server that a scenario speaks for. A raw one says and gets the bytes of a stream; one
//! that is not raw proves itself when it must and speaks in stanzas.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use waxwing_kernel::clock::Clock;

use crate::node::{CLIENT, Node, Piece, Reader};
use crate::roads::{CableEnd, Roads};

/// The content namespace of streams between servers.
const SERVER: &str = "jabber:server";
const STREAMS: &str = "http://etherx.jabber.org/streams";
const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
const DIALBACK: &str = "jabber:server:dialback";

/// One connection of another server.
pub struct Line {
    end: CableEnd,
    reader: Reader,
    /// The other side has ended the stream, or the connection.
    is_ended: bool,
    inbox: VecDeque<Node>,
}

impl Line {
    /// On this connection.
    pub fn new(end: CableEnd) -> Self {
        Self { end, reader: Reader::default(), is_ended: false, inbox: VecDeque::new() }
    }

    /// The same under TLS.
    #[must_use]
    pub fn secured(self) -> Self {
        Self { end: self.end.secured(), reader: Reader::default(), ..self }
    }

    /// Sends these bytes.
    pub fn send(&self, text: &str) {
        self.end.send(text.as_bytes());
    }

    /// Whether the other side has ended it.
    pub fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// What came: the header of a stream as an element without content, then its elements.
    ///
    /// # Errors
    /// When it is no XML.
    pub fn look(&mut self) -> Result<&mut VecDeque<Node>, String> {
        let mut cx = Context::from_waker(Waker::noop());
        while !self.is_ended {
            match self.end.poll_receive(&mut cx) {
                Poll::Pending => break,
                Poll::Ready(None) => self.is_ended = true,
                Poll::Ready(Some(data)) => self.read(&data)?,
            }
        }
        Ok(&mut self.inbox)
    }

    fn read(&mut self, data: &[u8]) -> Result<(), String> {
        // A stream that begins anew, on the same connection.
        if data.starts_with(b"<?xml") || data.starts_with(b"<stream:stream") {
            self.reader = Reader::default();
        }
        let (inbox, is_ended) = (&mut self.inbox, &mut self.is_ended);
        self.reader.read(data, &mut |piece| match piece {
            Piece::Header(node) | Piece::Element(node) => inbox.push_back(as_client(node)),
            Piece::Footer => *is_ended = true,
        })
    }
}

/// What comes to a server, as it would come to a client.
fn as_client(mut node: Node) -> Node {
    if node.namespace == SERVER {
        node.namespace = CLIENT.to_owned();
    }
    node.children = node.children.into_iter().map(as_client).collect();
    node
}

/// A server that proves itself, and lets everybody prove themselves.
pub struct Peer {
    domain: String,
    talks: Vec<Talk>,
    inbox: VecDeque<Node>,
}

/// A connection, and how far it got.
struct Talk {
    line: Line,
    /// As whom the peer speaks.
    own: String,
    /// The domain that was called; none for a call of the other side.
    called: Option<String>,
    stage: Stage,
    /// What is said once it may be.
    waiting: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    New,
    Proven,
    Open,
}

impl Peer {
    /// The server of `domain`, without connections.
    pub fn new(domain: &str) -> Self {
        Self { domain: domain.to_owned(), talks: Vec::new(), inbox: VecDeque::new() }
    }

    /// What came, but for what was answered.
    pub fn inbox(&mut self) -> &mut VecDeque<Node> {
        &mut self.inbox
    }

    /// Loses all connections.
    pub fn cut(&mut self) {
        self.talks.clear();
    }

    /// Closes all streams properly.
    pub fn close(&mut self) {
        for talk in &self.talks {
            talk.line.send("</stream:stream>");
        }
    }

    /// How many of its connections are there.
    pub fn count(&self) -> usize {
        self.talks.iter().filter(|talk| !talk.line.is_ended()).count()
    }

    /// Sends a stanza to the domain of its `to`, over a stream of its own from the domain of its
    /// `from`, if that is one of this server, to that domain.
    ///
    /// # Errors
    /// When it has no `to`, or nobody is there.
    pub fn send(&mut self, roads: &Roads, clock: &Clock, xml: &str) -> Result<(), String> {
        let node = Node::parse(xml)?;
        let domain = |name| node.attribute(name).map(domain_of);
        let to = domain("to").ok_or("a server says to whom it speaks")?;
        let below = format!(".{}", self.domain);
        let from = domain("from").filter(|from| from.ends_with(&below));
        let from = from.unwrap_or_else(|| self.domain.clone());
        let is_it = |talk: &&mut Talk| {
            let is_called = talk.called.as_ref().is_some_and(|called| *called == to);
            is_called && talk.own == from && !talk.line.is_ended()
        };
        if let Some(talk) = self.talks.iter_mut().find(is_it) {
            match talk.stage {
                Stage::Open => talk.line.send(xml),
                _ => talk.waiting.push(xml.to_owned()),
            }
            return Ok(());
        }
        let line = Line::new(roads.call(clock, (&from, &to), true)?);
        line.send(&header(&from, &to, None));
        let waiting = vec![xml.to_owned()];
        let talk = Talk { line, own: from, called: Some(to), stage: Stage::New, waiting };
        self.talks.push(talk);
        Ok(())
    }

    /// Answers calls and what must be answered. Whether there was anything.
    ///
    /// # Errors
    /// What the other side said that it should not have said.
    pub fn attend(&mut self, roads: &Roads) -> Result<bool, String> {
        let mut is_busy = false;
        while let Some(end) = roads.answer(&self.domain) {
            let (line, waiting) = (Line::new(end), Vec::new());
            let (own, stage) = (self.domain.clone(), Stage::New);
            self.talks.push(Talk { line, own, called: None, stage, waiting });
            is_busy = true;
        }
        for talk in &mut self.talks {
            while let Some(node) = talk.line.look()?.pop_front() {
                is_busy = true;
                let rest = match talk.called.is_some() {
                    true => talk.on_answer(node)?,
                    false => talk.on_call(node),
                };
                self.inbox.extend(rest);
            }
        }
        self.talks.retain(|talk| !talk.line.is_ended());
        Ok(is_busy)
    }
}

impl Talk {
    /// On a stream of ours: we prove who we are by our certificate. Gives back what comes after.
    fn on_answer(&mut self, node: Node) -> Result<Option<Node>, String> {
        let (own, to) = (self.own.as_str(), self.called.as_deref().unwrap_or_default());
        match (&*node.name, &*node.namespace) {
            ("stream", STREAMS) => {}
            ("features", STREAMS) if self.stage == Stage::New => {
                let offer = node.child("mechanisms", SASL);
                let is_offered = offer.is_some_and(|all| {
                    all.children.iter().any(|mechanism| mechanism.text == "EXTERNAL")
                });
                if !is_offered {
                    return Err(format!("{to} does not let {own} in by its certificate: {node}"));
                }
                let who = BASE64_STANDARD.encode(own);
                let auth = format!("<auth xmlns='{SASL}' mechanism='EXTERNAL'>{who}</auth>");
                self.line.send(&auth);
            }
            ("success", SASL) => {
                self.stage = Stage::Proven;
                self.line.send(&header(own, to, None));
            }
            ("features", STREAMS) => {
                self.stage = Stage::Open;
                for xml in std::mem::take(&mut self.waiting) {
                    self.line.send(&xml);
                }
            }
            _ if self.stage == Stage::Open => return Ok(Some(node)),
            _ => return Err(format!("{to} says to {own}: {node}")),
        }
        Ok(None)
    }

    /// On a stream of the other side: it proves who it is by its certificate or by dialback, and
    /// is believed. Gives back what is neither.
    fn on_call(&mut self, node: Node) -> Option<Node> {
        match (&*node.name, &*node.namespace) {
            ("stream", STREAMS) => {
                let from = node.attribute("from").unwrap_or_default();
                let to = node.attribute("to").unwrap_or(&self.own);
                self.line.send(&header(to, from, Some("peer")));
                let features = match self.stage {
                    Stage::New => format!(
                        "<mechanisms xmlns='{SASL}'><mechanism>EXTERNAL</mechanism></mechanisms>\
                         <dialback xmlns='urn:xmpp:features:dialback'/>"
                    ),
                    _ => String::new(),
                };
                self.line.send(&format!("<stream:features>{features}</stream:features>"));
            }
            ("auth", SASL) => {
                self.stage = Stage::Proven;
                self.line.send(&format!("<success xmlns='{SASL}'/>"));
            }
            ("result", DIALBACK) => {
                let end = |name| node.attribute(name).unwrap_or_default().to_owned();
                let (from, to) = (end("to"), end("from"));
                let valid = format!("<db:result from='{from}' to='{to}' type='valid'/>");
                self.line.send(&valid);
            }
            _ => return Some(node),
        }
        None
    }
}

/// The header of a stream between servers.
pub fn header(from: &str, to: &str, id: Option<&str>) -> String {
    let id = id.map(|id| format!(" id='{id}'")).unwrap_or_default();
    format!(
        "<?xml version='1.0'?><stream:stream from='{from}' to='{to}'{id} version='1.0' \
         xmlns='{SERVER}' xmlns:stream='{STREAMS}' xmlns:db='{DIALBACK}'>"
    )
}

/// The domain of an address.
fn domain_of(jid: &str) -> String {
    let bare = jid.split_once('/').map_or(jid, |(bare, _)| bare);
    bare.split_once('@').map_or(bare, |(_, domain)| domain).to_owned()
}
