//! People become members of a room by themselves, and reserve a nick there (XEP-0045 §7.10, §7.12,
//! §9.9).
//!
//! Who registers is a member at once where that lets nobody in and gives nobody a voice: in a room
//! that is open and not moderated. Elsewhere the admins are asked.

use waxwing_jid::{BareJid, Jid};
use waxwing_stanza::payload::dataform::{DataForm, Field, FieldType, FormType};
use waxwing_stanza::{MessageType, Payload, StanzaError, payload, to_xml};
use waxwing_xml::Child;
use waxwing_xml::write::text;
use xso::FromXml;

use super::appoint::{Actor, Change, Courtesy, Reserve};
use super::letter::{Letter, Now};
use super::outcome::{Outcome, Post};
use super::role::Affiliation;
use super::room::Room;

/// Namespace of these requests (XEP-0077).
pub const NS: &str = "jabber:iq:register";

/// What the forms are about (XEP-0068).
pub const FORM: &str = "http://jabber.org/protocol/muc#register";

const NICK: &str = "muc#register_roomnick";
const ALLOW: &str = "muc#register_allow";
/// Who asks, which no registered field says.
const JID: &str = "{urn:waxwing:rooms}jid";

/// What people may say of themselves to the admins (§16.5.1).
const ABOUT: [(&str, FieldType, &str); 5] = [
    ("muc#register_first", FieldType::TextSingle, "Given Name"),
    ("muc#register_last", FieldType::TextSingle, "Family Name"),
    ("muc#register_url", FieldType::TextSingle, "A Web Page"),
    ("muc#register_email", FieldType::TextSingle, "Email Address"),
    ("muc#register_faqentry", FieldType::TextMulti, "FAQ Entry"),
];

/// Characters of what people say of themselves, all lines together.
const ABOUT_CHARS: usize = 4000;
/// Admins who are asked, at most.
const ASKED: usize = 50;

/// `<query/>`
#[derive(FromXml, Debug)]
#[xml(namespace = NS, name = "query", on_unknown_attribute = Discard, on_unknown_child = Discard)]
struct Query {
    #[xml(child(default))]
    form: Option<DataForm>,
    #[xml(extract(default, on_unknown_attribute = Discard, fields(text(type_ = String))))]
    remove: Option<String>,
}
payload!(Query, "query", NS);

impl Room {
    /// §7.10: what is needed to register, or that somebody is registered.
    ///
    /// # Errors
    /// `not-allowed` to who may not.
    pub fn tell_registration(
        &mut self,
        letter: &mut Letter,
        _: Child<'_>,
        _: &Now<'_>,
    ) -> Result<Outcome, StanzaError> {
        let own = self.affiliation(letter);
        let nick = self.affiliations.standing(&letter.bare()).and_then(|it| it.nick.as_deref());
        let mut xml = format!("<query xmlns='{NS}'>");
        if own >= Affiliation::Member {
            // "the room MUST reply with an IQ stanza of type "result", which MUST contain an empty
            // <registered/> element and SHOULD contain at least a <username/> element".
            xml += "<registered/>";
            if let Some(nick) = nick {
                xml += "<username>";
                text(&mut xml, nick);
                xml += "</username>";
            }
        } else {
            self.may_register(own)?;
            xml += "<instructions>Choose the nick that only you shall have here.</instructions>";
            xml += &to_xml(&self.registration());
        }
        Ok(Outcome::answer(letter, Some(xml + "</query>")))
    }

    /// "If the user requesting registration requirements is not allowed to register with the room
    /// (e.g., because that privilege has been restricted), the room MUST return a <not-allowed/>
    /// error to the user."
    fn may_register(&self, own: Affiliation) -> Result<(), StanzaError> {
        if own == Affiliation::Outcast {
            return Err(StanzaError::not_allowed().text("You are banned from this room."));
        }
        if !self.config.allows_registration && own < Affiliation::Member {
            return Err(StanzaError::not_allowed().text("Admins choose the members of this room."));
        }
        Ok(())
    }

    /// Whether admins are asked about new members.
    fn asks_admins(&self) -> bool {
        self.config.is_members_only || self.config.is_moderated
    }

    fn registration(&self) -> DataForm {
        let nick = Field::new(FieldType::TextSingle, NICK).label("Desired Nickname").required();
        let form = DataForm::new(FormType::Form).title("Registration").about(FORM).with(nick);
        if !self.asks_admins() {
            return form.instruction("Please choose a nick.");
        }
        let form = form.instruction("The admins of the room decide about this.");
        let field = |(var, kind, label): (&str, _, &str)| Field::new(kind, var).label(label);
        ABOUT.into_iter().map(field).fold(form, DataForm::with)
    }

    /// Somebody registers, takes another nick, or is a member no more (XEP-0077 §3.2).
    ///
    /// # Errors
    /// `not-allowed` to who may not, `bad-request` without a form that names a nick, `conflict`
    /// when the nick is somebody else's.
    pub fn register(
        &mut self,
        letter: &mut Letter,
        child: Child<'_>,
        now: &Now<'_>,
    ) -> Result<Outcome, StanzaError> {
        let query = Query::read(child)?;
        if query.remove.is_some() {
            return self.unregister(letter, now);
        }
        let (own, bare) = (self.affiliations.of(&letter.bare()), letter.bare());
        self.may_register(own)?;
        let (form, nick) = self.wanted_nick(query.form.as_ref())?;
        let taken = self.occupants.by_nick(&nick).is_some_and(|other| other.real != bare);
        let reserved = self.affiliations.reserved(&nick).is_some_and(|other| *other != bare);
        if taken || reserved {
            // "If the desired room nickname is already reserved for that room, the room MUST return
            // a <conflict/> error to the user".
            let text = format!("{NICK}: the nick {nick:?} is somebody else's.");
            return Err(StanzaError::conflict().text(text));
        }
        if own < Affiliation::Member && self.asks_admins() {
            return self.ask(letter, form, &nick, now);
        }
        let affiliation = own.max(Affiliation::Member);
        let change = Change { jid: bare, affiliation, nick: Reserve::Take(nick), reason: None };
        self.enrol(letter, change, now)
    }

    /// "If the user did not include a valid data form, the room MUST return a <bad-request/> error
    /// to the user".
    fn wanted_nick<'a>(
        &self,
        form: Option<&'a DataForm>,
    ) -> Result<(&'a DataForm, String), StanzaError> {
        let bad = |text: String| StanzaError::bad_request().text(text);
        let form = form.filter(|form| form.kind == FormType::Submit);
        let form = form.ok_or_else(|| bad("A filled form is needed.".to_owned()))?;
        if form.form_type().is_some_and(|about| about != FORM) {
            return Err(bad(format!("FORM_TYPE: expected {FORM}.")));
        }
        let nick = form.value(NICK).filter(|nick| !nick.is_empty());
        let nick = nick.ok_or_else(|| bad(format!("{NICK}: must be given.")))?;
        let nick = self.proper_nick(nick).map_err(|error| {
            bad(format!("{NICK}: {}", error.text.as_deref().unwrap_or("cannot be a nick.")))
        })?;
        Ok((form, nick))
    }

    fn unregister(&mut self, letter: &Letter, now: &Now<'_>) -> Result<Outcome, StanzaError> {
        let jid = letter.bare();
        let affiliation = match self.affiliations.of(&jid) {
            // XEP-0077 §3.2: "the entity … was not previously registered".
            Affiliation::Outcast | Affiliation::None => {
                let text = "You are no member of this room.";
                return Err(StanzaError::registration_required().text(text));
            }
            Affiliation::Member => Affiliation::None,
            // §5.2.2: only owners make something else of these; the nick goes.
            other => other,
        };
        let change = Change { jid, affiliation, nick: Reserve::Drop, reason: None };
        self.enrol(letter, change, now)
    }

    fn enrol(
        &mut self,
        letter: &Letter,
        change: Change,
        now: &Now<'_>,
    ) -> Result<Outcome, StanzaError> {
        let actor = Actor::of(self, letter);
        let plan = self.plan(vec![change], &actor.bare, now)?;
        let done = letter.stanza.result(None);
        let nameless = Actor { nick: None, ..actor };
        Ok(Outcome::after(self.rows_of(&plan), move |room, _| {
            let mut posts = vec![Post::Back(done)];
            posts.extend(room.appoint(plan, &nameless, Courtesy::Silent));
            posts
        }))
    }

    /// §9.9 "The simplest way to do so is for the service to send a <message/> stanza to the room
    /// admin(s) when the registration request is received".
    fn ask(
        &mut self,
        letter: &Letter,
        filled: &DataForm,
        nick: &str,
        now: &Now<'_>,
    ) -> Result<Outcome, StanzaError> {
        let mut form = DataForm::new(FormType::Form)
            .title("Registration request")
            .instruction("Somebody asks to become a member of the room.")
            .about(FORM)
            .with(
                Field::new(FieldType::JidSingle, JID)
                    .label("User ID")
                    .value(letter.bare().as_str()),
            )
            .with(Field::new(FieldType::TextSingle, NICK).label("Desired Nickname").value(nick));
        let mut chars = 0;
        for (var, kind, label) in ABOUT {
            let values = filled.values(var);
            chars += values.iter().map(|value| value.chars().count()).sum::<usize>();
            if chars > ABOUT_CHARS {
                let text =
                    format!("{var}: all that you say takes {ABOUT_CHARS} characters at most.");
                return Err(StanzaError::not_acceptable().text(text));
            }
            if !values.is_empty() {
                let field = Field::new(kind, var).label(label);
                form = form.with(values.iter().fold(field, |field, value| field.value(value)));
            }
        }
        let allow = Field::new(FieldType::Boolean, ALLOW);
        let allow = allow.label("Allow this person to register with the room?").value("false");
        let note = self.message(MessageType::Normal).with(to_xml(&form.with(allow)));
        let admins = self.affiliations.iter();
        let admins = admins.filter(|(_, it)| it.affiliation >= Affiliation::Admin).take(ASKED);
        let mut posts = vec![Post::Back(letter.stanza.result(None))];
        posts.extend(admins.map(|(jid, _)| Post::Send(note.clone().to(jid.to_jid()))));
        let hold_until = self.pace(letter.sender(), now);
        Ok(Outcome { hold_until, ..Outcome::of(posts) })
    }

    /// §9.9 "If the admin approves the registration request, the service shall register the user
    /// with the room."
    ///
    /// # Errors
    /// `forbidden` to who is no admin of the room, `not-acceptable` that names the field.
    pub fn decide(
        &mut self,
        letter: &Letter,
        form: &DataForm,
        now: &Now<'_>,
    ) -> Result<Outcome, StanzaError> {
        let actor = Actor::of(self, letter);
        let unfit = |var: &str, reason: &str| {
            StanzaError::not_acceptable().text(format!("{var}: {reason}."))
        };
        actor.rank.affiliation.set_affiliation(Affiliation::None, Affiliation::Member)?;
        let is_allowed = form.flag(ALLOW).ok_or_else(|| unfit(ALLOW, "expected true or false"))?;
        if !is_allowed {
            return Ok(Outcome::nothing());
        }
        let jid = form.value(JID).and_then(|jid| Jid::new(jid).ok());
        let jid: BareJid = jid.ok_or_else(|| unfit(JID, "expected an address"))?.bare();
        let nick = form.value(NICK).filter(|nick| !nick.is_empty());
        let nick = nick.map(|nick| self.proper_nick(nick)).transpose()?;
        let affiliation = self.affiliations.of(&jid).max(Affiliation::Member);
        let nick = nick.map_or(Reserve::Keep, Reserve::Take);
        let changes = vec![Change { jid, affiliation, nick, reason: None }];
        self.judge_changes(&actor, &changes)?;
        let plan = self.plan(changes, &actor.bare, now)?;
        Ok(Outcome::after(self.rows_of(&plan), move |room, _| {
            room.appoint(plan, &actor, Courtesy::Write)
        }))
    }
}
