//! Who reads the archive of a room, and what of it (XEP-0313 §6.1.2).

use std::borrow::Cow;
use std::sync::Arc;

use waxwing_jid::{BareJid, Jid};
use waxwing_kernel::request::unstored;
use waxwing_kernel::shelf::{Peers, Shelf, ShelfAnswer, ShelfAsk};
use waxwing_stanza::{CLIENT, Stanza, StanzaError};
use waxwing_store::domains::archive::{Archive, Entry};

use super::Rooms;
use super::config::Whois;
use super::outcome::Outcome;
use super::record::item;
use super::role::{Affiliation, Role};
use super::room::{Life, Room};
use super::table::USER;

/// What a reader is shown of who said something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sight {
    /// All real addresses.
    Real,
    /// Those that everybody was shown when it was said.
    Shown,
    /// None.
    Nicks,
}

impl Rooms {
    /// Opens the archive of a room.
    pub(super) async fn shelf(self: Arc<Self>, ask: ShelfAsk) -> ShelfAnswer {
        if ask.to.is_domain() || ask.to.domain() != self.service.jid.domain() {
            return Ok(None);
        }
        if ask.node.is_some() {
            return Err(StanzaError::item_not_found().text("A room has no nodes."));
        }
        let reader = ask.from.jid.bare();
        let is_operator = ask.site.is_admin(&reader);
        // What was numbered before is with the store by the time that the room answers.
        let (sight, line) = self
            .ask(&ask.to, move |room, now| {
                let opened = open(room, &reader, is_operator);
                (Outcome::nothing(), opened.map(|sight| (sight, now.number)))
            })
            .await??;
        Archive::new(ask.hub.db().clone()).catch_up().await.map_err(|error| unstored(&error))?;
        let peers = if sight == Sight::Real { Peers::Publishers } else { Peers::Hidden };
        Ok(Some(Shelf {
            show: Box::new(move |entry| show(entry, sight)),
            peers,
            ..Shelf::plain(&ask.hub, &ask.to, line)
        }))
    }
}

/// "A MUC archive MUST check that the user requesting the archive has the right to enter it at the
/// time of the query and only allow access if so."
fn open(room: &Room, reader: &BareJid, is_operator: bool) -> Result<Sight, StanzaError> {
    let forbidden = |text: &'static str| Err(StanzaError::forbidden().text(text));
    if room.life != Life::Open {
        return Err(StanzaError::item_not_found().text("There is no such room."));
    }
    let affiliation = if is_operator { Affiliation::Owner } else { room.affiliations.of(reader) };
    let inside = room.occupants.of(reader);
    let is_in = !inside.is_empty();
    if affiliation == Affiliation::Outcast {
        return forbidden("You are banned from this room.");
    }
    if room.config.is_members_only && affiliation < Affiliation::Member {
        return forbidden("Only members may read what was said in this room.");
    }
    // Who is not in the room has not shown the password.
    if room.config.password.is_some() && !is_in && affiliation < Affiliation::Admin {
        return forbidden("Enter the room first: it takes a password.");
    }
    if !room.config.is_archived {
        let text = "Nothing is kept of what is said in this room.";
        return Err(StanzaError::item_not_found().text(text));
    }
    let moderates = inside.iter().any(|number| {
        room.occupants.get(*number).is_some_and(|occupant| occupant.role == Role::Moderator)
    });
    Ok(match room.config.whois {
        _ if moderates || affiliation >= Affiliation::Admin => Sight::Real,
        Whois::Anyone => Sight::Shown,
        Whois::Moderators => Sight::Nicks,
    })
}

/// An entry as a reader sees it. "In the case of non-anonymous rooms or if the recipient of the MUC
/// archive has the right to access the sender real JID at the time of the query" it is there.
fn show(entry: &Entry, sight: Sight) -> Cow<'_, str> {
    match sight {
        Sight::Shown => Cow::Borrowed(&entry.stanza),
        Sight::Nicks => match named(&entry.stanza) {
            None => Cow::Borrowed(&entry.stanza),
            Some(mut stanza) => {
                stanza.body_mut().remove("x", USER);
                let mut text = String::with_capacity(entry.stanza.len());
                stanza.write(&mut text, Some(CLIENT));
                Cow::Owned(text)
            }
        },
        Sight::Real => {
            let rest = entry.stanza.strip_suffix("</message>");
            match (rest, sender(entry)) {
                (Some(rest), Some(real)) if named(&entry.stanza).is_none() => {
                    Cow::Owned(format!("{rest}{}</message>", item(&real)))
                }
                _ => Cow::Borrowed(&entry.stanza),
            }
        }
    }
}

/// The real address of who sent a message; none of the room itself.
fn sender(entry: &Entry) -> Option<Jid> {
    let bare = BareJid::new(&entry.peer).ok()?;
    if entry.resource.is_empty() {
        return Some(bare.to_jid());
    }
    bare.with_resource(&entry.resource).ok()
}

/// A message that says by itself who sent it. What clients write there is never kept.
fn named(text: &str) -> Option<Stanza> {
    let stanza = text.contains(USER).then(|| Stanza::parse(text).ok()).flatten()?;
    stanza.body.has("x", USER).then_some(stanza)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(inside: &str) -> Entry {
        Entry {
            number: 1,
            owner: "hall@rooms.localhost".into(),
            peer: "romeo@localhost".into(),
            resource: "desk".into(),
            stanza: format!("<message xmlns='jabber:client' type='groupchat'>{inside}</message>"),
        }
    }

    #[test]
    fn real_addresses_are_shown_to_those_who_may_see_them() {
        let name =
            "<x xmlns='http://jabber.org/protocol/muc#user'><item jid='romeo@localhost/desk'/></x>";
        let hidden = entry("<body>http://jabber.org/protocol/muc#user</body>");
        let shown = entry(&format!("<body>Hi</body>{name}"));
        for (entry, sight, is_named) in [
            (&hidden, Sight::Real, true),
            (&hidden, Sight::Shown, false),
            (&hidden, Sight::Nicks, false),
            (&shown, Sight::Real, true),
            (&shown, Sight::Shown, true),
            (&shown, Sight::Nicks, false),
        ] {
            let text = show(entry, sight);
            assert_eq!(text.matches(name).count(), usize::from(is_named), "{sight:?}: {text}");
        }
    }
}
