//! XEP-0297: Stanza Forwarding, version 1.0.

use crate::Stanza;

/// Namespace of `<forwarded/>`.
pub const NS: &str = "urn:xmpp:forward:0";

/// A stanza wrapped in `<forwarded/>`, after an optional `<delay/>` written by
/// [`delay`](super::delay::delay()).
///
/// §3.2: "The namespace of the forwarded stanza MUST be preserved (this is typically
/// 'jabber:client')", hence `xmlns`.
pub fn forwarded(stanza: &Stanza, xmlns: &str, delay: Option<&str>) -> String {
    let mut out = String::with_capacity(256 + stanza.body.len_bytes());
    write_forwarded(&mut out, stanza, xmlns, delay);
    out
}

/// Appends what [`forwarded`] gives.
pub fn write_forwarded(out: &mut String, stanza: &Stanza, xmlns: &str, delay: Option<&str>) {
    out.push_str("<forwarded xmlns='urn:xmpp:forward:0'>");
    out.push_str(delay.unwrap_or_default());
    stanza.write(out, Some(xmlns));
    out.push_str("</forwarded>");
}
