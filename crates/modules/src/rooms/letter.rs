//! What a room gets: a stanza of somebody, and what is known at that moment.

use std::time::Instant;

use waxwing_jid::{BareJid, Jid};
use waxwing_kernel::Names;
use waxwing_kernel::clock::{Clock, stamp_of};
use waxwing_kernel::stage::Party;
use waxwing_stanza::{Body, Stanza, StanzaError};

/// A stanza for a room or for somebody in it.
pub struct Letter {
    /// Who sent it.
    pub from: Party,
    /// The nick that it is for; `None`: the room itself.
    pub nick: Option<String>,
    /// The stanza.
    pub stanza: Stanza,
    /// Whether an admin of the domain sent it, who may do what an owner may.
    pub is_operator: bool,
    /// Whether the sender may make a room, or why not.
    pub may_create: Result<(), StanzaError>,
}

impl Letter {
    /// The full address of whoever sent it.
    pub fn sender(&self) -> &Jid {
        &self.from.jid
    }

    /// The account of whoever sent it.
    pub fn bare(&self) -> BareJid {
        self.from.jid.bare()
    }

    /// Takes the stanza out. What remains can still be refused.
    pub fn take(&mut self) -> Stanza {
        let rest = Stanza { head: self.stanza.head.clone(), body: Body::default().into() };
        std::mem::replace(&mut self.stanza, rest)
    }
}

/// What is known at a moment.
#[derive(Clone, Copy)]
pub struct Now<'a> {
    /// Randomness.
    pub clock: &'a Clock,
    /// The time, for waiting.
    pub instant: Instant,
    /// The time, for people: Unix milliseconds.
    pub millis: u64,
    /// The number that a message gets in the archive if it is kept; given to one letter only.
    pub number: u64,
    /// What clients see of numbers.
    pub names: &'a Names,
}

impl Now<'_> {
    /// The time as XEP-0082 writes it.
    pub fn stamp(&self) -> String {
        stamp_of(self.millis)
    }

    /// The same as it is stored.
    pub fn stored(&self) -> i64 {
        self.millis.cast_signed()
    }
}
