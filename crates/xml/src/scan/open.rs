//! What a start tag means: namespaces declared, names resolved, attributes unique.

use super::{Around, Binding, Open, Scan};
use crate::{
    Limits, XmlError, decode,
    element::{Declaration, NO_DECLARATION, Span},
    namespaces::{Bound, Namespace, Outer, XML, XMLNS},
    tag::{Attribute, QName, Tag},
};

/// Up to this many attributes are compared each with each.
const FEW_ATTRIBUTES: usize = 16;

impl Scan {
    /// Checks the start tag just read and makes its element the innermost one.
    pub(super) fn enter(
        &mut self,
        bytes: &[u8],
        tag: &Tag,
        around: Around<'_>,
    ) -> Result<(), XmlError> {
        let depth = self.open.len() + 1;
        if depth > around.limits.depth {
            return Err(XmlError::TooLarge("elements are nested too deeply"));
        }
        let (default, declaration) = match self.open.last() {
            Some(open) if depth == 2 && self.content_for_granted => {
                (Bound::Content, open.declaration)
            }
            Some(open) => (open.default, open.declaration),
            None => (around.outer.default, NO_DECLARATION),
        };
        let mut open = Open {
            name_start: tag.name.start,
            name_len: tag.name.end - tag.name.start,
            bindings: self.bindings.len() as u32,
            default,
            declaration,
        };
        let mut has_default = false;
        for index in 0..self.attributes.len() {
            let attribute = self.attributes[index];
            if is_declaration(&attribute.name, bytes) {
                has_default |= !attribute.name.is_prefixed();
                self.declare(bytes, &attribute, &mut open, around)?;
            }
        }
        if depth == 1 {
            self.outside = self.bindings.len();
        }
        let bound = self.element_namespace(bytes, &tag.name, &open, around.outer)?;
        self.check_attributes(bytes, around.outer)?;
        match depth {
            1 => {
                self.name_start = tag.name.local;
                self.name_len = tag.name.end - tag.name.local;
                self.bound = bound;
            }
            2 => self.list_child(tag, bound, (has_default, around.limits))?,
            _ => {}
        }
        self.open.push(open);
        Ok(())
    }

    /// Adds a direct child to the table, and decides whether it can be forwarded as written.
    fn list_child(
        &mut self,
        tag: &Tag,
        bound: Bound,
        (has_default, limits): (bool, &Limits),
    ) -> Result<(), XmlError> {
        if self.children.len() == limits.children {
            return Err(XmlError::TooLarge("too many children"));
        }
        // Bare and in the content namespace by inheritance, or with an `xmlns` of its own.
        let as_written = match bound {
            Bound::Xml => has_default,
            _ => !tag.name.is_prefixed() && has_default != (bound == Bound::Content),
        };
        self.rewrite |= !as_written;
        let start = tag.name.start - 1;
        let name_len = tag.name.end - tag.name.local;
        self.children.push(Span { start, end: 0, name_len, bound });
        Ok(())
    }

    fn declare(
        &mut self,
        bytes: &[u8],
        attribute: &Attribute,
        open: &mut Open,
        around: Around<'_>,
    ) -> Result<(), XmlError> {
        let Around { outer, limits, .. } = around;
        if self.bindings.len() + outer.bindings.len() >= limits.namespaces {
            return Err(XmlError::TooLarge("too many namespace declarations"));
        }
        let raw = attribute.value(bytes);
        if raw.len() > limits.namespace_bytes {
            return Err(XmlError::TooLarge("a namespace name is too long"));
        }
        let is_default = !attribute.name.is_prefixed();
        let prefix: &[u8] = if is_default { b"" } else { attribute.name.local(bytes) };
        let bound = self.bind(raw, attribute, outer)?;
        check_binding(prefix, self.name_of(bytes, outer, bound))?;
        let prefix_start = attribute.name.local;
        let prefix_len = prefix.len() as u32;
        self.bindings.push(Binding { prefix_start, prefix_len, bound });
        if is_default {
            open.default = bound;
        }
        if self.open.is_empty() || (is_default && !matches!(bound, Bound::Decoded(_))) {
            return Ok(());
        }
        let at = attribute.name.start;
        let outer = open.declaration;
        if !is_default {
            open.declaration = self.extra.declarations.len() as u32;
        }
        let declaration = Declaration { at, outer, prefix_start, prefix_len, bound };
        self.extra.declarations.push(declaration);
        Ok(())
    }

    fn bind(&mut self, raw: &[u8], at: &Attribute, outer: &Outer) -> Result<Bound, XmlError> {
        let content = outer.content.as_str();
        if !at.is_plain {
            let raw = std::str::from_utf8(raw).map_err(|_| XmlError::Encoding("not UTF-8"))?;
            let name = decode::attribute(raw);
            if *name != *content {
                self.extra.decoded.push(name.into());
                return Ok(Bound::Decoded(self.extra.decoded.len() as u32 - 1));
            }
            return Ok(Bound::Content);
        }
        Ok(if raw == content.as_bytes() {
            Bound::Content
        } else if raw.is_empty() {
            Bound::Nothing
        } else if raw == XML.as_bytes() {
            Bound::Xml
        } else {
            Bound::Text { start: at.value_start, len: raw.len() as u32 }
        })
    }

    fn element_namespace(
        &mut self,
        bytes: &[u8],
        name: &QName,
        open: &Open,
        outer: &Outer,
    ) -> Result<Bound, XmlError> {
        if !name.is_prefixed() {
            return Ok(open.default);
        }
        let prefix = name.prefix(bytes);
        // Namespaces in XML §3: "Element names MUST NOT have the prefix xmlns."
        if prefix == b"xmlns" {
            return Err(XmlError::NotWellFormed("an element with the prefix xmlns"));
        }
        self.look_up(bytes, prefix, outer)
    }

    /// What `prefix` is bound to. Notes when a child needs a declaration outside of it.
    fn look_up(&mut self, bytes: &[u8], prefix: &[u8], outer: &Outer) -> Result<Bound, XmlError> {
        if prefix == b"xml" {
            return Ok(Bound::Xml);
        }
        let is_inside = !self.open.is_empty();
        let declares = |it: &Binding| {
            let start = it.prefix_start as usize;
            it.prefix_len as usize == prefix.len() && &bytes[start..start + prefix.len()] == prefix
        };
        if let Some(index) = self.bindings.iter().rposition(declares) {
            self.rewrite |= is_inside && index < self.outside;
            return Ok(self.bindings[index].bound);
        }
        // Namespaces in XML §5: "The namespace prefix, unless it is xml or xmlns, MUST have been
        // declared".
        let index = outer.find(prefix).ok_or(XmlError::BadPrefix("an undeclared prefix"))?;
        self.rewrite |= is_inside;
        Ok(Bound::Outer(index))
    }

    fn check_attributes(&mut self, bytes: &[u8], outer: &Outer) -> Result<(), XmlError> {
        let mut prefixed: smallvec::SmallVec<[(QName, Bound); 4]> = smallvec::SmallVec::new();
        for index in 0..self.attributes.len() {
            let name = self.attributes[index].name;
            if name.is_prefixed() && !is_declaration(&name, bytes) {
                let bound = self.look_up(bytes, name.prefix(bytes), outer)?;
                prefixed.push((name, bound));
            }
        }
        if self.has_equal_names(bytes) {
            // XML 1.0 §3.1: "An attribute name MUST NOT appear more than once".
            return Err(XmlError::NotWellFormed("an attribute appears twice"));
        }
        for (index, (name, bound)) in prefixed.iter().enumerate() {
            let namespace = self.name_of(bytes, outer, *bound);
            // Namespaces in XML §6.3: "no tag may contain two attributes which … have qualified
            // names with the same local part and with prefixes which have been bound to namespace
            // names that are identical".
            let is_same = |(other, at): &(QName, Bound)| {
                other.local(bytes) == name.local(bytes)
                    && self.name_of(bytes, outer, *at) == namespace
            };
            if prefixed[..index].iter().any(is_same) {
                return Err(XmlError::NotWellFormed("an attribute appears twice"));
            }
        }
        Ok(())
    }

    fn has_equal_names(&self, bytes: &[u8]) -> bool {
        let names = self.attributes.iter().map(|it| it.name.whole(bytes));
        if self.attributes.len() <= FEW_ATTRIBUTES {
            // The first byte tells nearly all apart, without a call to compare slices.
            let is_same = |a: &[u8], b: &[u8]| a.len() == b.len() && a[0] == b[0] && a == b;
            let earlier = names.clone();
            return names
                .enumerate()
                .any(|(n, it)| earlier.clone().take(n).any(|o| is_same(o, it)));
        }
        let mut sorted: Vec<&[u8]> = names.collect();
        sorted.sort_unstable();
        sorted.windows(2).any(|pair| pair[0] == pair[1])
    }

    /// The namespace name behind `bound`, while scanning.
    fn name_of<'s>(&'s self, bytes: &'s [u8], outer: &'s Outer, bound: Bound) -> &'s [u8] {
        match bound {
            Bound::Content => outer.content.as_str().as_bytes(),
            Bound::Nothing => b"",
            Bound::Xml => XML.as_bytes(),
            Bound::Outer(index) => outer.name(index).as_bytes(),
            Bound::Text { start, len } => &bytes[start as usize..(start + len) as usize],
            Bound::Decoded(index) => self.extra.decoded[index as usize].as_bytes(),
        }
    }

    /// What the root's start tag, which was just read, declares.
    pub(crate) fn to_outer(&self, bytes: &[u8], around: &Outer) -> Outer {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let bindings = self.bindings.iter().map(|it| {
            let start = it.prefix_start as usize;
            let prefix = text(&bytes[start..start + it.prefix_len as usize]);
            (prefix.into(), Namespace::new(&text(self.name_of(bytes, around, it.bound))))
        });
        let mut outer =
            Outer { content: around.content.clone(), bindings: bindings.collect(), ..*around };
        outer.default = match self.open.last().map(|root| root.default) {
            Some(Bound::Text { .. } | Bound::Decoded(_)) => {
                outer.find(b"").map_or(Bound::Nothing, Bound::Outer)
            }
            default => default.unwrap_or(Bound::Nothing),
        };
        outer
    }

    /// The name of the root as written.
    pub(crate) fn root_name<'t>(&self, tag: &'t str) -> &'t str {
        let root = self.open.last().expect("the root is open");
        let start = root.name_start as usize;
        &tag[start..start + root.name_len as usize]
    }
}

#[inline]
fn is_declaration(name: &QName, bytes: &[u8]) -> bool {
    bytes[name.start as usize] == b'x'
        && name.end - name.start >= 5
        && (if name.is_prefixed() { name.prefix(bytes) } else { name.whole(bytes) }) == b"xmlns"
}

/// Namespaces in XML §3: the prefix xml "MUST NOT be bound to any other namespace name", xmlns
/// "MUST NOT be declared", and "Other prefixes MUST NOT be bound to" their names, "and [they]
/// MUST NOT be declared as the default namespace".
fn check_binding(prefix: &[u8], name: &[u8]) -> Result<(), XmlError> {
    let reason = if prefix == b"xmlns" {
        "the prefix xmlns is declared"
    } else if (prefix == b"xml") != (name == XML.as_bytes()) {
        "the prefix xml or its namespace is bound otherwise"
    } else if name == XMLNS.as_bytes() {
        "the namespace of xmlns is bound"
    } else if name.is_empty() && !prefix.is_empty() {
        // §5: "the attribute value in a namespace declaration for a prefix [may not be] empty"
        "a prefix is bound to no namespace"
    } else {
        return Ok(());
    };
    Err(XmlError::NotWellFormed(reason))
}
