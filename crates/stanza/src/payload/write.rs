//! Writing types that derive `xso::AsXml`, in the style and by the rules of all other output.

use waxwing_xml::write::{attribute, text};
use xso::{AsXml, Item};

const XML: &str = "http://www.w3.org/XML/1998/namespace";

/// The element that `value` stands for, with its own `xmlns`. Characters that XML cannot carry
/// are dropped.
///
/// # Panics
/// When a field refuses to become text. No field type that this project uses ever does.
pub fn to_xml<T: AsXml>(value: &T) -> String {
    let mut writer = Writer { out: String::new(), open: Vec::new(), in_tag: false, prefixes: 0 };
    let items = value.as_xml_iter().expect("fields that always become text");
    for item in items {
        writer.item(item.expect("fields that always become text"));
    }
    writer.out
}

struct Writer {
    out: String,
    /// Namespace and name of the elements not yet closed.
    open: Vec<(String, String)>,
    /// Whether the last start tag still lacks its `>`.
    in_tag: bool,
    /// How many prefixes were declared for attributes.
    prefixes: usize,
}

impl Writer {
    fn item(&mut self, item: Item<'_>) {
        match item {
            Item::XmlDeclaration(_) | Item::ElementHeadEnd => {}
            Item::ElementHeadStart(ns, name) => self.start(ns.as_str(), name.as_str()),
            Item::Attribute(ns, name, value) => {
                self.attribute(ns.as_str(), name.as_str(), &value);
            }
            Item::Text(value) if value.is_empty() => {}
            Item::Text(value) => {
                self.close_tag();
                text(&mut self.out, &value);
            }
            Item::ElementFoot => self.end(),
        }
    }

    fn start(&mut self, ns: &str, name: &str) {
        self.close_tag();
        self.out.push('<');
        self.out.push_str(name);
        if self.open.last().is_none_or(|(outer, _)| outer != ns) {
            attribute(&mut self.out, "xmlns", ns);
        }
        self.open.push((ns.to_owned(), name.to_owned()));
        self.in_tag = true;
    }

    fn attribute(&mut self, ns: &str, name: &str, value: &str) {
        match ns {
            "" => attribute(&mut self.out, name, value),
            XML => attribute(&mut self.out, &format!("xml:{name}"), value),
            _ => {
                self.prefixes += 1;
                let prefix = format!("ns{}", self.prefixes);
                attribute(&mut self.out, &format!("xmlns:{prefix}"), ns);
                attribute(&mut self.out, &format!("{prefix}:{name}"), value);
            }
        }
    }

    fn end(&mut self) {
        let Some((_, name)) = self.open.pop() else { return };
        if self.in_tag {
            self.out.push_str("/>");
            self.in_tag = false;
            return;
        }
        self.out.push_str("</");
        self.out.push_str(&name);
        self.out.push('>');
    }

    fn close_tag(&mut self) {
        if self.in_tag {
            self.out.push('>');
            self.in_tag = false;
        }
    }
}
