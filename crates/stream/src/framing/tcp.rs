//! One document per stream (RFC 6120 §4).

use waxwing_xml::{Element, write};

use crate::error::StreamError;
use crate::framing::Header;
use crate::{CLIENT, STREAM};

/// Writes `<stream:stream>`.
pub(crate) fn open(header: &Header<'_>, out: &mut String) {
    out.push_str("<?xml version='1.0'?><stream:stream");
    header.write(out);
    write::attribute(out, "xmlns", CLIENT);
    write::attribute(out, "xmlns:stream", STREAM);
    out.push('>');
}

/// Writes `</stream:stream>`.
pub(crate) fn close(out: &mut String) {
    out.push_str("</stream:stream>");
}

/// RFC 6120 §4.8: the root is `stream` in the streams namespace, and the content namespace, if
/// the header declares one, is that of clients.
pub(crate) fn check(header: &Element) -> Result<(), StreamError> {
    if header.namespace() != STREAM {
        return Err(StreamError::invalid_namespace());
    }
    if header.name() != "stream" {
        return Err(StreamError::bad_format());
    }
    match header.attribute("xmlns") {
        Some(content) if content != CLIENT => Err(StreamError::invalid_namespace()),
        _ => Ok(()),
    }
}
