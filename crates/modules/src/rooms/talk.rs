//! What is said to everybody (XEP-0045 §7.4).

use waxwing_jid::Jid;
use waxwing_stanza::payload::sid;
use waxwing_stanza::{CLIENT, Stanza, StanzaError};

use super::letter::{Letter, Now};
use super::occupants::Sight;
use super::outcome::{Crowd, Outcome, Post};
use super::room::Room;
use super::{activity, dress, forged, record, retract, slow, thin};

/// Bytes of randomness in the id of a message that came without one.
const ID_BYTES: usize = 8;

impl Room {
    /// A message for everybody.
    pub fn talk(&mut self, letter: &mut Letter, now: &Now<'_>) -> Result<Outcome, StanzaError> {
        let occupant = self.must_be_in(letter)?;
        let (number, from) = (occupant.number, occupant.jid.clone());
        let has_voice = occupant.role.has_voice();
        if is_subject(&letter.stanza) {
            return self.change_subject(letter, now);
        }
        if !has_voice {
            // "If the sender is a visitor …, the service MUST return a <forbidden/> error".
            return Err(StanzaError::forbidden().text("You have no voice in this room."));
        }
        slow::check(self, letter, now)?;
        let hold_until = self.pace(letter.sender(), now);
        let real = letter.sender().clone();
        let mut stanza = self.said(letter.take(), from, number, now);
        let row = record::record(self, now, &stanza, &real);
        let is_kept = row.is_some();
        if is_kept {
            stanza = stanza.with(self.stanza_id(now));
        }
        let is_told_later = is_kept || stanza.body.has("body", CLIENT);
        if is_told_later {
            self.history.push(now.number, now.millis, stanza.clone());
        }
        let mut rows: Vec<_> = row.into_iter().collect();
        rows.extend(retract::take_back(self, &stanza, number, now));
        rows.extend(activity::count(self, &stanza, now));
        let mut posts = thin::introduce(self, number);
        posts.push(Post::Crowd(self.everybody(), stanza));
        Ok(Outcome {
            rows,
            posts,
            undo: is_told_later.then_some(now.number),
            hold_until,
            ..Outcome::nothing()
        })
    }

    /// Everybody in the room.
    pub fn everybody(&self) -> Crowd {
        self.occupants.crowd(Sight::All, None)
    }

    /// The id that the room gives to what it keeps now.
    pub fn stanza_id(&self, now: &Now<'_>) -> String {
        sid::stanza_id(self.jid.as_str(), &now.names.name(now.number))
    }

    /// A message as everybody gets it: from the nick, and without what only the room may say.
    fn said(&self, mut stanza: Stanza, from: Jid, number: u64, now: &Now<'_>) -> Stanza {
        forged::strip(&mut stanza, &self.jid);
        stanza.head.from = Some(from);
        stanza.head.to = None;
        // "If the client did not provide an 'id', the server MAY generate an 'id' and use it for
        // all reflections of the same message".
        let id = stanza.head.id.take();
        stanza.head.id = Some(id.unwrap_or_else(|| now.clock.token(ID_BYTES).into()));
        let mut xml = String::with_capacity(128);
        if let Some(occupant) = self.occupants.get(number) {
            dress::identify(occupant, &mut xml);
        }
        if xml.is_empty() { stanza } else { stanza.with(xml) }
    }
}

/// §8.1: "The <message/> MUST contain a <subject/> element that specifies the new subject but MUST
/// NOT contain a <body/> element (or a <thread/> element)."
fn is_subject(stanza: &Stanza) -> bool {
    let has = |name| stanza.body.has(name, CLIENT);
    has("subject") && !has("body") && !has("thread")
}
