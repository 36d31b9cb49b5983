//! One element per message (RFC 7395 §3.3).

use waxwing_xml::{Element, Event, Limits, XmlError, write};

use crate::error::StreamError;
use crate::framing::Header;
use crate::role::Role;

/// Writes `<open/>`. Strophe wants `<open xmlns` at the very start of the message.
pub(crate) fn open(role: Role, header: &Header<'_>, out: &mut String) {
    element("open", role, out);
    header.write(out);
    out.push_str(" />");
}

/// Writes `<close/>`: these bytes and no others, Strophe compares the text.
pub(crate) fn close(role: Role, out: &mut String) {
    element("close", role, out);
    out.push_str(" />");
}

/// Writes `<close see-other-uri=''/>` (§3.6.1).
pub(crate) fn redirect(uri: &str, out: &mut String) {
    element("close", Role::Client, out);
    write::attribute(out, "see-other-uri", uri);
    out.push_str(" />");
}

fn element(name: &str, role: Role, out: &mut String) {
    out.push('<');
    out.push_str(name);
    out.push_str(" xmlns=\"");
    out.push_str(role.framing());
    out.push('"');
}

/// Reads one message. A declaration is tolerated before `<open/>` only: old clients send one.
pub(crate) fn read(
    message: &[u8],
    limits: &Limits,
    role: Role,
    opening: bool,
) -> Result<Event, XmlError> {
    let element = waxwing_xml::parse(message, limits, role.content(), opening)?;
    Ok(match element.name() {
        "open" if element.namespace() == role.framing() => Event::Header(element),
        "close" if element.namespace() == role.framing() => Event::Footer,
        _ => Event::Element(element),
    })
}

/// What is wrong with a first message that is not `<open/>`.
pub(crate) fn not_an_opening(element: &Element, role: Role) -> StreamError {
    match (element.name(), element.namespace()) {
        ("message" | "presence" | "iq", content) if content == role.content() => {
            StreamError::not_authorized()
        }
        (_, framing) if framing == role.framing() => StreamError::bad_format(),
        // RFC 7395 §3.3.2: framing elements in another namespace.
        _ => StreamError::invalid_namespace(),
    }
}
