//! What others see of an occupant: its presence with what the room adds, in two versions at most,
//! for those who may see real addresses and for those who may not.

use std::sync::Arc;

use waxwing_jid::{BareJid, Jid};
use waxwing_stanza::{Kind, PresenceType, Stanza};
use waxwing_xml::write;

use super::config::Whois;
use super::letter::{Letter, Now};
use super::occupants::{Occupant, Shown, Sight};
use super::outcome::{Outcome, Post};
use super::role::{Affiliation, Role};
use super::room::Room;
use super::table::USER;
use super::{dress, forged, thin};

/// Why a presence is told, for those who get it.
#[derive(Clone, Debug, Default)]
pub struct Why {
    /// Status codes for everybody (XEP-0045 §16.6).
    pub codes: Vec<u16>,
    /// More of them for the occupant itself; 110 is added.
    pub own: Vec<u16>,
    /// The nick of whoever made it so.
    pub actor: Option<String>,
    /// What was said about it.
    pub reason: Option<String>,
    /// The id of the stanza of the occupant that it answers.
    pub id: Option<Arc<str>>,
    /// The change of version that comes with it, for those who may see real addresses (XEP-0463).
    pub step: String,
}

impl Why {
    /// Whether there is nothing about it to be told to others.
    fn is_plain(&self) -> bool {
        self.codes.is_empty()
            && self.actor.is_none()
            && self.reason.is_none()
            && self.step.is_empty()
    }
}

/// The `<item/>` of an extended presence.
#[derive(Clone, Copy, Debug, Default)]
pub struct Item<'a> {
    /// How the occupant stands.
    pub affiliation: Affiliation,
    /// What it may do.
    pub role: Role,
    /// Its full real address, for those who may see it.
    pub jid: Option<&'a Jid>,
    /// The nick it takes (§7.6), or is known by.
    pub nick: Option<&'a str>,
    /// The nick of whoever made it so.
    pub actor: Option<&'a str>,
    /// Why.
    pub reason: Option<&'a str>,
}

impl Item<'_> {
    /// Appends the element, without a namespace of its own.
    pub fn write(&self, out: &mut String) {
        out.push_str("<item");
        write::attribute(out, "affiliation", self.affiliation.name());
        write::attribute(out, "role", self.role.name());
        if let Some(jid) = self.jid {
            write::attribute(out, "jid", jid.as_str());
        }
        if let Some(nick) = self.nick {
            write::attribute(out, "nick", nick);
        }
        if self.actor.is_none() && self.reason.is_none() {
            out.push_str("/>");
            return;
        }
        out.push('>');
        if let Some(actor) = self.actor {
            out.push_str("<actor");
            write::attribute(out, "nick", actor);
            out.push_str("/>");
        }
        if let Some(reason) = self.reason {
            out.push_str("<reason>");
            write::text(out, reason);
            out.push_str("</reason>");
        }
        out.push_str("</item>");
    }

    /// The whole `<x/>`, with status codes and what else belongs into it.
    pub fn x(&self, codes: impl Iterator<Item = u16>, extra: &str) -> String {
        let mut out = format!("<x xmlns='{USER}'>");
        self.write(&mut out);
        for code in codes {
            out.push_str("<status");
            write::attribute(&mut out, "code", &code.to_string());
            out.push_str("/>");
        }
        out.push_str(extra);
        out.push_str("</x>");
        out
    }
}

impl Room {
    /// Brings up to date what others see of an occupant.
    pub fn dress(&mut self, number: u64) {
        let Some(occupant) = self.occupants.get(number) else { return };
        let shown = self.shown(occupant, &Why::default());
        if let Some(occupant) = self.occupants.get_mut(number) {
            occupant.shown = shown;
        }
    }

    /// What others see of an occupant, with status codes and the reason of a change.
    fn shown(&self, occupant: &Occupant, why: &Why) -> Shown {
        let presence = &occupant.sitting().presence;
        let open = self.seen(occupant, presence, (true, why), why.codes.iter().copied());
        let closed = match self.config.whois {
            Whois::Anyone => open.clone(),
            Whois::Moderators => {
                self.seen(occupant, presence, (false, why), why.codes.iter().copied())
            }
        };
        Shown { open, closed }
    }

    /// One version of a presence.
    fn seen(
        &self,
        occupant: &Occupant,
        presence: &Stanza,
        (is_open, why): (bool, &Why),
        codes: impl Iterator<Item = u16>,
    ) -> Stanza {
        let item = Item {
            affiliation: occupant.affiliation,
            role: occupant.role,
            jid: is_open.then(|| occupant.full()),
            nick: None,
            actor: why.actor.as_deref(),
            reason: why.reason.as_deref(),
        };
        let mut xml = item.x(codes, if is_open { &why.step } else { "" });
        dress::extend(self, occupant, &mut xml);
        let mut stanza = presence.clone().from(occupant.jid.clone()).with(xml);
        stanza.head.kind = Kind::Presence(PresenceType::Available);
        stanza.head.to = None;
        stanza
    }

    /// Tells everybody, and the occupant itself at last, what there is to see of it now.
    pub fn tell_presence(&mut self, number: u64, why: &Why) -> Vec<Post> {
        let mut posts = self.tell_others(number, why);
        posts.extend(self.tell_self(number, why));
        posts
    }

    /// Tells everybody else. §7.2.2 "Unless the room is configured to not broadcast presence from
    /// new occupants below a certain affiliation level".
    pub fn tell_others(&mut self, number: u64, why: &Why) -> Vec<Post> {
        self.dress(number);
        let Some(occupant) = self.occupants.get(number) else { return Vec::new() };
        let is_told = self.is_told(occupant.role) && thin::is_told(self, occupant);
        let was_shown = occupant.is_shown;
        let posts = match (is_told, was_shown) {
            (true, _) if why.is_plain() => self.spread(occupant, occupant.shown.clone()),
            (true, _) => self.spread(occupant, self.shown(occupant, why)),
            // Others must not go on seeing somebody whose presence they get no more.
            (false, true) => self.spread(occupant, self.farewell(occupant, None, why, "")),
            (false, false) => Vec::new(),
        };
        if let Some(occupant) = self.occupants.get_mut(number) {
            occupant.is_shown = is_told;
        }
        if is_told {
            thin::told(self, number);
        }
        posts
    }

    /// Tells the occupant itself, with status 110. Its own address is no secret to it.
    pub fn tell_self(&self, number: u64, why: &Why) -> Vec<Post> {
        let Some(occupant) = self.occupants.get(number) else { return Vec::new() };
        let mut codes = [&[110], &*why.codes, &*why.own].concat();
        codes.sort_unstable();
        let (presence, codes) = (&occupant.sitting().presence, codes.into_iter());
        let mut stanza = self.seen(occupant, presence, (true, why), codes);
        stanza.head.id.clone_from(&why.id);
        let seats = occupant.sittings.iter().map(|sitting| sitting.seat.clone());
        seats.map(|seat| Post::Seat(seat, vec![stanza.clone()])).collect()
    }

    /// Both versions to those whom they are for.
    pub fn spread(&self, occupant: &Occupant, shown: Shown) -> Vec<Post> {
        let seeing = thin::audience(self, occupant, Sight::Seeing);
        let blind = thin::audience(self, occupant, Sight::Blind);
        let both = [(seeing, shown.open), (blind, shown.closed)];
        let both = both.into_iter().filter(|(crowd, _)| !crowd.is_empty());
        both.map(|(crowd, stanza)| Post::Crowd(crowd, stanza)).collect()
    }

    /// That an occupant is seen no more: with role `none`, and with what it said in leaving.
    pub fn farewell(
        &self,
        occupant: &Occupant,
        last: Option<&Stanza>,
        why: &Why,
        extra: &str,
    ) -> Shown {
        let open = self.gone(occupant, last, (true, why), (&why.codes, extra));
        let closed = self.gone(occupant, last, (false, why), (&why.codes, extra));
        Shown { open, closed }
    }

    /// One version of that.
    pub fn gone(
        &self,
        occupant: &Occupant,
        last: Option<&Stanza>,
        (is_open, why): (bool, &Why),
        (codes, extra): (&[u16], &str),
    ) -> Stanza {
        let item = Item {
            affiliation: occupant.affiliation,
            role: Role::None,
            jid: (is_open || self.config.whois == Whois::Anyone).then(|| occupant.full()),
            nick: None,
            actor: why.actor.as_deref(),
            reason: why.reason.as_deref(),
        };
        let step = if is_open { why.step.as_str() } else { "" };
        let mut xml = item.x(codes.iter().copied(), &[step, extra].concat());
        dress::identify(occupant, &mut xml);
        let last = last.cloned();
        let stanza = last.unwrap_or_else(|| Stanza::presence(PresenceType::Unavailable));
        let mut stanza = stanza.from(occupant.jid.clone()).with(xml);
        stanza.head.kind = Kind::Presence(PresenceType::Unavailable);
        (stanza.head.to, stanza.head.id) = (None, None);
        stanza
    }

    /// An occupant changes its presence (§7.7).
    pub fn update(&mut self, letter: &mut Letter, number: u64, _: &Now<'_>) -> Outcome {
        let id = letter.stanza.head.id.clone();
        let presence = clean(letter.take(), &self.jid);
        let Some(occupant) = self.occupants.get_mut(number) else { return Outcome::nothing() };
        let place = occupant.sittings.iter().position(|it| it.seat.jid() == letter.sender());
        let Some(place) = place else { return Outcome::nothing() };
        // The one last heard of is the one that is seen.
        let mut sitting = occupant.sittings.remove(place);
        sitting.presence = presence;
        occupant.sittings.push(sitting);
        Outcome::of(self.tell_presence(number, &Why { id, ..Why::default() }))
    }

    /// Gives an occupant another role, and tells everybody.
    pub fn set_role(&mut self, number: u64, role: Role, why: &Why) -> Vec<Post> {
        if let Some(occupant) = self.occupants.get_mut(number) {
            occupant.role = role;
        }
        self.sort();
        self.tell_presence(number, why)
    }

    /// Says anew who may see real addresses, after a role or the configuration has changed.
    pub fn sort(&mut self) {
        let whois = self.config.whois;
        let sees = |it: &Occupant| whois == Whois::Anyone || it.role == Role::Moderator;
        self.occupants.sort(sees);
    }
}

/// A presence as the occupant may send it to others: without what only the room may say.
pub fn clean(mut presence: Stanza, room: &BareJid) -> Stanza {
    forged::strip(&mut presence, room);
    (presence.head.to, presence.head.id) = (None, None);
    presence
}
