//! A room: what it is, and what it makes of each letter. It never waits and sends nothing itself.

use std::sync::Arc;
use std::time::Instant;

use waxwing_jid::{BareJid, Jid};
use waxwing_stanza::{IqType, Kind, MessageType, PresenceType, Stanza, StanzaError};
use waxwing_store::Statement;
use waxwing_store::domains::rooms::{RoomRow, Rooms as Rows, Stored};
use waxwing_xml::Child;

use super::activity::Activity;
use super::affiliations::{Affiliations, Standing};
use super::config::{Config, Whois};
use super::faraway::Faraway;
use super::history::History;
use super::letter::{Letter, Now};
use super::notes::Notes;
use super::occupants::{Occupant, Occupants};
use super::outcome::Outcome;
use super::pace::Paces;
use super::relay::Relay;
use super::role::{Affiliation, Role};
use super::settings::RoomsConfig;
use super::slow::Slow;
use super::table;
use super::thin::Thin;

/// Whether a room exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It does not. Whoever enters makes it.
    Absent,
    /// It was made and its owner has not said how it should be (XEP-0045 §10.1.1).
    Locked,
    /// It does.
    Open,
}

/// What is being talked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The `<subject/>` elements.
    pub xml: String,
    /// The nick of whoever said so.
    pub by: String,
    /// When, in Unix milliseconds.
    pub at: u64,
}

/// What all rooms of a service share.
pub struct Service {
    /// The address of the service.
    pub jid: Jid,
    /// What the operator says.
    pub settings: RoomsConfig,
    /// The number of this run of the server.
    pub run: i64,
}

/// One room.
pub struct Room {
    /// Its address.
    pub jid: BareJid,
    /// What it shares with others.
    pub service: Arc<Service>,
    /// Whether it exists.
    pub life: Life,
    /// How it is set up.
    pub config: Config,
    /// Who stands how in it.
    pub affiliations: Affiliations,
    /// How often that was changed.
    pub version: i64,
    /// What is being talked about.
    pub subject: Option<Subject>,
    /// What its pseudonyms are made with.
    pub salt: String,
    /// When it was made, in Unix milliseconds.
    pub made: i64,
    /// Who made it.
    pub maker: String,
    /// What else it keeps.
    pub notes: Notes,
    /// Who is in it.
    pub occupants: Occupants,
    /// What was said last.
    pub history: History,
    /// Questions between occupants.
    pub relay: Relay,
    /// How fast everybody talks.
    pub paces: Paces,
    /// When everybody said something last, where that is to be slow.
    pub slow: Slow,
    /// How much is said.
    pub activity: Activity,
    /// Who has whose presence.
    pub thin: Thin,
    /// Whether somebody in it reckons with versions of the affiliations.
    pub is_versioned: bool,
    /// Sessions that could not be reached, and when they are given up.
    pub ghosts: Vec<(Instant, Jid)>,
    /// When those on other servers were heard of.
    pub faraway: Faraway,
}

impl Room {
    /// A room that does not exist.
    pub fn absent(jid: BareJid, service: Arc<Service>) -> Self {
        let config = Config::fresh(&service.settings);
        let settings = &service.settings;
        let bytes = settings.history_bytes.len();
        let history = History::new(settings.history_max as usize, bytes);
        let relay = Relay::new(settings.questions as usize);
        Self {
            jid,
            service,
            life: Life::Absent,
            config,
            affiliations: Affiliations::default(),
            version: 0,
            subject: None,
            salt: String::new(),
            made: 0,
            maker: String::new(),
            notes: Notes::default(),
            occupants: Occupants::default(),
            history,
            relay,
            paces: Paces::default(),
            slow: Slow::default(),
            activity: Activity::default(),
            thin: Thin::default(),
            is_versioned: false,
            ghosts: Vec::new(),
            faraway: Faraway::default(),
        }
    }

    /// A room that was stored.
    pub fn restore(jid: BareJid, service: Arc<Service>, stored: &Stored) -> Self {
        let row = &stored.room;
        let mut room = Self::absent(jid, service);
        room.life = Life::Open;
        room.config = Config::of_text(&row.config, &room.service.settings);
        room.affiliations = Affiliations::restore(&stored.standings);
        room.version = row.version;
        room.subject = row.subject.as_ref().map(|xml| Subject {
            xml: xml.clone(),
            by: row.subject_by.clone(),
            at: row.subject_at.cast_unsigned(),
        });
        row.salt.clone_into(&mut room.salt);
        room.made = row.made;
        row.maker.clone_into(&mut room.maker);
        room.notes = Notes::restore(&stored.notes);
        room.activity = Activity::restore(&room.notes);
        room
    }

    /// Forgets everything: the room does not exist any more.
    pub fn vanish(&mut self) {
        *self = Self::absent(self.jid.clone(), Arc::clone(&self.service));
    }

    /// What is to be done about a letter.
    pub fn on(&mut self, letter: &mut Letter, now: &Now<'_>) -> Outcome {
        let outcome = self.judge(letter, now);
        self.hear(letter, now);
        outcome
    }

    fn judge(&mut self, letter: &mut Letter, now: &Now<'_>) -> Outcome {
        let outcome = match letter.stanza.head.kind {
            Kind::Presence(kind) => return self.on_presence(letter, kind, now),
            Kind::Message(MessageType::Error) if self.is_lost(letter) => {
                return self.lose(letter, now);
            }
            Kind::Iq(IqType::Error) if self.is_lost(letter) => {
                // It answers somebody's question as well.
                let mut outcome = self.pass_answer(letter);
                outcome.posts.extend(self.lose(letter, now).posts);
                return outcome;
            }
            Kind::Message(MessageType::Error) => return self.bounced(letter, now),
            Kind::Message(kind) => self.on_message(letter, kind, now),
            Kind::Iq(IqType::Get | IqType::Set) => self.on_request(letter, now),
            Kind::Iq(_) => Ok(self.pass_answer(letter)),
        };
        outcome.unwrap_or_else(|error| Outcome::refuse(self, letter, error))
    }

    fn on_presence(&mut self, letter: &mut Letter, kind: PresenceType, now: &Now<'_>) -> Outcome {
        match kind {
            PresenceType::Available => self.arrive(letter, now),
            PresenceType::Unavailable => self.depart(letter, now),
            PresenceType::Error if self.is_lost(letter) => self.lose(letter, now),
            // XEP-0045 §17.3: "A MUC service MUST NOT treat a presence stanza with a 'type'
            // attribute (e.g., a presence probe) as a request to join the room", nor to leave it.
            _ => Outcome::nothing(),
        }
    }

    fn on_message(
        &mut self,
        letter: &mut Letter,
        kind: MessageType,
        now: &Now<'_>,
    ) -> Result<Outcome, StanzaError> {
        self.must_exist(letter)?;
        match (kind, letter.nick.is_some()) {
            (MessageType::Groupchat, false) => self.talk(letter, now),
            // §7.5 "the service MUST refuse to deliver the message … and return a <bad-request/>
            // error to the sender".
            (MessageType::Groupchat, true) => Err(StanzaError::bad_request()
                .text("What is for one occupant is not of type groupchat.")),
            (_, true) => self.whisper(letter, now),
            (_, false) => self.take_letter(letter, now),
        }
    }

    /// A message to the room itself that is not for everybody: whoever knows what it carries.
    fn take_letter(&mut self, letter: &mut Letter, now: &Now<'_>) -> Result<Outcome, StanzaError> {
        let body = Arc::clone(&letter.stanza.body);
        for child in body.children() {
            if let Some(take) = table::letter(child) {
                return take(self, letter, child, now);
            }
        }
        let text = "A message to a room is of type groupchat.";
        Err(StanzaError::bad_request().text(text))
    }

    fn on_request(&mut self, letter: &mut Letter, now: &Now<'_>) -> Result<Outcome, StanzaError> {
        self.must_exist(letter)?;
        if letter.nick.is_some() {
            return self.relay_request(letter, now);
        }
        let body = Arc::clone(&letter.stanza.body);
        let Some(child) = body.children().next() else {
            return Err(StanzaError::bad_request().text("A request carries exactly one element."));
        };
        let is_set = letter.stanza.head.kind == Kind::Iq(IqType::Set);
        match table::request(child, is_set) {
            Some(answer) => answer(self, letter, child, now),
            None => Err(unknown(child)),
        }
    }

    /// §17.2: what is for a room "that does not exist or is not yet unlocked" is refused; its owner
    /// may set it up.
    fn must_exist(&self, letter: &Letter) -> Result<(), StanzaError> {
        match self.life {
            Life::Open => Ok(()),
            Life::Locked if self.affiliation(letter) == Affiliation::Owner => Ok(()),
            Life::Locked | Life::Absent => {
                Err(StanzaError::item_not_found().text("There is no such room."))
            }
        }
    }

    /// How whoever sent this stands in the room. An admin of the domain may do what an owner may.
    pub fn affiliation(&self, letter: &Letter) -> Affiliation {
        if letter.is_operator { Affiliation::Owner } else { self.affiliations.of(&letter.bare()) }
    }

    /// The occupant who sent this.
    pub fn occupant(&self, letter: &Letter) -> Option<&Occupant> {
        self.occupants.by_jid(letter.sender())
    }

    /// The occupant who sent this; those outside are refused.
    ///
    /// # Errors
    /// §7.4, §7.5: `not-acceptable` for those who are not in the room.
    pub fn must_be_in(&self, letter: &Letter) -> Result<&Occupant, StanzaError> {
        let text = "Only those who are in the room may send something to it.";
        self.occupant(letter).ok_or_else(|| StanzaError::not_acceptable().text(text))
    }

    /// Whether an occupant is shown the real addresses of others. Nothing else decides that.
    pub fn may_see_real(&self, occupant: &Occupant) -> bool {
        self.config.whois == Whois::Anyone || occupant.role == Role::Moderator
    }

    /// Whether the presence of a role is told to others.
    pub fn is_told(&self, role: Role) -> bool {
        self.config.broadcasts.has(role)
    }

    /// The room as it is stored.
    pub fn row(&self) -> RoomRow {
        self.row_with(&self.config, self.subject.as_ref())
    }

    /// The same with another configuration and subject. Nobody finds a room that is being set up.
    pub fn row_with(&self, config: &Config, subject: Option<&Subject>) -> RoomRow {
        RoomRow {
            room: self.jid.as_str().to_owned(),
            service: self.jid.domain().to_owned(),
            name: config.name.clone(),
            is_public: config.is_public && self.life == Life::Open,
            is_persistent: config.is_persistent,
            run: self.service.run,
            config: config.to_text(),
            subject: subject.map(|subject| subject.xml.clone()),
            subject_by: subject.map_or_else(String::new, |subject| subject.by.clone()),
            subject_at: subject.map_or(0, |subject| subject.at.cast_signed()),
            salt: self.salt.clone(),
            version: self.version,
            made: self.made,
            maker: self.maker.clone(),
        }
    }

    /// The statement that stores the room as it is.
    pub fn put(&self) -> Statement {
        Rows::put(&self.row())
    }

    /// The statement that stores how somebody stands.
    pub fn put_standing(&self, jid: &BareJid, standing: &Standing) -> Statement {
        Rows::put_standing(self.jid.as_str(), &standing.row(jid))
    }

    /// Whether its task may end.
    pub fn is_idle(&self) -> bool {
        self.occupants.is_empty()
    }

    /// A message from the room itself.
    pub fn message(&self, kind: MessageType) -> Stanza {
        Stanza::message(kind).from(self.jid.to_jid())
    }
}

/// RFC 6120 §8.4.
fn unknown(child: Child<'_>) -> StanzaError {
    let (name, ns) = (child.name(), child.namespace());
    StanzaError::service_unavailable().text(format!("Rooms do not answer <{name} xmlns='{ns}'/>."))
}
