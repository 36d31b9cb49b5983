//! Who is in a room.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use smallvec::SmallVec;
use waxwing_jid::{BareJid, Jid};
use waxwing_kernel::crowd::Seat;
use waxwing_stanza::{PresenceType, Stanza};

use super::outcome::{Crowd, Place};
use super::places::Places;
use super::role::{Affiliation, Role};

/// Somebody in a room: a nick, behind which one or more sessions of one account sit.
#[derive(Clone)]
pub struct Occupant {
    /// What the room knows it by.
    pub number: u64,
    /// The nick.
    pub nick: Arc<str>,
    /// The address in the room: `room@service/nick`.
    pub jid: Jid,
    /// The account.
    pub real: BareJid,
    /// What it may do now.
    pub role: Role,
    /// How it stands.
    pub affiliation: Affiliation,
    /// Its sessions, the one last heard of at the end.
    pub sittings: SmallVec<[Sitting; 1]>,
    /// The presence that others have of it.
    pub shown: Shown,
    /// Whether others have it at all.
    pub is_shown: bool,
    /// The highest number of those who were told of it.
    pub told: u64,
    /// The numbers of others who were told of it, one by one.
    pub met: Vec<u64>,
    /// Its pseudonym, the same at every visit and under every nick (XEP-0421).
    pub id: Arc<str>,
}

/// One session of an occupant.
#[derive(Clone)]
pub struct Sitting {
    /// The way to it.
    pub seat: Seat,
    /// The presence it sent last, without what only the room may say.
    pub presence: Stanza,
    /// Whether it could not be reached.
    pub is_lost: bool,
}

/// A presence for those who may see real addresses, and for the others.
#[derive(Clone)]
pub struct Shown {
    /// With the real address.
    pub open: Stanza,
    /// Without.
    pub closed: Stanza,
}

impl Default for Shown {
    fn default() -> Self {
        let nothing = Stanza::presence(PresenceType::Available);
        Self { open: nothing.clone(), closed: nothing }
    }
}

impl Occupant {
    /// The session that others see the presence of.
    pub fn sitting(&self) -> &Sitting {
        self.sittings.last().expect("an occupant has a session")
    }

    /// Its full real address.
    pub fn full(&self) -> &Jid {
        self.sitting().seat.jid()
    }
}

/// Everybody in a room, in the order in which they came.
#[derive(Default)]
pub struct Occupants {
    all: BTreeMap<u64, Occupant>,
    nicks: HashMap<Arc<str>, u64>,
    jids: HashMap<Jid, u64>,
    next: u64,
    /// The seats of those who may see real addresses, and of the others.
    seeing: Places,
    blind: Places,
}

/// Who is meant of everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Everybody.
    All,
    /// Those who may see real addresses.
    Seeing,
    /// Those who may not.
    Blind,
}

impl Occupants {
    /// The number for the next one.
    pub fn next_number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The number of whoever came last.
    pub fn last_number(&self) -> u64 {
        self.next
    }

    /// Somebody comes in, who may see real addresses or not.
    pub fn insert(&mut self, occupant: Occupant, sees: bool) {
        let number = occupant.number;
        self.nicks.insert(Arc::clone(&occupant.nick), number);
        for sitting in &occupant.sittings {
            self.jids.insert(sitting.seat.jid().clone(), number);
            self.list(sees).push(Place { occupant: number, seat: sitting.seat.clone() });
        }
        self.all.insert(number, occupant);
    }

    /// Another session sits down behind a nick.
    pub fn sit(&mut self, number: u64, sitting: Sitting, sees: bool) {
        let Some(occupant) = self.all.get_mut(&number) else { return };
        self.jids.insert(sitting.seat.jid().clone(), number);
        let place = Place { occupant: number, seat: sitting.seat.clone() };
        occupant.sittings.push(sitting);
        self.list(sees).push(place);
    }

    /// A session leaves; its occupant stays, unless it was the last.
    pub fn stand_up(&mut self, number: u64, jid: &Jid) -> Option<Sitting> {
        let occupant = self.all.get_mut(&number)?;
        let index = occupant.sittings.iter().position(|sitting| sitting.seat.jid() == jid)?;
        let gone = occupant.sittings.remove(index);
        self.jids.remove(jid);
        self.unlist(|place| place.occupant != number || place.seat.jid() != jid);
        Some(gone)
    }

    /// Somebody leaves with all sessions.
    pub fn remove(&mut self, number: u64) -> Option<Occupant> {
        let gone = self.all.remove(&number)?;
        self.nicks.remove(&gone.nick);
        for sitting in &gone.sittings {
            self.jids.remove(sitting.seat.jid());
        }
        self.unlist(|place| place.occupant != number);
        Some(gone)
    }

    /// Somebody takes another nick.
    pub fn rename(&mut self, number: u64, nick: Arc<str>, jid: Jid) {
        let Some(occupant) = self.all.get_mut(&number) else { return };
        self.nicks.remove(&occupant.nick);
        self.nicks.insert(Arc::clone(&nick), number);
        occupant.nick = nick;
        occupant.jid = jid;
    }

    /// Says anew who may see real addresses.
    pub fn sort(&mut self, sees: impl Fn(&Occupant) -> bool) {
        (self.seeing, self.blind) = (Places::default(), Places::default());
        for occupant in self.all.values() {
            let list = if sees(occupant) { &mut self.seeing } else { &mut self.blind };
            for sitting in &occupant.sittings {
                list.push(Place { occupant: occupant.number, seat: sitting.seat.clone() });
            }
        }
    }

    /// The seats of those who are meant, without one occupant.
    pub fn crowd(&self, sight: Sight, but: Option<u64>) -> Crowd {
        let mut lists = SmallVec::new();
        if sight != Sight::Blind {
            lists.extend(self.seeing.lists());
        }
        if sight != Sight::Seeing {
            lists.extend(self.blind.lists());
        }
        Crowd { lists, but }
    }

    /// The one with this number.
    pub fn get(&self, number: u64) -> Option<&Occupant> {
        self.all.get(&number)
    }

    /// The same, to be changed in what does not concern lists.
    pub fn get_mut(&mut self, number: u64) -> Option<&mut Occupant> {
        self.all.get_mut(&number)
    }

    /// The one with this nick.
    pub fn by_nick(&self, nick: &str) -> Option<&Occupant> {
        self.all.get(self.nicks.get(nick)?)
    }

    /// The one whose session has this address.
    pub fn by_jid(&self, jid: &Jid) -> Option<&Occupant> {
        self.all.get(self.jids.get(jid)?)
    }

    /// The numbers of those of this account.
    pub fn of(&self, real: &BareJid) -> Vec<u64> {
        let own = self.all.values().filter(|occupant| occupant.real == *real);
        own.map(|occupant| occupant.number).collect()
    }

    /// Everybody.
    pub fn iter(&self) -> impl Iterator<Item = &Occupant> {
        self.all.values()
    }

    /// The numbers of everybody.
    pub fn numbers(&self) -> Vec<u64> {
        self.all.keys().copied().collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether nobody is there.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    fn list(&mut self, sees: bool) -> &mut Places {
        if sees { &mut self.seeing } else { &mut self.blind }
    }

    fn unlist(&mut self, keep: impl Fn(&Place) -> bool) {
        self.seeing.retain(&keep);
        self.blind.retain(&keep);
    }
}
