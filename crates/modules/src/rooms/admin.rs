//! What moderators and admins ask of a room: its lists, and who plays which role (XEP-0045 §8, §9,
//! §10.5, §10.8).

use std::collections::HashMap;

use waxwing_jid::{BareJid, Jid};
use waxwing_stanza::payload::rsm;
use waxwing_stanza::{Payload, Stanza, StanzaError, payload, to_xml};
use waxwing_xml::Child;
use waxwing_xml::write::{attribute, text};
use xso::FromXml;

use super::appoint::{Actor, Change, Courtesy, Reserve};
use super::leave::Exit;
use super::letter::{Letter, Now};
use super::options::reason;
use super::outcome::{Outcome, Post};
use super::privilege::Rank;
use super::role::{Affiliation, Role};
use super::room::Room;

/// Namespace of these requests.
pub const NS: &str = "http://jabber.org/protocol/muc#admin";

/// `<query/>`
#[derive(FromXml, Debug)]
#[xml(namespace = NS, name = "query", on_unknown_attribute = Discard, on_unknown_child = Discard)]
struct Query {
    #[xml(child(n = ..))]
    items: Vec<Item>,
    #[xml(child(default))]
    page: Option<rsm::Request>,
}
payload!(Query, "query", NS);

/// `<item/>`
#[derive(FromXml, Debug)]
#[xml(namespace = NS, name = "item", on_unknown_attribute = Discard, on_unknown_child = Discard)]
struct Item {
    #[xml(attribute(default))]
    affiliation: Option<String>,
    #[xml(attribute(default))]
    role: Option<String>,
    #[xml(attribute(default))]
    jid: Option<String>,
    #[xml(attribute(default))]
    nick: Option<String>,
    #[xml(extract(default, on_unknown_attribute = Discard, fields(text(type_ = String))))]
    reason: Option<String>,
}

/// What one item asks to be changed.
enum Order {
    /// An occupant gets another role.
    Role { number: u64, role: Role, reason: Option<String> },
    /// Somebody gets another affiliation.
    Affiliation(Change),
}

/// What an item is about.
#[derive(Clone, Copy)]
enum Subject {
    Role(Role),
    Affiliation(Affiliation),
}

impl Item {
    /// §17.4 "if a moderator, admin, or owner attempts to modify both the affiliation and role of
    /// the same item in the same IQ set, the service MUST return a <bad-request/> error".
    fn subject(&self) -> Result<Subject, StanzaError> {
        match (&self.role, &self.affiliation) {
            (Some(_), Some(_)) => Err(bad("An item has a role or an affiliation, not both.")),
            (None, None) => Err(bad("An item needs a role or an affiliation.")),
            (Some(name), None) => {
                let role = Role::read(name).ok_or_else(|| unknown("role", name))?;
                Ok(Subject::Role(role))
            }
            (None, Some(name)) => {
                let found = Affiliation::read(name).ok_or_else(|| unknown("affiliation", name))?;
                Ok(Subject::Affiliation(found))
            }
        }
    }

    /// The address, with or without a resource.
    fn address(&self) -> Result<Option<Jid>, StanzaError> {
        let Some(given) = &self.jid else { return Ok(None) };
        let jid = Jid::new(given.trim());
        jid.map(Some).map_err(|error| {
            StanzaError::jid_malformed().text(format!("jid: {given:?} is no address: {error}."))
        })
    }
}

impl Room {
    /// A list is asked for (§8.5, §9.2, §9.5, §9.8, §10.5, §10.8).
    ///
    /// # Errors
    /// `forbidden` to who may not see it, `bad-request` where no list is named.
    pub fn show_list(
        &mut self,
        letter: &mut Letter,
        child: Child<'_>,
        _: &Now<'_>,
    ) -> Result<Outcome, StanzaError> {
        let query = Query::read(child)?;
        let [item] = query.items.as_slice() else {
            return Err(bad("One item says which list is asked for."));
        };
        let rank = Actor::of(self, letter).rank;
        let xml = match item.subject()? {
            Subject::Role(role) => {
                rank.list_role(role)?;
                self.role_list(role)
            }
            Subject::Affiliation(affiliation) => {
                rank.list_affiliation(affiliation, &self.config)?;
                self.affiliation_list(affiliation, query.page.as_ref())?
            }
        };
        Ok(Outcome::answer(letter, Some(format!("<query xmlns='{NS}'>{xml}</query>"))))
    }

    /// §17.4 "in IQ results regarding roles, a MUC service MUST include the 'nick', 'role',
    /// 'affiliation', and 'jid' attributes (with the value of the latter set to the user's full
    /// JID)."
    fn role_list(&self, role: Role) -> String {
        let mut out = String::new();
        for occupant in self.occupants.iter().filter(|occupant| occupant.role == role) {
            out += "<item";
            attribute(&mut out, "affiliation", occupant.affiliation.name());
            attribute(&mut out, "jid", occupant.full().as_str());
            attribute(&mut out, "nick", &occupant.nick);
            attribute(&mut out, "role", role.name());
            out += "/>";
        }
        out
    }

    /// §17.4 "in IQ results regarding affiliations, a MUC service MUST NOT include the 'role'
    /// attribute, MUST include the 'affiliation' attribute and the 'jid' attribute (with the value
    /// set to the bare JID), and SHOULD include the 'nick' attribute". Whoever asks for a page
    /// (XEP-0059) gets one, ordered by address; others get the whole list.
    fn affiliation_list(
        &self,
        list: Affiliation,
        wish: Option<&rsm::Request>,
    ) -> Result<String, StanzaError> {
        let listed = self.affiliations.iter().filter(|(_, it)| it.affiliation == list);
        let listed: Vec<_> = listed.collect();
        let jids: Vec<&str> = listed.iter().map(|(jid, _)| jid.as_str()).collect();
        let (range, page) = match wish {
            None => (0..listed.len(), None),
            Some(wish) => {
                let range = range_of(&jids, wish)?;
                let page = match jids.get(range.clone()) {
                    Some([first, .., last]) => {
                        rsm::Page::new(*first, *last, Some(range.start), Some(jids.len()))
                    }
                    Some([only]) => {
                        rsm::Page::new(*only, *only, Some(range.start), Some(jids.len()))
                    }
                    _ => rsm::Page::empty(Some(jids.len())),
                };
                (range, Some(page))
            }
        };
        let nicks: HashMap<&BareJid, &str> =
            self.occupants.iter().map(|occupant| (&occupant.real, &*occupant.nick)).collect();
        let mut out = String::new();
        for (jid, standing) in &listed[range] {
            out += "<item";
            attribute(&mut out, "affiliation", list.name());
            attribute(&mut out, "jid", jid.as_str());
            let present = nicks.get(jid).copied();
            if let Some(nick) = standing.nick.as_deref().or(present) {
                attribute(&mut out, "nick", nick);
            }
            match &standing.reason {
                None => out += "/>",
                Some(reason) => {
                    out += "><reason>";
                    text(&mut out, reason);
                    out += "</reason></item>";
                }
            }
        }
        Ok(out + &page.map(|page| to_xml(&page)).unwrap_or_default())
    }

    /// Roles and affiliations are changed: all that an admin sends, or nothing (§8.2 to §8.5, §9,
    /// §10.3 to §10.8).
    ///
    /// # Errors
    /// Those of [`Rank::set_role`] and [`Room::judge_changes`]; `bad-request` and `item-not-found`
    /// for an item that makes no sense.
    pub fn change_list(
        &mut self,
        letter: &mut Letter,
        child: Child<'_>,
        now: &Now<'_>,
    ) -> Result<Outcome, StanzaError> {
        let query = Query::read(child)?;
        if query.items.is_empty() {
            return Err(bad("There is nothing to change."));
        }
        let most = self.service.settings.changes as usize;
        if query.items.len() > most {
            let text = format!("Change {most} at a time at most.");
            return Err(StanzaError::resource_constraint().text(text));
        }
        let actor = Actor::of(self, letter);
        let (mut roles, mut changes) = (Vec::new(), Vec::new());
        for item in &query.items {
            match self.order(item)? {
                Order::Role { number, role, reason } => roles.push((number, role, reason)),
                Order::Affiliation(change) => changes.push(change),
            }
        }
        self.judge_roles(&actor, &roles)?;
        self.judge_changes(&actor, &changes)?;
        let plan = self.plan(changes, &actor.bare, now)?;
        let done = letter.stanza.result(None);
        Ok(Outcome::after(self.rows_of(&plan), move |room, _| {
            let (mut kicks, mut others) = (Vec::new(), Vec::new());
            for (number, role, reason) in roles {
                let posts = if role == Role::None { &mut kicks } else { &mut others };
                posts.extend(room.give_role(number, role, &actor, reason));
            }
            others.extend(room.appoint(plan, &actor, Courtesy::Write));
            answered(kicks, done, others)
        }))
    }

    fn judge_roles(
        &self,
        actor: &Actor,
        roles: &[(u64, Role, Option<String>)],
    ) -> Result<(), StanzaError> {
        for (number, role, _) in roles {
            let Some(occupant) = self.occupants.get(*number) else { continue };
            let target = Rank { affiliation: occupant.affiliation, role: occupant.role };
            actor.rank.set_role(target, *role)?;
            // §8.2 "If a moderator attempts to kick himself, the service MAY deny the request and
            // return a <conflict/> error to the sender."
            if occupant.real == actor.bare && *role == Role::None {
                return Err(StanzaError::conflict().text("Leave the room instead."));
            }
        }
        Ok(())
    }

    /// What an item asks for.
    fn order(&self, item: &Item) -> Result<Order, StanzaError> {
        let (subject, reason) = (item.subject()?, reason(item.reason.as_deref())?);
        match subject {
            Subject::Role(role) => {
                let number = self.meant(item)?;
                Ok(Order::Role { number, role, reason })
            }
            Subject::Affiliation(affiliation) => {
                let (jid, nick) = match item.address()? {
                    // §10.3 "When processing a request that identifies a user by its full JID, a
                    // service SHOULD use the bare JID representation."
                    Some(jid) => (self.real(&jid)?, self.reserve(item)?),
                    None => {
                        let number = self.meant(item)?;
                        let occupant = self.occupants.get(number);
                        let real = occupant.map(|occupant| occupant.real.clone());
                        (real.ok_or_else(|| bad("An item needs a jid."))?, Reserve::Keep)
                    }
                };
                Ok(Order::Affiliation(Change { jid, affiliation, nick, reason }))
            }
        }
    }

    /// The account behind an address, which may be that of somebody in the room.
    fn real(&self, jid: &Jid) -> Result<BareJid, StanzaError> {
        if jid.bare_str() != self.jid.as_str() {
            return Ok(jid.bare());
        }
        let occupant = jid.resource().and_then(|nick| self.occupants.by_nick(nick));
        occupant.map(|occupant| occupant.real.clone()).ok_or_else(absent)
    }

    /// The occupant that an item is about: by nick (§17.4), or by address.
    fn meant(&self, item: &Item) -> Result<u64, StanzaError> {
        if let Some(nick) = &item.nick {
            let nick = waxwing_jid::prepare_resource(nick).map_err(|_| absent())?;
            let occupant = self.occupants.by_nick(&nick).ok_or_else(absent)?;
            return Ok(occupant.number);
        }
        let jid = item.address()?.ok_or_else(|| bad("An item needs a nick."))?;
        let numbers = self.occupants.of(&jid.bare());
        let exact = self.occupants.by_jid(&jid).map(|occupant| occupant.number);
        exact.or(numbers.first().copied()).ok_or_else(absent)
    }

    /// §9.5 "To unset a reserved nickname, the 'nick' attribute must be set to an empty string."
    fn reserve(&self, item: &Item) -> Result<Reserve, StanzaError> {
        match item.nick.as_deref() {
            None => Ok(Reserve::Keep),
            Some("") => Ok(Reserve::Drop),
            Some(nick) => self.proper_nick(nick).map(Reserve::Take),
        }
    }

    /// A nick as it is compared, if it is one.
    ///
    /// # Errors
    /// `jid-malformed`, as on entering.
    pub fn proper_nick(&self, nick: &str) -> Result<String, StanzaError> {
        let jid = self.jid.with_resource(nick).map_err(|error| {
            StanzaError::jid_malformed().text(format!("{nick:?} cannot be a nick: {error}."))
        })?;
        self.check_nick(jid.resource().unwrap_or_default()).map(|nick| nick.as_ref().to_owned())
    }

    /// An occupant gets another role, or is kicked.
    pub fn give_role(
        &mut self,
        number: u64,
        role: Role,
        actor: &Actor,
        reason: Option<String>,
    ) -> Vec<Post> {
        let Some(occupant) = self.occupants.get(number) else { return Vec::new() };
        let (affiliation, before) = (occupant.affiliation, occupant.role);
        let mut why = actor.because(reason);
        match role {
            Role::None => {
                why.codes.push(307);
                self.remove(number, &Exit { why, ..Exit::default() })
            }
            _ if role == before => Vec::new(),
            _ => self.promote(number, (affiliation, role), &why),
        }
    }
}

/// Puts the result where it belongs. §8.2: those who are kicked hear of it first ("After removing
/// the kicked occupant(s), the service MUST then inform the moderator of success"), and the others
/// afterwards, as of all other changes.
fn answered(kicks: Vec<Post>, done: Stanza, others: Vec<Post>) -> Vec<Post> {
    let is_own = |post: &Post| matches!(post, Post::Seat(..));
    let (mut posts, rest): (Vec<Post>, Vec<Post>) = kicks.into_iter().partition(is_own);
    posts.push(Post::Back(done));
    posts.extend(rest);
    posts.extend(others);
    posts
}

/// Which part of a list is wanted (XEP-0059 §2.2 to §2.6).
fn range_of(ids: &[&str], wish: &rsm::Request) -> Result<std::ops::Range<usize>, StanzaError> {
    let place = |id: &String| {
        let gone = || StanzaError::item_not_found().text(format!("{id:?} is not on the list."));
        ids.iter().position(|known| known == id).ok_or_else(gone)
    };
    let most = wish.max.unwrap_or(ids.len());
    if let Some(index) = wish.index {
        let start = index.min(ids.len());
        return Ok(start..(start + most.min(ids.len() - start)));
    }
    match (&wish.after, &wish.before) {
        (Some(after), _) => {
            let start = place(after)? + 1;
            Ok(start..(start + most.min(ids.len() - start)))
        }
        (None, Some(before)) => {
            let end = if before.is_empty() { ids.len() } else { place(before)? };
            Ok(end.saturating_sub(most)..end)
        }
        (None, None) => Ok(0..most.min(ids.len())),
    }
}

fn bad(text: &'static str) -> StanzaError {
    StanzaError::bad_request().text(text)
}

fn unknown(what: &str, name: &str) -> StanzaError {
    StanzaError::bad_request().text(format!("{what}: there is no {name:?}."))
}

fn absent() -> StanzaError {
    StanzaError::item_not_found().text("There is nobody of that nick or address in the room.")
}
