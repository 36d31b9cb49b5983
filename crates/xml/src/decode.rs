//! Turning validated character data and attribute values into what they mean.

use std::borrow::Cow;

use memchr::{memchr, memchr2, memchr3};

/// An attribute value with references replaced and white space normalised.
///
/// XML 1.0 §3.3.3: "For a white space character (#x20, #xD, #xA, #x9), append a space
/// character (#x20) to the normalized value."
pub(crate) fn attribute(raw: &str) -> Cow<'_, str> {
    let bytes = raw.as_bytes();
    if memchr3(b'&', b'\t', b'\n', bytes).is_none() && memchr(b'\r', bytes).is_none() {
        return Cow::Borrowed(raw);
    }
    let mut out = String::with_capacity(raw.len());
    append(&mut out, raw, " ", &['&', '\t', '\n', '\r']);
    Cow::Owned(out)
}

/// Whether character data means something else than it says.
pub(crate) fn is_plain(raw: &str) -> bool {
    memchr2(b'&', b'\r', raw.as_bytes()).is_none()
}

/// Appends character data with references replaced and line ends normalised.
pub(crate) fn text(out: &mut String, raw: &str) {
    append(out, raw, "\n", &['&', '\r']);
}

/// Appends the content of a CDATA section, where `&` has no meaning.
pub(crate) fn cdata(out: &mut String, raw: &str) {
    append(out, raw, "\n", &['\r']);
}

/// `space` replaces every white space character among `special`.
///
/// XML 1.0 §2.11: "translating both the two-character sequence #xD #xA and any #xD that is not
/// followed by #xA to a single #xA character".
fn append(out: &mut String, raw: &str, space: &str, special: &[char]) {
    let mut rest = raw;
    while let Some(at) = rest.find(special) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if rest.starts_with('&') {
            let end = rest.find(';').map_or(rest.len(), |end| end + 1);
            out.extend(reference(&rest.as_bytes()[..end]));
            rest = &rest[end..];
        } else {
            out.push_str(space);
            rest = rest.strip_prefix("\r\n").unwrap_or(&rest[1..]);
        }
    }
    out.push_str(rest);
}

/// What `&…;` stands for: one of the five predefined entities (XML 1.0 §4.6) or a character
/// reference (§4.1) to some Unicode character, legal in XML or not.
pub(crate) fn reference(token: &[u8]) -> Option<char> {
    match token {
        b"&lt;" => Some('<'),
        b"&gt;" => Some('>'),
        b"&amp;" => Some('&'),
        b"&apos;" => Some('\''),
        b"&quot;" => Some('"'),
        [b'&', b'#', b'x', digits @ .., b';'] => number(digits, 16),
        [b'&', b'#', digits @ .., b';'] => number(digits, 10),
        _ => None,
    }
}

fn number(digits: &[u8], radix: u32) -> Option<char> {
    if digits.is_empty() {
        return None;
    }
    let value = digits.iter().try_fold(0u32, |value, &digit| {
        let digit = char::from(digit).to_digit(radix)?;
        value.checked_mul(radix)?.checked_add(digit)
    });
    char::from_u32(value?)
}
