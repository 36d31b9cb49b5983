//! An independent parser's view of a document, compared with ours.

use std::collections::BTreeMap;

use rxml::{Event, Options, Parse, Parser, WithOptions};
use waxwing_xml::{Child, Element};

use super::limits::CONTENT;

/// An element as any parser sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// By namespace and local name.
    pub(crate) attributes: BTreeMap<(String, String), String>,
    /// All character data directly inside.
    pub(crate) text: String,
    pub(crate) children: Vec<Node>,
}

/// The document as rxml reads it. `None`: refused.
pub(crate) fn theirs(mut bytes: &[u8]) -> Option<Node> {
    let options = Options { max_token_length: 1 << 20, ..Options::default() };
    let mut parser = Parser::with_options(options);
    let mut open = vec![Node::default()];
    while let Some(event) = parser.parse(&mut bytes, true).ok()? {
        match event {
            Event::XmlDeclaration(..) => {}
            Event::StartElement(_, (namespace, name), attributes) => {
                let attributes = attributes.into_iter().map(|((namespace, name), value)| {
                    ((namespace.to_string(), name.to_string()), value)
                });
                open.push(Node {
                    namespace: namespace.to_string(),
                    name: name.to_string(),
                    attributes: attributes.collect(),
                    ..Node::default()
                });
            }
            Event::EndElement(_) => {
                let node = open.pop()?;
                open.last_mut()?.children.push(node);
            }
            Event::Text(_, text) => open.last_mut()?.text.push_str(&text),
        }
    }
    open.pop()?.children.pop()
}

/// Panics unless `element` says the same as `node`, by every way of asking.
pub(crate) fn assert_same(element: &Element, node: &Node) {
    assert_eq!((element.name(), element.namespace()), (&*node.name, &*node.namespace));
    assert_eq!(element.text(), node.text);
    for ((namespace, name), value) in &node.attributes {
        if namespace.is_empty() {
            assert_eq!(element.attribute(name).as_deref(), Some(&**value));
        }
    }
    assert_eq!(element.lang().as_deref(), node.lang());
    assert_eq!(element.attributes().count(), node.attributes.len());
    assert_eq!(element.children().count(), node.children.len());
    for (child, node) in element.children().zip(&node.children) {
        assert_child(child, node);
        assert_stands_alone(child, node);
    }
}

fn assert_child(child: Child<'_>, node: &Node) {
    assert_eq!((child.name(), child.namespace()), (&*node.name, &*node.namespace));
    assert_eq!(child.text(), node.text);
    for ((namespace, name), value) in &node.attributes {
        if namespace.is_empty() {
            assert_eq!(child.attribute(name).as_deref(), Some(&**value));
        }
    }
    assert_eq!(child.lang().as_deref(), node.lang());
    assert_eq!(child.attributes().count(), node.attributes.len());
    assert_eq!(child.children().count(), node.children.len());
    for (child, node) in child.children().zip(&node.children) {
        assert_child(child, node);
    }
}

/// A strict parser reads the same out of the child's text, wherever it is put.
fn assert_stands_alone(child: Child<'_>, node: &Node) {
    let text = child.as_str();
    let wrapped = format!("<c xmlns='{CONTENT}'>{text}</c>");
    let root = theirs(wrapped.as_bytes()).unwrap_or_else(|| panic!("refused: {text}"));
    assert_eq!(root.children.as_slice(), std::slice::from_ref(node), "{text}");
    let elsewhere = theirs(format!("<c xmlns='urn:else'>{text}</c>").as_bytes()).unwrap();
    let is_content = node.namespace == CONTENT;
    assert_eq!(elsewhere.children[0].namespace == "urn:else", is_content, "{text}");
    if !is_content {
        assert_eq!(&elsewhere.children[0], node, "{text}");
    }
}

impl Node {
    fn lang(&self) -> Option<&str> {
        let key = ("http://www.w3.org/XML/1998/namespace".to_owned(), "lang".to_owned());
        self.attributes.get(&key).map(String::as_str)
    }
}
