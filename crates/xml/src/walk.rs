//! Finding one's way in text that the scanner has already accepted.
//!
//! Nothing here checks anything; a position that cannot exist is taken as the end of the text.

use memchr::{memchr, memchr3, memmem};

/// Start of a CDATA section.
pub(crate) const CDATA: &str = "<![CDATA[";

/// The end of the start tag that begins at `at`.
pub(crate) fn tag_end(text: &str, mut at: usize) -> usize {
    let bytes = text.as_bytes();
    loop {
        match memchr3(b'>', b'\'', b'"', &bytes[at..]) {
            None => return bytes.len(),
            Some(found) if bytes[at + found] == b'>' => return at + found + 1,
            Some(found) => {
                let quote = bytes[at + found];
                at += found + 1;
                at += memchr(quote, &bytes[at..]).map_or(bytes.len() - at, |end| end + 1);
            }
        }
    }
}

/// The end of the name that begins at `at`.
pub(crate) fn name_end(text: &str, at: usize) -> usize {
    let ends = |&b: &u8| matches!(b, b' ' | b'\t' | b'\r' | b'\n' | b'/' | b'>' | b'=');
    text.as_bytes()[at..].iter().position(ends).map_or(text.len(), |end| at + end)
}

/// The end of the element that begins at `at`.
fn element_end(text: &str, mut at: usize) -> usize {
    let mut depth = 0usize;
    loop {
        match text.as_bytes().get(at + 1) {
            None => return text.len(),
            Some(b'!') => at = cdata_end(text, at),
            Some(b'/') => {
                at = tag_end(text, at);
                depth -= 1;
            }
            Some(_) => {
                at = tag_end(text, at);
                depth += usize::from(!text[..at].ends_with("/>"));
            }
        }
        if depth == 0 {
            return at;
        }
        at += memchr(b'<', &text.as_bytes()[at..]).unwrap_or(text.len() - at);
    }
}

fn cdata_end(text: &str, at: usize) -> usize {
    memmem::find(&text.as_bytes()[at..], b"]]>").map_or(text.len(), |end| at + end + 3)
}

/// One thing directly inside an element.
pub(crate) enum Node<'a> {
    /// Where an element starts and ends.
    Element(usize, usize),
    Text(&'a str),
    Cdata(&'a str),
}

/// Walks over what is directly between `at` and `end`.
#[derive(Clone)]
pub(crate) struct Nodes<'a> {
    pub(crate) text: &'a str,
    pub(crate) at: usize,
    pub(crate) end: usize,
}

impl<'a> Nodes<'a> {
    /// What is inside the element `text[start..end]`.
    pub(crate) fn inside(text: &'a str, start: usize, end: usize) -> Self {
        let at = tag_end(text, start);
        let is_empty = at >= end;
        let close = memchr::memrchr(b'<', &text.as_bytes()[start..end]).map_or(end, |c| start + c);
        Self { text, at: at.min(end), end: if is_empty { at.min(end) } else { close } }
    }
}

impl<'a> Iterator for Nodes<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        let start = self.at;
        if start >= self.end {
            return None;
        }
        let rest = &self.text[start..self.end];
        if rest.starts_with(CDATA) {
            self.at = cdata_end(self.text, start);
            return Some(Node::Cdata(&self.text[start + CDATA.len()..self.at - 3]));
        }
        if rest.starts_with('<') {
            self.at = element_end(self.text, start);
            return Some(Node::Element(start, self.at));
        }
        self.at = memchr(b'<', rest.as_bytes()).map_or(self.end, |end| start + end);
        Some(Node::Text(&self.text[start..self.at]))
    }
}

/// One attribute as it is written.
pub(crate) struct RawAttribute<'a> {
    /// Where its name starts in the text.
    pub(crate) at: usize,
    pub(crate) name: &'a str,
    pub(crate) value: &'a str,
}

/// The attributes of one start tag.
#[derive(Clone)]
pub(crate) struct RawAttributes<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> RawAttributes<'a> {
    /// Of the start tag that begins at `start`.
    pub(crate) fn new(text: &'a str, start: usize) -> Self {
        Self { text, at: name_end(text, start + 1) }
    }
}

impl<'a> Iterator for RawAttributes<'a> {
    type Item = RawAttribute<'a>;

    fn next(&mut self) -> Option<RawAttribute<'a>> {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        let at = self.at;
        if matches!(bytes.get(at), None | Some(b'/' | b'>')) {
            return None;
        }
        let end = name_end(self.text, at);
        let name = &self.text[at..end];
        let quote = end + bytes[end..].iter().position(|b| matches!(b, b'\'' | b'"'))?;
        let len = memchr(bytes[quote], &bytes[quote + 1..])?;
        self.at = quote + len + 2;
        Some(RawAttribute { at, name, value: &self.text[quote + 1..quote + 1 + len] })
    }
}
