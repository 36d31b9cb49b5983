//! Why a command was not carried out.

use std::fmt;

/// Why a command was not carried out, in words for whoever asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of reason it is.
    pub kind: RefusalKind,
    /// The field at fault, by its `var`.
    pub field: Option<&'static str>,
    /// The reason, and what to do.
    pub text: String,
}

/// The kinds of reasons, near the conditions of RFC 6120 §8.3.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// A field is missing or wrong: XEP-0004 §3.5 asks for `not-acceptable`.
    Invalid,
    /// The caller may not ask this: `forbidden`.
    Forbidden,
    /// What it is about does not exist: `item-not-found`.
    NotFound,
    /// It exists already: `conflict`.
    Conflict,
    /// Nobody may do this, or not now: `not-allowed`.
    NotAllowed,
    /// The server has no room for it now: `resource-constraint`.
    Busy,
    /// The server failed: `internal-server-error`.
    Failed,
}

impl RefusalKind {
    /// The condition of RFC 6120 §8.3.3, as it is written on the wire and in JSON.
    pub fn condition(self) -> &'static str {
        match self {
            Self::Invalid => "not-acceptable",
            Self::Forbidden => "forbidden",
            Self::NotFound => "item-not-found",
            Self::Conflict => "conflict",
            Self::NotAllowed => "not-allowed",
            Self::Busy => "resource-constraint",
            Self::Failed => "internal-server-error",
        }
    }
}

impl Refusal {
    fn new(kind: RefusalKind, text: impl Into<String>) -> Self {
        Self { kind, field: None, text: text.into() }
    }

    /// A field is missing or wrong.
    pub fn invalid(field: &'static str, text: impl Into<String>) -> Self {
        Self { field: Some(field), ..Self::new(RefusalKind::Invalid, text) }
    }

    /// The caller may not ask this.
    pub fn forbidden() -> Self {
        Self::new(RefusalKind::Forbidden, "only an admin of this domain may do this")
    }

    /// What it is about does not exist.
    pub fn not_found(text: impl Into<String>) -> Self {
        Self::new(RefusalKind::NotFound, text)
    }

    /// It exists already.
    pub fn conflict(text: impl Into<String>) -> Self {
        Self::new(RefusalKind::Conflict, text)
    }

    /// Nobody may do this, or not now.
    pub fn not_allowed(text: impl Into<String>) -> Self {
        Self::new(RefusalKind::NotAllowed, text)
    }

    /// The server has no room for it now.
    pub fn busy(text: impl Into<String>) -> Self {
        Self::new(RefusalKind::Busy, text)
    }

    /// The server failed.
    pub fn failed(text: impl Into<String>) -> Self {
        Self::new(RefusalKind::Failed, text)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field {
            Some(field) => write!(f, "{field}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

impl std::error::Error for Refusal {}
