//! How loud bookmarked conversations are (XEP-0492), as far as somebody said it.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use waxwing_jid::{BareJid, Jid};
use waxwing_kernel::account::Fact;
use waxwing_kernel::nodes::NodeNews;
use waxwing_kernel::tone::Tone;
use waxwing_store::domains::pubsub::{Items, Nodes, Slice};
use waxwing_store::{Db, StoreError};
use waxwing_xml::Child;

use super::NS;
use super::rooms::tree;

const NOTIFY: &str = "urn:xmpp:notification-settings:1";

/// Conversations with a wish that are remembered of one account.
const MOST: usize = 10_000;
/// Bookmarks read at a time.
const PAGE: u32 = 200;

/// What an account wants to be told of, by the bare addresses of conversations.
#[derive(Default)]
pub(super) struct Tones(RwLock<HashMap<Box<str>, Tone>>);

impl Fact for Tones {
    async fn load(db: &Db, owner: &BareJid) -> Result<Self, StoreError> {
        let tones = Self::default();
        let Some(node) = Nodes::new(db.clone()).find(owner.as_str(), NS).await? else {
            return Ok(tones);
        };
        let (items, mut above) = (Items::new(db.clone()), 0);
        loop {
            let slice =
                Slice { node: node.id, above, below: i64::MAX, is_back: false, now: i64::MIN };
            let page = items.slice(slice, PAGE).await?;
            let Some(last) = page.last() else { return Ok(tones) };
            above = last.number;
            for item in page {
                tones.learn(&item.id, &item.payload.into());
            }
        }
    }
}

impl Tones {
    /// How loud a conversation is.
    pub(super) fn of(&self, conversation: &Jid) -> Option<Tone> {
        self.0.read().get(conversation.bare_str()).cloned()
    }

    /// Bookmarks were changed.
    pub(super) fn hear(&self, news: &NodeNews) {
        match news {
            NodeNews::Items(items) => {
                items.iter().for_each(|item| self.learn(&item.id, &item.payload));
            }
            NodeNews::Retracted(ids) => {
                let mut tones = self.0.write();
                ids.iter().for_each(|id| drop(tones.remove(id.as_str())));
            }
            NodeNews::Purged | NodeNews::Deleted => self.0.write().clear(),
        }
    }

    fn learn(&self, id: &str, payload: &Arc<str>) {
        let tone = read(payload);
        let mut tones = self.0.write();
        match tone {
            Some(tone) if tones.len() < MOST || tones.contains_key(id) => {
                tones.insert(id.into(), tone);
            }
            Some(_) => {}
            None => drop(tones.remove(id)),
        }
    }
}

/// What a bookmark says.
fn read(payload: &Arc<str>) -> Option<Tone> {
    // Nearly all say nothing.
    if !payload.contains(NOTIFY) {
        return None;
    }
    let body = tree(payload);
    let conference = body.child("conference", NS)?;
    let notify = conference.child("extensions", NS)?.child("notify", NOTIFY)?;
    let nick = conference.child("nick", NS).map(|nick| nick.text().trim().to_owned());
    let nick: Option<Arc<str>> = nick.filter(|nick| !nick.is_empty()).map(Arc::from);
    // §3: "applications implementing this specification MUST use the element most specific to their
    // own application identity". What device a push service wakes is not known here: it is woken
    // for what any client would want.
    let concerns_clients = |setting: &Child<'_>| {
        setting.attribute("identity-category").is_none_or(|category| category == "client")
    };
    let tone = |setting: Child<'_>| match setting.name() {
        "always" => Some(Tone::Always),
        "on-mention" => Some(Tone::Mentions(nick.clone())),
        "never" => Some(Tone::Never),
        _ => None,
    };
    let settings = notify.children().filter(|child| child.namespace() == NOTIFY);
    let loudness = |tone: &Tone| match tone {
        Tone::Never => 0,
        Tone::Mentions(_) => 1,
        Tone::Always => 2,
    };
    settings.filter(concerns_clients).filter_map(tone).max_by_key(loudness)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(settings: &str) -> Option<Tone> {
        let payload = format!(
            "<conference xmlns='urn:xmpp:bookmarks:1'><nick>Puck</nick><extensions>\
             <notify xmlns='urn:xmpp:notification-settings:1'>{settings}</notify></extensions>\
             </conference>"
        );
        read(&payload.into())
    }

    #[test]
    fn the_loudest_of_what_clients_want_counts() {
        assert_eq!(of("<never/>"), Some(Tone::Never));
        assert_eq!(of("<on-mention/>"), Some(Tone::Mentions(Some("Puck".into()))));
        assert_eq!(of("<never/><always identity-category='gateway'/>"), Some(Tone::Never));
        let phone = "<never/><always identity-category='client' identity-type='phone'/>";
        assert_eq!(of(phone), Some(Tone::Always));
        assert_eq!(of("<other xmlns='urn:x'/>"), None);
        assert_eq!(read(&"<conference xmlns='urn:xmpp:bookmarks:1'/>".into()), None);
    }

    #[test]
    fn what_is_retracted_is_forgotten() {
        let tones = Tones::default();
        let payload = "<conference xmlns='urn:xmpp:bookmarks:1'><extensions><notify \
             xmlns='urn:xmpp:notification-settings:1'><never/></notify></extensions></conference>";
        tones.learn("orchard@rooms.localhost", &payload.into());
        let juliet = Jid::new("orchard@rooms.localhost/Juliet").unwrap();
        assert_eq!(tones.of(&juliet), Some(Tone::Never));
        tones.hear(&NodeNews::Retracted(vec!["orchard@rooms.localhost".to_owned()]));
        assert_eq!(tones.of(&juliet), None);
    }
}
