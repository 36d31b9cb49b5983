#![cfg_attr(not(doctest), doc = include_str!("bookmarks.md"))]

mod rooms;
mod tones;

use std::sync::Arc;

use waxwing_jid::Jid;
use waxwing_kernel::account::{Account, Slot};
use waxwing_kernel::config::NoConfig;
use waxwing_kernel::drawer::{Drawer, Drawn};
use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::nodes::{
    KnownNode, NodeAsk, NodeItem, NodeNews, Publication, Published, Which,
};
use waxwing_kernel::routes::Routes;
use waxwing_kernel::tone::Tone;
use waxwing_kernel::{Hub, Site, SiteBuilder};
use waxwing_stanza::StanzaError;

use self::rooms::{Bookmark, Change, List, Room};
use self::tones::Tones;

const NS: &str = "urn:xmpp:bookmarks:1";
/// Namespace and node of the list of XEP-0048.
const LIST: &str = "storage:bookmarks";
/// The only item of that node.
const CURRENT: &str = "current";
/// Changes of so many accounts at a time; those of one account in turn.
const DESKS: usize = 16;

/// XEP-0402 §3.3, its example: the settings that its clients ask for.
const PRIVATE: &[(&str, &str)] = &[
    ("pubsub#persist_items", "true"),
    ("pubsub#max_items", "max"),
    ("pubsub#send_last_published_item", "never"),
    ("pubsub#access_model", "whitelist"),
];
/// XEP-0048 §3.1.
const OLD: &[(&str, &str)] =
    &[("pubsub#persist_items", "true"), ("pubsub#access_model", "whitelist")];

static NODE: KnownNode = KnownNode { name: NS, is_prefix: false, preset: PRIVATE };
static OLD_NODE: KnownNode = KnownNode { name: LIST, is_prefix: false, preset: OLD };

/// Keeps bookmarks of rooms, the same for clients of all times.
pub struct Bookmarks {
    desks: Arc<Desks>,
    tones: Slot<Tones>,
}

/// Where those wait whose bookmarks are to be changed.
#[derive(Default)]
struct Desks([tokio::sync::Mutex<()>; DESKS]);

impl Module for Bookmarks {
    const ABOUT: &'static About = &About {
        name: "bookmarks",
        summary: "Keeps bookmarks of rooms, the same for new clients and old ones.",
        is_on: true,
        xeps: &[Xep(402, "1.2.0"), Xep(48, "1.2"), Xep(411, "1.1.0"), Xep(492, "0.2.0")],
        server_features: &[],
        account_features: &[
            "urn:xmpp:bookmarks:1#compat",
            "urn:xmpp:bookmarks:1#compat-pep",
            "urn:xmpp:bookmarks-conversion:0",
        ],
        manual: include_str!("bookmarks.md"),
    };
    type Config = NoConfig;

    fn start(site: &mut SiteBuilder<'_>, _: NoConfig) -> Result<Self, StartError> {
        Ok(Self { desks: site.hub().lasting(site.jid().domain()), tones: site.fact() })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.node(&NODE);
        on.node(&OLD_NODE);
        on.drawer("storage", LIST, Self::draw);
        on.published(&NODE, Self::heard);
        on.published(&OLD_NODE, Self::heard_list);
        on.tone(Self::tone);
    }
}

/// Whose bookmarks.
#[derive(Clone)]
struct Owner {
    hub: Hub,
    site: Arc<Site>,
    account: Arc<Account>,
}

impl Owner {
    fn ask<'a>(&'a self, node: &'a str) -> NodeAsk<'a> {
        let Self { hub, site, account } = self;
        NodeAsk { hub, site, owner: Some(account), node, origin: Bookmarks::ABOUT.name }
    }

    /// The bookmarks as they stand; those items that are none are left alone.
    async fn bookmarks(&self) -> Result<Vec<Bookmark>, StanzaError> {
        let items = self.items(NS).await?;
        Ok(items.iter().filter_map(|item| Bookmark::read(&item.id, &item.payload)).collect())
    }

    async fn items(&self, node: &str) -> Result<Vec<NodeItem>, StanzaError> {
        match self.site.nodes() {
            Some(nodes) => nodes.items(self.ask(node), Which::Last(u32::MAX)).await,
            None => Ok(Vec::new()),
        }
    }

    /// Publishes and retracts what differs, closed to everybody else.
    ///
    /// XEP-0411 §5: "the service MUST make [sure] that the user is the only one who has access".
    async fn apply(&self, change: Change) -> Result<(), StanzaError> {
        let Some(nodes) = self.site.nodes() else { return Ok(()) };
        let payloads: Vec<String> = change.publish.iter().map(Bookmark::payload).collect();
        let ids = change.publish.iter().map(|bookmark| bookmark.room.jid.as_str());
        let items: Vec<(&str, &str)> = ids.zip(payloads.iter().map(String::as_str)).collect();
        if !items.is_empty() {
            let what = Publication { items: &items, options: PRIVATE };
            nodes.publish(self.ask(NS), what).await?;
        }
        let gone: Vec<&str> = change.retract.iter().map(String::as_str).collect();
        if !gone.is_empty() {
            nodes.retract(self.ask(NS), &gone).await?;
        }
        Ok(())
    }

    /// Writes the list for clients that look into the old node.
    ///
    /// XEP-0402 §5.3.1: "the server MAY collate all items, casting them into the
    /// 'storage:bookmarks' namespace and setting the jid attribute to the item id in each case."
    async fn mirror(&self) -> Result<(), StanzaError> {
        let Some(nodes) = self.site.nodes() else { return Ok(()) };
        let rooms = self.bookmarks().await?.into_iter().map(|bookmark| bookmark.room).collect();
        let items = self.items(LIST).await?;
        let before = items.last().map(|item| List::read(&item.payload)).unwrap_or_default();
        let list = List { rooms, rest: before.rest.clone() };
        if list.has_same_rooms(&before) {
            return Ok(());
        }
        let list = list.write();
        let items = &[(CURRENT, list.as_str())];
        nodes.publish(self.ask(LIST), Publication { items, options: OLD }).await
    }
}

impl Bookmarks {
    /// One change of an account's bookmarks after the other.
    async fn turn(&self, account: &Account) -> tokio::sync::MutexGuard<'_, ()> {
        let bytes = account.jid().as_str().bytes();
        let sum = bytes.fold(0usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        self.desks.0[sum % DESKS].lock().await
    }

    /// A client looks at its bookmarks in private storage, or writes them there.
    async fn draw(self: Arc<Self>, drawer: Drawer) -> Result<Drawn, StanzaError> {
        let Drawer { hub, site, account, stored, put } = drawer;
        if site.nodes().is_none() {
            let stored = put.or(stored);
            return Ok(Drawn { shown: stored.clone(), stored });
        }
        let owner = Owner { hub, site, account };
        let read = |xml: &String| List::read(&xml.as_str().into());
        let _turn = self.turn(&owner.account).await;
        let bookmarks = owner.bookmarks().await?;
        let list = put.as_ref().or(stored.as_ref()).map(read).unwrap_or_default();
        // What stands there from before the two were one moves; what is there already wins.
        let change = match put {
            Some(_) => Change::between(&bookmarks, &list.rooms),
            None => Change::only_new(&bookmarks, &list.rooms),
        };
        let is_change = change != Change::default();
        if is_change {
            owner.apply(change).await?;
            owner.mirror().await?;
        }
        let rest = List { rooms: Vec::new(), rest: list.rest };
        let stored = (!rest.is_empty()).then(|| rest.write());
        let bookmarks = if is_change { owner.bookmarks().await? } else { bookmarks };
        let rooms: Vec<Room> = bookmarks.into_iter().map(|bookmark| bookmark.room).collect();
        let all = List { rooms, rest: rest.rest };
        Ok(Drawn { stored, shown: (!all.is_empty()).then(|| all.write()) })
    }

    /// Bookmarks have changed: the list follows.
    async fn heard(self: Arc<Self>, published: Published) {
        if let Some(account) = &published.owner {
            account.fact(self.tones).hear(&published.news);
        }
        if published.origin == Some(Self::ABOUT.name) {
            return;
        }
        let Some(owner) = owner(published) else { return };
        // A task of its own: the node that was published to waits for this to end, and whoever
        // writes the list may wait for that node.
        let clock = owner.hub.clock().clone();
        clock.spawn(async move {
            let _turn = self.turn(&owner.account).await;
            if let Err(error) = owner.mirror().await {
                tracing::warn!(account = %owner.account.jid(), %error, "old list of bookmarks");
            }
        });
    }

    /// How loud a bookmarked conversation is (XEP-0492).
    fn tone(&self, account: &Account, conversation: &Jid) -> Option<Tone> {
        account.fact(self.tones).of(conversation)
    }

    /// XEP-0402 §5.3.2: "If a client publishes a replacement list of bookmarks via the older
    /// specifications, a server MAY examine the list and update the individual items as required,
    /// sending updates or retraction notifications as needed."
    async fn heard_list(self: Arc<Self>, published: Published) {
        if published.origin == Some(Self::ABOUT.name) {
            return;
        }
        // What takes the list away takes away nothing else.
        let NodeNews::Items(items) = &published.news else { return };
        let Some(list) = items.last().map(|item| List::read(&item.payload)) else { return };
        let Some(owner) = owner(published) else { return };
        let change = async {
            let bookmarks = owner.bookmarks().await?;
            owner.apply(Change::between(&bookmarks, &list.rooms)).await
        };
        if let Err(error) = change.await {
            tracing::warn!(account = %owner.account.jid(), %error, "bookmarks from the old list");
        }
    }
}

fn owner(published: Published) -> Option<Owner> {
    let Published { hub, site, owner, .. } = published;
    owner.map(|account| Owner { hub, site, account })
}
