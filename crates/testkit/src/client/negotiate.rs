//! From a connection to a session: TLS, sign-in, a resource, or an earlier session resumed.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::acks::ACKS;
use super::connection::Connection;
use super::{Client, STREAMS};
use crate::link::Link;
use crate::node::{CLIENT, Node};
use crate::world::PASSWORD;

const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
const BIND: &str = "urn:ietf:params:xml:ns:xmpp-bind";
const ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-streams";

impl Client {
    /// Opens a stream on `link`, under TLS when that is offered, up to its features.
    pub(super) async fn open(&mut self, link: Link) -> Result<(), String> {
        self.connection = Some(Connection::new(link));
        let features = self.read_features().await?;
        if features.child("starttls", TLS).is_none() {
            return Ok(());
        }
        self.write(&format!("<starttls xmlns='{TLS}'/>")).await?;
        let answer = self.take().await?;
        if !answer.is("proceed", TLS) {
            return Err(format!("STARTTLS is refused: {answer}"));
        }
        let connection = self.connection.take().ok_or("the connection is gone")?;
        self.connection = Some(Box::pin(connection.secure(&self.name.domain)).await?);
        self.read_features().await.map(drop)
    }

    /// Authenticates; binds nothing.
    ///
    /// # Errors
    /// What the server answered instead.
    pub async fn sign_in(&mut self) -> Result<(), String> {
        let token = BASE64_STANDARD.encode(format!("\0{}\0{PASSWORD}", self.name.local));
        self.write(&format!("<auth xmlns='{SASL}' mechanism='PLAIN'>{token}</auth>")).await?;
        let answer = self.take().await?;
        if !answer.is("success", SASL) {
            return Err(format!("{} cannot sign in: {answer}", self.name));
        }
        self.read_features().await.map(drop)
    }

    /// Binds its resource.
    ///
    /// # Errors
    /// What the server answered instead.
    pub async fn bind(&mut self) -> Result<(), String> {
        let resource = self.name.resource.clone();
        let bind = format!("<bind xmlns='{BIND}'><resource>{resource}</resource></bind>");
        self.write(&format!("<iq xmlns='{CLIENT}' type='set' id='bind'>{bind}</iq>")).await?;
        let answer = self.take().await?;
        let jid = answer.child("bind", BIND).and_then(|bind| bind.child("jid", BIND));
        let wanted = format!("{}/{resource}", self.name.account());
        match jid {
            Some(jid) if jid.text == wanted => Ok(()),
            _ => Err(format!("{} cannot bind: {answer}", self.name)),
        }
    }

    /// Resumes its session on a new connection, and sends again what did not arrive. A connection
    /// that it still has must end with `<conflict/>`.
    ///
    /// # Errors
    /// What the server answered instead.
    pub async fn resume(&mut self, link: Link) -> Result<(), String> {
        let acks = self.acks.as_ref().and_then(|acks| Some((acks.id.clone()?, acks.received())));
        let (id, received) = acks.ok_or("there is no session to resume")?;
        let (kept, older) = (std::mem::take(&mut self.inbox), self.connection.take());
        self.open(link).await?;
        self.sign_in().await?;
        self.write(&format!("<resume xmlns='{ACKS}' previd='{id}' h='{received}'/>")).await?;
        let answer = self.take().await?;
        let replayed = std::mem::replace(&mut self.inbox, kept);
        self.inbox.extend(replayed);
        if !answer.is("resumed", ACKS) {
            return Err(format!("the session is not resumed: {answer}"));
        }
        let Some(acks) = &mut self.acks else { return Ok(()) };
        acks.acknowledge(&answer)?;
        for stanza in acks.open() {
            self.write(&stanza).await?;
        }
        match older {
            Some(older) => expect_conflict(older).await,
            None => Ok(()),
        }
    }

    async fn read_features(&mut self) -> Result<Node, String> {
        let Some(connection) = &mut self.connection else { return Err(self.cut_off()) };
        connection.open_as(&self.name.domain, self.says.as_deref()).await?;
        let features = self.take().await?;
        if features.is("features", STREAMS) {
            self.features = features.clone();
            Ok(features)
        } else {
            Err(format!("expected stream features, got {features}"))
        }
    }

    async fn take(&mut self) -> Result<Node, String> {
        let ended = format!("the server has ended the stream of {}", self.name);
        self.next().await?.ok_or(ended)
    }
}

/// XEP-0198 §5: the server "SHOULD terminate" the older stream, with `<conflict/>`.
async fn expect_conflict(mut connection: Connection) -> Result<(), String> {
    let mut last = None;
    while !connection.is_ended {
        last = connection.wait().await?.pop().or(last);
    }
    match last {
        Some(node) if node.child("conflict", ERRORS).is_some() => Ok(()),
        other => Err(format!("the older connection ended with {other:?}")),
    }
}
