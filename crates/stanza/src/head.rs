//! The half of a stanza that routing reads and rewrites.

use std::sync::Arc;

use waxwing_jid::Jid;
use waxwing_xml::write::attribute;

/// The start tag of a stanza (RFC 6120 §8.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The element and its `type`.
    pub kind: Kind,
    /// The sender; on what arrives from a client only after the server has stamped it.
    pub from: Option<Jid>,
    /// The addressee; missing means the account itself (RFC 6120 §10.3).
    pub to: Option<Jid>,
    /// What the sender matches answers with. Opaque, and never changed.
    pub id: Option<Arc<str>>,
    /// `xml:lang`, when the stanza has its own.
    pub lang: Option<Arc<str>>,
}

/// Which of the three stanzas it is, and its `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `<message/>`
    Message(MessageType),
    /// `<presence/>`
    Presence(PresenceType),
    /// `<iq/>`
    Iq(IqType),
}

/// RFC 6121 §5.2.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageType {
    /// Also every type that is missing or unknown.
    Normal,
    /// Part of a one-to-one conversation.
    Chat,
    /// From or to a room.
    Groupchat,
    /// An alert to which no reply is expected.
    Headline,
    /// An earlier message could not be delivered or processed.
    Error,
}

/// RFC 6121 §4.7.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PresenceType {
    /// The sender is here; written without `type`.
    Available,
    /// The sender is no longer available.
    Unavailable,
    /// The sender asks to see the presence of the addressee.
    Subscribe,
    /// The sender lets the addressee see its presence.
    Subscribed,
    /// The sender no longer wants to see the presence of the addressee.
    Unsubscribe,
    /// The addressee may not, or no longer, see the presence of the sender.
    Unsubscribed,
    /// A server asks for the current presence.
    Probe,
    /// An earlier presence could not be delivered or processed.
    Error,
}

/// RFC 6120 §8.2.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IqType {
    /// Asks for something.
    Get,
    /// Changes something.
    Set,
    /// Answers a get or a set.
    Result,
    /// Refuses a get or a set.
    Error,
}

impl Head {
    /// A head with nothing but its kind.
    pub fn new(kind: Kind) -> Head {
        Head { kind, from: None, to: None, id: None, lang: None }
    }

    /// Appends `<name` and the attributes, without the closing `>` or `/>`.
    pub(crate) fn write(&self, out: &mut String, xmlns: Option<&str>) {
        out.push('<');
        out.push_str(self.kind.element());
        if let Some(xmlns) = xmlns {
            attribute(out, "xmlns", xmlns);
        }
        if let Some(from) = &self.from {
            attribute(out, "from", from.as_str());
        }
        if let Some(to) = &self.to {
            attribute(out, "to", to.as_str());
        }
        if let Some(id) = &self.id {
            attribute(out, "id", id);
        }
        if let Some(name) = self.kind.type_name() {
            attribute(out, "type", name);
        }
        if let Some(lang) = &self.lang {
            attribute(out, "xml:lang", lang);
        }
    }
}

impl Kind {
    /// The local name of the element.
    pub fn element(self) -> &'static str {
        match self {
            Kind::Message(_) => "message",
            Kind::Presence(_) => "presence",
            Kind::Iq(_) => "iq",
        }
    }

    /// The value of `type`; `None` where the default is meant, which is then not written.
    pub fn type_name(self) -> Option<&'static str> {
        match self {
            Kind::Message(kind) => kind.name(),
            Kind::Presence(kind) => kind.name(),
            Kind::Iq(kind) => Some(kind.name()),
        }
    }

    /// Whether `type` is `error`.
    pub fn is_error(self) -> bool {
        self == self.error()
    }

    /// The same element with `type='error'`.
    pub fn error(self) -> Kind {
        match self {
            Kind::Message(_) => Kind::Message(MessageType::Error),
            Kind::Presence(_) => Kind::Presence(PresenceType::Error),
            Kind::Iq(_) => Kind::Iq(IqType::Error),
        }
    }
}

impl MessageType {
    /// RFC 6121 §5.2.2: "If an application receives a message with no 'type' attribute or the
    /// application does not understand the value of the 'type' attribute provided, it MUST
    /// consider the message to be of type "normal"".
    pub fn read(name: Option<&str>) -> MessageType {
        match name {
            Some("chat") => MessageType::Chat,
            Some("groupchat") => MessageType::Groupchat,
            Some("headline") => MessageType::Headline,
            Some("error") => MessageType::Error,
            _ => MessageType::Normal,
        }
    }

    /// The value of `type`; `None` for the default.
    pub fn name(self) -> Option<&'static str> {
        match self {
            MessageType::Normal => None,
            MessageType::Chat => Some("chat"),
            MessageType::Groupchat => Some("groupchat"),
            MessageType::Headline => Some("headline"),
            MessageType::Error => Some("error"),
        }
    }
}

impl PresenceType {
    /// Whether it manages a subscription (RFC 6121 §3).
    pub fn is_subscription(self) -> bool {
        matches!(self, Self::Subscribe | Self::Subscribed | Self::Unsubscribe | Self::Unsubscribed)
    }

    /// `None` when there is no such type (RFC 6121 §4.7.1 lists them all).
    pub fn read(name: Option<&str>) -> Option<PresenceType> {
        Some(match name {
            None => PresenceType::Available,
            Some("unavailable") => PresenceType::Unavailable,
            Some("subscribe") => PresenceType::Subscribe,
            Some("subscribed") => PresenceType::Subscribed,
            Some("unsubscribe") => PresenceType::Unsubscribe,
            Some("unsubscribed") => PresenceType::Unsubscribed,
            Some("probe") => PresenceType::Probe,
            Some("error") => PresenceType::Error,
            Some(_) => return None,
        })
    }

    /// The value of `type`; `None` for the default.
    pub fn name(self) -> Option<&'static str> {
        match self {
            PresenceType::Available => None,
            PresenceType::Unavailable => Some("unavailable"),
            PresenceType::Subscribe => Some("subscribe"),
            PresenceType::Subscribed => Some("subscribed"),
            PresenceType::Unsubscribe => Some("unsubscribe"),
            PresenceType::Unsubscribed => Some("unsubscribed"),
            PresenceType::Probe => Some("probe"),
            PresenceType::Error => Some("error"),
        }
    }
}

impl IqType {
    /// `None` when there is no such type; RFC 6120 §8.2.3 requires one of the four.
    pub fn read(name: Option<&str>) -> Option<IqType> {
        match name? {
            "get" => Some(IqType::Get),
            "set" => Some(IqType::Set),
            "result" => Some(IqType::Result),
            "error" => Some(IqType::Error),
            _ => None,
        }
    }

    /// The value of `type`.
    pub fn name(self) -> &'static str {
        match self {
            IqType::Get => "get",
            IqType::Set => "set",
            IqType::Result => "result",
            IqType::Error => "error",
        }
    }
}
