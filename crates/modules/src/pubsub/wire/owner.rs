//! What owners ask for.

use waxwing_jid::Jid;
use waxwing_stanza::payload::dataform::DataForm;
use waxwing_stanza::payload::rsm;
use waxwing_stanza::{Payload, StanzaError};
use waxwing_xml::Child;

use super::{OWNER, address, any_node, first, form, node, text, unknown};

/// A question of an owner.
pub(in super::super) enum OwnerGet {
    /// The configuration of a node (§8.2).
    Configure { node: String },
    /// The configuration of a node that is made without one (§8.3).
    Default,
    /// Who stands how to a node (§8.9.1).
    Affiliations { node: String, set: Option<rsm::Request> },
    /// Who is subscribed (§8.8.1).
    Subscriptions { node: String, set: Option<rsm::Request> },
}

/// An order of an owner.
pub(in super::super) enum OwnerSet {
    /// A node is configured (§8.2.4).
    Configure { node: String, form: DataForm },
    /// A node is removed (§8.4).
    Delete { node: String, redirect: Option<String> },
    /// All items of a node are removed (§8.5).
    Purge { node: String },
    /// Others stand so to a node from now on (§8.9.2).
    Affiliations { node: String, list: Vec<(Jid, Option<String>)> },
    /// Others are subscribed so from now on (§8.8.2).
    Subscriptions { node: String, list: Vec<(Jid, Option<String>, Option<String>)> },
}

impl Payload for OwnerGet {
    const NAME: &'static str = "pubsub";
    const NS: &'static str = OWNER;

    fn read(child: Child<'_>) -> Result<Self, StanzaError> {
        let (ask, name) = first(child, OWNER)?;
        Ok(match name {
            "configure" => Self::Configure { node: node(ask)? },
            "default" => {
                any_node(ask)?;
                Self::Default
            }
            "affiliations" => {
                Self::Affiliations { node: node(ask)?, set: rsm::Request::inside(child)? }
            }
            "subscriptions" => {
                Self::Subscriptions { node: node(ask)?, set: rsm::Request::inside(child)? }
            }
            _ => return Err(unknown(ask)),
        })
    }
}

impl Payload for OwnerSet {
    const NAME: &'static str = "pubsub";
    const NS: &'static str = OWNER;

    fn read(child: Child<'_>) -> Result<Self, StanzaError> {
        let (ask, name) = first(child, OWNER)?;
        Ok(match name {
            "configure" => {
                let form = form(ask)?.ok_or_else(|| {
                    StanzaError::bad_request().text("A form with the configuration is needed.")
                })?;
                Self::Configure { node: node(ask)?, form }
            }
            "delete" => {
                let redirect = ask.child("redirect", OWNER);
                let redirect = redirect.map(|redirect| text(redirect, "uri")).transpose()?;
                Self::Delete { node: node(ask)?, redirect: redirect.flatten() }
            }
            "purge" => Self::Purge { node: node(ask)? },
            "affiliations" => Self::Affiliations { node: node(ask)?, list: affiliations(ask)? },
            "subscriptions" => Self::Subscriptions { node: node(ask)?, list: subscriptions(ask)? },
            _ => return Err(unknown(ask)),
        })
    }
}

/// §8.9.2.1: "If the 'affiliation' attribute is not specified in a modification request, then the
/// value MUST NOT be changed."
fn affiliations(ask: Child<'_>) -> Result<Vec<(Jid, Option<String>)>, StanzaError> {
    let changes = ask.children().filter(|child| child.is("affiliation", OWNER));
    changes.map(|change| Ok((subject(change)?, text(change, "affiliation")?))).collect()
}

/// §8.8.2.1, likewise. The id of a subscription, and its state.
type Changed = (Jid, Option<String>, Option<String>);

fn subscriptions(ask: Child<'_>) -> Result<Vec<Changed>, StanzaError> {
    let changes = ask.children().filter(|child| child.is("subscription", OWNER));
    let read =
        |change| Ok((subject(change)?, text(change, "subid")?, text(change, "subscription")?));
    changes.map(read).collect()
}

fn subject(change: Child<'_>) -> Result<Jid, StanzaError> {
    match change.attribute("jid") {
        Some(text) => address(&text),
        None => Err(StanzaError::bad_request().text("`jid` says whom a change is about.")),
    }
}
