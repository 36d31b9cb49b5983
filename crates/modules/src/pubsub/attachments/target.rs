//! The names of the nodes that keep what is attached to items.

use waxwing_jid::BareJid;

use super::{NS, SUMMARY};

/// The item that something is attached to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) node: String,
    pub(super) item: String,
}

impl Target {
    /// Of the node `name` at `realm`; `None` when it is the name of none there.
    ///
    /// §4.1.1: "the namespace …, a slash, the XMPP URI of the target item". There is one way to
    /// write it, or the same item would have several nodes.
    pub(super) fn read(realm: &BareJid, name: &str) -> Option<Self> {
        let (_, rest) = name.split_once("?;node=")?;
        let (node, item) = rest.split_once(";item=")?;
        let target = Self { node: decoded(node)?, item: decoded(item)? };
        (target.name(realm) == name).then_some(target)
    }

    pub(super) fn name(&self, realm: &BareJid) -> String {
        format!("{}{}", before_item(realm, &self.node), encoded(&self.item))
    }

    /// The node with the summaries of items like this.
    pub(super) fn summary(&self) -> String {
        format!("{SUMMARY}/{}", self.node)
    }
}

/// What the names of all nodes begin with that keep something attached to items of `node`.
pub(super) fn before_item(realm: &BareJid, node: &str) -> String {
    let jid = realm.as_str().split('@').map(encoded).collect::<Vec<_>>().join("@");
    format!("{NS}/xmpp:{jid}?;node={};item=", encoded(node))
}

/// RFC 3986 §2.1, §2.3: everything but the unreserved characters in percents.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::super::{is_attachments, is_summary};
    use super::*;

    const NAME: &str = "urn:xmpp:pubsub-attachments:1/xmpp:juliet@capulet.lit?;\
        node=urn%3Axmpp%3Amicroblog%3A0;item=balcony-restoration-afd1";

    /// The example of §4.1.
    #[test]
    fn the_name_of_a_node_says_what_it_is_about() {
        let realm = BareJid::new("juliet@capulet.lit").unwrap();
        let target = Target::read(&realm, NAME).unwrap();
        assert_eq!(target.node, "urn:xmpp:microblog:0");
        assert_eq!(target.item, "balcony-restoration-afd1");
        let summary = "urn:xmpp:pubsub-attachments:summary:1/urn:xmpp:microblog:0";
        assert_eq!(target.summary(), summary);
        assert!(is_attachments(NAME) && is_summary(summary) && !is_attachments(summary));
        let odd = Target { node: "ä;item=".to_owned(), item: "%3?&".to_owned() };
        assert_eq!(Target::read(&realm, &odd.name(&realm)), Some(odd));
        for other in [
            &NAME.replace("juliet", "romeo"),
            &NAME.replace("%3A", ":"),
            &NAME.replace("%3A", "%3a"),
            &NAME.replace("%3A", "%3"),
            &NAME.replace(";item=", ";id="),
        ] {
            assert_eq!(Target::read(&realm, other), None, "{other}");
        }
    }
}
