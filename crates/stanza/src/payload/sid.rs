//! XEP-0359: Unique and Stable Stanza IDs, version 0.7.0.

use waxwing_jid::BareJid;
use waxwing_xml::write::attribute;

use crate::Body;

/// Namespace of `<stanza-id/>`.
pub const NS: &str = "urn:xmpp:sid:0";

/// Room for a usual element.
const XML_BYTES: usize = 128;

/// The `<stanza-id/>` that the account `by` gives.
pub fn stanza_id(by: &str, id: &str) -> String {
    let mut out = String::with_capacity(XML_BYTES);
    out.push_str("<stanza-id xmlns='urn:xmpp:sid:0'");
    attribute(&mut out, "by", by);
    attribute(&mut out, "id", id);
    out.push_str("/>");
    out
}

/// Whether there is any `<stanza-id/>`, by whomever.
pub fn has_any(body: &Body) -> bool {
    body.has("stanza-id", NS)
}

/// The id that `owner` gave.
pub fn find(body: &Body, owner: &BareJid) -> Option<String> {
    let mut ids = body.children().filter(|child| child.is("stanza-id", NS));
    let by = ids.find(|child| child.attribute("by").is_some_and(|by| by == owner.as_str()))?;
    by.attribute("id").map(|id| id.into_owned())
}

/// Removes every `<stanza-id/>` that claims to be by `owner`.
///
/// §3 rule 2: "entities, which encounter a `<stanza-id/>` element where the 'by' attribute matches
/// the 'by' attribute they would otherwise set, MUST delete that element".
pub fn remove(body: &mut Body, owner: &BareJid) {
    body.retain(|child| {
        let by = child.is("stanza-id", NS).then(|| child.attribute("by")).flatten();
        // As an address, not as text: `Romeo@LOCALHOST` is the same.
        by.is_none_or(|by| BareJid::new(&by).ok().as_ref() != Some(owner))
    });
}
