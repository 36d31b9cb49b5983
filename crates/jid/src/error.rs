//! Why an address was refused, in words fit for the `<text/>` of a stanza error.

use std::fmt;

/// Why a text is not an address. `Display` is a sentence for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JidError {
    /// The part is there but has no characters (RFC 7622 §3: no part may be empty).
    Empty(Part),
    /// The part has more than 1023 octets in UTF-8 once prepared (RFC 7622 §3).
    TooLong(Part),
    /// The part breaks a rule of its profile.
    Invalid(Part, Reason),
}

/// The part of an address that an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Before the first `@`.
    Local,
    /// The only part that is always there.
    Domain,
    /// After the first `/`.
    Resource,
    /// A password, which is prepared like a resource but is no part of an address.
    Password,
}

/// The rule that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A character that the part must not contain, or not in this place.
    Character(char),
    /// A rule about the whole part; the text completes "the domain of the address …".
    Rule(&'static str),
}

impl fmt::Display for JidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JidError::Empty(part) => write!(f, "the {part} must not be empty"),
            JidError::TooLong(part) => write!(f, "the {part} is longer than 1023 octets"),
            // An error text may be logged, and a password must not leak into a log.
            JidError::Invalid(Part::Password, Reason::Character(_)) => {
                f.write_str("the password contains a character that is not allowed")
            }
            JidError::Invalid(part, Reason::Character(c)) => {
                write!(f, "the {part} must not contain U+{:04X}", *c as u32)?;
                if c.is_ascii_graphic() { write!(f, " ({c})") } else { Ok(()) }
            }
            JidError::Invalid(part, Reason::Rule(rule)) => write!(f, "the {part} {rule}"),
        }
    }
}

impl std::error::Error for JidError {}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Local => "local part of the address",
            Part::Domain => "domain of the address",
            Part::Resource => "resource of the address",
            Part::Password => "password",
        })
    }
}
