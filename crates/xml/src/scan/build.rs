//! Making the element out of a finished scan.

use super::Scan;
use crate::{
    Limits, XmlError,
    element::{Doc, Element},
    namespaces::{Bound, Outer},
    rewrite,
};

impl Scan {
    /// The piece that ends at `pos`: an element, or the start tag of the root.
    #[inline]
    pub(crate) fn take_element(
        &mut self,
        bytes: &[u8],
        outer: &Outer,
        limits: &Limits,
    ) -> Result<Element, XmlError> {
        let text = utf8(&bytes[..self.pos])?;
        if self.rewrite {
            return rewrite::element(text, outer, limits);
        }
        Ok(self.build(text, outer))
    }

    /// The element with this text, whose children can be forwarded as they are written.
    #[inline]
    pub(crate) fn build(&mut self, text: &str, outer: &Outer) -> Element {
        debug_assert!(!self.rewrite, "children are in their final form");
        let bound = match self.bound {
            Bound::Outer(index) => {
                self.extra.decoded.push(outer.name(index).into());
                Bound::Decoded(self.extra.decoded.len() as u32 - 1)
            }
            bound => bound,
        };
        let is_plain = self.extra.declarations.is_empty() && self.extra.decoded.is_empty();
        let doc = Doc {
            text: text.into(),
            content: outer.content.clone(),
            children: std::mem::take(&mut self.children),
            extra: if is_plain { None } else { Some(Box::new(std::mem::take(&mut self.extra))) },
        };
        Element { doc, name_start: self.name_start, name_len: self.name_len, bound }
    }
}

/// RFC 6120 §11.6: "If a server detects that … the data is not UTF-8 … unsupported-encoding".
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, XmlError> {
    simdutf8::basic::from_utf8(bytes).map_err(|_| XmlError::Encoding("not UTF-8"))
}

/// Checks what can be checked from `from` on, and tells how far that is: a character may be
/// missing its end.
pub(crate) fn utf8_from(bytes: &[u8], from: usize) -> Result<usize, XmlError> {
    let rest = &bytes[from..];
    if simdutf8::basic::from_utf8(rest).is_ok() {
        return Ok(bytes.len());
    }
    match std::str::from_utf8(rest) {
        Err(error) if error.error_len().is_some() => Err(XmlError::Encoding("not UTF-8")),
        Err(error) => Ok(from + error.valid_up_to()),
        Ok(_) => Ok(bytes.len()),
    }
}
