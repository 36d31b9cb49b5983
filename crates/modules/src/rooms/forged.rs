//! What only the room may say: taken away from what occupants send.

use waxwing_jid::BareJid;
use waxwing_stanza::Stanza;
use waxwing_stanza::payload::{delay, sid};
use waxwing_xml::Child;

use super::table::USER;

/// Namespace of the element that asks to enter.
pub const MUC: &str = "http://jabber.org/protocol/muc";

/// Namespace of `<occupant-id/>` (XEP-0421).
pub const OCCUPANT_ID: &str = "urn:xmpp:occupant-id:0";

/// Whether this is something that only a room may say, whichever room it is.
///
/// XEP-0045 §17.3: "If a MUC service receives such extended presence information from an occupant,
/// it MUST NOT reflect it to other occupants."
pub fn is_ours(child: Child<'_>) -> bool {
    match child.name() {
        "x" => child.namespace() == USER || child.namespace() == MUC,
        "occupant-id" => child.namespace() == OCCUPANT_ID,
        "hats" => child.namespace().starts_with("urn:xmpp:hats:"),
        _ => false,
    }
}

/// Takes away from a message what only the room may say. Nothing is copied when there is nothing of
/// the kind.
pub fn strip(stanza: &mut Stanza, room: &BareJid) {
    if stanza.body.children().any(|child| is_ours(child) || claims(child, room)) {
        stanza.body_mut().retain(|child| !is_ours(child) && !claims(child, room));
    }
}

/// Whether this claims to come from `room`: an id that it gave, or a delay that it caused.
pub fn claims(child: Child<'_>, room: &BareJid) -> bool {
    let attribute = match child.name() {
        "stanza-id" if child.namespace() == sid::NS => "by",
        "delay" if child.namespace() == delay::NS => "from",
        _ => return false,
    };
    let claimed = child.attribute(attribute);
    claimed.is_some_and(|claimed| {
        // As an address, not as text: there are several ways to write one.
        claimed == room.as_str() || BareJid::new(&claimed).ok().as_ref() == Some(room)
    })
}
