//! How a stream opens, closes and is cut into elements: the only differences between transports.

pub(crate) mod tcp;
pub(crate) mod websocket;

use waxwing_xml::{Element, write};

use crate::error::StreamError;

/// What our header says.
pub(crate) struct Header<'a> {
    pub(crate) from: Option<&'a str>,
    pub(crate) to: Option<&'a str>,
    /// Only who is called gives a stream its id (RFC 6120 §4.7.3).
    pub(crate) id: Option<&'a str>,
    pub(crate) lang: &'a str,
}

impl Header<'_> {
    /// The attributes that both framings share.
    fn write(&self, out: &mut String) {
        if let Some(from) = self.from {
            write::attribute(out, "from", from);
        }
        if let Some(to) = self.to {
            write::attribute(out, "to", to);
        }
        if let Some(id) = self.id {
            write::attribute(out, "id", id);
        }
        out.push_str(" version=\"1.0\"");
        write::attribute(out, "xml:lang", self.lang);
    }
}

/// RFC 6120 §4.7.5: 1.0 is the answer to any version from 1.0 up; without a version the peer is
/// older than XMPP.
pub(crate) fn check_version(header: &Element) -> Result<(), StreamError> {
    let version = header.attribute("version").unwrap_or_default();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_zero = |text: &str| text.bytes().all(|b| b == b'0');
    match version.split_once('.') {
        Some((major, minor)) if is_number(major) && is_number(minor) && !is_zero(major) => Ok(()),
        _ => Err(StreamError::unsupported_version()),
    }
}
