//! What the room adds to the presence of an occupant besides `<x/>`.

use super::occupants::Occupant;
use super::room::Room;
use super::{hats, ids};

/// Appends what belongs into every available presence.
pub fn extend(room: &Room, occupant: &Occupant, out: &mut String) {
    identify(occupant, out);
    if let Some(hats) = hats::of(room, &occupant.real) {
        out.push_str(&hats);
    }
}

/// Appends who it is, whatever its nick is: also when it leaves. XEP-0421 §4: it "MUST be attached
/// to every message and every presence sent by a MUC".
pub fn identify(occupant: &Occupant, out: &mut String) {
    out.push_str(&ids::element(&occupant.id));
}
