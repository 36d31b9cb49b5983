//! XEP-0059: Result Set Management, version 1.0.

use xso::{AsXml, FromXml};

/// Namespace of `<set/>`.
pub const NS: &str = "http://jabber.org/protocol/rsm";

/// Which part of a result set is asked for. A field of another payload:
/// `#[xml(child(default))] set: Option<rsm::Request>`.
#[derive(FromXml, AsXml, Clone, Debug, Default, PartialEq, Eq)]
#[xml(namespace = NS, name = "set", on_unknown_attribute = Discard, on_unknown_child = Discard)]
pub struct Request {
    /// Answer with at most this many items; 0 asks for the count alone (§2.7).
    #[xml(extract(default, on_unknown_attribute = Discard, fields(text(type_ = usize))))]
    pub max: Option<usize>,
    /// Only what comes after the item of this id (§2.2).
    #[xml(extract(default, on_unknown_attribute = Discard, fields(text(type_ = String))))]
    pub after: Option<String>,
    /// Only what comes before the item of this id; empty asks for the last page (§2.3, §2.5).
    #[xml(extract(default, on_unknown_attribute = Discard, fields(text(type_ = String))))]
    pub before: Option<String>,
    /// Start at this position, counted from 0 (§2.6).
    #[xml(extract(default, on_unknown_attribute = Discard, fields(text(type_ = usize))))]
    pub index: Option<usize>,
}

/// Which part of a result set is being given.
#[derive(FromXml, AsXml, Clone, Debug, Default, PartialEq, Eq)]
#[xml(namespace = NS, name = "set", on_unknown_attribute = Discard, on_unknown_child = Discard)]
pub struct Page {
    /// The first item of the page; missing exactly when the page is empty.
    #[xml(child(default))]
    pub first: Option<First>,
    /// The id of the last item of the page; missing exactly when the page is empty.
    #[xml(extract(default, on_unknown_attribute = Discard, fields(text(type_ = String))))]
    pub last: Option<String>,
    /// How many items the whole set has.
    #[xml(extract(default, on_unknown_attribute = Discard, fields(text(type_ = usize))))]
    pub count: Option<usize>,
}

/// The first item of a page.
#[derive(FromXml, AsXml, Clone, Debug, PartialEq, Eq)]
#[xml(namespace = NS, name = "first", on_unknown_attribute = Discard, on_unknown_child = Discard)]
pub struct First {
    /// Its position in the whole set, counted from 0.
    #[xml(attribute(default))]
    pub index: Option<usize>,
    /// Its id.
    #[xml(text)]
    pub id: String,
}

impl Request {
    /// Which part the element `parent` asks for; none when it does not say.
    ///
    /// # Errors
    /// `bad-request` with the reason as text.
    pub fn inside(parent: super::Node<'_>) -> Result<Option<Request>, crate::StanzaError> {
        parent.child("set", NS).map(super::read).transpose()
    }
}

impl Page {
    /// A page without items, out of `count`.
    ///
    /// §2.2: "If there are no items in the page, then the `<first/>` and `<last/>` elements MUST
    /// NOT be included."
    pub fn empty(count: Option<usize>) -> Page {
        Page { first: None, last: None, count }
    }

    /// A page from the item `first`, at `index`, to the item `last`, out of `count`.
    pub fn new(
        first: impl Into<String>,
        last: impl Into<String>,
        index: Option<usize>,
        count: Option<usize>,
    ) -> Page {
        let first = First { index, id: first.into() };
        Page { first: Some(first), last: Some(last.into()), count }
    }
}

crate::payload!(Request, "set", NS);
crate::reply!(Page);
