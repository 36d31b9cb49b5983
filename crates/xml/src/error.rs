//! Why a document was refused.

use std::fmt;

/// Why a document was refused; each kind has its own stream error in RFC 6120 §4.9.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XmlError {
    /// Not well-formed or not namespace-well-formed XML.
    NotWellFormed(&'static str),
    /// XML that RFC 6120 §11.1 forbids: comments, processing instructions, document types,
    /// entities that are not predefined.
    Restricted(&'static str),
    /// A prefix that nothing declares.
    BadPrefix(&'static str),
    /// Bytes that are not UTF-8, or a declaration that announces another encoding.
    Encoding(&'static str),
    /// A limit was passed; the text names it.
    TooLarge(&'static str),
}

impl XmlError {
    /// The reason, without its kind.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotWellFormed(reason)
            | Self::Restricted(reason)
            | Self::BadPrefix(reason)
            | Self::Encoding(reason)
            | Self::TooLarge(reason) => reason,
        }
    }
}

impl fmt::Display for XmlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for XmlError {}
