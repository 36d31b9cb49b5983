//! What is asked for in `<pubsub/>`, in both of its namespaces.
//!
//! Payloads of items are only passed on, so these are read child by child and not through a tree.

mod owner;

use waxwing_jid::Jid;
use waxwing_stanza::payload::dataform::{self, DataForm};
use waxwing_stanza::payload::{self, rsm};
use waxwing_stanza::{Payload, StanzaError};
use waxwing_xml::Child;

use super::errors::{item_required, nodeid_required, with};
use super::public;

pub(super) use self::owner::{OwnerGet, OwnerSet};

/// Namespace of requests of entities, subscribers and publishers.
pub(super) const NS: &str = "http://jabber.org/protocol/pubsub";
/// Namespace of requests of owners.
pub(super) const OWNER: &str = "http://jabber.org/protocol/pubsub#owner";
/// Namespace of what subscribers are told.
pub(super) const EVENT: &str = "http://jabber.org/protocol/pubsub#event";

/// Bytes that the name of a node, or the id of an item or a subscription, may have.
const NAME_MAX: usize = 1023;

/// A question.
pub(super) enum Get {
    /// Items of a node (§6.5).
    Items(ItemsAsk),
    /// One's own subscriptions (§5.6).
    Subscriptions { node: Option<String> },
    /// One's own affiliations (§5.7).
    Affiliations { node: Option<String> },
    /// The usual options of a subscription (§6.4).
    DefaultOptions { node: Option<String> },
    /// The options of a subscription (§6.3).
    Options { node: String, jid: Jid, subid: Option<String> },
}

/// Which items of a node are asked for.
pub(super) struct ItemsAsk {
    pub(super) node: String,
    /// Those with these ids.
    pub(super) ids: Vec<String>,
    /// So many of the last.
    pub(super) last: Option<u32>,
    pub(super) subid: Option<String>,
    /// A part of them (XEP-0059).
    pub(super) set: Option<rsm::Request>,
}

/// An order.
pub(super) enum Set {
    /// A node is made (§8.1), with a configuration if there is a form.
    Create { node: Option<String>, form: Option<DataForm> },
    /// Items are published (§7.1).
    Publish(Publish),
    /// Items are removed (§7.2).
    Retract { node: String, ids: Vec<String>, is_loud: bool },
    /// Somebody subscribes (§6.1), with options if there is a form; others may know of it if
    /// `is_public` (XEP-0465).
    Subscribe { node: String, jid: Jid, form: Option<DataForm>, is_public: bool },
    /// Somebody unsubscribes (§6.2).
    Unsubscribe { node: String, jid: Jid, subid: Option<String> },
    /// The options of a subscription change (§6.3.5).
    Options { node: String, jid: Jid, subid: Option<String>, form: DataForm },
}

/// Items to publish.
pub(super) struct Publish {
    pub(super) node: String,
    pub(super) items: Vec<Draft>,
    /// How the node must be (§7.1.5).
    pub(super) options: Option<DataForm>,
}

/// An item to publish.
pub(super) struct Draft {
    pub(super) id: Option<String>,
    /// One element that can stand alone; nothing if there is none.
    pub(super) payload: String,
}

impl Payload for Get {
    const NAME: &'static str = "pubsub";
    const NS: &'static str = NS;

    fn read(child: Child<'_>) -> Result<Self, StanzaError> {
        let (ask, name) = first(child, NS)?;
        Ok(match name {
            "items" => Self::Items(items(child, ask)?),
            "subscriptions" => Self::Subscriptions { node: any_node(ask)? },
            "affiliations" => Self::Affiliations { node: any_node(ask)? },
            "default" => Self::DefaultOptions { node: any_node(ask)? },
            "options" => {
                Self::Options { node: node(ask)?, jid: jid(ask)?, subid: text(ask, "subid")? }
            }
            _ => return Err(unknown(ask)),
        })
    }
}

impl Payload for Set {
    const NAME: &'static str = "pubsub";
    const NS: &'static str = NS;

    fn read(child: Child<'_>) -> Result<Self, StanzaError> {
        let (ask, name) = first(child, NS)?;
        Ok(match name {
            "create" => create(child, ask)?,
            "publish" => Self::Publish(publish(child, ask)?),
            "retract" => {
                let is_loud = ask.attribute("notify").is_some_and(|it| it == "1" || it == "true");
                Self::Retract { node: node(ask)?, ids: retracted(ask)?, is_loud }
            }
            "subscribe" => {
                let options = child.child("options", NS);
                let form = options.map(form).transpose()?.flatten();
                let is_public = ask.child("public", public::NS).is_some();
                Self::Subscribe { node: node(ask)?, jid: jid(ask)?, form, is_public }
            }
            "unsubscribe" => {
                Self::Unsubscribe { node: node(ask)?, jid: jid(ask)?, subid: text(ask, "subid")? }
            }
            "options" => {
                let form = form(ask)?.ok_or_else(|| {
                    StanzaError::bad_request().text("A form with the options is needed.")
                })?;
                let (node, jid, subid) = (node(ask)?, jid(ask)?, text(ask, "subid")?);
                Self::Options { node, jid, subid, form }
            }
            _ => return Err(unknown(ask)),
        })
    }
}

fn items(pubsub: Child<'_>, ask: Child<'_>) -> Result<ItemsAsk, StanzaError> {
    let ids = ask.children().filter(|item| item.is("item", NS));
    let ids = ids.filter_map(|item| text(item, "id").transpose());
    let last = ask.attribute("max_items").map(|most| match most.trim().parse::<u32>() {
        Ok(most) if most > 0 => Ok(most),
        _ => Err(StanzaError::bad_request().text("`max_items` is a whole number above 0.")),
    });
    Ok(ItemsAsk {
        node: node(ask)?,
        ids: ids.collect::<Result<_, _>>()?,
        last: last.transpose()?,
        subid: text(ask, "subid")?,
        set: rsm::Request::inside(pubsub)?,
    })
}

/// §8.1.3: "The <configure/> element MUST follow the <create/> element and MUST NOT possess a
/// 'node' attribute … if any of these rules are violated, the service MUST return a <bad-request/>
/// error."
fn create(pubsub: Child<'_>, ask: Child<'_>) -> Result<Set, StanzaError> {
    let Some(configure) = pubsub.child("configure", NS) else {
        return Ok(Set::Create { node: any_node(ask)?, form: None });
    };
    if configure.attribute("node").is_some() {
        let error = StanzaError::bad_request();
        return Err(error.text("The node is named in `create`, and not in `configure`."));
    }
    Ok(Set::Create { node: any_node(ask)?, form: form(configure)? })
}

fn publish(pubsub: Child<'_>, ask: Child<'_>) -> Result<Publish, StanzaError> {
    let options = pubsub.child("publish-options", NS);
    let options = options.map(|options| {
        // §7.1.5: "The <publish-options/> element MUST contain a data form".
        form(options)?
            .ok_or_else(|| StanzaError::bad_request().text("`publish-options` contains a form."))
    });
    let items = ask.children().filter(|item| item.is("item", NS)).map(draft);
    Ok(Publish {
        node: node(ask)?,
        items: items.collect::<Result<_, _>>()?,
        options: options.transpose()?,
    })
}

/// §7.1.3.6: "If the <item/> element does not contain exactly one payload element … the service
/// MUST bounce the request with a <bad-request/> error, which SHOULD also include a pubsub-specific
/// error condition of <invalid-payload/>."
fn draft(item: Child<'_>) -> Result<Draft, StanzaError> {
    let mut payloads = item.children();
    let (payload, other) = (payloads.next(), payloads.next());
    if other.is_some() {
        let error = with(StanzaError::bad_request(), "invalid-payload");
        return Err(error.text("An item has one payload."));
    }
    Ok(Draft {
        id: text(item, "id")?,
        payload: payload.map_or_else(String::new, |payload| payload.alone()),
    })
}

fn retracted(ask: Child<'_>) -> Result<Vec<String>, StanzaError> {
    let items = ask.children().filter(|item| item.is("item", NS));
    let ids = items.map(|item| {
        text(item, "id")?.ok_or_else(|| item_required("The id of the item must be said."))
    });
    let ids: Vec<String> = ids.collect::<Result<_, _>>()?;
    if ids.is_empty() {
        return Err(item_required("An item to retract must be named."));
    }
    Ok(ids)
}

/// What the request is about: its first child, by its name.
fn first<'a>(pubsub: Child<'a>, ns: &str) -> Result<(Child<'a>, &'a str), StanzaError> {
    let ask = pubsub.children().find(|child| child.namespace() == ns);
    let ask = ask.ok_or_else(|| StanzaError::bad_request().text("Nothing is asked for."))?;
    Ok((ask, ask.name()))
}

fn unknown(ask: Child<'_>) -> StanzaError {
    StanzaError::bad_request().text(format!("<{}/> cannot be asked for so.", ask.name()))
}

/// The form in an element.
fn form(parent: Child<'_>) -> Result<Option<DataForm>, StanzaError> {
    parent.child("x", dataform::NS).map(payload::read).transpose()
}

fn node(ask: Child<'_>) -> Result<String, StanzaError> {
    any_node(ask)?.ok_or_else(nodeid_required)
}

fn any_node(ask: Child<'_>) -> Result<Option<String>, StanzaError> {
    text(ask, "node")
}

/// An attribute that names something; none if it is empty.
fn text(ask: Child<'_>, name: &str) -> Result<Option<String>, StanzaError> {
    match ask.attribute(name) {
        None => Ok(None),
        Some(text) if text.is_empty() => Ok(None),
        Some(text) if text.len() > NAME_MAX => {
            let error = StanzaError::not_acceptable();
            Err(error.text(format!("`{name}` may have {NAME_MAX} bytes.")))
        }
        Some(text) => Ok(Some(text.into_owned())),
    }
}

/// §6.3.4.3: "If the subscriber does not specify a subscriber JID, the service MUST return a
/// <bad-request/> error, which SHOULD also include a pubsub-specific error condition of
/// <jid-required/>."
fn jid(ask: Child<'_>) -> Result<Jid, StanzaError> {
    let Some(text) = ask.attribute("jid") else {
        let error = with(StanzaError::bad_request(), "jid-required");
        return Err(error.text("The address of the subscriber must be said."));
    };
    address(&text)
}

fn address(text: &str) -> Result<Jid, StanzaError> {
    Jid::new(text).map_err(|error| {
        let refused = with(StanzaError::bad_request(), "invalid-jid");
        refused.text(format!("{text}: {error}"))
    })
}

#[cfg(test)]
mod tests;
