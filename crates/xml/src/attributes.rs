//! Reading the attributes of a start tag.

use std::borrow::Cow;

use crate::{decode, walk::RawAttributes};

/// The attributes of one start tag, in order, namespace declarations left out.
#[derive(Clone)]
pub struct Attributes<'a>(pub(crate) RawAttributes<'a>);

impl<'a> Iterator for Attributes<'a> {
    /// The name as written (with its prefix, if any) and the value, decoded.
    type Item = (&'a str, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        let mut rest = self.0.by_ref().filter(|it| !is_declaration(it.name));
        rest.next().map(|it| (it.name, decode::attribute(it.value)))
    }
}

/// Whether an attribute of this name declares a namespace.
pub(crate) fn is_declaration(name: &str) -> bool {
    name.strip_prefix("xmlns").is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

/// The value of the attribute written `name`, of the start tag at `start`.
pub(crate) fn value<'a>(text: &'a str, start: usize, name: &str) -> Option<Cow<'a, str>> {
    let mut all = RawAttributes::new(text, start);
    all.find(|it| it.name == name).map(|it| decode::attribute(it.value))
}

/// The value of an unprefixed attribute that is no namespace declaration.
pub(crate) fn plain<'a>(text: &'a str, start: usize, name: &str) -> Option<Cow<'a, str>> {
    if name == "xmlns" || name.contains(':') {
        return None;
    }
    value(text, start, name)
}
