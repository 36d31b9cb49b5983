//! What rooms answer and take: one line for each.

use waxwing_stanza::StanzaError;
use waxwing_stanza::payload::{dataform, disco};
use waxwing_xml::Child;

use super::letter::{Letter, Now};
use super::outcome::Outcome;
use super::room::Room;
use super::{admin, owner, register};

/// Namespace of the extended presence of rooms.
pub const USER: &str = "http://jabber.org/protocol/muc#user";

/// What answers a request or takes a message that carries this child.
pub type Handler = fn(&mut Room, &mut Letter, Child<'_>, &Now<'_>) -> Result<Outcome, StanzaError>;

/// Requests to a room: the name and namespace of the child, whether it is a set, and what answers.
const REQUESTS: &[(&str, &str, bool, Handler)] = &[
    ("query", disco::INFO, false, Room::describe),
    ("query", disco::ITEMS, false, Room::list),
    ("ping", "urn:xmpp:ping", false, Room::pong),
    ("query", owner::NS, false, Room::show_form),
    ("query", owner::NS, true, Room::own),
    ("query", admin::NS, false, Room::show_list),
    ("query", admin::NS, true, Room::change_list),
    ("query", register::NS, false, Room::tell_registration),
    ("query", register::NS, true, Room::register),
];

/// Messages to a room that are not for everybody.
const LETTERS: &[(&str, &str, Handler)] =
    &[("x", USER, Room::take_user), ("x", dataform::NS, Room::take_form)];

/// What answers such a request.
pub fn request(child: Child<'_>, is_set: bool) -> Option<Handler> {
    let is_it = |row: &&(&str, &str, bool, Handler)| child.is(row.0, row.1) && row.2 == is_set;
    REQUESTS.iter().find(is_it).map(|row| row.3)
}

/// What takes such a message.
pub fn letter(child: Child<'_>) -> Option<Handler> {
    LETTERS.iter().find(|row| child.is(row.0, row.1)).map(|row| row.2)
}
