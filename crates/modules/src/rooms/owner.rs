//! What owners ask of a room: to set it up, and to end it (XEP-0045 §10.1.2, §10.1.3, §10.2,
//! §10.9).

use waxwing_jid::BareJid;
use waxwing_stanza::payload::dataform::{DataForm, Field, FieldType, FormType};
use waxwing_stanza::{MessageType, Payload, Stanza, StanzaError, payload, to_xml};
use waxwing_store::domains::rooms::{RoomRow, Rooms as Rows};
use waxwing_xml::Child;
use xso::FromXml;

use super::appoint::{Actor, Change, Courtesy, Plan, Reserve};
use super::config::{Config, Whois};
use super::destroy::Destroy;
use super::leave::Exit;
use super::letter::{Letter, Now};
use super::occupants::Sight;
use super::options::{self, unacceptable};
use super::outcome::{Outcome, Post};
use super::presence::Why;
use super::role::Affiliation;
use super::room::{Life, Room};
use super::table::USER;

/// Namespace of these requests.
pub const NS: &str = "http://jabber.org/protocol/muc#owner";

/// What the form is about (XEP-0068).
pub const FORM: &str = "http://jabber.org/protocol/muc#roomconfig";

/// The two fields that are lists of affiliations, and no settings.
const LISTS: [(&str, &str, Affiliation); 2] = [
    ("muc#roomconfig_roomadmins", "Admins of the room", Affiliation::Admin),
    ("muc#roomconfig_roomowners", "Owners of the room", Affiliation::Owner),
];

/// `<query/>`
#[derive(FromXml, Debug)]
#[xml(namespace = NS, name = "query", on_unknown_attribute = Discard, on_unknown_child = Discard)]
struct Query {
    #[xml(child(default))]
    form: Option<DataForm>,
    #[xml(child(default))]
    destroy: Option<Destroy>,
}
payload!(Query, "query", NS);

/// What an owner has filled in.
struct Filled {
    config: Config,
    plan: Plan,
}

impl Room {
    /// The form is asked for (§10.1.3, §10.2).
    ///
    /// # Errors
    /// `forbidden` to who does not own the room.
    pub fn show_form(
        &mut self,
        letter: &mut Letter,
        _: Child<'_>,
        _: &Now<'_>,
    ) -> Result<Outcome, StanzaError> {
        self.affiliation(letter).own()?;
        let xml = format!("<query xmlns='{NS}'>{}</query>", to_xml(&self.form()));
        Ok(Outcome::answer(letter, Some(xml)))
    }

    fn form(&self) -> DataForm {
        let title = format!("Settings of {}", self.jid);
        let form = DataForm::new(FormType::Form).title(title).about(FORM);
        let form = options::form_fields(&self.config).fold(form, DataForm::with);
        LISTS.into_iter().fold(form, |form, (var, label, list)| {
            let field = Field::new(FieldType::JidMulti, var).label(label);
            let listed = self.affiliations.iter().filter(|(_, it)| it.affiliation == list);
            form.with(listed.fold(field, |field, (jid, _)| field.value(jid.as_str())))
        })
    }

    /// The form is filled in or called off, or the room is to end.
    ///
    /// # Errors
    /// `forbidden` to who does not own the room; `not-acceptable` that names the field of the form
    /// that cannot be so; `bad-request` for what is no form.
    pub fn own(
        &mut self,
        letter: &mut Letter,
        child: Child<'_>,
        now: &Now<'_>,
    ) -> Result<Outcome, StanzaError> {
        self.affiliation(letter).own()?;
        let query = Query::read(child)?;
        match (query.form, query.destroy) {
            (Some(form), None) => match form.kind {
                FormType::Submit => self.configure(letter, &form, now),
                FormType::Cancel => Ok(self.cancel(letter)),
                FormType::Form | FormType::Result => {
                    let text = "type: a form that is filled in has the type `submit`.";
                    Err(StanzaError::bad_request().text(text))
                }
            },
            (None, Some(destroy)) => self.end(letter, destroy),
            _ => {
                let text = "Either a form or <destroy/> is needed.";
                Err(StanzaError::bad_request().text(text))
            }
        }
    }

    /// §10.1.3 "If the room owner cancels the initial configuration, the service MUST destroy the
    /// room". §10.2 "If the room owner cancels the subsequent configuration, the service MUST leave
    /// the configuration of the room as it was".
    fn cancel(&mut self, letter: &Letter) -> Outcome {
        match self.life {
            Life::Locked => self.ending(&Destroy::default(), Some(letter.stanza.result(None))),
            Life::Open | Life::Absent => Outcome::answer(letter, None),
        }
    }

    /// §10.1.2: a form without fields asks for an instant room; §10.2: others say what changes.
    fn configure(
        &mut self,
        letter: &Letter,
        form: &DataForm,
        now: &Now<'_>,
    ) -> Result<Outcome, StanzaError> {
        let actor = Actor::of(self, letter);
        let filled = self.filled(form, &actor.bare, now)?;
        Ok(self.reconfigured(filled, actor, Some(letter.stanza.result(None))))
    }

    /// Sets the room up anew by `form`, as its owner may, and answers with `done`.
    ///
    /// # Errors
    /// `not-acceptable` that names the field, and those of [`Room::plan`].
    pub fn set_up(
        &mut self,
        form: &DataForm,
        actor: Actor,
        done: Option<Stanza>,
        now: &Now<'_>,
    ) -> Result<Outcome, StanzaError> {
        let filled = self.filled(form, &actor.bare, now)?;
        Ok(self.reconfigured(filled, actor, done))
    }

    fn filled(&self, form: &DataForm, by: &BareJid, now: &Now<'_>) -> Result<Filled, StanzaError> {
        // XEP-0068 §3.2 lets a form go without; another one is not about this room.
        if form.form_type().is_some_and(|about| about != FORM) {
            let text = format!("FORM_TYPE: the settings of a room are {FORM}.");
            return Err(StanzaError::bad_request().text(text));
        }
        let config = options::fill(&self.config, form)?;
        config.check(&self.service.settings)?;
        let changes = self.listed_changes(form)?;
        Ok(Filled { config, plan: self.plan(changes, by, now)? })
    }

    /// §10.5, in a note: "the "muc#roomconfig_roomowners" field specifies the full list of room
    /// owners, not the delta."
    fn listed_changes(&self, form: &DataForm) -> Result<Vec<Change>, StanzaError> {
        let mut changes: Vec<Change> = Vec::new();
        let mut change = |jid: &BareJid, affiliation| {
            changes.retain(|change| change.jid != *jid);
            let (jid, nick, reason) = (jid.clone(), Reserve::Keep, None);
            changes.push(Change { jid, affiliation, nick, reason });
        };
        let mut wanted = Vec::new();
        for (var, _, list) in LISTS {
            if let Some(field) = form.field(var) {
                wanted.push((list, listed(var, &field.values)?));
            }
        }
        for (list, jids) in &wanted {
            let before = self.affiliations.iter().filter(|(_, it)| it.affiliation == *list);
            for (jid, _) in before.filter(|(jid, _)| !jids.contains(jid)) {
                // §10.2: "an 'affiliation' attribute set to a value of "member" or "none"", and
                // who loses ownership is an admin; whoever is to be nothing is taken off both.
                change(
                    jid,
                    if *list == Affiliation::Owner {
                        Affiliation::Admin
                    } else {
                        Affiliation::Member
                    },
                );
            }
        }
        // Owners come last: who stands on both lists is one.
        for (list, jids) in &wanted {
            for jid in jids.iter().filter(|jid| self.affiliations.of(jid) != *list) {
                change(jid, *list);
            }
        }
        Ok(changes)
    }

    /// What was filled in takes effect.
    fn reconfigured(&mut self, filled: Filled, actor: Actor, done: Option<Stanza>) -> Outcome {
        let Filled { config, plan } = filled;
        let mut rows = self.standing_rows(&plan);
        let row = match plan.is_empty() {
            true => self.row_with(&config, self.subject.as_ref()),
            false => self.next_row(&config, self.subject.as_ref()),
        };
        // The room is open then, if it was not.
        rows.push(Rows::put(&RoomRow { is_public: config.is_public, ..row }));
        Outcome::after(rows, move |room, _| {
            let mut posts: Vec<Post> = done.map(Post::Back).into_iter().collect();
            posts.extend(room.adopt(config));
            posts.extend(room.appoint(plan, &actor, Courtesy::Write));
            posts.extend(room.expel_strangers(&actor));
            posts
        })
    }

    /// The configuration is this one from now on, and everybody hears what kind of change it was.
    fn adopt(&mut self, config: Config) -> Vec<Post> {
        let was_locked = self.life == Life::Locked;
        let codes = options::notices(&self.config, &config);
        let whois = self.config.whois;
        self.config = config;
        // §10.1.1: "the service MUST "unlock" the room".
        self.life = Life::Open;
        if whois != self.config.whois {
            self.sort();
            for number in self.occupants.numbers() {
                self.dress(number);
            }
        }
        // Nobody but the owner is in a room that was just made, who knows.
        if was_locked && self.config.whois == Whois::Moderators || codes.is_empty() {
            return Vec::new();
        }
        // §10.2.1 "an <x/> element qualified by the 'http://jabber.org/protocol/muc#user'
        // namespace, which shall contain only a <status/> element with an appropriate value".
        let statuses: String =
            codes.iter().map(|code| format!("<status code='{code}'/>")).collect();
        let note = self.message(MessageType::Groupchat);
        let note = note.with(format!("<x xmlns='{USER}'>{statuses}</x>"));
        vec![Post::Crowd(self.occupants.crowd(Sight::All, None), note)]
    }

    /// §10.2 "If as a result of a change in the room configuration the room type is changed to
    /// members-only but there are non-members in the room, the service MUST remove any non-members
    /// from the room and include a status code of 322".
    fn expel_strangers(&mut self, actor: &Actor) -> Vec<Post> {
        if !self.config.is_members_only {
            return Vec::new();
        }
        let strangers = self.occupants.iter().filter(|it| it.affiliation < Affiliation::Member);
        let strangers: Vec<u64> = strangers.map(|occupant| occupant.number).collect();
        let why = Why { codes: vec![322], ..actor.because(None) };
        let exit = Exit { why, ..Exit::default() };
        strangers.into_iter().flat_map(|number| self.remove(number, &exit)).collect()
    }
}

/// The addresses of one of the lists.
fn listed(var: &str, values: &[String]) -> Result<Vec<BareJid>, StanzaError> {
    let filled = values.iter().map(|value| value.trim()).filter(|value| !value.is_empty());
    let mut jids = Vec::new();
    for value in filled {
        let jid = waxwing_jid::Jid::new(value).map(|jid| jid.bare());
        let jid =
            jid.map_err(|error| unacceptable(var, &format!("{value:?} is no address: {error}")))?;
        if jid.is_domain() {
            let reason = format!("{value:?} is a whole domain, which cannot run a room");
            return Err(unacceptable(var, &reason));
        }
        // XEP-0004 §3.3: "duplicate JIDs MUST be ignored".
        if !jids.contains(&jid) {
            jids.push(jid);
        }
    }
    Ok(jids)
}
