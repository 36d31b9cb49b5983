//! Reading and writing the XML of cards.

use waxwing_xml::write::element;
use waxwing_xml::{Child, Content, Limits};

/// A card has passed the limits of its stream.
const LIMITS: Limits = Limits {
    element_bytes: u32::MAX as usize,
    depth: 1024,
    attributes: 1024,
    name_bytes: 4096,
    namespace_bytes: 65_536,
    namespaces: 4096,
    children: u32::MAX as usize,
};

/// One element with its own `xmlns`.
pub(super) struct Tree(Content);

impl Tree {
    /// Reads an element; what cannot be read has no root.
    pub(super) fn read(xml: &str) -> Self {
        Self(Content::parse(xml, &LIMITS, waxwing_stanza::CLIENT).unwrap_or_default())
    }

    /// The element, if it is this one.
    pub(super) fn root(&self, name: &str, ns: &str) -> Option<Child<'_>> {
        self.0.children().find(|child| child.is(name, ns))
    }
}

/// A card with those of its children that are kept, and with more behind them.
pub(super) fn rewrite(
    card: &str,
    (name, ns): (&str, &str),
    keep: impl Fn(&Child<'_>) -> bool,
    more: &str,
) -> String {
    let tree = Tree::read(card);
    let declared = format!(" xmlns='{ns}'");
    let mut out = format!("<{name}{declared}>");
    let children = tree.root(name, ns).into_iter().flat_map(|root| root.children());
    for child in children.filter(keep) {
        let xml = child.alone();
        // What the card declares need not be said again.
        match xml.strip_prefix(&format!("<{}{declared}", child.name())) {
            Some(rest) => out.extend(["<", child.name(), rest]),
            None => out.push_str(&xml),
        }
    }
    out.push_str(more);
    out.push_str(&format!("</{name}>"));
    out
}

/// Whether nothing is in a card.
pub(super) fn is_empty(card: &str, (name, ns): (&str, &str)) -> bool {
    Tree::read(card).root(name, ns).is_none_or(|root| root.children().next().is_none())
}

/// The texts of all children of this name in the namespace of their parent, without the space
/// around them; empty ones are left out.
pub(super) fn parts(child: Child<'_>, name: &str) -> Vec<String> {
    let named = child.children().filter(|part| part.is(name, child.namespace()));
    let texts = named.map(|part| part.text().trim().to_owned());
    texts.filter(|text| !text.is_empty()).collect()
}

/// Writes `<name><kind>text</kind></name>`.
pub(super) fn value(out: &mut String, name: &str, kind: &str, text: &str) {
    out.push_str(&format!("<{name}>"));
    element(out, kind, text);
    out.push_str(&format!("</{name}>"));
}
