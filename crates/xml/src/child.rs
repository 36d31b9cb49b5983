//! One child of an element, and on demand the children inside it.

mod alone;

use std::{borrow::Cow, fmt};

use crate::{
    Attributes, attributes, decode,
    element::{Doc, NO_DECLARATION, Span},
    namespaces::XML,
    walk::{Node, Nodes, RawAttributes, name_end},
};

/// One element inside another, borrowed from its text.
#[derive(Clone, Copy)]
pub struct Child<'a> {
    doc: &'a Doc,
    start: usize,
    end: usize,
    name: &'a str,
    namespace: &'a str,
    /// What surrounds it.
    scope: Scope<'a>,
}

/// The default namespace and the innermost declaration of a prefix.
#[derive(Clone, Copy)]
struct Scope<'a> {
    default: &'a str,
    declaration: u32,
}

impl<'a> Child<'a> {
    pub(crate) fn new(doc: &'a Doc, span: &Span) -> Self {
        let (start, end) = (span.start as usize, span.end as usize);
        let name = span.name_start();
        Self {
            doc,
            start,
            end,
            name: &doc.text[name..name + span.name_len as usize],
            namespace: doc.namespace(span.bound),
            scope: Scope { default: doc.content.as_str(), declaration: NO_DECLARATION },
        }
    }

    /// The local name.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The namespace name, empty when there is none.
    pub fn namespace(&self) -> &'a str {
        self.namespace
    }

    /// Whether this is `name` in `namespace`.
    pub fn is(&self, name: &str, namespace: &str) -> bool {
        self.name == name && self.namespace == namespace
    }

    /// The whole child, from its `<` to its last `>`. For a child of a top-level element this can
    /// stand alone; deeper ones may use what their parents declare.
    pub fn as_str(&self) -> &'a str {
        &self.doc.text[self.start..self.end]
    }

    /// Whether it is written without anything inside: `<name/>`. One written `<name></name>` is
    /// not looked into.
    pub fn is_empty(&self) -> bool {
        self.as_str().ends_with("/>")
    }

    /// The character data directly inside, decoded; CDATA sections included.
    pub fn text(&self) -> Cow<'a, str> {
        text_of(self.nodes())
    }

    /// An attribute without prefix; references decoded, white space normalised.
    pub fn attribute(&self, name: &str) -> Option<Cow<'a, str>> {
        attributes::plain(&self.doc.text, self.start, name)
    }

    /// All attributes in order, in one pass; namespace declarations left out.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes(RawAttributes::new(&self.doc.text, self.start))
    }

    /// The attribute `xml:lang`.
    pub fn lang(&self) -> Option<Cow<'a, str>> {
        attributes::value(&self.doc.text, self.start, "xml:lang")
    }

    /// The children in order, found by scanning this child's text.
    pub fn children(&self) -> Children<'a> {
        Children {
            doc: self.doc,
            nodes: self.nodes(),
            scope: self.scope.inside(self.doc, self.start),
        }
    }

    /// The first child that is `name` in `namespace`.
    pub fn child(&self, name: &str, namespace: &str) -> Option<Child<'a>> {
        self.children().find(|child| child.is(name, namespace))
    }

    fn nodes(&self) -> Nodes<'a> {
        Nodes::inside(&self.doc.text, self.start, self.end)
    }
}

impl fmt::Debug for Child<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The children of a [`Child`].
#[derive(Clone)]
pub struct Children<'a> {
    doc: &'a Doc,
    nodes: Nodes<'a>,
    scope: Scope<'a>,
}

impl<'a> Iterator for Children<'a> {
    type Item = Child<'a>;

    fn next(&mut self) -> Option<Child<'a>> {
        loop {
            if let Node::Element(start, end) = self.nodes.next()? {
                let (doc, scope) = (self.doc, self.scope);
                let written = &doc.text[start + 1..name_end(&doc.text, start + 1)];
                let inside = scope.inside(doc, start);
                let (name, namespace) = match written.split_once(':') {
                    None => (written, inside.default),
                    Some((prefix, name)) => (name, inside.find(doc, prefix)),
                };
                return Some(Child { doc, start, end, name, namespace, scope });
            }
        }
    }
}

impl<'a> Scope<'a> {
    /// The scope inside the element that starts at `start`.
    fn inside(mut self, doc: &'a Doc, start: usize) -> Self {
        for attribute in RawAttributes::new(&doc.text, start) {
            if !attributes::is_declaration(attribute.name) {
                continue;
            }
            let listed = listed(doc, attribute.at);
            if attribute.name != "xmlns" {
                self.declaration = listed.unwrap_or(self.declaration);
            } else {
                self.default = listed.map_or(attribute.value, |index| {
                    let extra = doc.extra.as_ref().expect("a listed declaration is in the list");
                    doc.namespace(extra.declarations[index as usize].bound)
                });
            }
        }
        self
    }

    /// What `prefix` is bound to: the innermost declaration of it.
    fn find(&self, doc: &'a Doc, prefix: &str) -> &'a str {
        if prefix == "xml" {
            return XML;
        }
        let mut index = self.declaration;
        let declarations = doc.extra.as_ref().map_or(&[][..], |extra| &extra.declarations);
        while let Some(it) = declarations.get(index as usize) {
            let start = it.prefix_start as usize;
            if doc.text[start..start + it.prefix_len as usize] == *prefix {
                return doc.namespace(it.bound);
            }
            index = it.outer;
        }
        ""
    }
}

/// The index of the declaration at `at`, if it is one of those kept apart.
fn listed(doc: &Doc, at: usize) -> Option<u32> {
    let declarations = &doc.extra.as_ref()?.declarations;
    let found = declarations.binary_search_by_key(&(at as u32), |it| it.at).ok()?;
    Some(found as u32)
}

/// The character data among `nodes`.
pub(crate) fn text_of(nodes: Nodes<'_>) -> Cow<'_, str> {
    let mut pieces = nodes.clone().filter(|node| !matches!(node, Node::Element(..)));
    match (pieces.next(), pieces.next()) {
        (None, _) => return Cow::Borrowed(""),
        (Some(Node::Text(raw)), None) if decode::is_plain(raw) => return Cow::Borrowed(raw),
        _ => {}
    }
    let mut out = String::new();
    for node in nodes {
        match node {
            Node::Text(raw) => decode::text(&mut out, raw),
            Node::Cdata(raw) => decode::cdata(&mut out, raw),
            Node::Element(..) => {}
        }
    }
    Cow::Owned(out)
}
