//! What was said is taken back: by whoever said it (XEP-0424, version 0.4.2), or by a moderator
//! (XEP-0425, version 0.3.0).

use std::sync::Arc;

use waxwing_jid::{BareJid, Jid};
use waxwing_kernel::Names;
use waxwing_kernel::request::{Request, unstored};
use waxwing_stanza::{MessageType, Payload, Stanza, StanzaError};
use waxwing_store::Statement;
use waxwing_store::domains::archive::{Archive, Entry};
use waxwing_xml::Child;
use waxwing_xml::write::{attribute, text};

use super::Rooms;
use super::forged::OCCUPANT_ID;
use super::ids;
use super::letter::Now;
use super::outcome::{Outcome, Post};
use super::record::record;
use super::role::Role;
use super::room::Room;

/// Namespace of retractions.
pub(super) const NS: &str = "urn:xmpp:message-retract:1";

/// Namespace of moderation.
pub(super) const MODERATE: &str = "urn:xmpp:message-moderate:1";

/// Bytes of a reason for moderating.
const REASON_BYTES: usize = 1024;

/// The number of the message that a message takes back, if it is one of an archive of ours.
/// XEP-0424 §5.1: "the ID assigned to the stanza by the group chat itself must be used".
pub fn target(stanza: &Stanza, names: &Names) -> Option<u64> {
    let retract = stanza.body.child("retract", NS)?;
    names.number(&retract.attribute("id")?)
}

/// What is to be done in the archive about a message that takes another one back.
///
/// XEP-0424 §5: a retraction "MUST only be processed when both the original message and the
/// retraction request are received from the same" person: the statements see to that.
pub fn take_back(room: &mut Room, stanza: &Stanza, number: u64, now: &Now<'_>) -> Vec<Statement> {
    let Some(taken) = target(stanza, now.names) else { return Vec::new() };
    let Some(occupant) = room.occupants.get(number) else { return Vec::new() };
    // §4: the tombstone names the id of the retraction.
    let id = stanza.head.id.as_deref().unwrap_or_default();
    let (author, peer) = (Arc::clone(&occupant.id), occupant.real.clone());
    let grave = grave(&author, id, now, None);
    room.history.forget(taken, |said| is_by(said, &author));
    entomb(room, taken, Some(peer.as_str()), &grave)
}

/// Whether a message is of the occupant with this pseudonym.
fn is_by(said: &Stanza, author: &str) -> bool {
    let id = said.body.child("occupant-id", OCCUPANT_ID);
    id.and_then(|id| id.attribute("id")).is_some_and(|id| id == author)
}

fn entomb(room: &Room, number: u64, peer: Option<&str>, grave: &str) -> Vec<Statement> {
    Archive::entomb(room.jid.as_str(), number.cast_signed(), peer, grave).into()
}

/// XEP-0424 §4: "the original contents … get replaced with a <retracted/> element which MUST
/// include an 'id' attribute that's set to the value of the retraction's … 'id'". XEP-0425 §6: "the
/// occupant id … SHOULD be included … for the original (retracted) message author in the
/// <message/>".
fn grave(author: &str, id: &str, now: &Now<'_>, moderated: Option<&str>) -> String {
    let mut out = ids::element(author);
    out.push_str("<retracted");
    attribute(&mut out, "xmlns", NS);
    attribute(&mut out, "id", id);
    attribute(&mut out, "stamp", &now.stamp());
    match moderated {
        None => out.push_str("/>"),
        Some(inner) => {
            out.push('>');
            out.push_str(inner);
            out.push_str("</retracted>");
        }
    }
    out.push_str("</message>");
    out
}

/// `<moderate/>`
pub struct Moderate {
    id: String,
    is_retraction: bool,
    reason: Option<String>,
}

impl Payload for Moderate {
    const NAME: &'static str = "moderate";
    const NS: &'static str = MODERATE;

    fn read(child: Child<'_>) -> Result<Self, StanzaError> {
        let id = child.attribute("id").ok_or_else(|| {
            StanzaError::bad_request().text("A moderation names the id of a message.")
        })?;
        let reason = child.child("reason", MODERATE).map(|reason| reason.text().into_owned());
        Ok(Self {
            id: id.into_owned(),
            is_retraction: child.child("retract", NS).is_some(),
            reason: reason.filter(|reason| !reason.trim().is_empty()),
        })
    }
}

impl Rooms {
    /// XEP-0425 §4: a moderator's client requests "that the message be retracted".
    pub(super) async fn moderate(
        self: Arc<Self>,
        ask: Request<Moderate>,
    ) -> Result<(), StanzaError> {
        let room = self.room_of(&ask)?;
        let Moderate { id, is_retraction, reason } = ask.payload;
        if !is_retraction {
            let text = "Messages can be retracted by moderators, and nothing else.";
            return Err(StanzaError::feature_not_implemented().text(text));
        }
        if reason.as_ref().is_some_and(|reason| reason.len() > REASON_BYTES) {
            let text = format!("A reason has {REASON_BYTES} bytes at most.");
            return Err(StanzaError::not_acceptable().text(text));
        }
        let sender = ask.from.jid.clone();
        // Before anything is looked for: who may not moderate learns nothing of what is there.
        self.ask(&room, {
            let sender = sender.clone();
            move |room, _| (Outcome::nothing(), moderator(room, &sender).map(drop))
        })
        .await??;
        let archive = Archive::new(ask.hub.db().clone());
        let not_found = || StanzaError::item_not_found().text("There is no such message here.");
        let number = ask.hub.names().number(&id).ok_or_else(not_found)?;
        archive.catch_up().await.map_err(|error| unstored(&error))?;
        let found = archive.find(room.as_str(), number.cast_signed()).await;
        let entry = found.map_err(|error| unstored(&error))?.ok_or_else(not_found)?;
        if !is_message(&entry) {
            return Err(not_found());
        }
        self.ask(&room, move |room, now| match moderator(room, &sender) {
            Ok(by) => (moderated(room, now, &entry, &id, (&by, reason.as_deref())), Ok(())),
            Err(error) => (Outcome::nothing(), Err(error)),
        })
        .await?
    }
}

/// Whether an entry is something that was said, and not a retraction nor what is left of a message.
fn is_message(entry: &Entry) -> bool {
    let is_any =
        |stanza: &Stanza| stanza.body.has("retract", NS) || stanza.body.has("retracted", NS);
    Stanza::parse(&entry.stanza).is_ok_and(|stanza| !is_any(&stanza))
}

/// Who moderates: the address in the room, and the pseudonym.
struct By {
    jid: String,
    id: Arc<str>,
}

/// §4.2: "Only moderators are allowed to moderate other participants' messages".
fn moderator(room: &Room, sender: &Jid) -> Result<By, StanzaError> {
    let occupant = room.occupants.by_jid(sender);
    let Some(occupant) = occupant.filter(|occupant| occupant.role == Role::Moderator) else {
        let text = "Only moderators may moderate the messages of others.";
        return Err(StanzaError::forbidden().text(text));
    };
    Ok(By { jid: occupant.jid.to_string(), id: Arc::clone(&occupant.id) })
}

/// §4.1: "the MUC will send a message stanza to all participants (including the moderator)"; and a
/// tombstone stands where the message was.
fn moderated(
    room: &Room,
    now: &Now<'_>,
    entry: &Entry,
    target: &str,
    (by, reason): (&By, Option<&str>),
) -> Outcome {
    let mut inner = format!("<moderated xmlns='{MODERATE}'");
    attribute(&mut inner, "by", &by.jid);
    inner.push('>');
    inner.push_str(&ids::element(&by.id));
    inner.push_str("</moderated>");
    if let Some(reason) = reason {
        inner.push_str("<reason>");
        text(&mut inner, reason);
        inner.push_str("</reason>");
    }
    let mut retract = format!("<retract xmlns='{NS}'");
    attribute(&mut retract, "id", target);
    retract.push('>');
    retract.push_str(&inner);
    retract.push_str("</retract>");
    let id = now.clock.token(12);
    let word = room.message(MessageType::Groupchat).id(id.as_str()).with(retract);
    let author = BareJid::new(&entry.peer).ok();
    let author = author.map_or_else(Arc::default, |author| ids::occupant_id(&room.salt, &author));
    let number = entry.number.cast_unsigned();
    let mut rows = entomb(room, number, None, &grave(&author, &id, now, Some(&inner)));
    let row = record(room, now, &word, &room.jid.to_jid());
    let word = if row.is_some() { word.with(room.stanza_id(now)) } else { word };
    rows.extend(row);
    Outcome::after(rows, move |room, _| {
        room.history.forget(number, |_| true);
        vec![Post::Crowd(room.everybody(), word)]
    })
}
