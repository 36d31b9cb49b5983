//! A complete element: the text that arrived and a table of contents.

use std::borrow::Cow;

use smallvec::SmallVec;

use crate::{
    Attributes, Child, Content, attributes,
    namespaces::{Bound, Namespace, XML},
    walk::{Nodes, RawAttributes},
};

/// A complete top-level element (or the start tag of a stream, as [`crate::Event::Header`]).
#[derive(Clone, Debug)]
pub struct Element {
    pub(crate) doc: Doc,
    /// Where the local name starts in the text.
    pub(crate) name_start: u32,
    pub(crate) name_len: u32,
    pub(crate) bound: Bound,
}

const _: () = assert!(size_of::<Element>() <= 192);

/// The text of an element and what is where in it.
#[derive(Clone, Debug)]
pub(crate) struct Doc {
    pub(crate) text: Box<str>,
    pub(crate) content: Namespace,
    pub(crate) children: SmallVec<[Span; 4]>,
    /// What few elements have.
    pub(crate) extra: Option<Box<Extra>>,
}

/// Where one child is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) name_len: u32,
    pub(crate) bound: Bound,
}

impl Span {
    /// Where its local name starts.
    #[inline]
    pub(crate) fn name_start(&self) -> usize {
        let prefix = if self.bound == Bound::Xml { "xml:".len() } else { 0 };
        self.start as usize + 1 + prefix
    }
}

/// Namespace declarations that cannot be read from the start tag of the element they name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extra {
    /// Declarations of prefixes inside children, and decoded default ones, by position.
    pub(crate) declarations: Vec<Declaration>,
    /// Namespace names that are not what their declaration literally says.
    pub(crate) decoded: Vec<Box<str>>,
}

/// One declaration inside a child.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Declaration {
    /// Where the attribute `xmlns…` starts.
    pub(crate) at: u32,
    /// The declaration of a prefix that encloses this one, or [`NO_DECLARATION`].
    pub(crate) outer: u32,
    pub(crate) prefix_start: u32,
    pub(crate) prefix_len: u32,
    pub(crate) bound: Bound,
}

pub(crate) const NO_DECLARATION: u32 = u32::MAX;

impl Doc {
    /// Whether a child has this local name. Its length tells nearly all apart.
    #[inline]
    pub(crate) fn is_named(&self, span: &Span, name: &str) -> bool {
        if span.name_len as usize != name.len() {
            return false;
        }
        let start = span.name_start();
        self.text.as_bytes()[start..start + name.len()] == *name.as_bytes()
    }

    /// The namespace name behind `bound`.
    pub(crate) fn namespace(&self, bound: Bound) -> &str {
        match bound {
            Bound::Content => self.content.as_str(),
            Bound::Nothing | Bound::Outer(_) => "",
            Bound::Xml => XML,
            Bound::Text { start, len } => &self.text[start as usize..(start + len) as usize],
            Bound::Decoded(index) => {
                self.extra.as_ref().map_or("", |extra| &extra.decoded[index as usize])
            }
        }
    }
}

impl Element {
    /// The local name.
    pub fn name(&self) -> &str {
        let start = self.name_start as usize;
        &self.doc.text[start..start + self.name_len as usize]
    }

    /// The namespace name, empty when there is none.
    pub fn namespace(&self) -> &str {
        self.doc.namespace(self.bound)
    }

    /// Whether this is `name` in `namespace`.
    pub fn is(&self, name: &str, namespace: &str) -> bool {
        self.name() == name && self.namespace() == namespace
    }

    /// An attribute without prefix; references decoded, white space normalised.
    pub fn attribute(&self, name: &str) -> Option<Cow<'_, str>> {
        attributes::plain(&self.doc.text, 0, name)
    }

    /// All attributes in order, in one pass; namespace declarations left out.
    pub fn attributes(&self) -> Attributes<'_> {
        Attributes(RawAttributes::new(&self.doc.text, 0))
    }

    /// The attribute `xml:lang`.
    pub fn lang(&self) -> Option<Cow<'_, str>> {
        attributes::value(&self.doc.text, 0, "xml:lang")
    }

    /// The character data directly inside, decoded; CDATA sections included.
    pub fn text(&self) -> Cow<'_, str> {
        crate::child::text_of(Nodes::inside(&self.doc.text, 0, self.doc.text.len()))
    }

    /// The children in order.
    pub fn children(&self) -> impl Iterator<Item = Child<'_>> {
        self.doc.children.iter().map(|span| Child::new(&self.doc, span))
    }

    /// The first child that is `name` in `namespace`.
    pub fn child(&self, name: &str, namespace: &str) -> Option<Child<'_>> {
        let doc = &self.doc;
        let mut named = doc.children.iter().filter(|span| doc.is_named(span, name));
        named.find(|span| doc.namespace(span.bound) == namespace).map(|span| Child::new(doc, span))
    }

    /// The element as it arrived (its children as [`Child::as_str`] gives them). Prefixes and
    /// the default namespace of its own start tag may be declared outside.
    pub fn as_str(&self) -> &str {
        &self.doc.text
    }

    /// The same element with its content namespace, and whatever in it is written bare, read as
    /// `namespace`: what arrived on a stream of one content namespace, for those of another.
    pub fn in_content(mut self, namespace: &str) -> Self {
        self.doc.content = Namespace::new(namespace);
        self
    }

    /// Keeps the children only.
    pub fn into_content(self) -> Content {
        Content { doc: self.doc }
    }
}
