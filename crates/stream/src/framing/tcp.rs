//! One document per stream (RFC 6120 §4).

use waxwing_xml::{Element, write};

use crate::error::StreamError;
use crate::framing::Header;
use crate::{CLIENT, COMPONENT, DIALBACK, SERVER, STREAM};

/// Writes `<stream:stream>`.
pub(crate) fn open(header: &Header<'_>, out: &mut String) {
    out.push_str("<?xml version='1.0'?><stream:stream");
    header.write(out);
    write::attribute(out, "xmlns", CLIENT);
    write::attribute(out, "xmlns:stream", STREAM);
    out.push('>');
}

/// The same to a component: XEP-0114 §3 knows no version, and its headers have none.
pub(crate) fn open_to_component(header: &Header<'_>, out: &mut String) {
    out.push_str("<?xml version='1.0'?><stream:stream");
    if let Some(from) = header.from {
        write::attribute(out, "from", from);
    }
    if let Some(id) = header.id {
        write::attribute(out, "id", id);
    }
    write::attribute(out, "xmlns", COMPONENT);
    write::attribute(out, "xmlns:stream", STREAM);
    out.push('>');
}

/// The same to a server. XEP-0220 §2.4.1: "Support for the traditional server dialback protocol …
/// is indicated by inclusion of the dialback namespace declaration in the stream header", and
/// "some existing implementations and deployments might accept only the "db" prefix".
pub(crate) fn open_to_server(header: &Header<'_>, out: &mut String) {
    out.push_str("<?xml version='1.0'?><stream:stream");
    header.write(out);
    write::attribute(out, "xmlns", SERVER);
    write::attribute(out, "xmlns:db", DIALBACK);
    write::attribute(out, "xmlns:stream", STREAM);
    out.push('>');
}

/// Writes `</stream:stream>`.
pub(crate) fn close(out: &mut String) {
    out.push_str("</stream:stream>");
}

/// RFC 6120 §4.8: the root is `stream` in the streams namespace, and the content namespace, if
/// the header declares one, is `content`.
pub(crate) fn check(header: &Element, content: &str) -> Result<(), StreamError> {
    if header.namespace() != STREAM {
        return Err(StreamError::invalid_namespace());
    }
    if header.name() != "stream" {
        return Err(StreamError::bad_format());
    }
    match content_namespace(header.as_str()) {
        // §4.8.3: or the streams namespace is the default, and every stanza declares its own.
        None | Some(STREAM) => Ok(()),
        Some(declared) if declared == content => Ok(()),
        Some(_) => Err(StreamError::invalid_namespace()),
    }
}

/// The default namespace that a start tag, known to be well-formed, declares for its content.
fn content_namespace(tag: &str) -> Option<&str> {
    let mut rest = tag.split_once(|c: char| c.is_ascii_whitespace())?.1;
    loop {
        let (name, after) = rest.split_once('=')?;
        let value = after.trim_ascii_start();
        let (value, behind) = value.get(1..)?.split_once(value.get(..1)?)?;
        if name.trim_ascii() == "xmlns" {
            return Some(value);
        }
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_declaration_is_found_among_the_attributes() {
        assert_eq!(content_namespace("<a xmlns='x'>"), Some("x"));
        assert_eq!(content_namespace("<a b=\" xmlns='y'\"\n xmlns = \"x\" >"), Some("x"));
        assert_eq!(content_namespace("<a b=' xmlns=\"y\"' xmlns:c='z'>"), None);
        assert_eq!(content_namespace("<a>"), None);
    }
}
