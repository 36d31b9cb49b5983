//! XML as a tree, read by a parser that is not the server's own: what the server writes must be
//! understood by others.

use std::collections::BTreeMap;
use std::fmt;

use rxml::error::EndOrError;
use rxml::{Event, Options, Parse, Parser, WithOptions};

/// The content namespace of client streams.
pub const CLIENT: &str = "jabber:client";
const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// Longer than anything that a scenario sends.
const TOKEN_BYTES: usize = 1 << 20;

/// An element with all that is in it. Text between elements is kept as one piece.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// The resolved namespace.
    pub namespace: String,
    /// The local name.
    pub name: String,
    /// By namespace and local name.
    pub attributes: BTreeMap<(String, String), String>,
    /// The character data directly inside, without the white space around it.
    pub text: String,
    /// The elements directly inside.
    pub children: Vec<Node>,
}

impl Node {
    /// Reads one element; what declares no namespace is in the content namespace. `stream:` and
    /// `db:` need not be declared.
    ///
    /// # Errors
    /// Why the text is no element.
    pub fn parse(text: &str) -> Result<Self, String> {
        let prefixes = "xmlns:stream='http://etherx.jabber.org/streams' \
                        xmlns:db='jabber:server:dialback'";
        let wrapped = format!("<stream xmlns='{CLIENT}' {prefixes}>{text}</stream>");
        let mut found = Vec::new();
        Reader::default().read(wrapped.as_bytes(), &mut |piece| found.push(piece))?;
        match (found.len(), found.into_iter().nth(1)) {
            (3, Some(Piece::Element(node))) => Ok(node),
            _ => Err("not exactly one element".to_owned()),
        }
    }

    /// Whether it has this name in this namespace.
    pub fn is(&self, name: &str, namespace: &str) -> bool {
        self.name == name && self.namespace == namespace
    }

    /// An attribute without a prefix.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(&(String::new(), name.to_owned())).map(String::as_str)
    }

    /// The first child of this name and namespace.
    pub fn child(&self, name: &str, namespace: &str) -> Option<&Node> {
        self.children.iter().find(|child| child.is(name, namespace))
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, around: &str) -> fmt::Result {
        write!(f, "<{}", self.name)?;
        if self.namespace != around {
            write!(f, " xmlns='{}'", self.namespace)?;
        }
        for ((namespace, name), value) in &self.attributes {
            match namespace.as_str() {
                "" => write!(f, " {name}='{}'", escaped(value))?,
                XML => write!(f, " xml:{name}='{}'", escaped(value))?,
                other => write!(f, " {{{other}}}{name}='{}'", escaped(value))?,
            }
        }
        if self.text.is_empty() && self.children.is_empty() {
            return f.write_str("/>");
        }
        write!(f, ">{}", escaped(&self.text))?;
        for child in &self.children {
            child.write(f, &self.namespace)?;
        }
        write!(f, "</{}>", self.name)
    }
}

/// On one line, declaring a namespace where it changes.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, CLIENT)
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('\'', "&apos;")
}

/// A part of a stream.
#[derive(Debug)]
pub enum Piece {
    /// The start tag of the root, without content.
    Header(Node),
    /// A child of the root.
    Element(Node),
    /// The end tag of the root.
    Footer,
}

/// Reads a stream in whatever pieces it comes.
pub struct Reader {
    parser: Parser,
    open: Vec<Node>,
}

impl Default for Reader {
    fn default() -> Self {
        let options = Options { max_token_length: TOKEN_BYTES, ..Options::default() };
        Self { parser: Parser::with_options(options), open: Vec::new() }
    }
}

impl Reader {
    /// Hands every part that `bytes` complete to `sink`.
    ///
    /// # Errors
    /// Why this is no XML.
    pub fn read(&mut self, mut bytes: &[u8], sink: &mut dyn FnMut(Piece)) -> Result<(), String> {
        loop {
            match self.parser.parse(&mut bytes, false) {
                Ok(Some(event)) => self.take(event, sink),
                Ok(None) | Err(EndOrError::NeedMoreData) => return Ok(()),
                Err(EndOrError::Error(error)) => return Err(error.to_string()),
            }
        }
    }

    fn take(&mut self, event: Event, sink: &mut dyn FnMut(Piece)) {
        match event {
            Event::XmlDeclaration(..) => {}
            Event::StartElement(_, (namespace, name), attributes) => {
                let attributes = attributes.into_iter().map(|((namespace, name), value)| {
                    ((namespace.to_string(), name.to_string()), value)
                });
                let node = Node {
                    namespace: namespace.to_string(),
                    name: name.to_string(),
                    attributes: attributes.collect(),
                    ..Node::default()
                };
                if self.open.is_empty() {
                    sink(Piece::Header(node.clone()));
                }
                self.open.push(node);
            }
            Event::Text(_, text) => {
                if let Some(node) = self.open.last_mut() {
                    node.text.push_str(&text);
                }
            }
            Event::EndElement(_) => {
                let Some(mut node) = self.open.pop() else { return };
                node.text = node.text.trim().to_owned();
                match self.open.as_mut_slice() {
                    [] => sink(Piece::Footer),
                    [_] => sink(Piece::Element(node)),
                    [.., parent] => parent.children.push(node),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_shown_as_they_would_be_written() {
        let text = "<iq id='a' type='get'><ping xmlns='urn:xmpp:ping' xml:lang='en'/></iq>";
        assert_eq!(Node::parse(text).unwrap().to_string(), text);
        assert_eq!(
            Node::parse("<a>\n <b> x &lt; y </b></a>").unwrap().to_string(),
            "<a><b>x &lt; y</b></a>"
        );
    }

    #[test]
    fn a_line_holds_one_element() {
        for wrong in ["", "text", "<a/><b/>", "<a>", "<a></b>", "<p:a/>"] {
            Node::parse(wrong).unwrap_err();
        }
    }
}
