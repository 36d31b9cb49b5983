//! Occupants on other servers, who may be gone without a word when the way to them is: one of whom
//! nothing was heard for long is asked, and leaves when it cannot be reached (XEP-0045 §11.1).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use waxwing_jid::Jid;
use waxwing_stanza::{IqType, Stanza};

use super::leave::Exit;
use super::letter::{Letter, Now};
use super::outcome::{Outcome, Post};
use super::room::Room;

/// Bytes of randomness in the id of a question.
const ID_BYTES: usize = 10;

/// When sessions on other servers were heard of, and when that is looked at.
#[derive(Default)]
pub struct Faraway {
    heard: HashMap<Jid, Heard>,
    next: Option<Instant>,
}

struct Heard {
    at: Instant,
    /// Whether it was asked since.
    is_asked: bool,
}

impl Faraway {
    /// When there is something to look at.
    pub fn due(&self) -> Option<Instant> {
        self.next
    }
}

impl Room {
    /// How long nothing need be heard of an occupant.
    fn patience(&self) -> Duration {
        Duration::from_secs(60 * u64::from(self.service.settings.silent_minutes))
    }

    /// Somebody elsewhere has said something, whatever it was.
    pub fn hear(&mut self, letter: &Letter, now: &Now<'_>) {
        if letter.from.mailbox.is_some() || self.occupant(letter).is_none() {
            return;
        }
        let heard = Heard { at: now.instant, is_asked: false };
        self.faraway.heard.insert(letter.sender().clone(), heard);
        let next = now.instant + self.patience();
        self.faraway.next.get_or_insert(next);
    }

    /// Asks those of whom nothing was heard for long, and lets those go who did not answer.
    /// XEP-0410 has clients ask the same of rooms.
    pub fn look_around(&mut self, now: &Now<'_>) -> Outcome {
        if self.faraway.next.is_none_or(|next| next > now.instant) {
            return Outcome::nothing();
        }
        let (mut gone, mut posts, patience) = (Vec::new(), Vec::new(), self.patience());
        let occupants = &self.occupants;
        self.faraway.heard.retain(|jid, heard| {
            let is_here = occupants.by_jid(jid).is_some();
            if !is_here || now.instant < heard.at + patience {
                return is_here;
            }
            if std::mem::replace(&mut heard.is_asked, true) {
                gone.push(jid.clone());
                return false;
            }
            let ping = Stanza::iq(IqType::Get).with("<ping xmlns='urn:xmpp:ping'/>");
            let ping = ping.id(now.clock.token(ID_BYTES)).from(self.jid.to_jid()).to(jid.clone());
            posts.push(Post::Send(ping));
            true
        });
        self.faraway.next = (!self.faraway.heard.is_empty()).then(|| now.instant + patience);
        for jid in gone {
            posts.extend(self.part(&jid, &Exit::with(333)).posts);
        }
        Outcome::of(posts)
    }
}
