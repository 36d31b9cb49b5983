//! The picture of a room, in its card (XEP-0486, version 0.1.0; XEP-0054, XEP-0153).

use std::sync::Arc;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use waxwing_kernel::request::{Request, unstored};
use waxwing_stanza::payload::dataform::{Field, FieldType};
use waxwing_stanza::{MessageType, Payload, PresenceType, Stanza, StanzaError};
use waxwing_store::domains::rooms::{NoteRow, Rooms as Rows};
use waxwing_xml::{Child, write};

use super::Rooms;
use super::outcome::{Outcome, Post};
use super::role::Affiliation;
use super::room::{Life, Room};
use super::table::USER;

/// Namespace of cards.
pub(super) const NS: &str = "vcard-temp";

const UPDATE: &str = "vcard-temp:x:update";

/// What a room notes: the hashes of its pictures, which it always has at hand.
const AVATAR: &str = "avatar";

/// Pictures of one card that count.
const PICTURES: usize = 8;

/// `<vCard/>`, asked for or said: the element as it stands.
pub struct Card(String);

impl Payload for Card {
    const NAME: &'static str = "vCard";
    const NS: &'static str = NS;

    fn read(child: Child<'_>) -> Result<Self, StanzaError> {
        Ok(Self(child.as_str().to_owned()))
    }
}

impl Rooms {
    /// §4.4: "At this point the client … can retrieve the room's vCard-temp."
    pub(super) async fn card(self: Arc<Self>, ask: Request<Card>) -> Result<String, StanzaError> {
        let room = self.room_of(&ask)?;
        let reader = ask.from.jid.bare();
        let is_operator = ask.site.is_admin(&reader);
        self.ask(&room, move |room, _| {
            let affiliation =
                if is_operator { Affiliation::Owner } else { room.affiliations.of(&reader) };
            (Outcome::nothing(), may_look(room, affiliation))
        })
        .await??;
        let card = self.rows.card(room.as_str()).await.map_err(|error| unstored(&error))?;
        Ok(card.unwrap_or_else(|| format!("<vCard xmlns='{NS}'/>")))
    }

    /// §4.2: "an owner or some other privileged entity must publish a vCard-temp containing the
    /// avatar's data".
    pub(super) async fn set_card(self: Arc<Self>, ask: Request<Card>) -> Result<(), StanzaError> {
        let room = self.room_of(&ask)?;
        let owner = ask.from.jid.bare();
        let is_operator = ask.site.is_admin(&owner);
        let most = self.service.settings.vcard_size.len();
        let Card(card) = ask.payload;
        if card.len() > most {
            let text = format!("The card of a room has {most} bytes at most.");
            return Err(StanzaError::not_acceptable().text(text));
        }
        let hashes = hashes_of(&card)?;
        self.ask(&room, move |room, _| {
            let is_owner = is_operator || room.affiliations.of(&owner) == Affiliation::Owner;
            match room.life {
                Life::Absent => (Outcome::nothing(), Err(absent())),
                _ if !is_owner => {
                    let text = "Only owners are allowed to set avatars.";
                    (Outcome::nothing(), Err(StanzaError::forbidden().text(text)))
                }
                _ => (set(room, card, hashes), Ok(())),
            }
        })
        .await?
    }
}

fn absent() -> StanzaError {
    StanzaError::item_not_found().text("There is no such room.")
}

/// Who may know of a room may see its picture; of a hidden one those who may come in.
fn may_look(room: &Room, affiliation: Affiliation) -> Result<(), StanzaError> {
    if room.life != Life::Open || affiliation == Affiliation::Outcast && !room.config.is_public {
        return Err(absent());
    }
    let is_closed = room.config.is_members_only && !room.config.is_public;
    if is_closed && affiliation < Affiliation::Member {
        return Err(StanzaError::forbidden().text("Only members may see the card of this room."));
    }
    Ok(())
}

/// §4.2: "The room should then broadcast a notification that the configuration changed to all users
/// present."
fn set(room: &Room, card: String, hashes: String) -> Outcome {
    let name = room.jid.as_str();
    let mut rows = vec![match is_empty(&card) {
        true => Rows::drop_card(name),
        false => Rows::put_card(name, &card),
    }];
    rows.push(match hashes.as_str() {
        "" => Rows::drop_note(name, AVATAR, ""),
        hashes => Rows::put_note(
            name,
            &NoteRow { kind: AVATAR.into(), key: String::new(), value: hashes.to_owned() },
        ),
    });
    Outcome::after(rows, move |room, _| {
        match hashes.as_str() {
            "" => drop(room.notes.remove(AVATAR, "")),
            hashes => room.notes.set(AVATAR, "", hashes),
        }
        let everybody = room.everybody();
        let status = format!("<x xmlns='{USER}'><status code='104'/></x>");
        let word = room.message(MessageType::Groupchat).with(status);
        vec![Post::Crowd(everybody.clone(), word), Post::Crowd(everybody, presence_of(room))]
    })
}

/// §4.2: "Setting an empty vCard unpublishes the avatar."
fn is_empty(card: &str) -> bool {
    let card = Stanza::message(MessageType::Normal).with(card);
    card.body.child("vCard", NS).is_none_or(|card| card.is_empty())
}

/// The hashes of the pictures, one a line. XEP-0153 §3.1: "the SHA1 hash of the avatar image data
/// itself". §6.1: several pictures "should all represent the same image and the … field must
/// contain a hash of all of them".
fn hashes_of(card: &str) -> Result<String, StanzaError> {
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let engine = GeneralPurpose::new(&STANDARD, config);
    let stanza = Stanza::message(MessageType::Normal).with(card);
    let Some(card) = stanza.body.child("vCard", NS) else { return Ok(String::new()) };
    let mut hashes = String::new();
    for photo in card.children().filter(|child| child.is("PHOTO", NS)).take(PICTURES) {
        let Some(data) = photo.child("BINVAL", NS) else { continue };
        let data: String = data.text().split_whitespace().collect();
        let image = engine.decode(data).map_err(|_| {
            StanzaError::bad_request().text("The picture in the card is not in base64.")
        })?;
        if image.is_empty() {
            continue;
        }
        let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, &image);
        hashes.extend(digest.as_ref().iter().map(|byte| format!("{byte:02x}")));
        hashes.push('\n');
    }
    Ok(hashes)
}

/// §4.3: "If the room has had an avatar published, it should advertise it in its 'muc#roominfo'
/// extension form".
pub(super) fn field(room: &Room) -> Option<Field> {
    let hashes = room.notes.get(AVATAR, "")?;
    let field = Field::new(FieldType::TextMulti, "muc#roominfo_avatarhash").label("Avatar hash");
    Some(hashes.lines().fold(field, Field::value))
}

/// §6.2: "Some existing implementations send or expect a presence from the room's bare JID", after
/// the presence of who came in. None where there is no picture.
///
/// COMPAT(clients that look for the picture of a room in its presence, until they ask the form)
pub(super) fn presence(room: &Room) -> Option<Stanza> {
    room.notes.get(AVATAR, "").map(|_| presence_of(room))
}

fn presence_of(room: &Room) -> Stanza {
    let mut update = format!("<x xmlns='{UPDATE}'>");
    match room.notes.get(AVATAR, "").and_then(|hashes| hashes.lines().next()) {
        None => update.push_str("<photo/>"),
        Some(hash) => {
            update.push_str("<photo>");
            write::text(&mut update, hash);
            update.push_str("</photo>");
        }
    }
    update.push_str("</x>");
    Stanza::presence(PresenceType::Available).from(room.jid.to_jid()).with(update)
}
