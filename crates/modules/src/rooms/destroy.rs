//! A room ends because its owner says so (XEP-0045 §10.9).

use waxwing_jid::Jid;
use waxwing_stanza::{Stanza, StanzaError};
use waxwing_store::domains::rooms::Rooms as Rows;
use waxwing_xml::write::{attribute, text};
use xso::FromXml;

use super::leave::Exit;
use super::letter::Letter;
use super::options::reason;
use super::outcome::{Outcome, Post};
use super::owner::NS;
use super::role::Affiliation;
use super::room::Room;

/// `<destroy/>`: what those hear who are in the room.
#[derive(FromXml, Clone, Debug, Default)]
#[xml(namespace = NS, name = "destroy", on_unknown_attribute = Discard, on_unknown_child = Discard)]
pub struct Destroy {
    /// Where to go instead.
    #[xml(attribute(default))]
    pub jid: Option<String>,
    /// What must be said there on entering.
    #[xml(extract(default, on_unknown_attribute = Discard, fields(text(type_ = String))))]
    pub password: Option<String>,
    /// Why.
    #[xml(extract(default, on_unknown_attribute = Discard, fields(text(type_ = String))))]
    pub reason: Option<String>,
}

impl Destroy {
    /// The element as it stands in the presence of those who are removed: "If extended information
    /// specifying the JID of an alternate location and/or the reason for the room destruction was
    /// provided by the room owner, the presence stanza MUST include that information."
    fn to_xml(&self) -> String {
        let mut out = String::from("<destroy");
        if let Some(jid) = &self.jid {
            attribute(&mut out, "jid", jid);
        }
        out.push('>');
        for (name, value) in [("password", &self.password), ("reason", &self.reason)] {
            if let Some(value) = value {
                out += &format!("<{name}>");
                text(&mut out, value);
                out += &format!("</{name}>");
            }
        }
        out + "</destroy>"
    }
}

impl Room {
    /// The owner, which was checked, ends the room.
    ///
    /// # Errors
    /// `jid-malformed` when the other place is no address, `not-acceptable` for too long a reason.
    pub fn end(&mut self, letter: &Letter, destroy: Destroy) -> Result<Outcome, StanzaError> {
        if let Some(Err(error)) = destroy.jid.as_deref().map(Jid::new) {
            let text = format!("jid: the other room has no proper address: {error}.");
            return Err(StanzaError::jid_malformed().text(text));
        }
        let reason = reason(destroy.reason.as_deref())?;
        let destroy = Destroy { reason, ..destroy };
        Ok(self.ending(&destroy, Some(letter.stanza.result(None))))
    }

    /// Ends the room and answers with `done`. "It SHOULD NOT broadcast presence stanzas of type
    /// "unavailable" from all occupants, instead sending only one presence stanza of type
    /// "unavailable" to each occupant".
    pub fn ending(&self, destroy: &Destroy, done: Option<Stanza>) -> Outcome {
        let exit = Exit { extra: destroy.to_xml(), ..Exit::default() };
        Outcome::after(Rows::destroy(self.jid.as_str()), move |room, _| {
            // Nobody is anything in a room that is no more.
            for number in room.occupants.numbers() {
                if let Some(occupant) = room.occupants.get_mut(number) {
                    occupant.affiliation = Affiliation::None;
                }
            }
            let mut posts = room.remove_all(&exit);
            posts.extend(done.map(Post::Back));
            room.vanish();
            posts
        })
    }
}
