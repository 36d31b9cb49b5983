//! From an element to a stanza, or to what must be done about it.

use std::fmt;
use std::sync::Arc;

use waxwing_jid::Jid;
use waxwing_xml::{Element, XmlError};

use crate::body::OWN;
use crate::{
    Body, CLIENT, Head, IqType, Kind, MessageType, PresenceType, Stanza, StanzaError, is_content,
};

/// What to do with an element that is no proper stanza.
#[derive(Clone, Debug)]
pub enum Malformed {
    /// No stanza at all: the stream ends with `unsupported-stanza-type` (RFC 6120 §4.9.3.24).
    UnknownElement,
    /// A stanza with a mistake: what could be read of it, for [`Stanza::error_reply`], and the
    /// error to send back.
    Stanza(Box<(Stanza, StanzaError)>),
    /// A mistake in what must not be answered (an error, or the result of a request).
    Ignore,
}

/// Why a stored text is no stanza.
#[derive(Clone, Debug)]
pub enum StoredError {
    /// It is not XML.
    Xml(XmlError),
    /// It is not a proper stanza.
    Malformed(Malformed),
}

impl Stanza {
    /// Reads a stanza in one of the content namespaces.
    ///
    /// # Errors
    /// When the element is no stanza, an address is none, an iq has no id, no type, or as a
    /// request not exactly one child, or the type of a presence is unknown.
    pub fn read(element: Element) -> Result<Stanza, Malformed> {
        let (kind, unknown_type) = kind(&element).ok_or(Malformed::UnknownElement)?;
        let mut mistake = unknown_type.then(|| StanzaError::bad_request().text("unknown type"));
        let mut note = |error: StanzaError| {
            mistake.get_or_insert(error);
        };
        let mut head = Head::new(kind);
        head.id = element.attribute("id").map(Arc::from);
        head.lang = element.lang().map(Arc::from);
        match address(&element, "from") {
            Ok(from) => head.from = from,
            Err(error) => note(error),
        }
        match address(&element, "to") {
            Ok(to) => head.to = to,
            Err(error) => note(error),
        }
        if let Err(error) = check_iq(&element, &head) {
            note(error);
        }
        let stanza = Stanza { head, body: Arc::new(Body::from(element.into_content())) };
        match mistake {
            None => Ok(stanza),
            Some(error) if stanza.is_answerable() => {
                Err(Malformed::Stanza(Box::new((stanza, error))))
            }
            Some(_) => Err(Malformed::Ignore),
        }
    }

    /// Reads a stanza that was written with `xmlns`, such as a stored one.
    ///
    /// # Errors
    /// When the text is not XML or not a stanza.
    pub fn parse(text: &str) -> Result<Stanza, StoredError> {
        let element = waxwing_xml::parse(text.as_bytes(), &OWN, CLIENT, false);
        Stanza::read(element.map_err(StoredError::Xml)?).map_err(StoredError::Malformed)
    }
}

/// The kind, and whether its type had to be made up.
fn kind(element: &Element) -> Option<(Kind, bool)> {
    if !is_content(element.namespace()) {
        return None;
    }
    let name = element.attribute("type");
    let name = name.as_deref();
    Some(match element.name() {
        "message" => (Kind::Message(MessageType::read(name)), false),
        "presence" => match PresenceType::read(name) {
            Some(kind) => (Kind::Presence(kind), false),
            None => (Kind::Presence(PresenceType::Available), true),
        },
        "iq" => match IqType::read(name) {
            Some(kind) => (Kind::Iq(kind), false),
            None => (Kind::Iq(IqType::Get), true),
        },
        _ => return None,
    })
}

fn address(element: &Element, name: &str) -> Result<Option<Jid>, StanzaError> {
    let Some(text) = element.attribute(name) else { return Ok(None) };
    let jid = Jid::new(&text);
    jid.map(Some).map_err(|error| StanzaError::jid_malformed().text(format!("'{name}': {error}")))
}

/// RFC 6120 §8.2.3: "The 'id' attribute is REQUIRED for IQ stanzas." and "An IQ stanza of type
/// "get" or "set" MUST contain exactly one child element".
fn check_iq(element: &Element, head: &Head) -> Result<(), StanzaError> {
    let Kind::Iq(kind) = head.kind else { return Ok(()) };
    if head.id.is_none() {
        return Err(StanzaError::bad_request().text("an iq must have an id"));
    }
    let is_request = matches!(kind, IqType::Get | IqType::Set);
    if is_request && element.children().count() != 1 {
        return Err(StanzaError::bad_request().text("a request must have exactly one child"));
    }
    Ok(())
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::UnknownElement => f.write_str("the element is no stanza"),
            Malformed::Stanza(mistake) => mistake.1.fmt(f),
            Malformed::Ignore => f.write_str("an answer with a mistake"),
        }
    }
}

impl std::error::Error for Malformed {}

impl fmt::Display for StoredError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoredError::Xml(error) => error.fmt(f),
            StoredError::Malformed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StoredError {}
