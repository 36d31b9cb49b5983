//! Invitations that go through a room, and what comes back (XEP-0045 §7.8.2, §9.5).
//!
//! A room remembers whom it invited in whose name: only those may decline, and only to that person,
//! so that nobody can use the room to write to others.

use std::sync::Arc;

use waxwing_jid::Jid;
use waxwing_stanza::{Condition, MessageType, Stanza, StanzaError};
use waxwing_store::Statement;
use waxwing_store::domains::rooms::{NoteRow, Rooms as Rows};
use waxwing_xml::Child;
use waxwing_xml::write::{attribute, element};

use super::appoint::{Actor, Change, Courtesy, Reserve};
use super::config::Whois;
use super::letter::{Letter, Now};
use super::options::reason;
use super::outcome::{Outcome, Post};
use super::role::Affiliation;
use super::room::Room;
use super::table::USER;

/// The notes about invitations: who was invited by whom, and what is needed for an answer.
const KIND: &str = "invite";

/// Bytes of the id of an invitation that is remembered; without it nobody hears that the invitation
/// came back.
const ID_BYTES: usize = 1024;

/// Somebody is invited.
struct Invitation {
    to: Jid,
    reason: Option<String>,
    /// `<continue/>`: that a conversation of two goes on (§7.9).
    more: String,
}

/// An invitation that was sent.
struct Sent {
    key: String,
    millis: u64,
    inviter: Jid,
    id: Option<Arc<str>>,
}

impl Room {
    /// A message to the room with `<x/>`: it invites somebody, or declines.
    ///
    /// # Errors
    /// `forbidden` to who may not invite, `not-allowed` about who is banned, `item-not-found` for
    /// an invitation that nobody remembers, `bad-request` and `jid-malformed` for what is neither.
    pub fn take_user(
        &mut self,
        letter: &mut Letter,
        x: Child<'_>,
        now: &Now<'_>,
    ) -> Result<Outcome, StanzaError> {
        if let Some(decline) = x.child("decline", USER) {
            return self.decline(letter, decline);
        }
        let invites = x.children().filter(|child| child.is("invite", USER));
        let most = self.service.settings.changes as usize;
        let invites: Vec<Invitation> =
            invites.take(most + 1).map(Invitation::read).collect::<Result<_, _>>()?;
        match invites.len() {
            0 => Err(StanzaError::bad_request().text("There is nobody to invite.")),
            count if count > most => {
                let text = format!("Invite {most} at a time at most.");
                Err(StanzaError::resource_constraint().text(text))
            }
            _ => self.invite(letter, invites, now),
        }
    }

    fn invite(
        &mut self,
        letter: &Letter,
        invites: Vec<Invitation>,
        now: &Now<'_>,
    ) -> Result<Outcome, StanzaError> {
        let actor = Actor::of(self, letter);
        actor.rank.invite(&self.config)?;
        let mut changes = Vec::new();
        for invite in &invites {
            let jid = invite.to.bare();
            match self.affiliations.of(&jid) {
                Affiliation::Outcast => {
                    let text = format!("{jid} is banned from this room.");
                    return Err(StanzaError::not_allowed().text(text));
                }
                // §9.5 "any invitation sent SHOULD automatically trigger the addition of the
                // invitee to the member list", and "Invitations sent through an open room MUST
                // NOT".
                Affiliation::None if self.config.is_members_only => {
                    let reason = None;
                    let (affiliation, nick) = (Affiliation::Member, Reserve::Keep);
                    changes.push(Change { jid, affiliation, nick, reason });
                }
                _ => {}
            }
        }
        let plan = self.plan(changes, &actor.bare, now)?;
        // Each is a message to somebody.
        let held = invites.iter().filter_map(|_| self.pace(letter.sender(), now));
        let hold_until = held.max();
        let mut rows = self.rows_of(&plan);
        let notes: Vec<NoteRow> = invites.iter().map(|it| note_of(it, letter, now)).collect();
        let forgotten = self.forgotten(notes.len());
        let of_room = self.jid.as_str();
        rows.extend(forgotten.iter().map(|key| Rows::drop_note(of_room, KIND, key)));
        rows.extend(notes.iter().map(|note| Rows::put_note(of_room, note)));
        let id = letter.stanza.head.id.clone();
        let outcome = Outcome::after(rows, move |room, _| {
            forgotten.iter().for_each(|key| drop(room.notes.remove(KIND, key)));
            notes.iter().for_each(|note| room.notes.set(KIND, &note.key, &note.value));
            let mut posts = room.appoint(plan, &actor, Courtesy::Silent);
            let inviter = room.shown_as(&actor);
            for Invitation { to, reason, more } in invites {
                let mut sent = room.invitation(&inviter, reason.as_deref(), &more).to(to);
                sent.head.id.clone_from(&id);
                posts.push(Post::Send(sent));
            }
            posts
        });
        Ok(Outcome { hold_until, ..outcome })
    }

    /// As whom those know the actor who are invited. §7.8.2: "the bare JID, full JID, or occupant
    /// JID of the inviter": where real addresses are not shown, the one in the room, or the room
    /// itself for who is not in it.
    pub fn shown_as(&self, actor: &Actor) -> Jid {
        match (self.config.whois, &actor.nick) {
            (Whois::Anyone, _) => actor.bare.to_jid(),
            (Whois::Moderators, Some(nick)) => {
                self.jid.with_resource(nick).unwrap_or_else(|_| self.jid.to_jid())
            }
            (Whois::Moderators, None) => self.jid.to_jid(),
        }
    }

    /// An invitation without an addressee. §7.8.2 "the room SHOULD add the password if the room is
    /// password-protected".
    pub fn invitation(&self, inviter: &Jid, reason: Option<&str>, more: &str) -> Stanza {
        let mut xml = format!("<x xmlns='{USER}'><invite");
        attribute(&mut xml, "from", inviter.as_str());
        xml.push('>');
        if let Some(reason) = reason {
            element(&mut xml, "reason", reason);
        }
        xml += more;
        xml += "</invite>";
        if let Some(password) = &self.config.password {
            element(&mut xml, "password", password);
        }
        self.message(MessageType::Normal).with(xml + "</x>")
    }

    /// Which invitations are forgotten to make room for `count` more: the oldest.
    fn forgotten(&self, count: usize) -> Vec<String> {
        let mut known: Vec<Sent> = self.sent().collect();
        known.sort_by_key(|sent| sent.millis);
        let most = self.service.settings.invitations as usize;
        let excess = (known.len() + count).saturating_sub(most);
        known.into_iter().take(excess).map(|sent| sent.key).collect()
    }

    fn sent(&self) -> impl Iterator<Item = Sent> {
        self.notes.of(KIND).filter_map(|(key, value)| Sent::read(key, value))
    }

    /// The invitations of `invitee` that are not answered yet, the newest first.
    fn sent_to(&self, invitee: &Jid) -> Vec<Sent> {
        let is_own = |sent: &Sent| sent.key.split(' ').next() == Some(invitee.bare_str());
        let mut found: Vec<Sent> = self.sent().filter(is_own).collect();
        found.sort_by_key(|sent| std::cmp::Reverse(sent.millis));
        found
    }

    fn decline(&mut self, letter: &Letter, decline: Child<'_>) -> Result<Outcome, StanzaError> {
        let to = decline.attribute("to").map(|to| Jid::new(&to)).transpose()?;
        let is_meant = |sent: &Sent| to.as_ref().is_none_or(|to| self.is_meant(to, &sent.inviter));
        let sent = self.sent_to(letter.sender()).into_iter().find(is_meant);
        let Some(sent) = sent else {
            let text = "Nobody of that address has invited you to this room.";
            return Err(StanzaError::item_not_found().text(text));
        };
        let mut xml = format!("<x xmlns='{USER}'><decline");
        attribute(&mut xml, "from", letter.sender().bare_str());
        xml.push('>');
        if let Some(reason) = reason(decline.child("reason", USER).map(|it| it.text()).as_deref())?
        {
            element(&mut xml, "reason", &reason);
        }
        let mut news = self.message(MessageType::Normal).with(xml + "</decline></x>");
        news.head.id.clone_from(&letter.stanza.head.id);
        Ok(self.settled(sent, news))
    }

    /// Whether an address is that of the inviter: its own, or the one in the room.
    fn is_meant(&self, to: &Jid, inviter: &Jid) -> bool {
        if to.bare_str() != self.jid.as_str() {
            return to.bare_str() == inviter.bare_str();
        }
        let occupant = to.resource().and_then(|nick| self.occupants.by_nick(nick));
        // The inviter may have another nick by now, or be gone.
        occupant.is_none_or(|occupant| occupant.real.as_str() == inviter.bare_str())
    }

    /// An invitation came back. "If the inviter supplies a non-existent JID, the room SHOULD return
    /// an <item-not-found/> error to the inviter."
    pub fn bounced(&mut self, letter: &Letter, _: &Now<'_>) -> Outcome {
        let (Some(error), Some(from)) = (letter.stanza.error(), letter.stanza.head.from.as_ref())
        else {
            return Outcome::nothing();
        };
        let id = &letter.stanza.head.id;
        let Some(sent) = self.sent_to(from).into_iter().find(|sent| sent.id == *id) else {
            return Outcome::nothing();
        };
        let error = match error.condition {
            Condition::Gone
            | Condition::ItemNotFound
            | Condition::RecipientUnavailable
            | Condition::RemoteServerNotFound
            | Condition::ServiceUnavailable => {
                let text = format!("{} cannot be invited: there is nobody.", from.bare_str());
                StanzaError::item_not_found().text(text)
            }
            _ => error,
        };
        let mut xml = String::new();
        error.by(self.jid.to_jid()).write(&mut xml);
        let mut news = self.message(MessageType::Error).with(xml);
        news.head.id.clone_from(id);
        self.settled(sent, news)
    }

    /// The inviter hears what became of an invitation, which is forgotten.
    fn settled(&self, sent: Sent, news: Stanza) -> Outcome {
        let rows: Vec<Statement> = vec![Rows::drop_note(self.jid.as_str(), KIND, &sent.key)];
        Outcome::after(rows, move |room, _| {
            room.notes.remove(KIND, &sent.key);
            vec![Post::Send(news.to(sent.inviter))]
        })
    }
}

impl Invitation {
    fn read(invite: Child<'_>) -> Result<Self, StanzaError> {
        let to = invite.attribute("to");
        let to =
            to.ok_or_else(|| StanzaError::bad_request().text("An invitation needs a `to`."))?;
        let to = Jid::new(to.trim()).map_err(|error| {
            StanzaError::jid_malformed().text(format!("to: {to:?} is no address: {error}."))
        })?;
        let reason = reason(invite.child("reason", USER).map(|it| it.text()).as_deref())?;
        let more = invite.child("continue", USER).map(|more| {
            let mut xml = String::from("<continue");
            if let Some(thread) = more.attribute("thread") {
                attribute(&mut xml, "thread", &thread);
            }
            xml + "/>"
        });
        Ok(Self { to, reason, more: more.unwrap_or_default() })
    }
}

/// What is noted of an invitation. No address has a line break in it, and a bare one no space.
fn note_of(invite: &Invitation, letter: &Letter, now: &Now<'_>) -> NoteRow {
    let (invitee, inviter) = (invite.to.bare(), letter.bare());
    let id = letter.stanza.head.id.as_deref().filter(|id| id.len() <= ID_BYTES);
    let id = id.map(|id| format!("\n{id}")).unwrap_or_default();
    NoteRow {
        kind: KIND.to_owned(),
        key: format!("{invitee} {inviter}"),
        value: format!("{}\n{}{id}", now.millis, letter.sender()),
    }
}

impl Sent {
    fn read(key: &str, value: &str) -> Option<Self> {
        let mut parts = value.splitn(3, '\n');
        let millis = parts.next()?.parse().ok()?;
        let inviter = Jid::new(parts.next()?).ok()?;
        Some(Self { key: key.to_owned(), millis, inviter, id: parts.next().map(Arc::from) })
    }
}
