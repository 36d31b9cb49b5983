//! What a client asks for when it wants to upload a file (§4, §5).

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use waxwing_stanza::{Payload, StanzaError};
use waxwing_xml::Child;

use super::{NS, PURPOSE};

/// As most file systems have it.
const NAME_BYTES_MAX: usize = 255;
const KIND_BYTES_MAX: usize = 127;

/// `<request/>`: a file that somebody wants to upload.
pub(super) struct Wish {
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) kind: Option<String>,
    pub(super) purpose: Purpose,
}

/// What a file is for (§5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Message,
    Profile,
    /// To be gone at this time, in milliseconds since 1970.
    Ephemeral {
        expire_before: i64,
    },
    Permanent,
}

impl Payload for Wish {
    const NAME: &'static str = "request";
    const NS: &'static str = NS;

    fn read(child: Child<'_>) -> Result<Self, StanzaError> {
        // §4 "This element MUST include the attributes filename and size".
        let name = child.attribute("filename").ok_or_else(|| bad("`filename` is missing."))?;
        let size = child.attribute("size").ok_or_else(|| bad("`size` is missing."))?;
        let size = size.trim().parse().ok().filter(|size| (1..=i64::MAX as u64).contains(size));
        let size = size.ok_or_else(|| bad("`size` must be a number of bytes, 1 at least."))?;
        let kind = child.attribute("content-type").map(|kind| kind.trim().to_owned());
        let kind = kind.filter(|kind| !kind.is_empty());
        if kind.as_deref().is_some_and(|kind| !is_media_type(kind)) {
            return Err(bad("`content-type` must be a media type such as \"image/jpeg\"."));
        }
        judge_name(&name)?;
        Ok(Self { name: name.into_owned(), size, kind, purpose: purpose(child)? })
    }
}

fn judge_name(name: &str) -> Result<(), StanzaError> {
    if name.len() > NAME_BYTES_MAX {
        return Err(bad("`filename` may have 255 bytes."));
    }
    let is_odd = |letter: char| letter.is_control() || "/\\".contains(letter);
    if ["", ".", ".."].contains(&name) || name.contains(is_odd) {
        return Err(bad("`filename` must be a name without folders."));
    }
    Ok(())
}

/// §5 "If no purpose is specified, the service MUST assume 'message' as the default purpose."
fn purpose(child: Child<'_>) -> Result<Purpose, StanzaError> {
    let mut purposes = child.children().filter(|part| part.namespace() == PURPOSE);
    let Some(named) = purposes.next() else { return Ok(Purpose::Message) };
    if purposes.next().is_some() {
        return Err(bad("A file has one purpose."));
    }
    match named.name() {
        "message" => Ok(Purpose::Message),
        "profile" => Ok(Purpose::Profile),
        "permanent" => Ok(Purpose::Permanent),
        // §5.3 "The element MUST have an attribute called 'expire-before' that contains a DateTime
        // as specified in XEP-0082."
        "ephemeral" => {
            let stamp = named.attribute("expire-before");
            let time = stamp.and_then(|stamp| OffsetDateTime::parse(stamp.trim(), &Rfc3339).ok());
            let time = time.ok_or_else(|| bad("`expire-before` must be a date and time."))?;
            let millis = time.unix_timestamp_nanos() / 1_000_000;
            let expire_before = i64::try_from(millis).unwrap_or(i64::MAX);
            Ok(Purpose::Ephemeral { expire_before })
        }
        _ => {
            let text = "Files for this purpose are not taken here.";
            Err(StanzaError::feature_not_implemented().text(text))
        }
    }
}

/// `type/subtype` with parameters, as RFC 9110 §8.3.1 writes them.
fn is_media_type(text: &str) -> bool {
    let is_token = |part: &str| {
        let is_tchar =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        !part.is_empty() && part.bytes().all(is_tchar)
    };
    let essence = text.split(';').next().unwrap_or_default().trim();
    let is_plain = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let parts = essence.split_once('/');
    text.len() <= KIND_BYTES_MAX
        && is_plain
        && parts.is_some_and(|(one, other)| is_token(one) && is_token(other))
}

fn bad(text: &'static str) -> StanzaError {
    StanzaError::bad_request().text(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_folders_and_controls_are_refused() {
        for name in ["très cool.jpg", "a b", "...", ".hidden", "x".repeat(255).as_str()] {
            assert!(judge_name(name).is_ok(), "{name}");
        }
        let long = "é".repeat(128);
        for name in ["", ".", "..", "a/b", "../../etc/passwd", "..\\x", "a\nb", "a\u{7f}", &long] {
            assert!(judge_name(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn media_types_are_recognised() {
        for kind in ["image/jpeg", "text/plain; charset=utf-8", "application/vnd.x+json"] {
            assert!(is_media_type(kind), "{kind}");
        }
        for kind in ["jpeg", "image/", "/x", "a/b/c", "image/jp eg", "a/b\r\nx: y", "a/b;é"] {
            assert!(!is_media_type(kind), "{kind}");
        }
    }
}
