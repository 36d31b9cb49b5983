//! XEP-0203: Delayed Delivery, version 2.0.

use waxwing_xml::write::attribute;

/// Namespace of `<delay/>`.
pub const NS: &str = "urn:xmpp:delay";

/// The `<delay/>` that says when a stanza was first sent.
///
/// `stamp` is a XEP-0082 date and time in UTC, such as `2002-09-10T23:08:25Z`; `from` is who
/// delayed or first sent the stanza.
pub fn delay(stamp: &str, from: &str) -> String {
    let mut out = String::with_capacity(48 + stamp.len() + from.len());
    out.push_str("<delay");
    attribute(&mut out, "xmlns", NS);
    attribute(&mut out, "from", from);
    attribute(&mut out, "stamp", stamp);
    out.push_str("/>");
    out
}
