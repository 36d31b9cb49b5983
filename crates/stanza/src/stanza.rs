//! The stanza itself: building, writing, answering.

use std::sync::Arc;

use waxwing_jid::Jid;

use crate::{Body, Head, IqType, Kind, MessageType, PresenceType, StanzaError};

/// A message, presence or iq: a head of its own and a body that copies share.
#[derive(Clone, Debug)]
pub struct Stanza {
    /// The start tag.
    pub head: Head,
    /// The children.
    pub body: Arc<Body>,
}

impl Stanza {
    /// A message without addresses or children.
    pub fn message(kind: MessageType) -> Stanza {
        Stanza::new(Kind::Message(kind))
    }

    /// A presence without addresses or children.
    pub fn presence(kind: PresenceType) -> Stanza {
        Stanza::new(Kind::Presence(kind))
    }

    /// An iq without addresses or children. It needs an [`id`](Stanza::id).
    pub fn iq(kind: IqType) -> Stanza {
        Stanza::new(Kind::Iq(kind))
    }

    fn new(kind: Kind) -> Stanza {
        Stanza { head: Head::new(kind), body: Body::nothing() }
    }

    /// Sets the sender.
    pub fn from(mut self, from: impl Into<Jid>) -> Stanza {
        self.head.from = Some(from.into());
        self
    }

    /// Sets the addressee.
    pub fn to(mut self, to: impl Into<Jid>) -> Stanza {
        self.head.to = Some(to.into());
        self
    }

    /// Sets the id.
    pub fn id(mut self, id: impl Into<Arc<str>>) -> Stanza {
        self.head.id = Some(id.into());
        self
    }

    /// Adds a child: a well-formed element with its own `xmlns`, or none if it is in the
    /// content namespace.
    pub fn with(mut self, xml: impl Into<Arc<str>>) -> Stanza {
        self.body_mut().append(xml);
        self
    }

    /// The children for changing; copied first when other stanzas share them.
    pub fn body_mut(&mut self) -> &mut Body {
        Arc::make_mut(&mut self.body)
    }

    /// Appends the stanza to `out`. `xmlns` is needed where the surroundings do not give the
    /// content namespace: on WebSocket, and inside another element or a store.
    pub fn write(&self, out: &mut String, xmlns: Option<&str>) {
        self.head.write(out, xmlns);
        if self.body.is_empty() {
            out.push_str("/>");
            return;
        }
        out.push('>');
        self.body.write(out);
        out.push_str("</");
        out.push_str(self.head.kind.element());
        out.push('>');
    }

    /// The error to send back, or `None` where nothing may be sent back.
    ///
    /// RFC 6120 §8.3.1: "An entity that receives an error stanza MUST NOT respond to the stanza
    /// with a further error stanza; this helps to prevent looping." And §8.2.3: "An entity that
    /// receives a stanza of type "result" or "error" MUST NOT respond to the stanza by sending a
    /// further IQ response of type "result" or "error"".
    ///
    /// The answer goes from the addressee back to the sender with the same id. It does not
    /// repeat what was sent: §8.3.1 leaves that open, and the sender has it.
    pub fn error_reply(&self, error: &StanzaError) -> Option<Stanza> {
        if !self.is_answerable() {
            return None;
        }
        let mut xml = String::with_capacity(160);
        error.write(&mut xml);
        let reply = self.reply(self.head.kind.error());
        Some(match &error.beside {
            Some(beside) => reply.with(&**beside).with(xml),
            None => reply.with(xml),
        })
    }

    /// The answer to a request, from its addressee back to its sender.
    pub fn result(&self, payload: Option<String>) -> Stanza {
        let reply = self.reply(Kind::Iq(IqType::Result));
        match payload {
            Some(xml) => reply.with(xml),
            None => reply,
        }
    }

    fn reply(&self, kind: Kind) -> Stanza {
        let mut head = Head::new(kind);
        head.from.clone_from(&self.head.to);
        head.to.clone_from(&self.head.from);
        head.id.clone_from(&self.head.id);
        Stanza { head, body: Body::nothing() }
    }

    /// Whether this is an iq that must be answered: a get or a set.
    pub fn is_request(&self) -> bool {
        matches!(self.head.kind, Kind::Iq(IqType::Get | IqType::Set))
    }

    /// Whether its type is `error`.
    pub fn is_error(&self) -> bool {
        self.head.kind.is_error()
    }

    /// Whether an error may be sent back: not to an error, and not to the result of a request.
    pub fn is_answerable(&self) -> bool {
        !self.is_error() && self.head.kind != Kind::Iq(IqType::Result)
    }

    /// The error inside a stanza of type `error`.
    pub fn error(&self) -> Option<StanzaError> {
        if !self.is_error() {
            return None;
        }
        self.body.children().find_map(StanzaError::read)
    }
}
