//! What a room wants done: rows to be written, then stanzas to be sent, in this order.

use std::sync::Arc;
use std::time::Instant;

use smallvec::SmallVec;
use waxwing_jid::Jid;
use waxwing_kernel::crowd::Seat;
use waxwing_stanza::{IqType, Kind, Stanza, StanzaError};
use waxwing_store::Statement;

use super::letter::{Letter, Now};
use super::room::Room;

/// What is to be done once the rows are written: the change itself, and telling of it.
pub type Then = Box<dyn FnOnce(&mut Room, &Now<'_>) -> Vec<Post> + Send>;

/// What came of a letter.
#[derive(Default)]
pub struct Outcome {
    /// What must be durable first.
    pub rows: Vec<Statement>,
    /// What is sent then.
    pub posts: Vec<Post>,
    /// What is changed then. Everything from before is sent first, `posts` as well, and nothing
    /// else happens meanwhile.
    pub then: Option<Then>,
    /// The message of the history that is taken back if the rows cannot be written.
    pub undo: Option<u64>,
    /// Before that time the sender is not read on.
    pub hold_until: Option<Instant>,
}

/// Something to be sent.
pub enum Post {
    /// One stanza for many.
    Crowd(Crowd, Stanza),
    /// Some stanzas for one session.
    Seat(Seat, Vec<Stanza>),
    /// A private message for one occupant, for all of its sessions. Its sender hears when none of
    /// them is there.
    Whisper(Vec<Seat>, Stanza),
    /// A question to an account on behalf of an occupant. The answer goes to `asker`, from the
    /// address `nick` and under the id of its question.
    Ask {
        /// The question, from the address of the asker in the room.
        question: Stanza,
        /// Who asked.
        asker: Seat,
        /// Who is asked.
        nick: Jid,
        /// The id of the question.
        id: Option<Arc<str>>,
    },
    /// An answer to whoever sent the letter.
    Back(Stanza),
    /// To whomever it is addressed, from the room.
    Send(Stanza),
}

/// The seats of occupants.
#[derive(Clone, Default)]
pub struct Crowd {
    /// The seats, in lists that nobody changes.
    pub lists: SmallVec<[Arc<Vec<Place>>; 2]>,
    /// The occupant who is left out.
    pub but: Option<u64>,
}

/// A seat and the number of the occupant whose it is.
#[derive(Clone)]
pub struct Place {
    /// The occupant.
    pub occupant: u64,
    /// The seat.
    pub seat: Seat,
}

impl Crowd {
    /// Everybody in it.
    pub fn iter(&self) -> impl Iterator<Item = &Place> {
        let places = self.lists.iter().flat_map(|list| list.iter());
        places.filter(|place| Some(place.occupant) != self.but)
    }

    /// Whether nobody is in it.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

impl Outcome {
    /// Nothing is to be done.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Only this is to be sent.
    pub fn of(posts: Vec<Post>) -> Self {
        Self { posts, ..Self::default() }
    }

    /// A request is answered.
    pub fn answer(letter: &Letter, payload: Option<String>) -> Self {
        Self::of(vec![Post::Back(letter.stanza.result(payload))])
    }

    /// Writes `rows`; then a change, after which the request is answered with `payload`.
    pub fn after(
        rows: Vec<Statement>,
        then: impl FnOnce(&mut Room, &Now<'_>) -> Vec<Post> + Send + 'static,
    ) -> Self {
        Self { rows, then: Some(Box::new(then)), ..Self::default() }
    }

    /// A letter is refused.
    pub fn refuse(room: &Room, letter: &Letter, error: StanzaError) -> Self {
        let stanza = &letter.stanza;
        if matches!(stanza.head.kind, Kind::Iq(IqType::Result | IqType::Error)) {
            return Self::nothing();
        }
        let error = error.by(room.jid.to_jid());
        match stanza.error_reply(&error) {
            Some(reply) => Self::of(vec![Post::Back(reply)]),
            None => Self::nothing(),
        }
    }
}
