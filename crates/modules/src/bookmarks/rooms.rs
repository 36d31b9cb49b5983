//! Bookmarked rooms in both forms: an item each (XEP-0402), or all in one list (XEP-0048).

use std::sync::Arc;

use waxwing_jid::Jid;
use waxwing_stanza::Body;
use waxwing_xml::{Child, write};

use super::{LIST, NS};

/// A bookmarked room, as far as both forms know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// Its address, prepared.
    pub(super) jid: String,
    name: Option<String>,
    joins: bool,
    nick: Option<String>,
    password: Option<String>,
}

impl Room {
    fn read(jid: String, conference: Child<'_>) -> Self {
        let text = |name| {
            let child = conference.child(name, conference.namespace());
            child.map(|child| child.text().into_owned()).filter(|text| !text.is_empty())
        };
        let joins = conference.attribute("autojoin");
        Self {
            jid,
            name: conference.attribute("name").map(|name| name.into_owned()),
            // XML Schema, part 2, §3.2.2: "true, false, 1, 0".
            joins: joins.is_some_and(|joins| matches!(joins.trim(), "true" | "1")),
            nick: text("nick"),
            password: text("password"),
        }
    }

    /// `<conference` and what both forms write the same way.
    fn open(&self, out: &mut String, attributes: &[(&str, &str)]) {
        out.push_str("<conference");
        for (name, value) in attributes {
            write::attribute(out, name, value);
        }
        if let Some(name) = &self.name {
            write::attribute(out, "name", name);
        }
        if self.joins {
            write::attribute(out, "autojoin", "true");
        }
        out.push('>');
        for (name, text) in [("nick", &self.nick), ("password", &self.password)] {
            if let Some(text) = text {
                out.push_str(&format!("<{name}>"));
                write::text(out, text);
                out.push_str(&format!("</{name}>"));
            }
        }
    }
}

/// A bookmark as it stands in its item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bookmark {
    /// The room.
    pub(super) room: Room,
    /// What the list has no place for: extensions, and whatever else a client wrote there.
    rest: String,
}

impl Bookmark {
    /// Reads an item; `None` when it is no bookmark of a room.
    ///
    /// XEP-0402 §2: "Each item SHALL have, as item id, the Room JID of the chatroom".
    pub(super) fn read(id: &str, payload: &Arc<str>) -> Option<Self> {
        let jid = prepared(id)?;
        let body = tree(payload);
        let conference = body.child("conference", NS)?;
        let is_known = |child: &Child<'_>| {
            child.namespace() == NS && matches!(child.name(), "nick" | "password")
        };
        let others = conference.children().filter(|child| !is_known(child));
        let rest = others.map(|child| child.alone()).collect();
        Some(Self { room: Room::read(jid, conference), rest })
    }

    /// The payload of its item.
    pub(super) fn payload(&self) -> String {
        let mut out = String::new();
        self.room.open(&mut out, &[("xmlns", NS)]);
        out.push_str(&self.rest);
        out.push_str("</conference>");
        out
    }
}

/// The list of all bookmarks, as old clients write it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct List {
    /// The rooms, each once.
    pub(super) rooms: Vec<Room>,
    /// What else is in it: addresses of web pages, and what a client made up.
    pub(super) rest: String,
}

impl List {
    /// Reads `<storage/>`; empty when it is none. Of two bookmarks of a room the first counts.
    pub(super) fn read(xml: &Arc<str>) -> Self {
        let body = tree(xml);
        let mut list = Self::default();
        let Some(storage) = body.child("storage", LIST) else { return list };
        for child in storage.children() {
            let jid = child.attribute("jid").and_then(|jid| prepared(&jid));
            match jid.filter(|_| child.is("conference", LIST)) {
                None => list.rest.push_str(&child.alone()),
                Some(jid) if list.rooms.iter().any(|room| room.jid == jid) => {}
                Some(jid) => list.rooms.push(Room::read(jid, child)),
            }
        }
        list
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.rooms.is_empty() && self.rest.is_empty()
    }

    /// Whether it names the same rooms in the same way, in whatever order.
    pub(super) fn has_same_rooms(&self, other: &Self) -> bool {
        self.rooms.len() == other.rooms.len()
            && self.rooms.iter().all(|room| other.rooms.contains(room))
    }

    /// `<storage/>`.
    pub(super) fn write(&self) -> String {
        let mut out = format!("<storage xmlns='{LIST}'>");
        for room in &self.rooms {
            room.open(&mut out, &[("jid", &room.jid)]);
            out.push_str("</conference>");
        }
        out.push_str(&self.rest);
        out.push_str("</storage>");
        out
    }
}

/// What leads from the bookmarks that there are to the rooms of a list.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// Bookmarks that are new or other than before.
    pub(super) publish: Vec<Bookmark>,
    /// Addresses of rooms that are not in the list.
    pub(super) retract: Vec<String>,
}

impl Change {
    /// XEP-0402 §5.3.2: "a server MAY examine the list and update the individual items as
    /// required … SHOULD NOT send notifications for unchanged items". What the list has no place
    /// for stays.
    pub(super) fn between(bookmarks: &[Bookmark], rooms: &[Room]) -> Self {
        let found = |jid: &str| bookmarks.iter().find(|bookmark| bookmark.room.jid == jid);
        let mut change = Self::default();
        for room in rooms {
            let before = found(&room.jid);
            if before.is_none_or(|before| before.room != *room) {
                let rest = before.map(|before| before.rest.clone()).unwrap_or_default();
                change.publish.push(Bookmark { room: room.clone(), rest });
            }
        }
        let is_gone = |bookmark: &&Bookmark| !rooms.iter().any(|it| it.jid == bookmark.room.jid);
        let gone = bookmarks.iter().filter(is_gone).map(|bookmark| bookmark.room.jid.clone());
        change.retract.extend(gone);
        change
    }

    /// The same without taking anything away.
    pub(super) fn only_new(bookmarks: &[Bookmark], rooms: &[Room]) -> Self {
        let mut change = Self::between(bookmarks, rooms);
        change.retract.clear();
        let is_known = |jid: &str| bookmarks.iter().any(|bookmark| bookmark.room.jid == jid);
        change.publish.retain(|bookmark| !is_known(&bookmark.room.jid));
        change
    }
}

fn prepared(jid: &str) -> Option<String> {
    Jid::new(jid.trim()).ok().map(|jid| jid.to_string())
}

/// An element, to look into.
pub(super) fn tree(xml: &Arc<str>) -> Body {
    let mut body = Body::default();
    body.append(Arc::clone(xml));
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(inner: &str) -> List {
        List::read(&format!("<storage xmlns='storage:bookmarks'>{inner}</storage>").into())
    }

    fn bookmark(id: &str, inner: &str) -> Option<Bookmark> {
        Bookmark::read(id, &inner.into())
    }

    const ORCHARD: &str = "<conference xmlns='urn:xmpp:bookmarks:1' name='The Orchard' \
        autojoin='1'><nick>JC</nick><extensions><state xmlns='urn:client' minimized='true'/>\
        </extensions></conference>";

    #[test]
    fn a_bookmark_keeps_its_extensions_through_the_list() {
        let before = bookmark("Orchard@conference.Example.org", ORCHARD).unwrap();
        let written = List { rooms: vec![before.room.clone()], rest: String::new() }.write();
        assert_eq!(
            written,
            "<storage xmlns='storage:bookmarks'><conference jid='orchard@conference.example.org' \
             name='The Orchard' autojoin='true'><nick>JC</nick></conference></storage>"
        );
        let read = List::read(&written.into());
        let same = Change::between(std::slice::from_ref(&before), &read.rooms);
        assert_eq!(same, Change::default());
        let mut renamed = read.rooms;
        renamed[0].name = Some("Garden".to_owned());
        let change = Change::between(&[before], &renamed);
        assert_eq!(
            change.publish[0].payload(),
            "<conference xmlns='urn:xmpp:bookmarks:1' name='Garden' autojoin='true'>\
             <nick>JC</nick><extensions xmlns='urn:xmpp:bookmarks:1'>\
             <state xmlns='urn:client' minimized='true'/></extensions></conference>"
        );
        assert!(change.retract.is_empty());
    }

    #[test]
    fn what_is_no_room_stays_in_the_list() {
        let read = list(
            "<url name='W' url='https://w3.org/'/><conference jid='a@b'/>\
             <conference jid='A@b' name='again'/><conference jid='@'/><x xmlns='urn:x'/>",
        );
        assert_eq!(read.rooms.len(), 1);
        assert_eq!(
            read.write(),
            "<storage xmlns='storage:bookmarks'><conference jid='a@b'></conference>\
             <url xmlns='storage:bookmarks' name='W' url='https://w3.org/'/>\
             <conference xmlns='storage:bookmarks' jid='@'/><x xmlns='urn:x'/></storage>"
        );
        assert_eq!(List::read(&read.write().into()), read);
        assert!(List::read(&"<other xmlns='urn:x'/>".into()).is_empty());
    }

    #[test]
    fn rooms_come_change_and_go() {
        let items = [
            bookmark("a@b", "<conference xmlns='urn:xmpp:bookmarks:1'/>").unwrap(),
            bookmark("c@b", ORCHARD).unwrap(),
        ];
        assert_eq!(bookmark("c@b", "<x xmlns='urn:x'/>"), None);
        assert_eq!(bookmark("@", ORCHARD), None);
        let wanted = list("<conference jid='a@b' autojoin='true'/><conference jid='d@b'/>").rooms;
        let change = Change::between(&items, &wanted);
        let ids: Vec<_> = change.publish.iter().map(|bookmark| &*bookmark.room.jid).collect();
        assert_eq!((ids, &*change.retract), (vec!["a@b", "d@b"], &["c@b".to_owned()][..]));
        let change = Change::only_new(&items, &wanted);
        assert_eq!(change.publish.len(), 1);
        assert!(change.retract.is_empty());
        let (one, other) = (list("<conference jid='a@b'/>"), list("<conference jid='a@b'/><x/>"));
        assert!(one.has_same_rooms(&other) && !one.has_same_rooms(&list("")));
    }
}
