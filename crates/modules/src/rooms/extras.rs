//! What a room tells of what it can do besides XEP-0045.

use waxwing_stanza::payload::dataform::Field;
use waxwing_stanza::payload::sid;

use super::letter::Now;
use super::room::Room;
use super::{activity, avatar, forged, hats, retract};

/// Namespace of commands, and the node under which they are listed (XEP-0050).
pub const COMMANDS: &str = "http://jabber.org/protocol/commands";

/// What every room can do.
const FEATURES: &[&str] = &[
    "http://jabber.org/protocol/muc#self-ping-optimization",
    COMMANDS,
    forged::OCCUPANT_ID,
    hats::NS,
    avatar::NS,
    retract::NS,
];

/// What rooms can do that keep what is said.
const KEPT: &[&str] = &[
    "urn:xmpp:mam:2",
    "urn:xmpp:mam:2#extended",
    "urn:xmpp:mam:2#groupchat-field",
    "urn:xmpp:fulltext:0",
    sid::NS,
    retract::MODERATE,
    "urn:xmpp:message-retract:1#tombstone",
];

/// The features of a room.
pub fn features(room: &Room) -> impl Iterator<Item = &'static str> {
    let kept = if room.config.is_archived { KEPT } else { &[] };
    FEATURES.iter().chain(kept).copied()
}

/// What belongs into its `muc#roominfo` form.
pub fn fields(room: &Room, now: &Now<'_>) -> impl Iterator<Item = Field> {
    [avatar::field(room), hats::hash(room), activity::field(room, now)].into_iter().flatten()
}
