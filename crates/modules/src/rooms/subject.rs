//! What is being talked about (XEP-0045 §7.2.15, §8.1).

use waxwing_kernel::clock::stamp_of;
use waxwing_stanza::payload::delay;
use waxwing_stanza::{CLIENT, MessageType, Stanza, StanzaError};
use waxwing_store::domains::rooms::Rooms as Rows;

use super::letter::{Letter, Now};
use super::outcome::{Outcome, Post};
use super::role::Role;
use super::room::{Room, Subject};
use super::{dress, forged, record, thin};

impl Room {
    /// An occupant changes the subject.
    pub fn change_subject(
        &mut self,
        letter: &mut Letter,
        now: &Now<'_>,
    ) -> Result<Outcome, StanzaError> {
        let occupant = self.must_be_in(letter)?;
        let may = occupant.role == Role::Moderator
            || self.config.allows_subject && occupant.role.has_voice();
        if !may {
            let text = "You may not change the subject of this room.";
            return Err(StanzaError::forbidden().text(text));
        }
        let (from, nick) = (occupant.jid.clone(), occupant.nick.to_string());
        let mut xml = String::new();
        for child in letter.stanza.body.children().filter(|child| child.is("subject", CLIENT)) {
            xml.push_str(child.as_str());
        }
        let most = self.service.settings.subject_bytes as usize;
        if xml.len() > most {
            let text = format!("A subject has at most {most} bytes here.");
            return Err(StanzaError::not_acceptable().text(text));
        }
        let hold_until = self.pace(letter.sender(), now);
        let number = self.must_be_in(letter)?.number;
        let subject = Subject { xml, by: nick, at: now.millis };
        let mut stanza = letter.take();
        forged::strip(&mut stanza, &self.jid);
        (stanza.head.from, stanza.head.to) = (Some(from), None);
        let mut added = String::new();
        if let Some(occupant) = self.occupants.get(number) {
            dress::identify(occupant, &mut added);
        }
        stanza = if added.is_empty() { stanza } else { stanza.with(added) };
        let mut rows = vec![Rows::put(&self.row_with(&self.config, Some(&subject)))];
        let row = record::record(self, now, &stanza, letter.sender());
        if let Some(row) = row {
            rows.push(row);
            stanza = stanza.with(self.stanza_id(now));
        }
        let then = move |room: &mut Room, _: &Now<'_>| {
            room.subject = Some(subject);
            let mut posts = thin::introduce(room, number);
            posts.push(Post::Crowd(room.everybody(), stanza));
            posts
        };
        Ok(Outcome { hold_until, ..Outcome::after(rows, then) })
    }

    /// "After the room has optionally sent the discussion history to the new occupant, it SHALL
    /// send the current room subject." And "If there is no subject set, the room MUST return an
    /// empty <subject/> element."
    pub fn subject_stanza(&self, _: &Now<'_>) -> Stanza {
        let stanza = Stanza::message(MessageType::Groupchat);
        let Some(subject) = &self.subject else {
            return stanza.from(self.jid.to_jid()).with("<subject/>");
        };
        let from = self.jid.with_resource(&subject.by).unwrap_or_else(|_| self.jid.to_jid());
        let delay = delay::delay(&stamp_of(subject.at), self.jid.as_str());
        stanza.from(from).with(format!("{}{delay}", subject.xml))
    }

    /// The subject as plain text; of several languages the first.
    pub fn subject_text(&self) -> Option<String> {
        let subject = self.subject.as_ref()?;
        let stanza = Stanza::message(MessageType::Groupchat).with(subject.xml.as_str());
        stanza.body.text_of("subject").map(|text| text.into_owned())
    }
}
