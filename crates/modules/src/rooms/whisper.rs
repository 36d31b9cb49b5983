//! What is said to one occupant alone (XEP-0045 §7.5).

use waxwing_stanza::StanzaError;

use super::letter::{Letter, Now};
use super::outcome::{Outcome, Post};
use super::room::Room;
use super::table::USER;
use super::{dress, forged, thin};

impl Room {
    /// A private message.
    pub fn whisper(&mut self, letter: &mut Letter, now: &Now<'_>) -> Result<Outcome, StanzaError> {
        let own = self.must_be_in(letter)?;
        let to = letter.nick.as_deref().and_then(|nick| self.occupants.by_nick(nick));
        let to = to.ok_or_else(|| {
            StanzaError::item_not_found().text("Nobody in the room has this nick.")
        })?;
        if !self.config.whispers.allow(own.role) {
            let text = "You may not send private messages in this room.";
            return Err(StanzaError::forbidden().text(text));
        }
        let (number, other) = (own.number, to.number);
        let seats = to.sittings.iter().map(|sitting| sitting.seat.clone()).collect();
        let from = own.jid.clone();
        // "The service SHOULD add the <x/> element if the message does not contain it already."
        let mut xml = format!("<x xmlns='{USER}'/>");
        dress::identify(own, &mut xml);
        let hold_until = self.pace(letter.sender(), now);
        let mut stanza = letter.take();
        forged::strip(&mut stanza, &self.jid);
        (stanza.head.from, stanza.head.to) = (Some(from), None);
        let mut posts = thin::introduce_to(self, number, other);
        posts.push(Post::Whisper(seats, stanza.with(xml)));
        Ok(Outcome { hold_until, ..Outcome::of(posts) })
    }
}
