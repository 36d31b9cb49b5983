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
        let (head, mistake) = head(&element).ok_or(Malformed::UnknownElement)?;
        let mistake = mistake.or_else(|| check_iq(&element, &head));
        let body = match element.into_content() {
            content if content.is_empty() => Body::nothing(),
            content => Arc::new(Body::from(content)),
        };
        let stanza = Stanza { head, body };
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

/// The head, and a mistake in it; `None` when the element is no stanza.
fn head(element: &Element) -> Option<(Head, Option<StanzaError>)> {
    if !is_content(element.namespace()) {
        return None;
    }
    let mut type_name = None;
    let mut mistake = None;
    let (mut from, mut to, mut id, mut lang) = (None, None, None, None);
    for (name, value) in element.attributes() {
        match name {
            "type" => type_name = Some(value),
            "from" => from = address("from", &value, &mut mistake),
            "to" => to = address("to", &value, &mut mistake),
            "id" => id = Some(Arc::from(value)),
            "xml:lang" => lang = Some(Arc::from(value)),
            _ => {}
        }
    }
    let (kind, is_known) = kind(element.name(), type_name.as_deref())?;
    if !is_known {
        mistake = Some(StanzaError::bad_request().text("the type is missing or unknown"));
    }
    Some((Head { kind, from, to, id, lang }, mistake))
}

/// The kind, and whether the type is one; where it is not, a kind that can be answered.
fn kind(element: &str, type_name: Option<&str>) -> Option<(Kind, bool)> {
    Some(match element {
        "message" => (Kind::Message(MessageType::read(type_name)), true),
        "presence" => {
            let kind = PresenceType::read(type_name);
            (Kind::Presence(kind.unwrap_or(PresenceType::Available)), kind.is_some())
        }
        "iq" => {
            let kind = IqType::read(type_name);
            (Kind::Iq(kind.unwrap_or(IqType::Get)), kind.is_some())
        }
        _ => return None,
    })
}

fn address(name: &str, text: &str, mistake: &mut Option<StanzaError>) -> Option<Jid> {
    match Jid::new(text) {
        Ok(jid) => Some(jid),
        Err(error) => {
            *mistake = Some(StanzaError::jid_malformed().text(format!("'{name}': {error}")));
            None
        }
    }
}

/// RFC 6120 §8.2.3: "The 'id' attribute is REQUIRED for IQ stanzas." and "An IQ stanza of type
/// "get" or "set" MUST contain exactly one child element".
fn check_iq(element: &Element, head: &Head) -> Option<StanzaError> {
    let Kind::Iq(kind) = head.kind else { return None };
    if head.id.is_none() {
        return Some(StanzaError::bad_request().text("an iq must have an id"));
    }
    let is_request = matches!(kind, IqType::Get | IqType::Set);
    (is_request && element.children().count() != 1)
        .then(|| StanzaError::bad_request().text("a request must have exactly one child"))
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
