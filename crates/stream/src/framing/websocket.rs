//! One element per message (RFC 7395 §3.3).

use waxwing_xml::{Element, Event, Limits, XmlError, write};

use crate::error::StreamError;
use crate::framing::Header;
use crate::{CLIENT, FRAMING};

/// Writes `<open/>`. Strophe wants `<open xmlns` at the very start of the message.
pub(crate) fn open(header: &Header<'_>, out: &mut String) {
    out.push_str("<open xmlns=\"urn:ietf:params:xml:ns:xmpp-framing\"");
    header.write(out);
    out.push_str(" />");
}

/// Writes `<close/>`: these bytes and no others, Strophe compares the text.
pub(crate) fn close(out: &mut String) {
    out.push_str("<close xmlns=\"urn:ietf:params:xml:ns:xmpp-framing\" />");
}

/// Writes `<close see-other-uri=''/>` (§3.6.1).
pub(crate) fn redirect(uri: &str, out: &mut String) {
    out.push_str("<close xmlns=\"urn:ietf:params:xml:ns:xmpp-framing\"");
    write::attribute(out, "see-other-uri", uri);
    out.push_str(" />");
}

/// Reads one message. A declaration is tolerated before `<open/>` only: old clients send one.
pub(crate) fn read(message: &[u8], limits: &Limits, opening: bool) -> Result<Event, XmlError> {
    let element = waxwing_xml::parse(message, limits, CLIENT, opening)?;
    Ok(match element.name() {
        "open" if element.namespace() == FRAMING => Event::Header(element),
        "close" if element.namespace() == FRAMING => Event::Footer,
        _ => Event::Element(element),
    })
}

/// What is wrong with a first message that is not `<open/>`.
pub(crate) fn not_an_opening(element: &Element) -> StreamError {
    match (element.name(), element.namespace()) {
        ("message" | "presence" | "iq", CLIENT) => StreamError::not_authorized(),
        (_, FRAMING) => StreamError::bad_format(),
        // RFC 7395 §3.3.2: framing elements in another namespace.
        _ => StreamError::invalid_namespace(),
    }
}
