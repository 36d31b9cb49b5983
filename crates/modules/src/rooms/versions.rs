//! Who stands how in a room, by versions (XEP-0463, version 0.2.0).
//!
//! A version is a number that rises with each change, and a mark under the key of the room. Nobody
//! can make one up, so nobody asks for what changed before it was there. Those who stand in no way
//! any more are remembered for some months; a version from before that is answered with everything.

use std::fmt::Write;

use aws_lc_rs::hmac;
use waxwing_jid::BareJid;
use waxwing_stanza::{Body, MessageType, Stanza, StanzaError};
use waxwing_xml::write::attribute;

use super::affiliations::Standing;
use super::forged::MUC;
use super::presence::Item;
use super::privilege::Rank;
use super::role::Affiliation;
use super::room::Room;
use super::table::USER;

/// Namespace of versions.
pub const NS: &str = "urn:xmpp:muc:affiliations:1";

/// For how long it is remembered who stands in no way any more (milliseconds).
pub(super) const KEPT_MILLIS: u64 = 90 * 86_400_000;

/// The note of a room: the version up to which such are forgotten.
const HORIZON: &str = "horizon";

/// Bytes of the mark.
const MARK: usize = 8;

/// Items in one message, more or less: what changed at once is told at once.
const CHUNK: usize = 100;

/// What somebody who comes in asks for: what changed since a version that it has, perhaps.
pub struct Ask {
    since: Option<String>,
}

impl Ask {
    /// §5.1: "a client may include a mav element … in the <x> element".
    pub fn read(body: &Body) -> Option<Self> {
        let mav = body.child("x", MUC)?.child("mav", NS)?;
        Some(Self { since: mav.attribute("since").map(|since| since.into_owned()) })
    }
}

/// The name of a version.
fn name(room: &Room, version: i64) -> String {
    format!("{version}-{}", mark(room, version))
}

fn mark(room: &Room, version: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, room.salt.as_bytes());
    let tag = hmac::sign(&key, format!("mav {version}").as_bytes());
    tag.as_ref()[..MARK].iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// The version of this name, if what changed since is known.
fn read(room: &Room, text: &str) -> Option<i64> {
    let (version, told) = text.split_once('-')?;
    let version = version.parse::<i64>().ok()?;
    let horizon = room.notes.get(HORIZON, "").and_then(|text| text.parse::<i64>().ok());
    let is_known = version <= room.version && horizon.is_none_or(|horizon| version >= horizon);
    (is_known && told == mark(room, version)).then_some(version)
}

/// `<mav/>` from one version to another; without the first all there is.
fn mav(since: Option<&str>, until: &str) -> String {
    let mut out = format!("<mav xmlns='{NS}'");
    if let Some(since) = since {
        attribute(&mut out, "since", since);
    }
    attribute(&mut out, "until", until);
    out.push_str("/>");
    out
}

/// §5.2.1: "the room must include a mav element … in the <x …> element with until attribute set to
/// the current version" in the presence of whoever has asked.
pub fn until(room: &Room) -> String {
    mav(None, &name(room, room.version))
}

/// §5.2.2: a change is told with "the original version string (before the affiliation change) in
/// the since attribute, and the new version string". It is made before the change; nothing while
/// nobody in the room reckons with versions.
pub fn step(room: &Room) -> String {
    if !room.is_versioned {
        return String::new();
    }
    mav(Some(&name(room, room.version)), &name(room, room.version + 1))
}

/// What somebody who comes in with this rank is told before any presence.
///
/// §5.2.1: nothing "if a client sends the current version"; otherwise what changed since, or all
/// there is. §5.2.3: "An auth forbidden error MUST be returned in a <message/> stanza if an
/// observer doesn't have the necessary permissions".
pub fn welcome(room: &Room, ask: &Ask, rank: Rank) -> Vec<Stanza> {
    let may = |list| rank.list_affiliation(list, &room.config).is_ok();
    if !may(Affiliation::Member) || !may(Affiliation::Admin) {
        let mut error = String::new();
        StanzaError::forbidden()
            .by(room.jid.to_jid())
            .text("You may not see how everybody stands in this room.")
            .write(&mut error);
        return vec![room.message(MessageType::Error).with(error)];
    }
    let since = ask.since.as_deref().and_then(|since| read(room, since));
    if since == Some(room.version) {
        return Vec::new();
    }
    let is_shown = |affiliation| affiliation != Affiliation::Outcast || may(Affiliation::Outcast);
    let is_new = |standing: &Standing| match since {
        Some(since) => standing.version > since,
        None => standing.affiliation != Affiliation::None && is_shown(standing.affiliation),
    };
    let mut changed: Vec<(&BareJid, &Standing)> =
        room.affiliations.iter().filter(|(_, standing)| is_new(standing)).collect();
    changed.sort_by_key(|(_, standing)| standing.version);
    let shown = |affiliation| if is_shown(affiliation) { affiliation } else { Affiliation::None };
    let mut from = since.map(|_| ask.since.clone().unwrap_or_default());
    let mut words = Vec::new();
    let mut rest = changed.as_slice();
    loop {
        let some = chunk(rest);
        rest = &rest[some.len()..];
        let reached = match (rest.is_empty(), some.last()) {
            (false, Some((_, standing))) => standing.version,
            _ => room.version,
        };
        let to = name(room, reached);
        words.push(word(room, &mav(from.as_deref(), &to), some, shown));
        if rest.is_empty() {
            return words;
        }
        from = Some(to);
    }
}

/// The first of those: about so many, and all that have the version of the last.
fn chunk<'a>(all: &'a [(&'a BareJid, &'a Standing)]) -> &'a [(&'a BareJid, &'a Standing)] {
    let Some((_, last)) = all.get(CHUNK - 1) else { return all };
    let end = all[CHUNK..].iter().take_while(|(_, other)| other.version == last.version).count();
    &all[..CHUNK + end]
}

fn word(
    room: &Room,
    mav: &str,
    some: &[(&BareJid, &Standing)],
    shown: impl Fn(Affiliation) -> Affiliation,
) -> Stanza {
    let mut xml = format!("<x xmlns='{USER}'>{mav}");
    for (jid, standing) in some {
        let affiliation = shown(standing.affiliation);
        Item { affiliation, jid: Some(jid.as_jid()), ..Item::default() }.write(&mut xml);
    }
    xml.push_str("</x>");
    room.message(MessageType::Normal).with(xml)
}

#[cfg(test)]
mod tests {
    use super::super::tests::Stage;
    use super::*;

    #[tokio::test]
    async fn a_version_is_read_as_long_as_all_that_followed_is_known() {
        let mut stage = Stage::new().await;
        let room = &mut stage.room;
        room.salt = "salt".into();
        room.version = 7;
        let five = name(room, 5);
        assert_eq!(read(room, &five), Some(5));
        for wrong in ["", "5", "5-", &five.replace('5', "6"), &name(room, 8)] {
            assert_eq!(read(room, wrong), None, "{wrong}");
        }
        room.notes.set(HORIZON, "", "5");
        assert_eq!(read(room, &five), Some(5));
        room.notes.set(HORIZON, "", "6");
        assert_eq!(read(room, &five), None);
        room.salt = "other".into();
        assert_eq!(read(room, &name(room, 7)), Some(7));
        assert_eq!(read(room, &five.replace('5', "7")), None);
    }

    #[tokio::test]
    async fn a_long_list_comes_in_parts_that_hang_together() {
        let mut stage = Stage::new().await;
        let room = &mut stage.room;
        room.version = 130;
        for number in 0..250_i64 {
            let standing = Standing {
                affiliation: Affiliation::Member,
                version: number / 2 + 1,
                ..Standing::default()
            };
            room.affiliations.set(BareJid::new(&format!("m{number}@b")).unwrap(), standing);
        }
        let owner = Rank { affiliation: Affiliation::Owner, role: super::super::role::Role::None };
        let words = welcome(room, &Ask { since: None }, owner);
        let mut reached: Option<String> = None;
        let mut items = 0;
        for word in &words {
            let x = word.body.child("x", USER).unwrap();
            let mav = x.child("mav", NS).unwrap();
            assert_eq!(mav.attribute("since").map(|it| it.into_owned()), reached);
            reached = mav.attribute("until").map(|it| it.into_owned());
            items += x.children().filter(|child| child.name() == "item").count();
        }
        assert_eq!((words.len(), items, reached), (3, 250, Some(name(room, 130))));
        let since = Some(name(room, 124));
        let words = welcome(room, &Ask { since }, owner);
        let x = words[0].body.child("x", USER).unwrap();
        assert_eq!((words.len(), x.children().count()), (1, 3));
        assert!(welcome(room, &Ask { since: Some(name(room, 130)) }, owner).is_empty());
    }
}
