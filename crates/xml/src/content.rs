//! The children of an element, without the element.

use smallvec::SmallVec;

use crate::{Child, Limits, XmlError, document::parse, element::Doc, namespaces::Namespace};

/// The children of an element: what a stanza's body is built from.
///
/// What [`Child::as_str`] gives for each of them can be written into any stream whose default
/// namespace is a content namespace: every prefix is declared inside, a child in the content
/// namespace is bare, and every other child has its own `xmlns`.
#[derive(Clone, Debug)]
pub struct Content {
    pub(crate) doc: Doc,
}

impl Default for Content {
    fn default() -> Self {
        let text = Box::default();
        let content = Namespace::Known("");
        Self { doc: Doc { text, content, children: SmallVec::new(), extra: None } }
    }
}

impl Content {
    /// Parses children that were written as [`Child::as_str`] gives them. Text and white space
    /// between them is dropped. The limits are those of the element around them.
    pub fn parse(fragment: &str, limits: &Limits, content_ns: &str) -> Result<Self, XmlError> {
        let mut document = String::with_capacity(fragment.len() + content_ns.len() + 18);
        document.push_str("<c");
        crate::write::attribute(&mut document, "xmlns", content_ns);
        document.push('>');
        let around = document.len() + "</c>".len();
        document.push_str(fragment);
        document.push_str("</c>");
        let element_bytes = limits.element_bytes.saturating_add(around);
        let limits = Limits { element_bytes, ..*limits };
        parse(document.as_bytes(), &limits, content_ns, false).map(|c| c.into_content())
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

    /// Drops the children for which `keep` says no.
    pub fn retain(&mut self, mut keep: impl FnMut(Child<'_>) -> bool) {
        let mut children = std::mem::take(&mut self.doc.children);
        children.retain(|span| keep(Child::new(&self.doc, span)));
        self.doc.children = children;
    }

    /// Whether there is no child.
    pub fn is_empty(&self) -> bool {
        self.doc.children.is_empty()
    }

    /// Bytes of all children together.
    pub fn len_bytes(&self) -> usize {
        self.doc.children.iter().map(|span| (span.end - span.start) as usize).sum()
    }
}
