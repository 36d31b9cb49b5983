//! What a room tells of itself (XEP-0045 §6.4 to §6.6, §7.12).

use waxwing_stanza::payload::dataform::{DataForm, Field, FormType};
use waxwing_stanza::payload::disco::{INFO, ITEMS, Identity, Info, Item, Items};
use waxwing_stanza::{Payload, Reply, StanzaError};
use waxwing_xml::Child;

use super::forged::MUC;
use super::letter::{Letter, Now};
use super::outcome::Outcome;
use super::room::Room;
use super::{extras, hats, options, owner, register};

/// The node under which somebody finds the nick that is reserved for it.
const OWN_NICK: &str = "x-roomuser-item";

/// What a room is about.
const ROOM_INFO: &str = "http://jabber.org/protocol/muc#roominfo";

/// What every room can do.
pub const FEATURES: &[&str] = &[
    MUC,
    INFO,
    ITEMS,
    "http://jabber.org/protocol/muc#stable_id",
    ROOM_INFO,
    owner::FORM,
    register::FORM,
    "urn:xmpp:ping",
];

impl Room {
    /// §6.4: what the room is and can do.
    pub fn describe(
        &mut self,
        letter: &mut Letter,
        child: Child<'_>,
        now: &Now<'_>,
    ) -> Result<Outcome, StanzaError> {
        let node = Info::read(child)?.node;
        let info = match node.as_deref() {
            None | Some("") => self.info(now),
            Some(OWN_NICK) => self.own_nick(letter),
            // §18.1.1: "If a service does not discard any namespaces, it MUST return a
            // <service-unavailable/> error".
            Some("http://jabber.org/protocol/muc#traffic") => {
                let text = "Rooms pass on whatever is well-formed.";
                return Err(StanzaError::service_unavailable().text(text));
            }
            Some(_) => return Err(StanzaError::item_not_found().text("There is no such node.")),
        };
        Ok(Outcome::answer(letter, Info { node, ..info }.into_xml()))
    }

    fn info(&self, now: &Now<'_>) -> Info {
        let features = options::features(&self.config);
        let info = Info {
            identities: vec![Identity::new("conference", "text", Some(self.name()))],
            forms: vec![self.info_form(now)],
            ..Info::default()
        };
        info.with(FEATURES.iter().copied().chain(features).chain(extras::features(self))).sorted()
    }

    fn info_form(&self, now: &Now<'_>) -> DataForm {
        let mut form = DataForm::new(FormType::Result).about(ROOM_INFO);
        form.fields.extend(options::info_fields(&self.config));
        form.fields.extend(extras::fields(self, now));
        let text = waxwing_stanza::payload::dataform::FieldType::TextSingle;
        if let Some(subject) = self.subject_text() {
            let field = Field::new(text, "muc#roominfo_subject").label("Subject");
            form = form.with(field.value(subject));
        }
        let field = Field::new(text, "muc#roominfo_occupants").label("How many are in it");
        form.with(field.value(self.occupants.len().to_string()))
    }

    /// §7.12: the nick that is reserved for whoever asks, or nothing.
    fn own_nick(&self, letter: &Letter) -> Info {
        let standing = self.affiliations.standing(&letter.bare());
        let nick = standing.and_then(|standing| standing.nick.as_deref());
        let identity = nick.map(|nick| Identity::new("conference", "text", Some(nick)));
        Info { identities: identity.into_iter().collect(), ..Info::default() }
    }

    /// The name for people.
    pub fn name(&self) -> &str {
        match self.config.name.as_str() {
            "" => self.jid.local().unwrap_or_default(),
            name => name,
        }
    }

    /// §6.5: who is in the room, for those who are in it; for others "the room MUST return an empty
    /// <query/> element".
    pub fn list(
        &mut self,
        letter: &mut Letter,
        child: Child<'_>,
        _: &Now<'_>,
    ) -> Result<Outcome, StanzaError> {
        let node = Items::read(child)?.node;
        if node.as_deref() == Some(extras::COMMANDS) {
            let items = hats::items(self);
            return Ok(Outcome::answer(letter, Items { node, items }.into_xml()));
        }
        if node.as_deref().is_some_and(|node| !node.is_empty()) {
            return Err(StanzaError::item_not_found().text("There is no such node."));
        }
        let mut items = Vec::new();
        if self.occupant(letter).is_some() {
            let others = self.occupants.iter().filter(|occupant| occupant.is_shown);
            items.extend(others.map(|occupant| Item {
                jid: occupant.jid.as_str().to_owned(),
                node: None,
                name: Some(occupant.nick.to_string()),
            }));
        }
        Ok(Outcome::answer(letter, Items { node, items }.into_xml()))
    }

    /// XEP-0199: the room is there.
    pub fn pong(
        &mut self,
        letter: &mut Letter,
        _: Child<'_>,
        _: &Now<'_>,
    ) -> Result<Outcome, StanzaError> {
        Ok(Outcome::answer(letter, None))
    }
}
