//! Somebody comes: enters a room, makes one, comes again, or changes what is seen of it
//! (XEP-0045 §7.1, §7.2, §10.1).

use std::sync::Arc;

use waxwing_jid::{BareJid, Jid};
use waxwing_kernel::crowd::Seat;
use waxwing_stanza::{ErrorKind, Stanza, StanzaError};
use waxwing_store::Statement;
use waxwing_store::domains::rooms::Rooms as Rows;

use super::affiliations::Standing;
use super::config::Config;
use super::forged::MUC;
use super::history::Wish;
use super::letter::{Letter, Now};
use super::occupants::{Occupant, Shown, Sitting};
use super::outcome::{Outcome, Post};
use super::presence::{Item, Why, clean};
use super::privilege::Rank;
use super::role::{Affiliation, Role};
use super::room::{Life, Room};
use super::{avatar, ids, thin, versions};

/// How many admins and owners fit into a full room (§7.2.9: "up to some reasonable number").
const SPARE: usize = 20;

/// Bytes of the salt of a room.
const SALT_BYTES: usize = 16;

/// Where somebody comes in.
struct Door {
    nick: Arc<str>,
    jid: Jid,
    /// Whether the nick is another than the one asked for.
    is_renamed: bool,
    /// The occupant whose other session it is.
    beside: Option<u64>,
}

impl Room {
    /// An available presence: from an occupant or from outside.
    pub fn arrive(&mut self, letter: &mut Letter, now: &Now<'_>) -> Outcome {
        let wants_in = letter.stanza.body.has("x", MUC);
        let known = self.occupant(letter).map(|own| (own.number, Arc::clone(&own.nick)));
        let speaks = known.is_some() || wants_in;
        let hold_until = speaks.then(|| self.pace(letter.sender(), now)).flatten();
        let outcome = match (known, wants_in) {
            (Some((number, nick)), is_again) => match letter.nick.as_deref() {
                Some(wanted) if wanted != &*nick => self.rename(letter, number, now),
                // §17.3: the room's own address is no place to be seen at.
                None => Err(no_nick()),
                Some(_) if is_again => Ok(self.enter_again(letter, number, now)),
                Some(_) => Ok(self.update(letter, number, now)),
            },
            (None, true) => self.enter(letter, now),
            (None, false) => Ok(self.turn_away(letter)),
        };
        let outcome = outcome.unwrap_or_else(|error| self.refuse_entry(letter, error));
        Outcome { hold_until, ..outcome }
    }

    /// §7.2: `<x/>` stands beside the error.
    fn refuse_entry(&self, letter: &Letter, error: StanzaError) -> Outcome {
        let error = error.by(self.jid.to_jid());
        let Some(reply) = letter.stanza.error_reply(&error) else { return Outcome::nothing() };
        Outcome::of(vec![Post::Back(reply.with(format!("<x xmlns='{MUC}'/>")))])
    }

    /// §7.2.18: "a service receiving a `<presence>` without an `<x>` element from a non-occupant
    /// full-JID responds with an explicit kick to that client."
    fn turn_away(&self, letter: &Letter) -> Outcome {
        let item = Item { reason: Some("You are not in the room."), ..Item::default() };
        let from = letter.stanza.head.to.clone().unwrap_or_else(|| self.jid.to_jid());
        let kick = Stanza::presence(waxwing_stanza::PresenceType::Unavailable);
        let kick = kick.from(from).to(letter.sender().clone());
        Outcome::of(vec![Post::Back(kick.with(item.x([110, 307, 333].into_iter(), "")))])
    }

    fn enter(&mut self, letter: &mut Letter, now: &Now<'_>) -> Result<Outcome, StanzaError> {
        let nick = self.nick_of(letter)?;
        match self.life {
            Life::Absent => self.create(letter, &nick, now),
            Life::Locked if self.affiliation(letter) != Affiliation::Owner => {
                let text = "There is no such room yet: its owner is setting it up.";
                Err(StanzaError::item_not_found().text(text))
            }
            Life::Locked | Life::Open => {
                self.may_enter(letter)?;
                let door = self.find_door(letter, &nick)?;
                Ok(Outcome::of(self.let_in(letter, door, &[], now)))
            }
        }
    }

    /// The nick that somebody wants.
    ///
    /// # Errors
    /// §7.2.1: `jid-malformed` when there is none, and as of [`Room::check_nick`].
    pub fn nick_of(&self, letter: &Letter) -> Result<Arc<str>, StanzaError> {
        self.check_nick(letter.nick.as_deref().ok_or_else(no_nick)?)
    }

    /// Whether this can be a nick.
    ///
    /// # Errors
    /// §17.1: `jid-malformed` when it cannot be seen, or is too long.
    pub fn check_nick(&self, nick: &str) -> Result<Arc<str>, StanzaError> {
        let is_invisible = |c: char| c.is_whitespace() || c.is_control();
        if nick.chars().all(is_invisible) {
            return Err(StanzaError::jid_malformed().text("A nick of spaces cannot be seen."));
        }
        let most = self.service.settings.nick_chars as usize;
        if nick.chars().count() > most {
            let text = format!("A nick has at most {most} characters here.");
            return Err(StanzaError::jid_malformed().text(text));
        }
        Ok(nick.into())
    }

    /// §7.2.5 to §7.2.7: whether somebody may enter.
    fn may_enter(&self, letter: &Letter) -> Result<(), StanzaError> {
        let affiliation = self.affiliation(letter);
        if affiliation == Affiliation::Outcast {
            return Err(StanzaError::forbidden().text("You are banned from this room."));
        }
        if self.config.is_members_only && affiliation < Affiliation::Member {
            return Err(StanzaError::registration_required().text("Only members may enter."));
        }
        if let Some(password) = &self.config.password
            && !letter.is_operator
            && password_of(letter).as_deref() != Some(password)
        {
            return Err(StanzaError::not_authorized().text("The password is missing or wrong."));
        }
        Ok(())
    }

    /// §7.2.9: whether there is room for one more.
    fn has_place(&self, affiliation: Affiliation) -> Result<(), StanzaError> {
        let most = self.service.settings.occupants as usize;
        let wanted = self.config.max_users.map_or(most, |wanted| wanted.min(most));
        let spare = if affiliation >= Affiliation::Admin { SPARE } else { 0 };
        if self.occupants.len() < wanted + spare {
            return Ok(());
        }
        let error = StanzaError::service_unavailable().kind(ErrorKind::Wait);
        Err(error.text(format!("The room is full: {wanted} are in it.")))
    }

    /// §7.2.8: under which nick, and beside whom.
    fn find_door(&self, letter: &Letter, wanted: &Arc<str>) -> Result<Door, StanzaError> {
        let real = letter.bare();
        let mut nick = Arc::clone(wanted);
        if self.config.locks_nicks
            && let Some(reserved) =
                self.affiliations.standing(&real).and_then(|it| it.nick.as_ref())
        {
            nick = reserved.as_str().into();
        }
        let beside = match self.occupants.by_nick(&nick) {
            Some(there) if there.real == real => {
                let most = self.service.settings.sessions_per_nick as usize;
                if there.sittings.len() >= most {
                    let text = format!("{most} sessions share this nick already.");
                    return Err(StanzaError::resource_constraint().text(text));
                }
                Some(there.number)
            }
            Some(_) => return Err(StanzaError::conflict().text("The nick is taken.")),
            None => None,
        };
        if self.affiliations.reserved(&nick).is_some_and(|owner| *owner != real) {
            return Err(StanzaError::conflict().text("The nick is reserved for somebody else."));
        }
        if beside.is_none() {
            self.has_place(self.affiliation(letter))?;
        }
        let jid = self.jid.with_resource(&nick)?;
        Ok(Door { is_renamed: nick != *wanted, nick, jid, beside })
    }

    /// Lets somebody in, with these status codes besides the usual ones.
    fn let_in(
        &mut self,
        letter: &mut Letter,
        door: Door,
        codes: &[u16],
        now: &Now<'_>,
    ) -> Vec<Post> {
        let wish = Wish::read(&letter.stanza.body, now);
        let id = letter.stanza.head.id.clone();
        let (seat, real) = (Seat::of(&letter.from), letter.bare());
        let affiliation = self.affiliation(letter);
        let mav = versions::Ask::read(&letter.stanza.body);
        let presence = clean(letter.take(), &self.jid);
        let sitting = Sitting { seat: seat.clone(), presence, is_lost: false };
        let number = match door.beside {
            Some(number) => {
                let sees = self.occupants.get(number).is_some_and(|own| self.may_see_real(own));
                self.occupants.sit(number, sitting, sees);
                number
            }
            None => {
                let number = self.occupants.next_number();
                let occupant = Occupant {
                    number,
                    nick: door.nick,
                    jid: door.jid,
                    id: ids::occupant_id(&self.salt, &real),
                    real,
                    role: Role::initial(affiliation, self.config.is_moderated),
                    affiliation,
                    sittings: [sitting].into_iter().collect(),
                    shown: Shown::default(),
                    is_shown: false,
                    told: 0,
                    met: Vec::new(),
                };
                let sees = self.may_see_real(&occupant);
                self.occupants.insert(occupant, sees);
                thin::enter(self, number);
                number
            }
        };
        let mut own = self.entry_codes();
        own.extend(door.is_renamed.then_some(210));
        own.extend(codes);
        let why = Why { own, id, ..Why::default() };
        self.welcome(number, (&seat, mav), &why, &wish, now)
    }

    /// §7.2.3, §7.2.12: what those who enter are warned of.
    fn entry_codes(&self) -> Vec<u16> {
        let is_open = self.config.whois == super::config::Whois::Anyone;
        let codes = [is_open.then_some(100), self.config.is_logged.then_some(170)];
        codes.into_iter().flatten().collect()
    }

    /// §7.1: the others, then oneself, then the history, then the subject.
    fn welcome(
        &mut self,
        number: u64,
        (seat, mav): (&Seat, Option<versions::Ask>),
        why: &Why,
        wish: &Wish,
        now: &Now<'_>,
    ) -> Vec<Post> {
        let mut posts = self.tell_others(number, why);
        self.is_versioned |= mav.is_some();
        let Some(own) = self.occupants.get(number) else { return posts };
        let rank = Rank { affiliation: own.affiliation, role: own.role };
        let mut first =
            mav.as_ref().map_or_else(Vec::new, |mav| versions::welcome(self, mav, rank));
        first.extend(thin::roster(self, own));
        let step = mav.map_or_else(String::new, |_| versions::until(self));
        let others = self.tell_self(number, &Why { step, ..why.clone() });
        let (mine, others): (Vec<Post>, Vec<Post>) =
            others.into_iter().partition(|post| matches!(post, Post::Seat(own, _) if own.is(seat)));
        posts.extend(others);
        for post in mine {
            if let Post::Seat(_, stanzas) = post {
                first.extend(stanzas);
            }
        }
        first.extend(avatar::presence(self));
        first.extend(self.history.replay(wish, self.config.history, &self.jid));
        first.push(self.subject_stanza(now));
        posts.push(Post::Seat(seat.clone(), first));
        posts
    }

    /// §17.3: "If a MUC service receives a Basic MUC Protocol join request from a client that is
    /// already joined, it MUST treat it as a full synchronization request".
    fn enter_again(&mut self, letter: &mut Letter, number: u64, now: &Now<'_>) -> Outcome {
        let wish = Wish::read(&letter.stanza.body, now);
        let why =
            Why { own: self.entry_codes(), id: letter.stanza.head.id.clone(), ..Why::default() };
        // The session may be another one under the same address.
        let seat = Seat::of(&letter.from);
        let mav = versions::Ask::read(&letter.stanza.body);
        let presence = clean(letter.take(), &self.jid);
        let sees = self.occupants.get(number).is_some_and(|own| self.may_see_real(own));
        let jid = seat.jid().clone();
        self.occupants.stand_up(number, &jid);
        let sitting = Sitting { seat: seat.clone(), presence, is_lost: false };
        self.occupants.sit(number, sitting, sees);
        Outcome::of(self.welcome(number, (&seat, mav), &why, &wish, now))
    }

    /// §10.1: whoever enters a room that does not exist makes it.
    fn create(
        &mut self,
        letter: &mut Letter,
        nick: &Arc<str>,
        now: &Now<'_>,
    ) -> Result<Outcome, StanzaError> {
        letter.may_create.clone()?;
        let owner = letter.bare();
        let jid = self.jid.with_resource(nick)?;
        let door = Door { nick: Arc::clone(nick), jid, is_renamed: false, beside: None };
        let (fresh, mut rows) = self.fresh(&owner, now);
        rows.push(fresh.put());
        let mut moved = Letter {
            from: letter.from.clone(),
            nick: letter.nick.clone(),
            stanza: letter.stanza.clone(),
            is_operator: letter.is_operator,
            may_create: Ok(()),
        };
        Ok(Outcome::after(rows, move |room, now| {
            *room = fresh;
            room.let_in(&mut moved, door, &[201], now)
        }))
    }

    /// A new room in the place of this one, whose owner has not set it up, and what stores who owns
    /// it; the room itself is for the caller to store.
    pub fn fresh(&self, owner: &BareJid, now: &Now<'_>) -> (Self, Vec<Statement>) {
        let mut fresh = Self::absent(self.jid.clone(), Arc::clone(&self.service));
        fresh.life = Life::Locked;
        fresh.config = Config::fresh(&self.service.settings);
        fresh.salt = now.clock.token(SALT_BYTES);
        fresh.made = now.stored();
        owner.as_str().clone_into(&mut fresh.maker);
        fresh.version = 1;
        let standing = Standing {
            affiliation: Affiliation::Owner,
            by: Some(owner.as_str().to_owned()),
            at: now.stored(),
            version: 1,
            ..Standing::default()
        };
        // Nothing of a room that once had this address is left.
        let mut rows = Rows::destroy(self.jid.as_str());
        rows.push(fresh.put_standing(owner, &standing));
        fresh.affiliations.set(owner.clone(), standing);
        (fresh, rows)
    }
}

fn no_nick() -> StanzaError {
    StanzaError::jid_malformed().text("Say under which nick: room@service/nick.")
}

/// §7.2.5: the password that somebody gave.
fn password_of(letter: &Letter) -> Option<String> {
    let x = letter.stanza.body.child("x", MUC)?;
    x.child("password", MUC).map(|password| password.text().into_owned())
}
