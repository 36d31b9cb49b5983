//! Hats: titles of a room's own for those who are in it (XEP-0317, version 0.3.1).

mod forms;

use std::sync::Arc;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use waxwing_jid::BareJid;
use waxwing_kernel::request::Request;
use waxwing_stanza::payload::dataform::{DataForm, Field, FieldType};
use waxwing_stanza::payload::disco::Item;
use waxwing_stanza::{MessageType, StanzaError, payload, to_xml};
use waxwing_store::Statement;
use waxwing_store::domains::rooms::{NoteRow, Rooms as Rows};
use waxwing_xml::write::attribute;
use xso::FromXml;

use self::forms::{ask_for, list, list_assigned};
use super::Rooms;
use super::extras::COMMANDS;
use super::outcome::{Outcome, Post};
use super::presence::Why;
use super::role::Affiliation;
use super::room::{Life, Room};
use super::table::USER;

/// Namespace of hats.
pub(super) const NS: &str = "urn:xmpp:hats:0";

const FORM: &str = "urn:xmpp:hats:commands";

/// The notes of a room about hats: what there are, by their URIs, and who wears which.
const HAT: &str = "hat";
pub(super) const WORN: &str = "worn";

/// Bytes of a URI and of a title, and hats of one person.
const URI_BYTES: usize = 512;
const TITLE_BYTES: usize = 256;
const WORN_MAX: usize = 20;

/// What can be done about hats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Create,
    Destroy,
    List,
    Assign,
    Unassign,
    ListAssigned,
}

const DEEDS: [(Deed, &str, &str); 6] = [
    (Deed::Create, "urn:xmpp:hats:commands:create", "Create or change a hat"),
    (Deed::Destroy, "urn:xmpp:hats:commands:destroy", "Destroy a hat"),
    (Deed::List, "urn:xmpp:hats:commands:list", "List the hats"),
    (Deed::Assign, "urn:xmpp:hats:commands:assign", "Give somebody a hat"),
    (Deed::Unassign, "urn:xmpp:hats:commands:unassign", "Take a hat from somebody"),
    (Deed::ListAssigned, "urn:xmpp:hats:commands:list-assigned", "List who wears which hat"),
];

/// A hat.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hat {
    title: String,
    hue: String,
}

impl Hat {
    fn of_text(text: &str) -> Option<Self> {
        let (title, hue) = text.rsplit_once('\n')?;
        Some(Self { title: title.to_owned(), hue: hue.to_owned() })
    }

    fn to_text(&self) -> String {
        format!("{}\n{}", self.title, self.hue)
    }
}

fn hat(room: &Room, uri: &str) -> Option<Hat> {
    room.notes.get(HAT, uri).and_then(Hat::of_text)
}

fn all(room: &Room) -> Vec<(&str, Hat)> {
    let hats = room.notes.of(HAT);
    hats.filter_map(|(uri, text)| Some((uri, Hat::of_text(text)?))).collect()
}

/// The URIs of the hats that somebody wears.
fn worn<'a>(room: &'a Room, real: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    room.notes.get(WORN, real).into_iter().flat_map(str::lines)
}

/// The hats of somebody, as they stand in a presence: "This element MUST possess a 'uri' attribute
/// …, a 'title' attribute".
pub(super) fn of(room: &Room, real: &BareJid) -> Option<String> {
    let mut inner = String::new();
    for uri in worn(room, real.as_str()) {
        let Some(hat) = hat(room, uri) else { continue };
        inner.push_str("<hat");
        attribute(&mut inner, "title", &hat.title);
        attribute(&mut inner, "uri", uri);
        if !hat.hue.is_empty() {
            attribute(&mut inner, "hue", &hat.hue);
        }
        inner.push_str("/>");
    }
    (!inner.is_empty()).then(|| format!("<hats xmlns='{NS}'>{inner}</hats>"))
}

/// §2: "If the room has a list of hats configured, it should advertise it in its 'muc#roominfo'
/// extension form by computing a unique hash".
pub(super) fn hash(room: &Room) -> Option<Field> {
    let hats = all(room);
    if hats.is_empty() {
        return None;
    }
    let text: String =
        hats.iter().map(|(uri, hat)| format!("{uri}\n{}\n", hat.to_text())).collect();
    let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    let digits: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Some(Field::new(FieldType::TextSingle, "hats#hash").label("Hash of the hats").value(digits))
}

/// The commands of a room, as its disco items at the node of commands.
pub(super) fn items(room: &Room) -> Vec<Item> {
    let item = |(_, node, name): &(Deed, &str, &str)| Item {
        jid: room.jid.to_string(),
        node: Some((*node).to_owned()),
        name: Some((*name).to_owned()),
    };
    DEEDS.iter().map(item).collect()
}

/// `<command/>` (XEP-0050)
#[derive(FromXml)]
#[xml(namespace = COMMANDS, name = "command", on_unknown_attribute = Discard,
      on_unknown_child = Discard)]
pub struct Command {
    #[xml(attribute)]
    node: String,
    #[xml(attribute(default))]
    action: Option<String>,
    #[xml(attribute(default))]
    sessionid: Option<String>,
    #[xml(lang(default))]
    _lang: Option<String>,
    #[xml(child(default))]
    form: Option<DataForm>,
}
payload!(Command, "command", COMMANDS);

/// What a step of a command has led to.
enum Step {
    /// A form is to be filled in.
    Form(DataForm),
    /// It is done.
    Done(Option<DataForm>),
}

impl Rooms {
    /// §3.2: "Hats are created and destroyed using Ad-Hoc Commands".
    pub(super) async fn command(
        self: Arc<Self>,
        ask: Request<Command>,
    ) -> Result<String, StanzaError> {
        let room = self.room_of(&ask)?;
        let Command { node, action, sessionid, form, .. } = ask.payload;
        let known = DEEDS.iter().find(|(_, name, _)| *name == node);
        let (deed, title) = known
            .map(|(deed, _, title)| (*deed, *title))
            .ok_or_else(|| StanzaError::item_not_found().text("Rooms have no such command."))?;
        let session = sessionid.unwrap_or_else(|| ask.hub.clock().token(12));
        if action.as_deref() == Some("cancel") {
            return Ok(answer(&node, &session, "canceled", ""));
        }
        let sender = ask.from.jid.bare();
        let is_operator = ask.site.is_admin(&sender);
        let most = self.service.settings.hats as usize;
        let step = self
            .ask(&room, move |room, _| {
                let outcome = may(room, deed, &sender, is_operator)
                    .and_then(|()| take(room, deed, form.as_ref(), (title, most)));
                match outcome {
                    Ok((outcome, step)) => (outcome, Ok(step)),
                    Err(error) => (Outcome::nothing(), Err(error)),
                }
            })
            .await??;
        Ok(match step {
            Step::Form(form) => {
                let actions = "<actions execute='complete'><complete/></actions>";
                answer(&node, &session, "executing", &format!("{actions}{}", to_xml(&form)))
            }
            Step::Done(form) => {
                let form = form.map_or_else(String::new, |form| to_xml(&form));
                answer(&node, &session, "completed", &form)
            }
        })
    }
}

fn answer(node: &str, session: &str, status: &str, inner: &str) -> String {
    let mut out = format!("<command xmlns='{COMMANDS}'");
    attribute(&mut out, "node", node);
    attribute(&mut out, "sessionid", session);
    attribute(&mut out, "status", status);
    out.push('>');
    out.push_str(inner);
    out.push_str("</command>");
    out
}

/// The list is for everybody who may come in; the rest is for admins and owners.
fn may(room: &Room, deed: Deed, sender: &BareJid, is_operator: bool) -> Result<(), StanzaError> {
    if room.life != Life::Open {
        return Err(StanzaError::item_not_found().text("There is no such room."));
    }
    let affiliation = if is_operator { Affiliation::Owner } else { room.affiliations.of(sender) };
    let is_closed = room.config.is_members_only || room.config.password.is_some();
    let is_allowed = match deed {
        Deed::List => {
            affiliation >= Affiliation::Member
                || !room.occupants.of(sender).is_empty()
                || affiliation == Affiliation::None && !is_closed
        }
        _ => affiliation >= Affiliation::Admin,
    };
    let text = "Hats are an affair of the admins and owners of the room.";
    if is_allowed { Ok(()) } else { Err(StanzaError::forbidden().text(text)) }
}

/// One step.
fn take(
    room: &Room,
    deed: Deed,
    form: Option<&DataForm>,
    (title, most): (&str, usize),
) -> Result<(Outcome, Step), StanzaError> {
    match (deed, form) {
        (Deed::List, _) => Ok((Outcome::nothing(), Step::Done(Some(list(room))))),
        (Deed::ListAssigned, _) => Ok((Outcome::nothing(), Step::Done(Some(list_assigned(room))))),
        (_, None) => Ok((Outcome::nothing(), Step::Form(ask_for(room, deed, title)))),
        (_, Some(form)) => {
            let outcome = match deed {
                Deed::Create => create(room, form, most)?,
                Deed::Destroy => destroy(room, form)?,
                _ => assign(room, form, deed == Deed::Assign)?,
            };
            Ok((outcome, Step::Done(None)))
        }
    }
}

/// The one value of a field that must be filled in.
fn value<'a>(form: &'a DataForm, var: &str, most: usize) -> Result<&'a str, StanzaError> {
    let value = form.value(var).map(str::trim).filter(|value| !value.is_empty());
    let value = value
        .ok_or_else(|| StanzaError::bad_request().text(format!("The field {var} is missing.")))?;
    if value.len() > most || value.contains(char::is_control) {
        let text = format!("The field {var} takes one line of at most {most} bytes.");
        return Err(StanzaError::not_acceptable().text(text));
    }
    Ok(value)
}

/// §3.2: "Updating a hat follows the same flow but set an existing "hats#uri"".
fn create(room: &Room, form: &DataForm, most: usize) -> Result<Outcome, StanzaError> {
    let uri = value(form, "hats#uri", URI_BYTES)?.to_owned();
    let title = value(form, "hats#title", TITLE_BYTES)?.to_owned();
    let hue = form.value("hats#hue").map_or("", str::trim);
    let is_hue = hue.is_empty()
        || hue.len() <= 16 && hue.parse::<f64>().is_ok_and(|hue| (0.0..=360.0).contains(&hue));
    if !is_hue {
        let text = "The field hats#hue takes an angle from 0 to 360.";
        return Err(StanzaError::not_acceptable().text(text));
    }
    if room.notes.get(HAT, &uri).is_none() && room.notes.of(HAT).count() >= most {
        let text = format!("A room has {most} hats at most.");
        return Err(StanzaError::resource_constraint().text(text));
    }
    let text = Hat { title, hue: hue.to_owned() }.to_text();
    let rows = vec![put(room, HAT, &uri, &text)];
    Ok(Outcome::after(rows, move |room, _| {
        room.notes.set(HAT, &uri, &text);
        let wearers = wearers(room, &uri);
        changed(room, &wearers)
    }))
}

/// §3.3: "When a hat is destroyed, it is automatically removed from all the JIDs where it was
/// assigned."
fn destroy(room: &Room, form: &DataForm) -> Result<Outcome, StanzaError> {
    // The example of the form names the field `hat`, that of the answer `hats#uri`.
    let var = if form.field("hats#uri").is_some() { "hats#uri" } else { "hat" };
    let uri = value(form, var, URI_BYTES)?.to_owned();
    room.notes.get(HAT, &uri).ok_or_else(no_hat)?;
    let wearers = wearers(room, &uri);
    let left: Vec<(String, String)> =
        wearers.iter().map(|real| (real.clone(), without(room, real, &uri))).collect();
    let mut rows: Vec<Statement> =
        left.iter().map(|(real, text)| put_or_drop(room, real, text)).collect();
    rows.push(Rows::drop_note(room.jid.as_str(), HAT, &uri));
    Ok(Outcome::after(rows, move |room, _| {
        room.notes.remove(HAT, &uri);
        for (real, text) in &left {
            note_worn(room, real, text);
        }
        changed(room, &wearers)
    }))
}

/// §3.5, §3.6
fn assign(room: &Room, form: &DataForm, is_given: bool) -> Result<Outcome, StanzaError> {
    let address = value(form, "hats#jid", 3071)?;
    let real = BareJid::new(address)
        .map_err(|error| StanzaError::bad_request().text(format!("hats#jid: {error}")))?;
    let uri = value(form, "hats#uri", URI_BYTES)?;
    room.notes.get(HAT, uri).ok_or_else(no_hat)?;
    let real = real.to_string();
    let mut text = without(room, &real, uri);
    if is_given {
        if text.lines().count() >= WORN_MAX {
            let text = format!("Nobody wears more than {WORN_MAX} hats.");
            return Err(StanzaError::resource_constraint().text(text));
        }
        if room.notes.get(WORN, &real).is_none()
            && room.notes.of(WORN).count() >= room.service.settings.affiliations as usize
        {
            let text = "No more people can wear hats in this room.";
            return Err(StanzaError::resource_constraint().text(text));
        }
        text.push_str(uri);
        text.push('\n');
    }
    let rows = vec![put_or_drop(room, &real, &text)];
    Ok(Outcome::after(rows, move |room, _| {
        note_worn(room, &real, &text);
        refresh(room, &[real])
    }))
}

fn no_hat() -> StanzaError {
    StanzaError::item_not_found().text("There is no such hat.")
}

fn put(room: &Room, kind: &str, key: &str, value: &str) -> Statement {
    let note = NoteRow { kind: kind.to_owned(), key: key.to_owned(), value: value.to_owned() };
    Rows::put_note(room.jid.as_str(), &note)
}

fn put_or_drop(room: &Room, real: &str, text: &str) -> Statement {
    match text {
        "" => Rows::drop_note(room.jid.as_str(), WORN, real),
        text => put(room, WORN, real, text),
    }
}

fn note_worn(room: &mut Room, real: &str, text: &str) {
    match text {
        "" => drop(room.notes.remove(WORN, real)),
        text => room.notes.set(WORN, real, text),
    }
}

/// What somebody wears but for this hat, one line each.
fn without(room: &Room, real: &str, uri: &str) -> String {
    let others = worn(room, real).filter(|other| *other != uri);
    others.flat_map(|other| [other, "\n"]).collect()
}

fn wearers(room: &Room, uri: &str) -> Vec<String> {
    let worn = room.notes.of(WORN).filter(|(_, text)| text.lines().any(|other| other == uri));
    worn.map(|(real, _)| real.to_owned()).collect()
}

/// §3.2: "When any change is applied to the hats list the room SHOULD broadcast a notification that
/// the configuration changed to all users present."
fn changed(room: &mut Room, wearers: &[String]) -> Vec<Post> {
    let mut posts = refresh(room, wearers);
    let status = format!("<x xmlns='{USER}'><status code='104'/></x>");
    let word = room.message(MessageType::Groupchat).with(status);
    posts.push(Post::Crowd(room.everybody(), word));
    posts
}

/// "the room SHOULD broadcast the related JID presences with the refreshed hat list".
fn refresh(room: &mut Room, wearers: &[String]) -> Vec<Post> {
    let mut posts = Vec::new();
    for real in wearers.iter().filter_map(|real| BareJid::new(real).ok()) {
        for number in room.occupants.of(&real) {
            posts.extend(room.tell_presence(number, &Why::default()));
        }
    }
    posts
}
