//! Cuts what a server sends on TCP into its elements.
//!
//! A server that is measured speaks XMPP's restricted XML: no comments, no CDATA. So tags and
//! quotes are all there is to see; nothing is checked, to leave the processor to the server.

/// Bytes that came, and how far they have been looked at.
#[derive(Default)]
pub(super) struct Cutter {
    bytes: Vec<u8>,
    /// Where the next element begins.
    start: usize,
    /// Everything before is inside the element and has been seen.
    seen: usize,
    depth: usize,
}

impl Cutter {
    /// Adds what came.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.start == self.bytes.len() {
            self.bytes.clear();
            (self.start, self.seen) = (0, 0);
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole element. A stream header counts as one, and so does its end tag.
    pub(super) fn next(&mut self) -> Option<&str> {
        loop {
            let open = self.seen + position(&self.bytes[self.seen..], b'<')?;
            let close = open + tag_end(&self.bytes[open..])?;
            let tag = &self.bytes[open..=close];
            if self.depth == 0 {
                self.start = open;
            }
            self.seen = close + 1;
            match tag {
                [b'<', b'?', ..] => continue,
                _ if is_stream(tag) => self.depth = 0,
                [b'<', b'/', ..] => self.depth = self.depth.saturating_sub(1),
                [.., b'/', b'>'] => {}
                _ => self.depth += 1,
            }
            if self.depth == 0 {
                let start = std::mem::replace(&mut self.start, self.seen);
                return std::str::from_utf8(&self.bytes[start..self.seen]).ok();
            }
        }
    }
}

fn position(bytes: &[u8], wanted: u8) -> Option<usize> {
    bytes.iter().position(|byte| *byte == wanted)
}

/// The `>` of a tag, which may also stand in a quoted value.
fn tag_end(tag: &[u8]) -> Option<usize> {
    let mut quote = None;
    tag.iter().position(|byte| {
        match (quote, *byte) {
            (None, b'>') => return true,
            (None, b'\'' | b'"') => quote = Some(*byte),
            (Some(mark), byte) if mark == byte => quote = None,
            _ => {}
        }
        false
    })
}

fn is_stream(tag: &[u8]) -> bool {
    tag.starts_with(b"<stream:stream") || tag.starts_with(b"</stream:stream")
}

/// The value of an attribute of the element's own tag, as it is written.
pub(crate) fn attribute<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    let tag = &element[..=tag_end(element.as_bytes())?];
    tag.match_indices(name).find_map(|(at, _)| {
        let before = tag[..at].chars().next_back()?;
        let value = tag[at + name.len()..].strip_prefix('=')?;
        let quote = value.chars().next()?;
        let inside = value[1..].split_once(quote)?.0;
        before.is_ascii_whitespace().then_some(inside)
    })
}

/// The text between the element's own tags.
pub(crate) fn text(element: &str) -> &str {
    let inner = element.split_once('>').and_then(|(_, rest)| rest.rsplit_once("</"));
    inner.map_or("", |(text, _)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "<?xml version='1.0'?><stream:stream id='>'><stream:features><a/><b>x</b>\
                          </stream:features><r/> <message id='1'><body>a &gt; b</body></message>";

    #[test]
    fn elements_come_whole_however_they_arrive() {
        for step in [1, 7, STREAM.len()] {
            let mut cutter = Cutter::default();
            let mut found = Vec::new();
            for piece in STREAM.as_bytes().chunks(step) {
                cutter.push(piece);
                while let Some(element) = cutter.next() {
                    found.push(element.to_owned());
                }
            }
            assert_eq!(found[0], "<stream:stream id='>'>");
            assert_eq!(found[1], "<stream:features><a/><b>x</b></stream:features>");
            assert_eq!(found[2], "<r/>");
            assert_eq!(found[3], "<message id='1'><body>a &gt; b</body></message>");
            assert_eq!(found.len(), 4);
        }
    }

    #[test]
    fn attributes_are_those_of_the_first_tag() {
        let element = "<iq xid='0' id=\"7\" type='get'><ping id='8'/></iq>";
        assert_eq!(attribute(element, "id"), Some("7"));
        assert_eq!(attribute(element, "type"), Some("get"));
        assert_eq!(attribute(element, "from"), None);
        assert_eq!(text("<a b='c'>text</a>"), "text");
    }
}
