//! Somebody takes another nick (XEP-0045 §7.6).

use std::sync::Arc;

use waxwing_stanza::{PresenceType, Stanza, StanzaError};

use super::letter::{Letter, Now};
use super::occupants::{Occupant, Shown};
use super::outcome::{Outcome, Post};
use super::presence::{Item, Why, clean};
use super::room::Room;
use super::{config::Whois, dress};

impl Room {
    /// An occupant sends presence to another nick than its own.
    pub fn rename(
        &mut self,
        letter: &mut Letter,
        number: u64,
        _: &Now<'_>,
    ) -> Result<Outcome, StanzaError> {
        let nick = self.nick_of(letter)?;
        let real = letter.bare();
        let reserved = self.affiliations.standing(&real).and_then(|own| own.nick.as_deref());
        if self.config.locks_nicks && reserved.is_some_and(|reserved| reserved != &*nick) {
            let text = "Your nick in this room is locked.";
            return Err(StanzaError::not_acceptable().text(text));
        }
        if self.affiliations.reserved(&nick).is_some_and(|owner| *owner != real) {
            return Err(StanzaError::conflict().text("The nick is reserved for somebody else."));
        }
        if self.occupants.by_nick(&nick).is_some() {
            return Err(StanzaError::conflict().text("The nick is taken."));
        }
        let jid = self.jid.with_resource(&nick)?;
        let id = letter.stanza.head.id.clone();
        let presence = clean(letter.take(), &self.jid);
        let mut posts = self.tell_rename(number, &nick);
        self.occupants.rename(number, Arc::clone(&nick), jid);
        if let Some(occupant) = self.occupants.get_mut(number)
            && let Some(place) =
                occupant.sittings.iter().position(|it| it.seat.jid() == letter.sender())
        {
            let mut sitting = occupant.sittings.remove(place);
            sitting.presence = presence;
            occupant.sittings.push(sitting);
        }
        posts.extend(self.tell_presence(number, &Why { id, ..Why::default() }));
        Ok(Outcome::of(posts))
    }

    /// "The unavailable presence MUST contain … The new nickname …; A status code of 303".
    fn tell_rename(&self, number: u64, nick: &str) -> Vec<Post> {
        let Some(occupant) = self.occupants.get(number) else { return Vec::new() };
        let mut posts = Vec::new();
        if occupant.is_shown {
            let open = self.renamed(occupant, nick, (true, &[303]));
            let closed = self.renamed(occupant, nick, (false, &[303]));
            posts.extend(self.spread(occupant, Shown { open, closed }));
        }
        let own = self.renamed(occupant, nick, (true, &[110, 303]));
        let seats = occupant.sittings.iter().map(|sitting| sitting.seat.clone());
        posts.extend(seats.map(|seat| Post::Seat(seat, vec![own.clone()])));
        posts
    }

    fn renamed(&self, occupant: &Occupant, nick: &str, (is_open, codes): (bool, &[u16])) -> Stanza {
        let item = Item {
            affiliation: occupant.affiliation,
            role: occupant.role,
            jid: (is_open || self.config.whois == Whois::Anyone).then(|| occupant.full()),
            nick: Some(nick),
            ..Item::default()
        };
        let mut xml = item.x(codes.iter().copied(), "");
        dress::identify(occupant, &mut xml);
        Stanza::presence(PresenceType::Unavailable).from(occupant.jid.clone()).with(xml)
    }
}
