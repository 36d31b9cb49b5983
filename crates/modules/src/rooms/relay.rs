//! Questions of one occupant to another (XEP-0045 §17.4): "the MUC service MUST NOT reveal the
//! sender's real JID to the recipient at any time, nor reveal the recipient's real JID to the
//! sender."

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use waxwing_jid::Jid;
use waxwing_kernel::crowd::Seat;
use waxwing_stanza::payload::disco;
use waxwing_stanza::{IqType, Kind, Stanza, StanzaError};

use super::letter::{Letter, Now};
use super::occupants::Sitting;
use super::outcome::{Outcome, Post};
use super::room::Room;

/// Bytes of randomness in the id of a question that was passed on.
const ID_BYTES: usize = 10;

/// Bytes of the id of a question, which is remembered until there is an answer.
const ASKED_BYTES: usize = 1024;

/// How long an occupant, or an account for one, may take to answer.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Questions without an answer so far, the oldest first. Whoever asks hears of each of them, in the
/// end that there is no answer.
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
    /// When that is given up.
    until: Instant,
}

impl Open {
    /// There is no answer, for this reason.
    fn fail(self, error: &StanzaError) -> Post {
        let mut xml = String::new();
        error.write(&mut xml);
        let answer = answer(Stanza::iq(IqType::Error).with(xml), self.nick, self.id);
        Post::Seat(self.asker, vec![answer])
    }
}

impl Relay {
    /// With room for so many questions; of more, the oldest are given up.
    pub fn new(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    fn insert(&mut self, id: Arc<str>, open: Open) -> Option<Post> {
        let is_full = self.order.len() >= self.most;
        let oldest = if is_full { self.pop() } else { None };
        self.order.push_back(Arc::clone(&id));
        self.open.insert(id, open);
        let error = StanzaError::resource_constraint();
        oldest.map(|oldest| oldest.fail(&error.text("Too many questions wait for an answer here.")))
    }

    fn pop(&mut self) -> Option<Open> {
        let oldest = self.order.pop_front()?;
        self.open.remove(&oldest)
    }

    /// When the oldest question is given up.
    pub fn due(&self) -> Option<Instant> {
        Some(self.open.get(self.order.front()?)?.until)
    }

    /// Gives up what was not answered in time.
    pub fn expire(&mut self, now: Instant) -> Vec<Post> {
        let mut posts = Vec::new();
        while self.due().is_some_and(|until| until <= now) {
            let error = StanzaError::remote_server_timeout().text("The occupant does not answer.");
            posts.extend(self.pop().map(|open| open.fail(&error)));
        }
        posts
    }

    fn take(&mut self, id: &str, asked: &Jid) -> Option<Open> {
        if self.open.get(id)?.asked != *asked {
            return None;
        }
        self.order.retain(|open| &**open != id);
        self.open.remove(id)
    }

    /// Somebody leaves, with these sessions: what they asked is forgotten, and who asked them
    /// something hears that they are gone.
    pub fn leave(&mut self, gone: &[Sitting]) -> Vec<Post> {
        if self.open.is_empty() {
            return Vec::new();
        }
        self.open.retain(|_, open| !gone.iter().any(|it| it.seat.is(&open.asker)));
        let asks = |open: &Open| gone.iter().any(|it| *it.seat.jid() == open.asked);
        let mut posts = Vec::new();
        for id in std::mem::take(&mut self.order) {
            match self.open.get(&id).map(asks) {
                Some(true) => {
                    let error = StanzaError::recipient_unavailable();
                    let error = error.text("The occupant has left without an answer.");
                    posts.extend(self.open.remove(&id).map(|open| open.fail(&error)));
                }
                Some(false) => self.order.push_back(id),
                None => {}
            }
        }
        posts
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
        if letter.stanza.head.id.as_ref().is_some_and(|id| id.len() > ASKED_BYTES) {
            let text =
                format!("The id of a question to an occupant has {ASKED_BYTES} bytes at most.");
            return Err(StanzaError::not_acceptable().text(text));
        }
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
        let until = now.instant + PATIENCE;
        let open = Open { asker, id, asked: seat.jid().clone(), nick, until };
        let mut posts = vec![Post::Seat(seat, vec![stanza])];
        posts.extend(self.relay.insert(relayed, open));
        Ok(Outcome::of(posts))
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
