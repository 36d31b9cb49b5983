//! What subscribers are told, as it is written (§7.1.2, §7.2.2, §8.2.5.3, §8.4.2, §8.5.2, §13.14).

use std::sync::Arc;

use waxwing_jid::Jid;
use waxwing_stanza::payload::dataform::DataForm;
use waxwing_stanza::payload::delay;
use waxwing_stanza::{MessageType, Stanza, to_xml};
use waxwing_xml::{Content, Limits, write};

use super::config::{Config, ItemReply};
use super::node::Item;
use super::subscribers::Terms;
use super::wire::EVENT;

const ADDRESS: &str = "http://jabber.org/protocol/address";
const SHIM: &str = "http://jabber.org/protocol/shim";
/// Namespace of entries of feeds (RFC 4287): what we know to put in words.
pub(super) const ATOM: &str = "http://www.w3.org/2005/Atom";

/// Characters of the words that are made of an entry.
const WORDS: usize = 1000;

/// Something that happened at a node.
pub(super) enum News<'a> {
    /// Items were published.
    Items(&'a [Arc<Item>]),
    /// Items were removed.
    Retracted(&'a [Box<str>]),
    /// The same, when whoever removed them wants it told whatever the node's configuration says
    /// (§7.2.2.1).
    RetractedLoud(&'a [Box<str>]),
    /// All items were removed.
    Purged,
    /// The node is gone.
    Deleted { redirect: Option<&'a str> },
    /// The node has another configuration.
    Configured(&'a Config),
}

impl News<'_> {
    /// Whether it is told at a node that is configured so.
    pub(super) fn is_told(&self, config: &Config) -> bool {
        config.delivers
            && match self {
                Self::Items(_) | Self::RetractedLoud(_) => true,
                Self::Retracted(_) | Self::Purged => config.notify_retract,
                Self::Deleted { .. } => config.notify_delete,
                Self::Configured(_) => config.notify_config,
            }
    }

    /// §8.4.2: "notification of node deletion to all subscribers (which SHOULD include pending and
    /// unconfigured subscriptions)".
    pub(super) fn is_for_all(&self) -> bool {
        matches!(self, Self::Deleted { .. })
    }

    /// §13.16: headers tell subscriptions apart for published and deleted items alone.
    pub(super) fn has_headers(&self) -> bool {
        matches!(self, Self::Items(_) | Self::Retracted(_) | Self::RetractedLoud(_))
    }

    /// The `<event/>`.
    pub(super) fn event(&self, node: &str, config: &Config) -> String {
        let mut out = String::with_capacity(256);
        out.push_str("<event");
        write::attribute(&mut out, "xmlns", EVENT);
        out.push('>');
        match self {
            Self::Items(items) => {
                within(&mut out, "items", node, |out| {
                    items.iter().for_each(|item| put_item(out, item, config));
                });
            }
            Self::Retracted(ids) | Self::RetractedLoud(ids) => {
                within(&mut out, "items", node, |out| {
                    for id in *ids {
                        out.push_str("<retract");
                        write::attribute(out, "id", id);
                        out.push_str("/>");
                    }
                });
            }
            Self::Purged => within(&mut out, "purge", node, |_| {}),
            Self::Deleted { redirect } => within(&mut out, "delete", node, |out| {
                if let Some(uri) = redirect {
                    out.push_str("<redirect");
                    write::attribute(out, "uri", uri);
                    out.push_str("/>");
                }
            }),
            // §8.2.5.3: "If the node configuration is set to notification-only, the notification
            // MUST consist of an empty <configuration/> element …; if the node configuration is set
            // to full payloads, the <configuration/> element MUST in addition contain the node
            // configuration as represented via the Data Forms protocol."
            Self::Configured(now) => within(&mut out, "configuration", node, |out| {
                if now.delivers_payloads {
                    out.push_str(&to_xml::<DataForm>(&now.result()));
                }
            }),
        }
        out.push_str("</event>");
        out
    }

    /// What happened in words, where that can be said (§13.8).
    pub(super) fn words(&self, config: &Config) -> Option<String> {
        match self {
            Self::Items(items) if has_words(config) => {
                let words: Vec<String> =
                    items.iter().filter_map(|item| words(&item.payload)).collect();
                (!words.is_empty()).then(|| words.join("\n"))
            }
            _ => None,
        }
    }
}

/// Whether what is published at a node is of a kind that can be put in words.
pub(super) fn has_words(config: &Config) -> bool {
    config.kind == ATOM
}

/// A message that tells `event`.
pub(super) fn message(config: &Config, event: String) -> Stanza {
    let kind = if config.headlines { MessageType::Headline } else { MessageType::Normal };
    Stanza::message(kind).with(event)
}

/// §6.1.7: "The message containing this item SHOULD be stamped with extended information qualified
/// by the 'urn:xmpp:delay' namespace".
pub(super) fn delayed(message: Stanza, from: &Jid, published: i64) -> Stanza {
    let stamp = waxwing_kernel::clock::stamp_of(published.cast_unsigned());
    message.with(delay::delay(&stamp, from.as_str()))
}

/// XEP-0163 §4.3.1: "the server SHOULD include an Extended Stanza Addressing "replyto" extension
/// specifying the publishing resource".
pub(super) fn replying_to(message: Stanza, publisher: &Jid) -> Stanza {
    let mut out = String::from("<addresses");
    write::attribute(&mut out, "xmlns", ADDRESS);
    out.push_str("><address type='replyto'");
    write::attribute(&mut out, "jid", publisher.as_str());
    out.push_str("/></addresses>");
    message.with(out)
}

/// §7.1.2.4: "SHOULD be included after the event notification information (i.e., as the last child
/// of the <message/> stanza)."
pub(super) fn with_headers<'a>(message: Stanza, terms: impl Iterator<Item = &'a Terms>) -> Stanza {
    let mut out = String::from("<headers");
    write::attribute(&mut out, "xmlns", SHIM);
    out.push('>');
    for one in terms {
        out.push_str("<header name='SubID'>");
        write::text(&mut out, &one.subid);
        out.push_str("</header>");
    }
    out.push_str("</headers>");
    message.with(out)
}

/// A message with words for people.
pub(super) fn in_words(message: Stanza, words: &str) -> Stanza {
    let mut out = String::from("<body>");
    write::text(&mut out, words);
    out.push_str("</body>");
    message.with(out)
}

/// §13.14: what somebody is told whose subscription has changed.
pub(super) fn subscription(
    node: &str,
    jid: &Jid,
    (subid, state): (Option<&str>, &str),
    expiry: Option<&str>,
) -> String {
    let mut out = String::from("<event");
    write::attribute(&mut out, "xmlns", EVENT);
    out.push_str("><subscription");
    let fields = [
        ("expiry", expiry),
        ("jid", Some(jid.as_str())),
        ("node", Some(node)),
        ("subid", subid),
        ("subscription", Some(state)),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            write::attribute(&mut out, name, value);
        }
    }
    out.push_str("/></event>");
    out
}

fn within(out: &mut String, name: &str, node: &str, inner: impl FnOnce(&mut String)) {
    out.push('<');
    out.push_str(name);
    write::attribute(out, "node", node);
    out.push('>');
    let start = out.len();
    inner(out);
    if out.len() == start {
        out.pop();
        out.push_str("/>");
        return;
    }
    out.push_str("</");
    out.push_str(name);
    out.push('>');
}

fn put_item(out: &mut String, item: &Item, config: &Config) {
    out.push_str("<item");
    write::attribute(out, "id", &item.id);
    // §13.17, §7.1.2.3
    if config.itemreply == ItemReply::Publisher {
        write::attribute(out, "publisher", item.publisher.as_str());
    }
    if item.payload.is_empty() || !config.delivers_payloads {
        return out.push_str("/>");
    }
    out.push('>');
    out.push_str(&item.payload);
    out.push_str("</item>");
}

/// The title and the summary of an entry of a feed.
fn words(payload: &str) -> Option<String> {
    let content = Content::parse(payload, &Limits::default(), ATOM).ok()?;
    let entry = content.child("entry", ATOM)?;
    let part = |name: &str| {
        let part = entry.children().find(|child| child.is(name, ATOM))?;
        let text = part.text().trim().to_owned();
        (!text.is_empty()).then_some(text)
    };
    let parts: Vec<String> = ["title", "summary"].into_iter().filter_map(part).collect();
    let words: String = parts.join("\n").chars().take(WORDS).collect();
    (!words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_put_in_words() {
        let entry = "<entry xmlns='http://www.w3.org/2005/Atom'><title>Soliloquy</title>\
                     <summary> To be, or not to be </summary><id>1</id></entry>";
        assert_eq!(words(entry).unwrap(), "Soliloquy\nTo be, or not to be");
        assert_eq!(words("<entry xmlns='http://www.w3.org/2005/Atom'/>"), None);
        assert_eq!(words("<entry xmlns='urn:other'><title>x</title></entry>"), None);
        assert_eq!(words(""), None);
    }

    #[test]
    fn a_changed_subscription_is_told_as_the_standard_writes_it() {
        let jid = Jid::new("horatio@denmark.lit").unwrap();
        assert_eq!(
            subscription("princely_musings", &jid, (Some("1"), "subscribed"), None),
            "<event xmlns='http://jabber.org/protocol/pubsub#event'><subscription \
             jid='horatio@denmark.lit' node='princely_musings' subid='1' \
             subscription='subscribed'/></event>"
        );
    }
}
