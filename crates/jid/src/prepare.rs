//! Preparation of the parts: PRECIS profiles (RFC 8265) and IDNA2008 by way of UTS #46.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use idna::uts46::{AsciiDenyList, Hyphens, Uts46};
use precis_core::profile::PrecisFastInvocation;
use precis_core::{Error, UnexpectedError};
use precis_profiles::{OpaqueString, UsernameCaseMapped};

use crate::ascii::{self, Scan};
use crate::{JidError, Part, Reason};

/// RFC 7622 §3: "… MUST NOT be zero octets in length and MUST NOT be more than 1023 octets
/// in length", said of each of the three parts.
pub(crate) const MAX_OCTETS: usize = 1023;

/// RFC 7622 §3.3.1: characters excluded from the local part although UsernameCaseMapped
/// would allow them: `"`, `&`, `'`, `/`, `:`, `<`, `>`, `@`.
pub(crate) const fn is_excluded(byte: u8) -> bool {
    matches!(byte, b'"' | b'&' | b'\'' | b'/' | b':' | b'<' | b'>' | b'@')
}

/// Prepares a local part: UsernameCaseMapped without the characters of RFC 7622 §3.3.1.
pub fn prepare_local(text: &str) -> Result<Cow<'_, str>, JidError> {
    match ascii::scan_local(text) {
        Scan::Ready => Ok(Cow::Borrowed(text)),
        Scan::Fold => Ok(Cow::Owned(text.to_ascii_lowercase())),
        Scan::Slow => {
            bound(text, Part::Local)?;
            let local = settle(text, Part::Local, |text| UsernameCaseMapped::enforce(text))?;
            // Looked for after the width mapping, which turns U+FF20 into `@`.
            match local.chars().find(|&c| c.is_ascii() && is_excluded(c as u8)) {
                Some(c) => Err(JidError::Invalid(Part::Local, Reason::Character(c))),
                None => Ok(local),
            }
        }
    }
}

/// Prepares a domain: labels in lower case and in their Unicode form, an IPv4 address, or an
/// IPv6 address in brackets (in the form of RFC 5952). A trailing dot is dropped.
///
/// RFC 7622 §3.2: "If the domainpart includes a final character considered to be a label
/// separator … this character MUST be stripped".
pub fn prepare_domain(text: &str) -> Result<Cow<'_, str>, JidError> {
    let plain = text.strip_suffix('.').unwrap_or(text);
    match ascii::scan_domain(plain) {
        Scan::Ready => Ok(Cow::Borrowed(plain)),
        Scan::Fold => Ok(Cow::Owned(plain.to_ascii_lowercase())),
        Scan::Slow => {
            bound(plain, Part::Domain)?;
            match plain.strip_prefix('[') {
                Some(rest) => ipv6(rest),
                None => internationalized(text),
            }
        }
    }
}

/// Prepares a resource: OpaqueString (RFC 8265 §4.2).
pub fn prepare_resource(text: &str) -> Result<Cow<'_, str>, JidError> {
    opaque(text, Part::Resource)
}

/// Prepares a password for SASL: OpaqueString (RFC 8265 §4.2), at most 1023 octets.
pub fn prepare_password(text: &str) -> Result<Cow<'_, str>, JidError> {
    opaque(text, Part::Password)
}

fn opaque(text: &str, part: Part) -> Result<Cow<'_, str>, JidError> {
    if ascii::scan_resource(text) == Scan::Ready {
        return Ok(Cow::Borrowed(text));
    }
    bound(text, part)?;
    settle(text, part, enforce_opaque)
}

/// The PRECIS tables stand at Unicode 6.3, where a pictograph of later years is unassigned
/// and so refused. They are everyday nicknames and are what the freeform class is for
/// (RFC 8264 §4.3.1, symbols), and none of them is changed by normalisation: they are let
/// through, and what stands between them is prepared.
fn enforce_opaque(text: &str) -> Result<Cow<'_, str>, Error> {
    if !text.contains(is_pictograph) {
        return OpaqueString::enforce(text);
    }
    let mut out = String::with_capacity(text.len());
    for piece in text.split_inclusive(is_pictograph) {
        let plain = piece.trim_end_matches(is_pictograph);
        if !plain.is_empty() {
            out.push_str(&OpaqueString::enforce(plain)?);
        }
        out.push_str(&piece[plain.len()..]);
    }
    Ok(Cow::Owned(out))
}

/// The blocks of pictographs from Mahjong Tiles to Symbols and Pictographs Extended-A.
fn is_pictograph(c: char) -> bool {
    ('\u{1F000}'..='\u{1FAFF}').contains(&c)
}

/// Applies a profile until the text no longer changes.
///
/// RFC 8264 §7: "if the output string does not stabilize after reapplying the rules three (3)
/// additional times after the first application, the application SHOULD terminate
/// application of the rules and reject the input string as invalid."
fn settle<'a>(
    text: &'a str,
    part: Part,
    enforce: impl Fn(&str) -> Result<Cow<'_, str>, Error>,
) -> Result<Cow<'a, str>, JidError> {
    let refused = |error| JidError::Invalid(part, reason(&error));
    let mut current = Cow::Borrowed(text);
    for _ in 0..4 {
        let next = enforce(&current).map_err(refused)?;
        if next == current {
            measure(&current, part)?;
            return Ok(current);
        }
        current = Cow::Owned(next.into_owned());
    }
    Err(JidError::Invalid(part, Reason::Rule("does not reach a stable form")))
}

fn reason(error: &Error) -> Reason {
    let info = match error {
        Error::BadCodepoint(info)
        | Error::Unexpected(UnexpectedError::ContextRuleNotApplicable(info))
        | Error::Unexpected(UnexpectedError::MissingContextRule(info)) => info,
        _ => return Reason::Rule("mixes directions of writing or breaks its profile"),
    };
    match char::from_u32(info.cp) {
        Some(c) => Reason::Character(c),
        None => Reason::Rule("contains an illegal code point"),
    }
}

fn ipv6(rest: &str) -> Result<Cow<'_, str>, JidError> {
    let broken = JidError::Invalid(Part::Domain, Reason::Rule("is not a valid IPv6 address"));
    let inner = rest.strip_suffix(']').ok_or(broken)?;
    let address: Ipv6Addr = inner.parse().map_err(|_| broken)?;
    Ok(Cow::Owned(format!("[{address}]")))
}

/// A domain with labels beyond ASCII, or with labels in their ASCII form, or a wrong one.
fn internationalized(text: &str) -> Result<Cow<'_, str>, JidError> {
    let broken = |rule| JidError::Invalid(Part::Domain, Reason::Rule(rule));
    let idna = Uts46::new();
    let (unicode, outcome) =
        idna.to_unicode(text.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast);
    outcome.map_err(|_| broken("is not a valid domain name"))?;
    // Stripped only now: UTS #46 maps other full stops, such as U+3002, to the ASCII one.
    let unicode = match unicode.strip_suffix('.') {
        Some(stripped) => Cow::Owned(stripped.to_owned()),
        None => unicode,
    };
    measure(&unicode, Part::Domain)?;
    let ascii = idna::domain_to_ascii_cow(unicode.as_bytes(), AsciiDenyList::STD3)
        .map_err(|_| broken("is not a valid domain name"))?;
    for label in ascii.split('.') {
        match label.len() {
            0 => return Err(broken("has an empty label")),
            1..=63 => {}
            _ => return Err(broken("has a label longer than 63 octets")),
        }
    }
    Ok(unicode)
}

/// Keeps the work on hostile text small. The limit itself is for the prepared text, which
/// the mapping of full-width forms makes up to three times shorter.
fn bound(text: &str, part: Part) -> Result<(), JidError> {
    match text.len() {
        0 => Err(JidError::Empty(part)),
        length if length > 4 * MAX_OCTETS => Err(JidError::TooLong(part)),
        _ => Ok(()),
    }
}

fn measure(text: &str, part: Part) -> Result<(), JidError> {
    match text.len() {
        0 => Err(JidError::Empty(part)),
        1..=MAX_OCTETS => Ok(()),
        _ => Err(JidError::TooLong(part)),
    }
}
