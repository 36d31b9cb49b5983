//! Somebody goes: by itself, because it was sent away, or because it cannot be reached any more
//! (XEP-0045 §7.14, §11.1).

use std::time::{Duration, Instant};

use waxwing_jid::Jid;
use waxwing_stanza::{Condition, Stanza};
use waxwing_store::domains::rooms::Rooms as Rows;

use super::letter::{Letter, Now};
use super::outcome::{Outcome, Post};
use super::presence::{Why, clean};
use super::room::{Life, Room};

/// How somebody goes.
#[derive(Clone, Debug, Default)]
pub struct Exit {
    /// Status codes, who did it and why.
    pub why: Why,
    /// What it said in leaving.
    pub last: Option<Stanza>,
    /// What else belongs into `<x/>`, such as `<destroy/>`.
    pub extra: String,
}

impl Exit {
    /// With a status code and nothing else.
    pub fn with(code: u16) -> Self {
        Self { why: Why { codes: vec![code], ..Why::default() }, ..Self::default() }
    }
}

impl Room {
    /// An unavailable presence. §17.3: "A room MUST silently ignore unavailable presence received
    /// from a user who has a role of "none"."
    pub fn depart(&mut self, letter: &mut Letter, _: &Now<'_>) -> Outcome {
        if self.occupant(letter).is_none() {
            return Outcome::nothing();
        }
        let jid = letter.sender().clone();
        let id = letter.stanza.head.id.clone();
        let last = Some(clean(letter.take(), &self.jid));
        let exit = Exit { why: Why { id, ..Why::default() }, last, extra: String::new() };
        self.part(&jid, &exit)
    }

    /// One session leaves; its occupant leaves with the last of them.
    pub fn part(&mut self, jid: &Jid, exit: &Exit) -> Outcome {
        let Some(occupant) = self.occupants.by_jid(jid) else { return Outcome::nothing() };
        let number = occupant.number;
        if occupant.sittings.len() == 1 {
            return Outcome::of(self.remove(number, exit));
        }
        let was_seen = occupant.full() == jid;
        let own = self.own_farewell(number, exit);
        let Some(gone) = self.occupants.stand_up(number, jid) else { return Outcome::nothing() };
        let mut posts: Vec<Post> =
            own.into_iter().map(|stanza| Post::Seat(gone.seat.clone(), vec![stanza])).collect();
        if was_seen {
            // Others see the presence of a session that is still there.
            posts.extend(self.tell_presence(number, &Why::default()));
        }
        posts.extend(self.relay.leave(&[gone]));
        Outcome::of(posts)
    }

    /// What somebody is told of its own going, with status 110.
    fn own_farewell(&self, number: u64, exit: &Exit) -> Option<Stanza> {
        let occupant = self.occupants.get(number)?;
        let codes: Vec<u16> =
            [110].into_iter().chain(exit.why.codes.iter().chain(&exit.why.own).copied()).collect();
        // §10.1.3: whoever leaves a room before it was set up is sent "a presence stanza of type
        // "unavailable" from the room to the owner including a <destroy/> element".
        let is_last = self.occupants.len() == 1 && occupant.sittings.len() == 1;
        let ends = self.life == Life::Locked && is_last && exit.extra.is_empty();
        let extra = if ends { "<destroy/>" } else { exit.extra.as_str() };
        let last = exit.last.as_ref();
        let mut own = self.gone(occupant, last, (true, &exit.why), (&codes, extra));
        own.head.id.clone_from(&exit.why.id);
        Some(own)
    }

    /// Takes an occupant out of the room and tells everybody, itself first. The task sees to
    /// the end of a room that does not stay without occupants.
    pub fn remove(&mut self, number: u64, exit: &Exit) -> Vec<Post> {
        let Some(occupant) = self.occupants.get(number) else { return Vec::new() };
        let mut posts = Vec::new();
        if let Some(own) = self.own_farewell(number, exit) {
            let seats = occupant.sittings.iter().map(|sitting| sitting.seat.clone());
            posts.extend(seats.map(|seat| Post::Seat(seat, vec![own.clone()])));
        }
        if occupant.is_shown {
            let shown = self.farewell(occupant, exit.last.as_ref(), &exit.why, &exit.extra);
            posts.extend(self.spread(occupant, shown));
        }
        if let Some(gone) = self.occupants.remove(number) {
            posts.extend(self.relay.leave(&gone.sittings));
        }
        posts
    }

    /// Everybody goes. Each is told of itself only: who is left behind by all needs to hear nothing
    /// of the others.
    pub fn remove_all(&mut self, exit: &Exit) -> Vec<Post> {
        let mut posts = Vec::new();
        for number in self.occupants.numbers() {
            let Some(own) = self.own_farewell(number, exit) else { continue };
            let Some(gone) = self.occupants.remove(number) else { continue };
            posts.extend(self.relay.leave(&gone.sittings));
            let seats = gone.sittings.into_iter().map(|sitting| sitting.seat);
            posts.extend(seats.map(|seat| Post::Seat(seat, vec![own.clone()])));
        }
        posts
    }

    /// §7.14: "If the room is not persistent and this occupant is the last to exit, the service is
    /// responsible for destroying the room." Neither stays a room that was never set up.
    pub fn close_behind(&mut self) -> Outcome {
        let stays = self.life == Life::Open && self.config.is_persistent;
        if self.life == Life::Absent || !self.occupants.is_empty() || stays {
            return Outcome::nothing();
        }
        let rows = Rows::destroy(self.jid.as_str());
        Outcome::after(rows, |room, _| {
            room.vanish();
            Vec::new()
        })
    }

    /// §18.1.2: whether an error says that an occupant cannot be reached any more: "the
    /// delivery-related errors are <gone/>, <item-not-found/>, <recipient-unavailable/>,
    /// <redirect/>, <remote-server-not-found/>, and <remote-server-timeout/>".
    ///
    /// Servers refuse what is for a session that is gone with `service-unavailable`, which the list
    /// lacks; so does a client what it does not know, but not messages or presence of a room.
    pub fn is_lost(&self, letter: &Letter) -> bool {
        if self.occupant(letter).is_none() {
            return false;
        }
        let is_request = matches!(letter.stanza.head.kind, waxwing_stanza::Kind::Iq(_));
        let Some(error) = letter.stanza.error() else { return false };
        match error.condition {
            Condition::Gone
            | Condition::RecipientUnavailable
            | Condition::Redirect
            | Condition::RemoteServerNotFound
            | Condition::RemoteServerTimeout => true,
            // To a question these are a client's answer.
            Condition::ItemNotFound | Condition::ServiceUnavailable => !is_request,
            _ => false,
        }
    }

    /// A session cannot be reached: it leaves with status 333 (§11.1).
    pub fn lose(&mut self, letter: &Letter, _: &Now<'_>) -> Outcome {
        self.part(&letter.sender().clone(), &Exit::with(333))
    }

    /// A session was not there to take something. It says goodbye itself, unless it was lost
    /// without a word.
    pub fn miss(&mut self, jid: &Jid, now: &Now<'_>) {
        let Some(occupant) = self.occupants.by_jid(jid) else { return };
        let number = occupant.number;
        let Some(occupant) = self.occupants.get_mut(number) else { return };
        let sitting = occupant.sittings.iter_mut().find(|it| it.seat.jid() == jid);
        if let Some(sitting) = sitting.filter(|sitting| !sitting.is_lost) {
            sitting.is_lost = true;
            let wait = Duration::from_secs(self.service.settings.ghost_seconds.into());
            self.ghosts.push((now.instant + wait, jid.clone()));
        }
    }

    /// When there is something to give up.
    pub fn due(&self) -> Option<Instant> {
        let ghosts = self.ghosts.iter().map(|(at, _)| *at);
        ghosts.chain(self.relay.due()).chain(self.faraway.due()).min()
    }

    /// Gives up those who did not come back, and what nobody answered.
    pub fn expire(&mut self, now: &Now<'_>) -> Outcome {
        let due = self.ghosts.iter().position(|(at, _)| *at <= now.instant);
        let Some(due) = due else {
            let mut posts = self.relay.expire(now.instant);
            posts.extend(self.look_around(now).posts);
            return Outcome::of(posts);
        };
        let (_, jid) = self.ghosts.remove(due);
        let own = self.occupants.by_jid(&jid);
        let sitting =
            own.and_then(|own| own.sittings.iter().find(|sitting| *sitting.seat.jid() == jid));
        match sitting.is_some_and(|sitting| sitting.is_lost) {
            true => self.part(&jid, &Exit::with(333)),
            false => Outcome::nothing(),
        }
    }
}
