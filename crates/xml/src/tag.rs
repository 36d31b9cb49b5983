//! The syntax of one start tag: names, attributes and references, without their meaning.

use smallvec::SmallVec;

use crate::{
    Limits, XmlError,
    chars::{is_char, is_reference, is_space, name_end, value_stop},
    decode,
};

/// Longest reference that is looked at. XML has no limit; the longest useful one has 10 bytes.
const REFERENCE_BYTES: usize = 32;

/// Why reading stopped.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The bytes end in the middle of something.
    More,
    Bad(XmlError),
}

impl From<XmlError> for Stop {
    fn from(error: XmlError) -> Self {
        Self::Bad(error)
    }
}

/// Where a qualified name is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QName {
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// Where the local part starts; `start` when there is no prefix.
    pub(crate) local: u32,
}

impl QName {
    pub(crate) fn whole<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        &bytes[self.start as usize..self.end as usize]
    }

    pub(crate) fn local<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        &bytes[self.local as usize..self.end as usize]
    }

    /// Empty when there is none.
    pub(crate) fn prefix<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        let end = if self.is_prefixed() { self.local - 1 } else { self.start };
        &bytes[self.start as usize..end as usize]
    }

    pub(crate) fn is_prefixed(&self) -> bool {
        self.local != self.start
    }
}

/// Where an attribute is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attribute {
    pub(crate) name: QName,
    pub(crate) value_start: u32,
    pub(crate) value_end: u32,
    /// The value means what it literally says.
    pub(crate) is_plain: bool,
}

impl Attribute {
    pub(crate) fn value<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        &bytes[self.value_start as usize..self.value_end as usize]
    }
}

/// The attributes of the tag at hand.
pub(crate) type Attributes = SmallVec<[Attribute; 6]>;

/// A start tag or empty-element tag.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tag {
    pub(crate) name: QName,
    /// Just after its `>`.
    pub(crate) end: usize,
    pub(crate) is_empty: bool,
}

/// Reads the start tag whose `<` is at `at`.
pub(crate) fn start_tag(
    bytes: &[u8],
    at: usize,
    limits: &Limits,
    attributes: &mut Attributes,
) -> Result<Tag, Stop> {
    attributes.clear();
    let name = qname(bytes, at + 1, limits)?;
    let mut at = name.end as usize;
    loop {
        let next = spaces(bytes, at);
        match byte(bytes, next)? {
            b'>' => return Ok(Tag { name, end: next + 1, is_empty: false }),
            b'/' if byte(bytes, next + 1)? == b'>' => {
                return Ok(Tag { name, end: next + 2, is_empty: true });
            }
            // XML 1.0 §3.1: `STag ::= '<' Name (S Attribute)* S? '>'`
            _ if next == at => return bad("white space expected between attributes"),
            _ if attributes.len() == limits.attributes => {
                return Err(XmlError::TooLarge("too many attributes").into());
            }
            _ => {
                let attribute = attribute(bytes, next, limits)?;
                at = attribute.value_end as usize + 1;
                attributes.push(attribute);
            }
        }
    }
}

fn attribute(bytes: &[u8], at: usize, limits: &Limits) -> Result<Attribute, Stop> {
    let name = qname(bytes, at, limits)?;
    let at = spaces(bytes, name.end as usize);
    if byte(bytes, at)? != b'=' {
        return bad("an attribute has no value");
    }
    let at = spaces(bytes, at + 1);
    let quote = byte(bytes, at)?;
    if quote != b'\'' && quote != b'"' {
        return bad("an attribute value is not quoted");
    }
    let (end, is_plain) = value(bytes, at + 1, quote)?;
    Ok(Attribute { name, value_start: at as u32 + 1, value_end: end as u32, is_plain })
}

/// The end of an attribute value, and whether it means what it literally says.
fn value(bytes: &[u8], mut at: usize, quote: u8) -> Result<(usize, bool), Stop> {
    let mut is_plain = true;
    loop {
        at = value_stop(bytes, at);
        match byte(bytes, at)? {
            found if found == quote => return Ok((at, is_plain)),
            b'\'' | b'"' => at += 1,
            b'\t' | b'\r' | b'\n' => {
                is_plain = false;
                at += 1;
            }
            b'&' => {
                is_plain = false;
                at = reference(bytes, at)?;
            }
            // XML 1.0 §3.1: "The replacement text of any entity referred to directly or
            // indirectly in an attribute value MUST NOT contain a <."
            b'<' => return bad("< in an attribute value"),
            0xEF => at = noncharacter(bytes, at)?,
            _ => return bad("a control character"),
        }
    }
}

/// `QName ::= NCName (':' NCName)?` (Namespaces in XML §4). A name that touches the end of the
/// bytes is taken as whole: what must follow it is missing anyway.
fn qname(bytes: &[u8], start: usize, limits: &Limits) -> Result<QName, Stop> {
    let mut end = ncname(bytes, start)?;
    let mut local = start;
    if bytes.get(end) == Some(&b':') {
        local = end + 1;
        end = ncname(bytes, local)?;
        if bytes.get(end) == Some(&b':') {
            return bad("a name with two colons");
        }
    }
    if end - start > limits.name_bytes {
        return Err(XmlError::TooLarge("a name is too long").into());
    }
    Ok(QName { start: start as u32, end: end as u32, local: local as u32 })
}

fn ncname(bytes: &[u8], at: usize) -> Result<usize, Stop> {
    let end = name_end(bytes, at);
    if end == at {
        byte(bytes, at)?;
        return bad("a name is missing or has a character no name may have");
    }
    Ok(end)
}

/// The end of the reference that starts at `at`.
pub(crate) fn reference(bytes: &[u8], at: usize) -> Result<usize, Stop> {
    let number = byte(bytes, at + 1)? == b'#';
    let mut end = at + 1 + usize::from(number);
    while is_reference(byte(bytes, end)?) {
        end += 1;
        if end - at >= REFERENCE_BYTES {
            return Err(XmlError::Restricted("a reference that is too long").into());
        }
    }
    if bytes[end] != b';' || end == at + 1 {
        return bad("& that starts no reference");
    }
    match decode::reference(&bytes[at..=end]) {
        // XML 1.0 §4.1: "Characters referred to using character references MUST match the
        // production for Char."
        Some(c) if is_char(c) => Ok(end + 1),
        _ if number => bad("a reference to an illegal character"),
        // RFC 6120 §11.1 forbids "internal or external entity references … with the exception
        // of the predefined entities".
        _ if name_end(bytes, at + 1) == end => {
            Err(XmlError::Restricted("a reference to an entity").into())
        }
        _ => bad("& that starts no reference"),
    }
}

/// Steps over one character that starts with the byte EF: all but U+FFFE and U+FFFF are legal.
pub(crate) fn noncharacter(bytes: &[u8], at: usize) -> Result<usize, Stop> {
    if byte(bytes, at + 1)? == 0xBF && byte(bytes, at + 2)? >= 0xBE {
        return bad("U+FFFE or U+FFFF");
    }
    Ok(at + 1)
}

pub(crate) fn spaces(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(|&b| is_space(b)) {
        at += 1;
    }
    at
}

pub(crate) fn byte(bytes: &[u8], at: usize) -> Result<u8, Stop> {
    bytes.get(at).copied().ok_or(Stop::More)
}

pub(crate) fn bad<T>(reason: &'static str) -> Result<T, Stop> {
    Err(XmlError::NotWellFormed(reason).into())
}
