//! The half of a stanza that is only forwarded.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock, OnceLock};

use smallvec::SmallVec;
use waxwing_xml::{Child, Content, Limits};

use crate::{CLIENT, Payload, StanzaError, is_content};

/// The children of a stanza: as they arrived, and after them what the server added.
#[derive(Clone, Debug, Default)]
pub struct Body {
    content: Content,
    added: SmallVec<[Added; 2]>,
}

/// A child that the server wrote. It is parsed when somebody looks at it, which for most
/// stanzas is never.
#[derive(Clone, Debug)]
struct Added {
    xml: Arc<str>,
    parsed: OnceLock<Arc<Content>>,
}

/// What we wrote ourselves has no limits but those of addressing.
pub(crate) const OWN: Limits = Limits {
    element_bytes: u32::MAX as usize,
    depth: 1024,
    attributes: 1024,
    name_bytes: 4096,
    namespace_bytes: 65536,
    namespaces: 4096,
    children: u32::MAX as usize,
};

/// What all stanzas without children share.
static NOTHING: LazyLock<Arc<Body>> = LazyLock::new(Arc::default);

impl Body {
    /// No children.
    pub(crate) fn nothing() -> Arc<Body> {
        Arc::clone(&NOTHING)
    }

    /// The children, those that arrived first. What was added reports the namespace
    /// `jabber:client` where it has none of its own.
    pub fn children(&self) -> impl Iterator<Item = Child<'_>> {
        let added = self.added.iter().flat_map(|added| added.content().children());
        self.content.children().chain(added)
    }

    /// The first child that is `name` in `ns`.
    pub fn child(&self, name: &str, ns: &str) -> Option<Child<'_>> {
        self.content.child(name, ns).or_else(|| {
            let mut added = self.added.iter().filter(|added| added.mentions(name));
            added.find_map(|added| added.content().children().find(|child| child.is(name, ns)))
        })
    }

    /// Whether there is a child `name` in `ns`.
    pub fn has(&self, name: &str, ns: &str) -> bool {
        self.child(name, ns).is_some()
    }

    /// Parses the first child that `P` stands for, and nothing else. `None` when there is none.
    pub fn payload<P: Payload>(&self) -> Option<Result<P, StanzaError>> {
        self.child(P::NAME, P::NS).map(P::read)
    }

    /// The text of the first child `name` in the content namespace, such as `body` or `show`.
    pub fn text_of(&self, name: &str) -> Option<Cow<'_, str>> {
        let mut children = self.children();
        let child = children.find(|child| child.name() == name && is_content(child.namespace()));
        child.map(|child| child.text())
    }

    /// Drops every child that is `name` in `ns`.
    pub fn remove(&mut self, name: &str, ns: &str) {
        self.retain(|child| !child.is(name, ns));
    }

    /// Drops the children for which `keep` says no.
    pub fn retain(&mut self, mut keep: impl FnMut(Child<'_>) -> bool) {
        self.content.retain(&mut keep);
        self.added.retain(|added| {
            let count = added.content().children().count();
            let kept: Vec<&str> = (added.content().children())
                .filter(|child| keep(*child))
                .map(|child| child.as_str())
                .collect();
            if kept.is_empty() {
                return false;
            }
            if kept.len() != count {
                *added = Added::new(kept.concat().into());
            }
            true
        });
    }

    /// Adds a well-formed element that carries its own `xmlns`, or none if it is in the
    /// content namespace.
    pub fn append(&mut self, xml: impl Into<Arc<str>>) {
        let added = Added::new(xml.into());
        debug_assert!(added.parse().is_ok(), "not well-formed: {}", added.xml);
        self.added.push(added);
    }

    /// Whether there is no child.
    pub fn is_empty(&self) -> bool {
        self.content.is_empty() && self.added.is_empty()
    }

    /// Bytes of all children together as they are written.
    pub fn len_bytes(&self) -> usize {
        self.content.len_bytes() + self.added.iter().map(|added| added.xml.len()).sum::<usize>()
    }

    /// Appends all children to `out`.
    pub fn write(&self, out: &mut String) {
        for child in self.content.children() {
            out.push_str(child.as_str());
        }
        for added in &self.added {
            out.push_str(&added.xml);
        }
    }
}

impl From<Content> for Body {
    fn from(content: Content) -> Body {
        Body { content, added: SmallVec::new() }
    }
}

impl Added {
    fn new(xml: Arc<str>) -> Added {
        Added { xml, parsed: OnceLock::new() }
    }

    /// Whether an element of this name, with or without a prefix, is in it at any depth. Cheaper
    /// than to parse it, and enough to say that a child is not there.
    fn mentions(&self, name: &str) -> bool {
        self.xml.split('<').skip(1).any(|tag| {
            let end = tag.find([' ', '\t', '\r', '\n', '/', '>']).unwrap_or(tag.len());
            tag[..end].strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with(':'))
        })
    }

    /// What is not well-formed is a mistake of its writer and has no children.
    fn content(&self) -> &Content {
        self.parsed.get_or_init(|| Arc::new(self.parse().unwrap_or_default()))
    }

    fn parse(&self) -> Result<Content, waxwing_xml::XmlError> {
        Content::parse(&self.xml, &OWN, CLIENT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_found_without_parsing_what_does_not_matter() {
        let mut body = Body::default();
        body.append("<stanza-id xmlns='urn:xmpp:sid:0' id='1'/>");
        body.append("<p:x xmlns:p='urn:p'><inner/></p:x><x xmlns='urn:q'/>");
        assert!(!body.has("id", "urn:xmpp:sid:0"));
        assert!(body.added[0].parsed.get().is_none());
        assert!(body.has("stanza-id", "urn:xmpp:sid:0"));
        assert!(body.has("x", "urn:p") && body.has("x", "urn:q"));
        assert!(!body.has("inner", "urn:p"));
    }
}
