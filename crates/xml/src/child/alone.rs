//! A child at any depth, written so that it can stand by itself.

use crate::walk::{RawAttributes, name_end};
use crate::write;

use super::Child;

impl Child<'_> {
    /// The whole child with every namespace that it takes from those around it: it can be kept and
    /// written anywhere. The same as [`Child::as_str`] where nothing is missing.
    ///
    /// Namespaces in XML §6.1: "The scope of a namespace declaration declaring a prefix extends
    /// from the beginning of the start-tag in which it appears to the end of the corresponding
    /// end-tag".
    pub fn alone(&self) -> String {
        let text = self.as_str();
        let name = name_end(&self.doc.text, self.start + 1) - self.start;
        let mut out = String::with_capacity(text.len() + 48);
        out.push_str(&text[..name]);
        let own: Vec<&str> = RawAttributes::new(&self.doc.text, self.start)
            .filter_map(|attribute| attribute.name.strip_prefix("xmlns"))
            .collect();
        if !own.contains(&"") {
            write::attribute(&mut out, "xmlns", self.scope.default);
        }
        let mut known: Vec<&str> = own.iter().filter_map(|name| name.strip_prefix(':')).collect();
        for (prefix, namespace) in self.declared() {
            if !known.contains(&prefix) && is_used(text, prefix) {
                write::attribute(&mut out, &format!("xmlns:{prefix}"), namespace);
            }
            known.push(prefix);
        }
        out.push_str(&text[name..]);
        out
    }

    /// The prefixes that are declared around it, innermost first, and what they are bound to.
    fn declared(&self) -> impl Iterator<Item = (&str, &str)> {
        let declarations = self.doc.extra.as_ref().map_or(&[][..], |extra| &extra.declarations);
        let mut index = self.scope.declaration;
        std::iter::from_fn(move || {
            let it = declarations.get(index as usize)?;
            index = it.outer;
            let start = it.prefix_start as usize;
            let prefix = &self.doc.text[start..start + it.prefix_len as usize];
            Some((prefix, self.doc.namespace(it.bound)))
        })
    }
}

/// Whether `prefix:` begins a word. In text it may look so too; then a declaration is one too many,
/// which changes nothing.
fn is_used(text: &str, prefix: &str) -> bool {
    text.match_indices(prefix).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        before.is_some_and(|c| matches!(c, '<' | ' ' | '\t' | '\r' | '\n'))
            && text[at + prefix.len()..].starts_with(':')
    })
}

#[cfg(test)]
mod tests {
    use crate::{Content, Limits};

    /// The first child of the first child of the first child.
    fn inner(xml: &str) -> String {
        let content = Content::parse(xml, &Limits::default(), "jabber:client").unwrap();
        let top = content.children().next().unwrap();
        let item = top.children().next().unwrap();
        item.children().next().unwrap().alone()
    }

    #[test]
    fn what_is_taken_from_those_around_is_declared() {
        for (around, alone) in [
            ("<a xmlns='urn:a'><b><c><d/></c></b></a>", "<c xmlns='urn:a'><d/></c>"),
            ("<a xmlns='urn:a'><b xmlns='urn:b'><c/></b></a>", "<c xmlns='urn:b'/>"),
            ("<a xmlns='urn:a'><b><c xmlns='urn:c' d='1'/></b></a>", "<c xmlns='urn:c' d='1'/>"),
            ("<a xmlns='urn:a'><b xmlns=''><c/></b></a>", "<c xmlns=''/>"),
            (
                "<a xmlns='urn:a' xmlns:p='urn:p'><b xmlns:q='urn:q'><p:c q:d='1'/></b></a>",
                "<p:c xmlns='urn:a' xmlns:q='urn:q' xmlns:p='urn:p' q:d='1'/>",
            ),
            (
                "<a xmlns='urn:a' xmlns:p='urn:1'><b xmlns:p='urn:2'><c><p:d/></c></b></a>",
                "<c xmlns='urn:a' xmlns:p='urn:2'><p:d/></c>",
            ),
            (
                "<a xmlns='urn:a' xmlns:p='urn:1'><b><c xmlns:p='urn:3'><p:d/></c></b></a>",
                "<c xmlns='urn:a' xmlns:p='urn:3'><p:d/></c>",
            ),
            (
                "<a xmlns='urn:a' xmlns:p='urn:p'><b><c>ap:p pp:p</c></b></a>",
                "<c xmlns='urn:a'>ap:p pp:p</c>",
            ),
        ] {
            assert_eq!(inner(around), alone, "{around}");
            let again = Content::parse(alone, &Limits::default(), "jabber:client");
            assert!(again.is_ok(), "{alone}");
        }
    }
}
