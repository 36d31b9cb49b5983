//! Forms that people send to a room: a visitor asks for a voice, a moderator gives it (XEP-0045
//! §7.13, §8.6); an admin decides about somebody who wants to be a member (§9.9).

use waxwing_stanza::payload::dataform::{DataForm, Field, FieldType, FormType};
use waxwing_stanza::{ErrorKind, MessageType, Payload, StanzaError, to_xml};
use waxwing_xml::Child;

use super::appoint::Actor;
use super::letter::{Letter, Now};
use super::occupants::Occupant;
use super::outcome::{Outcome, Post};
use super::privilege::Rank;
use super::register;
use super::role::Role;
use super::room::Room;

/// What a request for a voice is about (XEP-0068).
const FORM: &str = "http://jabber.org/protocol/muc#request";
const ROLE: &str = "muc#role";
const JID: &str = "muc#jid";
const NICK: &str = "muc#roomnick";
const ALLOW: &str = "muc#request_allow";

impl Room {
    /// A message to the room with a form.
    ///
    /// # Errors
    /// `bad-request` for a form that means nothing to a room, else those of what it is about.
    pub fn take_form(
        &mut self,
        letter: &mut Letter,
        child: Child<'_>,
        now: &Now<'_>,
    ) -> Result<Outcome, StanzaError> {
        let form = DataForm::read(child)?;
        let about = form.form_type().unwrap_or_default();
        if about != FORM && about != register::FORM {
            let text = format!("FORM_TYPE: a room takes {FORM} and {}.", register::FORM);
            return Err(StanzaError::bad_request().text(text));
        }
        match form.kind {
            // §8.6 "To skip this request, click the cancel button."
            FormType::Cancel => Ok(Outcome::nothing()),
            FormType::Submit if about == register::FORM => self.decide(letter, &form, now),
            FormType::Submit if form.field(ALLOW).is_some() => self.grant(letter, &form),
            FormType::Submit => self.request_voice(letter, &form, now),
            FormType::Form | FormType::Result => {
                let text = "type: a form that is filled in has the type `submit`.";
                Err(StanzaError::bad_request().text(text))
            }
        }
    }

    /// §7.13 "To request voice, a visitor SHOULD send a <message/> stanza containing a data form to
    /// the room itself".
    fn request_voice(
        &mut self,
        letter: &Letter,
        form: &DataForm,
        now: &Now<'_>,
    ) -> Result<Outcome, StanzaError> {
        let occupant = self.must_be_in(letter)?;
        must_be_participant(form)?;
        if !self.config.allows_voice_requests {
            return Err(StanzaError::not_allowed().text("This room takes no requests for a voice."));
        }
        if occupant.role.has_voice() {
            return Err(StanzaError::not_acceptable().text("You have a voice already."));
        }
        let note = self.message(MessageType::Normal).with(to_xml(&approval(occupant)));
        let is_moderator = |it: &&Occupant| it.role == Role::Moderator;
        let moderators = self.occupants.iter().filter(is_moderator);
        let seats = moderators.flat_map(|it| it.sittings.iter().map(|sitting| &sitting.seat));
        let posts: Vec<Post> = seats.map(|it| Post::Seat(it.clone(), vec![note.clone()])).collect();
        if posts.is_empty() {
            let error = StanzaError::recipient_unavailable().kind(ErrorKind::Wait);
            return Err(error.text("No moderator is in the room; ask again later."));
        }
        let hold_until = self.pace(letter.sender(), now);
        Ok(Outcome { hold_until, ..Outcome::of(posts) })
    }

    /// §8.6 "If a moderator approves the voice request, the service shall grant voice to the
    /// occupant".
    fn grant(&mut self, letter: &Letter, form: &DataForm) -> Result<Outcome, StanzaError> {
        let actor = Actor::of(self, letter);
        must_be_participant(form)?;
        let nick = form.value(NICK).unwrap_or_default();
        let found = self.occupants.by_nick(nick);
        // The nick may be somebody else's by now.
        let is_meant = |it: &&Occupant| form.value(JID).is_none_or(|jid| is_session(it, jid));
        let target = found.map(|it| Rank { affiliation: it.affiliation, role: it.role });
        // Who may not do this to anybody learns nothing of who is here.
        let nobody = Rank { affiliation: Default::default(), role: Role::Visitor };
        actor.rank.set_role(target.unwrap_or(nobody), Role::Participant)?;
        let Some(occupant) = found.filter(is_meant) else {
            let text = format!("{NICK}: whoever asked for a voice is not in the room.");
            return Err(StanzaError::item_not_found().text(text));
        };
        let Some(is_allowed) = form.flag(ALLOW) else {
            let text = format!("{ALLOW}: expected true or false.");
            return Err(StanzaError::not_acceptable().text(text));
        };
        if !is_allowed || occupant.role != Role::Visitor {
            return Ok(Outcome::nothing());
        }
        Ok(Outcome::of(self.give_role(occupant.number, Role::Participant, &actor, None)))
    }
}

/// §7.13 "the data form contains only a "muc#role" field with a value of "participant"."
fn must_be_participant(form: &DataForm) -> Result<(), StanzaError> {
    match form.value(ROLE) {
        Some("participant") => Ok(()),
        found => {
            let found = found.unwrap_or_default();
            let text = format!("{ROLE}: expected participant, found {found:?}.");
            Err(StanzaError::not_acceptable().text(text))
        }
    }
}

fn is_session(occupant: &Occupant, jid: &str) -> bool {
    occupant.sittings.iter().any(|sitting| sitting.seat.jid().as_str() == jid)
}

/// §8.6: the form that the service "generates and sends to the room moderator(s)".
fn approval(occupant: &Occupant) -> DataForm {
    let role = Field::new(FieldType::ListSingle, ROLE).label("Requested role");
    DataForm::new(FormType::Form)
        .title("Request for a voice")
        .instruction("Somebody in the room asks for leave to speak.")
        .about(FORM)
        .with(role.value("participant").option("participant", "Participant"))
        .with(
            Field::new(FieldType::JidSingle, JID).label("User ID").value(occupant.full().as_str()),
        )
        .with(Field::new(FieldType::TextSingle, NICK).label("Room Nickname").value(&*occupant.nick))
        .with(
            Field::new(FieldType::Boolean, ALLOW)
                .label("Grant voice to this person?")
                .value("false"),
        )
}
