//! Which occupants those who come in are shown.

use waxwing_stanza::Stanza;

use super::occupants::Occupant;
use super::room::Room;

/// The presences of all others for somebody who comes in, in the order in which they came.
pub fn roster(room: &Room, own: &Occupant) -> Vec<Stanza> {
    let sees = room.may_see_real(own);
    let others = room.occupants.iter();
    let others = others.filter(|other| other.number != own.number && other.is_shown);
    let shown = others.map(|other| if sees { &other.shown.open } else { &other.shown.closed });
    shown.cloned().collect()
}
