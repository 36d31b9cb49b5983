//! A client that signs in by itself, answers what a client must answer, and otherwise says only
//! what it is told to say.

mod acks;
mod component;
mod connection;
mod negotiate;

use std::collections::VecDeque;

use crate::link::Link;
use crate::node::{CLIENT, Node};
use crate::script::Name;
use acks::{ACKS, Acks, is_stanza};
use connection::Connection;

const STREAMS: &str = "http://etherx.jabber.org/streams";
const PING: &str = "urn:xmpp:ping";
const BIND2: &str = "urn:xmpp:bind:0";

/// One client with its connection, if it has one.
pub struct Client {
    name: Name,
    connection: Option<Connection>,
    /// What came and was not asked for yet.
    inbox: VecDeque<Node>,
    is_available: bool,
    acks: Option<Acks>,
    /// Who it says it is in the header of a stream.
    says: Option<String>,
    features: Node,
}

impl Client {
    /// Opens a stream and reads the features.
    ///
    /// # Errors
    /// What went wrong, in words.
    pub async fn connect(name: Name, link: Link) -> Result<Self, String> {
        Self::connect_as(name, link, None).await
    }

    /// The same for one who says in the header who it is.
    ///
    /// # Errors
    /// What went wrong, in words.
    pub async fn connect_as(name: Name, link: Link, who: Option<&str>) -> Result<Self, String> {
        let mut client = Self { says: who.map(str::to_owned), ..Self::new(name) };
        client.open(link).await?;
        Ok(client)
    }

    fn new(name: Name) -> Self {
        let (inbox, features) = (VecDeque::new(), Node::default());
        let connection = None;
        Self { name, connection, inbox, is_available: false, acks: None, says: None, features }
    }

    /// What the server offered last.
    pub fn features(&self) -> &Node {
        &self.features
    }

    /// What binds something to this very connection, if it has TLS.
    pub fn exporter(&self) -> Option<[u8; 32]> {
        self.connection.as_ref()?.exporter()
    }

    /// Its name in the scenario.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Whether it has a connection.
    pub fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// Whether it has told everybody that it is there.
    pub fn is_available(&self) -> bool {
        self.is_available
    }

    /// What the server called its session, if that can be resumed.
    pub fn session(&self) -> Option<&str> {
        self.acks.as_ref()?.id.as_deref()
    }

    /// How many of its stanzas the server has not acknowledged yet.
    pub fn unacknowledged(&self) -> usize {
        self.acks.as_ref().map_or(0, |acks| acks.open().len())
    }

    /// What came and was not asked for.
    pub fn inbox(&mut self) -> &mut VecDeque<Node> {
        &mut self.inbox
    }

    /// Sends what a scenario says, as it is.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send(&mut self, xml: &str) -> Result<(), String> {
        if let Ok(node) = Node::parse(xml) {
            self.note_presence(&node);
            // Alone, or along with the authentication.
            let inline = node.child("bind", BIND2).and_then(|bind| bind.child("enable", ACKS));
            if inline.unwrap_or(&node).is("enable", ACKS) {
                self.acks = Some(Acks::default());
            } else if let Some(acks) = self.acks.as_mut().filter(|_| is_stanza(&node)) {
                acks.keep(xml);
            }
        }
        self.write(xml).await
    }

    /// Closes its stream and waits until the server has done the same.
    ///
    /// # Errors
    /// When the server does not.
    pub async fn close(&mut self) -> Result<(), String> {
        let Some(connection) = &mut self.connection else { return Err(self.cut_off()) };
        connection.close().await?;
        self.ended().await
    }

    /// Waits until the server has ended the stream.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ended(&mut self) -> Result<(), String> {
        while self.connection.as_ref().is_some_and(|connection| !connection.is_ended) {
            self.wait().await?;
        }
        self.is_available = false;
        self.cut();
        Ok(())
    }

    /// Loses the connection.
    pub fn cut(&mut self) {
        self.connection = None;
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
            if self.connection.as_ref().is_none_or(|connection| connection.is_ended) {
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
        while let Some(connection) = &mut self.connection {
            match connection.look().await? {
                Some(nodes) => self.take_in(nodes).await?,
                None => break,
            }
        }
        Ok(())
    }

    async fn wait(&mut self) -> Result<(), String> {
        let Some(connection) = &mut self.connection else { return Err(self.cut_off()) };
        let nodes = connection.wait().await?;
        self.take_in(nodes).await
    }

    async fn write(&mut self, xml: &str) -> Result<(), String> {
        match &mut self.connection {
            Some(connection) => connection.write(xml).await,
            None => Err(self.cut_off()),
        }
    }

    async fn take_in(&mut self, nodes: Vec<Node>) -> Result<(), String> {
        for node in nodes {
            self.answer(&node).await?;
            self.inbox.push_back(node);
        }
        Ok(())
    }

    /// Does what a client must do with what comes.
    async fn answer(&mut self, node: &Node) -> Result<(), String> {
        if let Some(acks) = self.acks.as_mut().filter(|_| is_stanza(node)) {
            acks.count();
        }
        if is_ping(node) {
            let id = node.attribute("id").unwrap_or_default();
            let ends = match (node.attribute("from"), node.attribute("to")) {
                // A component says who speaks to whom.
                (Some(from), Some(to)) if !to.contains('@') => format!("from='{to}' to='{from}'"),
                _ => String::new(),
            };
            return self.send(&format!("<iq type='result' id='{id}' {ends}/>")).await;
        }
        let bound = node.child("bound", BIND2).and_then(|bound| bound.child("enabled", ACKS));
        let node = bound.unwrap_or(node);
        let Some(acks) = self.acks.as_mut().filter(|_| node.namespace == ACKS) else {
            return Ok(());
        };
        match node.name.as_str() {
            "enabled" => acks.enable(node),
            "a" => acks.acknowledge(node)?,
            "r" => {
                let h = acks.received();
                return self.write(&format!("<a xmlns='{ACKS}' h='{h}'/>")).await;
            }
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

    fn cut_off(&self) -> String {
        format!("{} has no connection", self.name)
    }
}

/// What the client has answered by itself, or need not answer: a scenario need not mention it.
pub(crate) fn is_noise(node: &Node) -> bool {
    let is_ack = node.namespace == ACKS && matches!(node.name.as_str(), "r" | "a");
    is_ack || is_ping(node)
}

/// A question of the server whether the client is still there.
fn is_ping(node: &Node) -> bool {
    let is_from_server = node.attribute("from").is_none_or(|from| !from.contains('@'));
    node.is("iq", CLIENT) && is_from_server && node.child("ping", PING).is_some()
}
