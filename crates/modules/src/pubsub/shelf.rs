//! The history of a node (XEP-0442): the items that it keeps, as those who were told of them saw
//! them. The archive module reads it for whoever may read the node.

use std::borrow::Cow;
use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_kernel::request::Answer;
use waxwing_kernel::shelf::{Peers, Shelf, ShelfAnswer, ShelfAsk, Stock};
use waxwing_stanza::CLIENT;
use waxwing_store::domains::archive::{Entry, Order, Selection, With};
use waxwing_store::domains::pubsub::{self as rows, History, Stretch};
use waxwing_store::{Db, StoreError};

use super::Pubsub;
use super::config::{Config, ItemReply};
use super::errors::no_node;
use super::news::{News, message};
use super::node::{Item, Realm};
use super::rights::{Action, Affiliation, judge};

/// What a service that has archives shows (XEP-0313).
pub(super) const MAM: &str = "urn:xmpp:mam:2";

impl Pubsub {
    /// Opens the history of a node of an account, or of the service.
    pub(super) async fn shelf(self: Arc<Self>, ask: ShelfAsk) -> ShelfAnswer {
        let Some(name) = ask.node else { return Ok(None) };
        if ask.account.is_none() && ask.to != self.service {
            return Ok(None);
        }
        let realm = self.realm(ask.account);
        let (node, reader) = (self.node(&realm, &name).await?, ask.from.jid.bare());
        let state = node.state().ok_or_else(no_node)?;
        let standing = self.standing(&ask.site, &realm, (&node, &state), &reader).await?;
        // §3: "A PubSub service offering MAM" shows those what was published who may read it.
        judge(Action::Retrieve, &state.config, &standing)?;
        // XEP-0313 §4.1.1: "this should only be available to entities that would already have been
        // allowed to know the publisher of the events".
        let knows = standing.affiliation == Affiliation::Owner
            || state.config.itemreply == ItemReply::Publisher;
        let config = Arc::clone(&state.config);
        let (name, jid) = (Arc::clone(&node.name), realm.jid.clone());
        Ok(Some(Shelf {
            owner: state.id.to_string(),
            // One after the other is published, so nothing comes in front of what is there.
            line: i64::MAX,
            stock: Arc::new(Items { db: ask.hub.db().clone(), node: state.id, now: now(&ask.hub) }),
            show: Box::new(move |entry| Cow::Owned(shown(&name, &config, &realm, entry))),
            peers: if knows { Peers::Publishers } else { Peers::Hidden },
            is_indexed: false,
            jid,
        }))
    }
}

fn now(hub: &waxwing_kernel::Hub) -> i64 {
    hub.clock().wall_millis().cast_signed()
}

/// §3: "it MUST construct the message stanza within the <forwarded> element in the same manner as
/// the notifications sent to subscribers for the item …. Pubsub items must be returned one per
/// message stanza".
fn shown(node: &str, config: &Config, realm: &Realm, entry: &Entry) -> String {
    let item = Item {
        number: entry.number,
        id: entry.resource.as_str().into(),
        publisher: BareJid::new(&entry.peer).unwrap_or_else(|_| realm.jid.clone()),
        published: 0,
        expires: None,
        leaves: false,
        payload: entry.stanza.as_str().into(),
    };
    let items = [Arc::new(item)];
    let event = News::Items(&items).event(node, config);
    let mut out = String::new();
    message(config, event).from(realm.jid.to_jid()).write(&mut out, Some(CLIENT));
    out
}

/// What a node keeps, as entries of an archive: by whom, under which id, and what.
struct Items {
    db: Db,
    node: i64,
    now: i64,
}

impl Items {
    fn stretch<'a>(&self, selection: &'a Selection<'a>) -> Stretch<'a> {
        let publisher = match selection.with {
            With::Anybody => None,
            With::Account(publisher) | With::Resource(publisher, _) => Some(publisher),
        };
        let (node, now) = (self.node, self.now);
        Stretch { node, above: selection.above, below: selection.below, publisher, now }
    }

    fn between(&self, above: i64, below: i64) -> Stretch<'static> {
        Stretch { node: self.node, above, below, publisher: None, now: self.now }
    }

    async fn first(&self, stretch: Stretch<'_>, order: Order) -> Result<Option<Entry>, StoreError> {
        let page = History::new(self.db.clone()).page(&stretch, order, 1).await?;
        Ok(page.into_iter().next().map(entry))
    }
}

fn entry(item: rows::Item) -> Entry {
    Entry {
        number: item.number,
        owner: item.node.to_string(),
        peer: item.publisher,
        resource: item.id,
        stanza: item.payload,
    }
}

impl Stock for Items {
    fn page<'a>(
        &'a self,
        selection: &'a Selection<'a>,
        order: Order,
        limit: u32,
    ) -> Answer<'a, Result<Vec<Entry>, StoreError>> {
        Box::pin(async move {
            let history = History::new(self.db.clone());
            let page = history.page(&self.stretch(selection), order, limit).await?;
            Ok(page.into_iter().map(entry).collect())
        })
    }

    fn count<'a>(
        &'a self,
        selection: &'a Selection<'a>,
        limit: u32,
    ) -> Answer<'a, Result<u64, StoreError>> {
        Box::pin(async move {
            History::new(self.db.clone()).count(&self.stretch(selection), limit).await
        })
    }

    fn find<'a>(
        &'a self,
        _: &'a str,
        number: i64,
    ) -> Answer<'a, Result<Option<Entry>, StoreError>> {
        let only = self.between(number.saturating_sub(1), number.saturating_add(1));
        Box::pin(self.first(only, Order::Rising))
    }

    fn has<'a>(&'a self, owner: &'a str, number: i64) -> Answer<'a, Result<bool, StoreError>> {
        Box::pin(async move { Ok(self.find(owner, number).await?.is_some()) })
    }

    fn span<'a>(
        &'a self,
        _: &'a str,
        end: i64,
    ) -> Answer<'a, Result<Option<(i64, i64)>, StoreError>> {
        Box::pin(async move {
            let first = self.first(self.between(i64::MIN, end), Order::Rising).await?;
            let last = self.first(self.between(i64::MIN, end), Order::Falling).await?;
            Ok(first.zip(last).map(|(first, last)| (first.number, last.number)))
        })
    }
}
