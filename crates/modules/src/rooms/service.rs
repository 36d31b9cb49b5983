//! What the service of rooms tells of itself: what it is, and which rooms there are
//! (XEP-0045 §6.2, §6.3).

use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_kernel::request::{Request, unstored};
use waxwing_stanza::payload::disco::{INFO, ITEMS, Identity, Info};
use waxwing_stanza::payload::rsm;
use waxwing_stanza::{StanzaError, payload, to_xml};
use waxwing_store::domains::rooms::RoomRow;
use waxwing_xml::write;
use xso::FromXml;

use super::forged::{MUC, OCCUPANT_ID};
use super::{NAME, Rooms, avatar, search};

/// Rooms in one answer.
const PAGE: usize = 100;

/// A question for items, or for some of them.
#[derive(FromXml)]
#[xml(namespace = ITEMS, name = "query", on_unknown_attribute = Discard,
      on_unknown_child = Discard)]
pub struct ListAsk {
    #[xml(attribute(default))]
    node: Option<String>,
    #[xml(child(default))]
    set: Option<rsm::Request>,
}
payload!(ListAsk, "query", ITEMS);

/// What the service can do besides what its parts add.
const FEATURES: &[&str] = &[
    MUC,
    INFO,
    ITEMS,
    "http://jabber.org/protocol/muc#stable_id",
    rsm::NS,
    "muc_rooms",
    search::NS,
    OCCUPANT_ID,
    avatar::NS,
];

impl Rooms {
    /// §6.2
    pub(super) async fn describe(self: Arc<Self>, ask: Request<Info>) -> Result<Info, StanzaError> {
        if ask.payload.node.is_some() {
            return Err(StanzaError::item_not_found().text("There is no such node here."));
        }
        let info = Info {
            identities: vec![Identity::new("conference", "text", Some(NAME))],
            ..Info::default()
        };
        Ok(info.with(FEATURES.iter().copied()).sorted())
    }

    /// §6.3: the public rooms, a page at a time. They are read from the store: no room is woken.
    pub(super) async fn list(
        self: Arc<Self>,
        ask: Request<ListAsk>,
    ) -> Result<String, StanzaError> {
        if ask.payload.node.is_some() {
            return Err(StanzaError::item_not_found().text("There is no such node here."));
        }
        let set = ask.payload.set.unwrap_or_default();
        let most = set.max.unwrap_or(PAGE).min(PAGE);
        if set.index.is_some() {
            let text = "Rooms are found by the addresses around them, not by their position.";
            return Err(StanzaError::feature_not_implemented().text(text));
        }
        let limit = u32::try_from(most).unwrap_or(u32::MAX);
        let service = self.service.jid.as_str();
        let after = set.after.as_deref().map(place).transpose()?.unwrap_or_default();
        let rows = match set.before.as_deref() {
            None => self.rows.page(service, &after, limit).await,
            Some("") => self.rows.page_before(service, None, limit).await,
            Some(before) => self.rows.page_before(service, Some(&place(before)?), limit).await,
        };
        let rows = rows.map_err(|error| unstored(&error))?;
        let first = rows.first().map_or("", |row| row.room.as_str());
        let counts = self.rows.count_public(service, first).await;
        let (all, index) = counts.map_err(|error| unstored(&error))?;
        Ok(answer(&rows, all as usize, index as usize))
    }
}

/// The address around which a page lies.
fn place(text: &str) -> Result<String, StanzaError> {
    match BareJid::new(text) {
        Ok(jid) => Ok(jid.as_str().to_owned()),
        // XEP-0059 §2.2: of an id that is not there.
        Err(_) => Err(StanzaError::item_not_found().text("There is no such room to go on from.")),
    }
}

/// "If it does so, it SHOULD include a <set/> element …to indicate that the list is not the full
/// result set."
fn answer(rows: &[RoomRow], all: usize, index: usize) -> String {
    let mut out = format!("<query xmlns='{ITEMS}'>");
    for row in rows {
        out.push_str("<item");
        write::attribute(&mut out, "jid", &row.room);
        let local = row.room.split_once('@').map_or("", |(local, _)| local);
        write::attribute(&mut out, "name", if row.name.is_empty() { local } else { &row.name });
        out.push_str("/>");
    }
    let page = match (rows.first(), rows.last()) {
        (Some(first), Some(last)) => {
            rsm::Page::new(&*first.room, &*last.room, Some(index), Some(all))
        }
        _ => rsm::Page::empty(Some(all)),
    };
    if rows.len() < all {
        out.push_str(&to_xml(&page));
    }
    out.push_str("</query>");
    out
}
