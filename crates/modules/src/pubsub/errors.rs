//! What is refused, and how XEP-0060 wants it said.

use waxwing_stanza::StanzaError;
use waxwing_store::StoreError;

/// Namespace of the errors of publish-subscribe.
pub(super) const ERRORS: &str = "http://jabber.org/protocol/pubsub#errors";

/// Adds `<name xmlns='…pubsub#errors'/>`.
pub(super) fn with(error: StanzaError, name: &str) -> StanzaError {
    error.with(format!("<{name} xmlns='{ERRORS}'/>"))
}

/// "the service MUST return a <feature-not-implemented/> error, specifying a pubsub-specific error
/// condition of <unsupported/> and a feature of …".
pub(super) fn unsupported(feature: &str) -> StanzaError {
    let app = format!("<unsupported xmlns='{ERRORS}' feature='{feature}'/>");
    StanzaError::feature_not_implemented().with(app)
}

/// §6.5.9.4: the node keeps no items.
pub(super) fn not_kept() -> StanzaError {
    unsupported("persistent-items").text("This node keeps no items.")
}

/// §7.2.3.3: "If the request does not specify a node, the service MUST return a <bad-request/>
/// error, which SHOULD also include a pubsub-specific error condition of <nodeid-required/>."
pub(super) fn nodeid_required() -> StanzaError {
    with(StanzaError::bad_request(), "nodeid-required").text("A node must be named.")
}

/// §7.2.3.4: "If the request does not include an <item/> element or the <item/> element does not
/// specify an ItemID".
pub(super) fn item_required(text: &'static str) -> StanzaError {
    with(StanzaError::bad_request(), "item-required").text(text)
}

/// "If the node does not exist, the service MUST return an <item-not-found/> error."
pub(super) fn no_node() -> StanzaError {
    StanzaError::item_not_found().text("There is no such node.")
}

/// There is a node, and not what is asked for at it.
pub(super) fn no_item() -> StanzaError {
    StanzaError::item_not_found().text("There is no such item.")
}

/// The store said no.
pub(super) fn unstored(error: StoreError) -> StanzaError {
    waxwing_kernel::request::unstored(&error)
}
