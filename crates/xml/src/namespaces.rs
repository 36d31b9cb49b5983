//! Namespace names: how they are kept, and what is bound around an element.

use std::sync::Arc;

/// Namespaces in XML §3: "The prefix xml is by definition bound to the namespace name
/// http://www.w3.org/XML/1998/namespace".
pub(crate) const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// Namespaces in XML §3: "The prefix xmlns is used only to declare namespace bindings and is by
/// definition bound to the namespace name http://www.w3.org/2000/xmlns/".
pub(crate) const XMLNS: &str = "http://www.w3.org/2000/xmlns/";

/// Names that callers pass for every message, kept without an allocation.
const KNOWN: [&str; 5] = [
    "jabber:client",
    "jabber:server",
    "http://etherx.jabber.org/streams",
    "urn:ietf:params:xml:ns:xmpp-framing",
    "jabber:component:accept",
];

/// An owned namespace name that is cheap to clone.
#[derive(Clone, Debug)]
pub(crate) enum Namespace {
    Known(&'static str),
    Shared(Arc<str>),
}

impl PartialEq for Namespace {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Namespace {
    pub(crate) fn new(name: &str) -> Self {
        match KNOWN.iter().find(|known| **known == name) {
            Some(known) => Self::Known(known),
            None => Self::Shared(name.into()),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Known(name) => name,
            Self::Shared(name) => name,
        }
    }
}

/// Where the name is that a prefix (or the default namespace) is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// The content namespace, wherever it was declared.
    Content,
    /// No namespace.
    Nothing,
    /// The namespace of the prefix `xml`.
    Xml,
    /// A declaration of the stream header, by index. Never in a finished element.
    Outer(u32),
    /// The bytes of the declaration itself.
    Text { start: u32, len: u32 },
    /// A declaration that had to be decoded, by index into the element's own list.
    Decoded(u32),
}

/// What is bound around a top-level element: the declarations of the stream header.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outer {
    /// The namespace whose elements are written bare.
    pub(crate) content: Namespace,
    /// The default namespace.
    pub(crate) default: Bound,
    /// Declarations in order, the default one under the empty prefix.
    pub(crate) bindings: Vec<(Box<str>, Namespace)>,
}

impl Outer {
    /// Nothing is declared.
    pub(crate) fn nothing(content_ns: &str) -> Self {
        Self {
            content: Namespace::new(content_ns),
            default: if content_ns.is_empty() { Bound::Content } else { Bound::Nothing },
            bindings: Vec::new(),
        }
    }

    pub(crate) fn find(&self, prefix: &[u8]) -> Option<u32> {
        let found = self.bindings.iter().position(|(known, _)| known.as_bytes() == prefix);
        found.map(|index| index as u32)
    }

    pub(crate) fn name(&self, index: u32) -> &str {
        self.bindings[index as usize].1.as_str()
    }
}
