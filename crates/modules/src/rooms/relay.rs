//! Questions of one occupant to another (XEP-0045 §17.4): "the MUC service MUST NOT reveal the
//! sender's real JID to the recipient at any time, nor reveal the recipient's real JID to the
//! sender."

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use waxwing_jid::Jid;
use waxwing_kernel::crowd::Seat;
use waxwing_stanza::payload::disco;
use waxwing_stanza::{IqType, Kind, Stanza, StanzaError};

use super::letter::{Letter, Now};
use super::occupants::Occupant;
use super::outcome::{Outcome, Post};
use super::room::Room;

/// Bytes of randomness in the id of a question that was passed on.
const ID_BYTES: usize = 10;

/// Questions without an answer so far, the oldest first.
#[derive(Default)]
pub struct Relay {
    open: HashMap<Arc<str>, Open>,
    order: VecDeque<Arc<str>>,
    most: usize,
}

struct Open {
    /// Who asks, and under which id.
    asker: Seat,
    id: Option<Arc<str>>,
    /// Who is asked: its real address, and the one in the room.
    asked: Jid,
    nick: Jid,
}

impl Relay {
    /// With room for so many questions; of more, the oldest are forgotten.
    pub fn new(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    fn insert(&mut self, id: Arc<str>, open: Open) {
        while self.order.len() >= self.most {
            let Some(oldest) = self.order.pop_front() else { break };
            self.open.remove(&oldest);
        }
        self.order.push_back(Arc::clone(&id));
        self.open.insert(id, open);
    }

    fn take(&mut self, id: &str, asked: &Jid) -> Option<Open> {
        if self.open.get(id)?.asked != *asked {
            return None;
        }
        self.order.retain(|open| &**open != id);
        self.open.remove(id)
    }

    /// Forgets what somebody asked who leaves.
    pub fn forget(&mut self, gone: &Occupant) {
        let is_own = |open: &Open| gone.sittings.iter().any(|it| it.seat.is(&open.asker));
        self.open.retain(|_, open| !is_own(open));
        let open = &self.open;
        self.order.retain(|id| open.contains_key(id));
    }
}

impl Room {
    /// A question to an occupant.
    pub fn relay_request(
        &mut self,
        letter: &mut Letter,
        now: &Now<'_>,
    ) -> Result<Outcome, StanzaError> {
        let is_disco = letter.stanza.body.children().next().is_some_and(|child| {
            child.namespace() == disco::INFO || child.namespace() == disco::ITEMS
        });
        if is_disco && self.occupant(letter).is_none() {
            // §6.6: "If a non-occupant attempts to send a disco request to an address of the form
            // <room@service/nick>, a MUC service MUST return a <bad-request/> error."
            let text = "Only those who are in the room may ask those who are in it.";
            return Err(StanzaError::bad_request().text(text));
        }
        let from = self.must_be_in(letter)?.jid.clone();
        let to = letter.nick.as_deref().and_then(|nick| self.occupants.by_nick(nick));
        let to = to.ok_or_else(|| {
            StanzaError::item_not_found().text("Nobody in the room has this nick.")
        })?;
        if to.jid == from && letter.stanza.body.has("ping", "urn:xmpp:ping") {
            // XEP-0410 §3.3: "a MUC service supporting this protocol may directly respond to a
            // occupant's Ping request to the occupant's own nickname".
            return Ok(Outcome::answer(letter, None));
        }
        let (nick, seat, real) = (to.jid.clone(), to.sitting().seat.clone(), to.real.clone());
        let mut stanza = letter.take();
        let asker = Seat::of(&letter.from);
        let id = stanza.head.id.take();
        stanza.head.from = Some(from);
        if stanza.body.has("vCard", "vcard-temp") {
            // What an account shows of itself is asked of the account.
            let question = stanza.to(real.to_jid());
            return Ok(Outcome::of(vec![Post::Ask { question, asker, nick, id }]));
        }
        let relayed: Arc<str> = now.clock.token(ID_BYTES).into();
        stanza.head.id = Some(Arc::clone(&relayed));
        stanza.head.to = None;
        let open = Open { asker, id, asked: seat.jid().clone(), nick };
        self.relay.insert(relayed, open);
        Ok(Outcome::of(vec![Post::Seat(seat, vec![stanza])]))
    }

    /// An answer to such a question; others are nobody's.
    pub fn pass_answer(&mut self, letter: &mut Letter) -> Outcome {
        let id = letter.stanza.head.id.clone();
        let open = id.and_then(|id| self.relay.take(&id, letter.sender()));
        let Some(open) = open else { return Outcome::nothing() };
        let answer = answer(letter.take(), open.nick, open.id);
        Outcome::of(vec![Post::Seat(open.asker, vec![answer])])
    }
}

/// An answer as who asked gets it.
pub fn answer(mut stanza: Stanza, nick: Jid, id: Option<Arc<str>>) -> Stanza {
    hide(&mut stanza);
    (stanza.head.from, stanza.head.to, stanza.head.id) = (Some(nick), None, id);
    debug_assert!(matches!(stanza.head.kind, Kind::Iq(_)));
    stanza
}

/// An error may say who detected it, and where somebody is now (RFC 6120 §8.3.1, §8.3.3.5): real
/// addresses.
fn hide(stanza: &mut Stanza) {
    let Some(error) = stanza.error() else { return };
    if stanza.head.kind != Kind::Iq(IqType::Error) || error.by.is_none() && error.uri.is_none() {
        return;
    }
    let mut xml = String::new();
    StanzaError { by: None, uri: None, ..error }.write(&mut xml);
    stanza.body_mut().retain(|child| StanzaError::read(child).is_none());
    stanza.body_mut().append(xml);
}
