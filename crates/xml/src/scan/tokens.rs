//! Everything but start tags: character data, CDATA, end tags, and what is refused.

use memchr::{memchr2, memchr3};

use super::{Around, Fault, Found, Goal, Scan, Step};
use crate::{
    XmlError,
    chars::{is_space, text_stop},
    tag::{self, Stop, noncharacter, reference},
    walk::CDATA,
};

/// Longest XML declaration. `<?xml version='1.0' encoding='utf-8' standalone='yes'?>` has 55.
const DECLARATION_BYTES: usize = 128;

impl Scan {
    /// Character data up to the next `<`. False: the bytes end first.
    pub(super) fn text(&mut self, bytes: &[u8]) -> Result<bool, Fault> {
        if self.open.is_empty() {
            return self.refuse("character data outside of an element", self.pos + 1);
        }
        loop {
            self.pos = text_stop(bytes, self.pos);
            let Some(&byte) = bytes.get(self.pos) else { return Ok(false) };
            let next = match byte {
                b'<' => return Ok(true),
                b'\t' | b'\n' | b'\r' => Ok(self.pos + 1),
                b'&' => reference(bytes, self.pos),
                b']' => section_end(bytes, self.pos),
                0xEF => noncharacter(bytes, self.pos),
                _ => tag::bad("a control character"),
            };
            match next {
                Ok(next) => self.pos = next,
                Err(Stop::More) => return Ok(false),
                Err(Stop::Bad(error)) => {
                    let seen = seen(bytes, self.pos);
                    return Err(Fault { error, seen });
                }
            }
        }
    }

    /// The rest of a CDATA section. False: the bytes end first.
    pub(super) fn cdata(&mut self, bytes: &[u8]) -> Result<bool, Fault> {
        loop {
            self.pos = text_stop(bytes, self.pos);
            let Some(&byte) = bytes.get(self.pos) else { return Ok(false) };
            let next = match byte {
                b'\t' | b'\n' | b'\r' | b'<' | b'&' => Ok(self.pos + 1),
                b']' => match section_end(bytes, self.pos) {
                    Err(Stop::Bad(_)) => {
                        self.pos += "]]>".len();
                        self.in_cdata = false;
                        return Ok(true);
                    }
                    other => other,
                },
                0xEF => noncharacter(bytes, self.pos),
                _ => tag::bad("a control character"),
            };
            match next {
                Ok(next) => self.pos = next,
                Err(Stop::More) => return Ok(false),
                Err(Stop::Bad(error)) => {
                    let seen = seen(bytes, self.pos);
                    return Err(Fault { error, seen });
                }
            }
        }
    }

    /// `ETag ::= '</' Name S? '>'`.
    pub(super) fn end_tag(
        &mut self,
        bytes: &[u8],
        around: Around<'_>,
    ) -> Result<Option<Step>, Found> {
        let name = match self.open.last() {
            Some(open) => {
                let start = open.name_start as usize;
                &bytes[start..start + open.name_len as usize]
            }
            None if self.goal == Goal::Element => around.root.as_bytes(),
            None => return Err(Stop::Bad(XmlError::NotWellFormed("nothing to end")).into()),
        };
        let rest = &bytes[self.pos + 2..];
        let here = rest.len().min(name.len());
        let end = tag::spaces(bytes, self.pos + 2 + here);
        // XML 1.0 §3: "The Name in an element's end-tag MUST match the element type in the
        // start-tag."
        let is_match = rest[..here] == name[..here];
        if is_match && here < name.len() {
            return Err(Stop::More.into());
        }
        if !is_match || tag::byte(bytes, end)? != b'>' {
            let error = XmlError::NotWellFormed("an end tag does not match its start tag");
            return Err(Stop::Bad(error).into());
        }
        self.step_over_tag(end + 1);
        Ok(if self.open.is_empty() { Some(Step::Footer) } else { self.leave() })
    }

    /// `<!`: only a CDATA section inside an element is allowed.
    pub(super) fn bang(&mut self, bytes: &[u8]) -> Result<Option<Step>, Found> {
        let rest = &bytes[self.pos..];
        let common = rest.iter().zip(CDATA.as_bytes()).take_while(|(a, b)| a == b).count();
        if common == CDATA.len() && !self.open.is_empty() {
            self.pos += CDATA.len();
            self.in_cdata = true;
            return Ok(None);
        }
        if common == rest.len() {
            return Ok(Some(Step::More));
        }
        let seen = self.pos + common + 1;
        let error = match rest.get(2) {
            Some(b'-') => XmlError::Restricted("a comment"),
            Some(b'D') => XmlError::Restricted("a document type declaration"),
            _ => XmlError::NotWellFormed("<! that starts nothing known"),
        };
        Err(Fault { error, seen: seen.min(bytes.len()) }.into())
    }

    /// `<?`: only an XML declaration before the root is allowed.
    pub(super) fn question(&mut self, bytes: &[u8]) -> Result<Option<Step>, Found> {
        let allowed = match self.goal {
            Goal::Header { declaration } | Goal::Document { declaration } => {
                declaration && self.pos == 0
            }
            Goal::Element => false,
        };
        let error = XmlError::Restricted("a processing instruction");
        if !allowed {
            return Err(Fault { error, seen: self.pos + 2 }.into());
        }
        let window = &bytes[..bytes.len().min(DECLARATION_BYTES)];
        let common = window.iter().zip(b"<?xml").take_while(|(a, b)| a == b).count();
        if common < 5 && common < window.len() {
            return Err(Fault { error, seen: common + 1 }.into());
        }
        match window.windows(2).position(|pair| pair == b"?>") {
            None if window.len() < DECLARATION_BYTES => Ok(Some(Step::More)),
            None => self.refuse("an endless XML declaration", window.len()),
            Some(end) => {
                let seen = end + 2;
                check_declaration(&window[5..end]).map_err(|error| Fault { error, seen })?;
                self.pos = seen;
                Ok(Some(Step::Declaration))
            }
        }
    }

    /// The end of the unfinished tag at `pos`: just after its `>`, or after a `<`, which no tag
    /// may contain.
    pub(super) fn find_tail(&mut self, bytes: &[u8]) -> Option<usize> {
        self.tail = self.tail.max(self.pos + 1);
        loop {
            let rest = &bytes[self.tail..];
            let hit = match self.quote {
                0 => {
                    let markup = memchr2(b'<', b'>', rest).unwrap_or(rest.len());
                    memchr2(b'\'', b'"', &rest[..markup])
                        .or((markup < rest.len()).then_some(markup))
                }
                quote => memchr3(quote, b'<', quote, rest),
            };
            let Some(hit) = hit else {
                self.tail = bytes.len();
                return None;
            };
            let found = rest[hit];
            if found == b'<' || found == b'>' {
                // Stays where it is, so that asking again gives the same answer.
                self.tail += hit;
                return Some(self.tail + 1);
            }
            self.tail += hit + 1;
            self.quote = if self.quote == 0 { found } else { 0 };
        }
    }

    fn refuse<T, E: From<Fault>>(&self, reason: &'static str, seen: usize) -> Result<T, E> {
        Err(Fault { error: XmlError::NotWellFormed(reason), seen }.into())
    }
}

/// Steps over a `]`, unless it begins `]]>`.
///
/// XML 1.0 §2.4: "The right angle bracket (>) … MUST, for compatibility, be escaped … when it
/// appears in the string "]]>" in content".
fn section_end(bytes: &[u8], at: usize) -> Result<usize, Stop> {
    if tag::byte(bytes, at + 1)? == b']' && tag::byte(bytes, at + 2)? == b'>' {
        return tag::bad("]]> in character data");
    }
    Ok(at + 1)
}

/// How many bytes a fault in the token at `pos` has been found by.
fn seen(bytes: &[u8], pos: usize) -> usize {
    match bytes[pos] {
        b'&' => {
            let mut end =
                (pos + 1 + usize::from(bytes.get(pos + 1) == Some(&b'#'))).min(bytes.len());
            while end < bytes.len() && crate::chars::is_reference(bytes[end]) && end - pos < 32 {
                end += 1;
            }
            (end + 1).min(bytes.len())
        }
        b']' | 0xEF => (pos + 3).min(bytes.len()),
        _ => pos + 1,
    }
}

/// XML 1.0 §2.8: `XMLDecl ::= '<?xml' VersionInfo EncodingDecl? SDDecl? S? '?>'`, of which this
/// gets what is between `<?xml` and `?>`.
fn check_declaration(inside: &[u8]) -> Result<(), XmlError> {
    let malformed = XmlError::NotWellFormed("a malformed XML declaration");
    let mut rest = std::str::from_utf8(inside).map_err(|_| malformed)?;
    let mut expected = ["version", "encoding", "standalone"].iter();
    let mut is_first = true;
    loop {
        let trimmed = rest.trim_start_matches(|c: char| c.is_ascii() && is_space(c as u8));
        if trimmed.is_empty() {
            return if is_first { Err(malformed) } else { Ok(()) };
        }
        if trimmed.len() == rest.len() {
            return Err(malformed);
        }
        let (name, value, after) = pseudo_attribute(trimmed).ok_or(malformed)?;
        if is_first && name != "version" || !expected.any(|known| *known == name) {
            return Err(malformed);
        }
        match name {
            "version" if value != "1.0" => {
                return Err(XmlError::NotWellFormed("an XML version other than 1.0"));
            }
            // RFC 6120 §11.6: "implementations MUST support and use [UTF-8]".
            "encoding" if !value.eq_ignore_ascii_case("utf-8") => {
                return Err(XmlError::Encoding("an encoding other than UTF-8"));
            }
            "standalone" if value != "yes" && value != "no" => return Err(malformed),
            _ => {}
        }
        is_first = false;
        rest = after;
    }
}

/// Splits `name = 'value' rest`.
fn pseudo_attribute(text: &str) -> Option<(&str, &str, &str)> {
    let space = |c: char| c.is_ascii() && is_space(c as u8);
    let (name, rest) = text.split_once('=')?;
    let rest = rest.trim_start_matches(space);
    let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let (value, rest) = rest[1..].split_once(quote)?;
    Some((name.trim_end_matches(space), value, rest))
}
