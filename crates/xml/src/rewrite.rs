//! Writing an element anew when a child of it cannot be forwarded as it is written.
//!
//! Inside children every element is written without prefix and declares its namespace where it
//! differs from what surrounds it; the content namespace is taken for granted. Declarations of
//! prefixes stay (values may refer to them), and an attribute whose prefix is declared outside of
//! the child gets the declaration on its own element. All else stays byte for byte.

use std::borrow::Cow;

use memchr::{memchr, memmem};

use crate::{
    Element, Limits, XmlError,
    attributes::is_declaration,
    decode,
    namespaces::{Outer, XML},
    scan::{Around, Goal, Scan, Step},
    tag::{self, Attribute, Attributes, Stop, Tag},
    walk::CDATA,
    write,
};

/// Rewrites the children of `text`, which the scanner has accepted, and scans the result: it has
/// to keep the same limits.
pub(crate) fn element(text: &str, outer: &Outer, limits: &Limits) -> Result<Element, XmlError> {
    let mut writer = Writer {
        text,
        outer,
        limits,
        out: String::with_capacity(text.len() + text.len() / 4),
        bindings: Vec::new(),
        outside: 0,
        open: Vec::new(),
    };
    writer.run()?;
    let out = writer.out;
    let mut scan = Scan::new(Goal::Document { declaration: false });
    scan.take_content_for_granted();
    let step = scan.advance(out.as_bytes(), Around { outer, limits, root: "" });
    let step = step.map_err(|fault| fault.error)?;
    debug_assert_eq!(step, Step::Element, "a rewritten element is whole");
    Ok(scan.build(&out, outer))
}

struct Writer<'a> {
    text: &'a str,
    outer: &'a Outer,
    limits: &'a Limits,
    out: String,
    /// Prefixes in scope, those of the header left out.
    bindings: Vec<(&'a str, Cow<'a, str>)>,
    /// How many of them come from outside the children.
    outside: usize,
    open: Vec<Level<'a>>,
}

/// An open element.
struct Level<'a> {
    /// How many bindings were in scope outside.
    bindings: usize,
    /// The default namespace inside, as it was read.
    default: Cow<'a, str>,
    /// The default namespace inside, as it is written.
    written: Cow<'a, str>,
    /// The name as it is written.
    name: &'a str,
}

impl<'a> Writer<'a> {
    fn run(&mut self) -> Result<(), XmlError> {
        let text = self.text;
        let mut attributes = Attributes::new();
        let mut at = 0;
        while let Some(run) = memchr(b'<', &text.as_bytes()[at..]) {
            self.out.push_str(&text[at..at + run]);
            at += run;
            let rest = &text[at..];
            if rest.starts_with(CDATA) {
                let end = memmem::find(rest.as_bytes(), b"]]>").map_or(rest.len(), |end| end + 3);
                self.out.push_str(&rest[..end]);
                at += end;
            } else if rest.starts_with("</") {
                let level = self.open.pop().expect("an accepted element is balanced");
                self.bindings.truncate(level.bindings);
                self.out.extend(["</", level.name, ">"]);
                at += memchr(b'>', rest.as_bytes()).map_or(rest.len(), |end| end + 1);
            } else {
                let tag = tag::start_tag(text.as_bytes(), at, self.limits, &mut attributes);
                let tag = tag.map_err(|stop| match stop {
                    Stop::Bad(error) => error,
                    Stop::More => XmlError::NotWellFormed("an unfinished tag"),
                })?;
                if self.open.is_empty() {
                    self.top(&tag, &attributes)
                } else {
                    self.inner(&tag, &attributes)
                }
                at = tag.end;
            }
            if self.out.len() > self.limits.bytes() {
                return Err(XmlError::TooLarge("an element is too long with its namespaces"));
            }
        }
        Ok(())
    }

    /// The start tag of the element itself stays as it is.
    fn top(&mut self, tag: &Tag, attributes: &Attributes) {
        let outer = self.outer;
        let default = match outer.find(b"") {
            Some(index) => Cow::Borrowed(outer.name(index)),
            None => Cow::Borrowed(""),
        };
        let default = self.declare(default, attributes);
        self.outside = self.bindings.len();
        self.out.push_str(&self.text[..tag.end]);
        let name = self.slice(tag.name.start, tag.name.end);
        let written = Cow::Borrowed(outer.content.as_str());
        self.open.push(Level { bindings: 0, default, written, name });
    }

    fn inner(&mut self, tag: &Tag, attributes: &Attributes) {
        let parent = self.open.last().expect("the element itself is open");
        let (inherited, around) = (parent.default.clone(), parent.written.clone());
        let bindings = self.bindings.len();
        let default = self.declare(inherited, attributes);
        let prefix = if tag.name.is_prefixed() {
            self.slice(tag.name.start, tag.name.local - 1)
        } else {
            ""
        };
        self.out.push('<');
        let is_xml = prefix == "xml";
        let (name, written) = if is_xml || prefix.is_empty() {
            (self.slice(tag.name.start, tag.name.end), default.clone())
        } else {
            (self.slice(tag.name.local, tag.name.end), self.find(prefix).0)
        };
        self.out.push_str(name);
        // The namespace of the prefix xml may not be declared, so that prefix stays, and a child
        // that has it says by itself what the default namespace inside is.
        if around != written || (is_xml && self.open.len() == 1) {
            write::attribute(&mut self.out, "xmlns", &written);
        }
        self.attributes(attributes);
        self.out.push_str(if tag.is_empty { "/>" } else { ">" });
        if tag.is_empty {
            self.bindings.truncate(bindings);
        } else {
            self.open.push(Level { bindings, default, written, name });
        }
    }

    fn attributes(&mut self, attributes: &Attributes) {
        let mut declared: Vec<&str> = Vec::new();
        for attribute in attributes {
            let name = self.slice(attribute.name.start, attribute.name.end);
            if name == "xmlns" {
                continue;
            }
            self.out.push(' ');
            self.out.push_str(self.slice(attribute.name.start, attribute.value_end + 1));
            let Some((prefix, _)) = name.split_once(':') else { continue };
            if prefix == "xml" || prefix == "xmlns" || declared.contains(&prefix) {
                continue;
            }
            if let (namespace, false) = self.find(prefix) {
                let declaration = format!("xmlns:{prefix}");
                write::attribute(&mut self.out, &declaration, &namespace);
                declared.push(prefix);
            }
        }
    }

    /// Notes the declarations of a tag. Gives the default namespace inside.
    fn declare(&mut self, default: Cow<'a, str>, attributes: &Attributes) -> Cow<'a, str> {
        let mut default = default;
        for attribute in attributes {
            let name = self.slice(attribute.name.start, attribute.name.end);
            if is_declaration(name) {
                let value = self.value(attribute);
                match name.split_once(':') {
                    None => default = value,
                    Some((_, prefix)) => self.bindings.push((prefix, value)),
                }
            }
        }
        default
    }

    /// What `prefix` is bound to, and whether the child itself declares it.
    fn find(&self, prefix: &str) -> (Cow<'a, str>, bool) {
        if prefix == "xml" {
            return (Cow::Borrowed(XML), true);
        }
        if let Some(index) = self.bindings.iter().rposition(|(known, _)| *known == prefix) {
            return (self.bindings[index].1.clone(), index >= self.outside);
        }
        let index = self.outer.find(prefix.as_bytes()).expect("an accepted prefix is declared");
        (Cow::Borrowed(self.outer.name(index)), false)
    }

    fn value(&self, attribute: &Attribute) -> Cow<'a, str> {
        decode::attribute(self.slice(attribute.value_start, attribute.value_end))
    }

    fn slice(&self, start: u32, end: u32) -> &'a str {
        &self.text[start as usize..end as usize]
    }
}
