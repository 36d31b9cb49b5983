//! Archives that can be read (XEP-0313), whoever keeps them.
//!
//! One module speaks the protocol of archives. Whose archives there are, and who may read them, is
//! known to others: the modules of rooms and of nodes. They open a [`Shelf`] for somebody who
//! asks, and it tells all that the answer needs.

use std::borrow::Cow;
use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_stanza::StanzaError;
use waxwing_store::StoreError;
use waxwing_store::domains::archive::{Archive, Entry, Order, Selection};

use crate::account::Account;
use crate::hub::Hub;
use crate::request::{Answer, Request};
use crate::router::Router;
use crate::site::Site;
use crate::stage::Party;

/// Somebody wants to read an archive.
#[derive(Clone)]
pub struct ShelfAsk {
    /// The server.
    pub hub: Hub,
    /// The virtual host that was asked.
    pub site: Arc<Site>,
    /// Who wants to read.
    pub from: Party,
    /// The address whose archive it is.
    pub to: BareJid,
    /// The account at that address, where there is one.
    pub account: Option<Arc<Account>>,
    /// The node whose items are wanted (XEP-0313 §4: "this protocol can also be used for pubsub").
    pub node: Option<String>,
}

/// An archive, opened for one reader.
pub struct Shelf {
    /// Whose it is: answers come from here.
    pub jid: BareJid,
    /// Under which name its entries are found in the [`Stock`] ([`Selection::owner`]).
    pub owner: String,
    /// Whatever has a lower number is there by now, or never will be, so that no gap fills up
    /// later; see [`Hub::line`].
    pub line: i64,
    /// Where its entries are.
    pub stock: Arc<dyn Stock>,
    /// What this reader is shown of an entry.
    pub show: Show,
    /// Whose messages the reader may ask for.
    pub peers: Peers,
    /// Whether entries are found by their words (XEP-0431). They must be in [`Archive`] then.
    pub is_indexed: bool,
}

/// What a reader is shown of an entry: a stanza that declares its namespace.
pub type Show = Box<dyn for<'a> Fn(&'a Entry) -> Cow<'a, str> + Send + Sync>;

/// What `with` means in a question (XEP-0313 §4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peers {
    /// With whom the owner of the archive exchanged a message.
    Partners,
    /// Who published an item, by the real address; the address of the archive means everybody.
    Publishers,
    /// The same, but this reader may not know who published what: "this should only be available
    /// to entities that would already have been allowed to know the publisher of the events".
    Hidden,
}

/// What entries are read from. All of them are read through an index, a page at most.
///
/// The upper bits of an entry's number are the time (as of [`Hub::next_id`]), and clients see the
/// number's name ([`Hub::names`]).
pub trait Stock: Send + Sync {
    /// The first `limit` entries of a selection in this order.
    fn page<'a>(
        &'a self,
        selection: &'a Selection<'a>,
        order: Order,
        limit: u32,
    ) -> Answer<'a, Result<Vec<Entry>, StoreError>>;
    /// How many a selection has, counted up to `limit`.
    fn count<'a>(
        &'a self,
        selection: &'a Selection<'a>,
        limit: u32,
    ) -> Answer<'a, Result<u64, StoreError>>;
    /// The entry of this number.
    fn find<'a>(
        &'a self,
        owner: &'a str,
        number: i64,
    ) -> Answer<'a, Result<Option<Entry>, StoreError>>;
    /// Whether there is an entry of this number.
    fn has<'a>(&'a self, owner: &'a str, number: i64) -> Answer<'a, Result<bool, StoreError>>;
    /// The first and the last number below `end`, if there is any.
    fn span<'a>(
        &'a self,
        owner: &'a str,
        end: i64,
    ) -> Answer<'a, Result<Option<(i64, i64)>, StoreError>>;
}

impl Stock for Archive {
    fn page<'a>(
        &'a self,
        selection: &'a Selection<'a>,
        order: Order,
        limit: u32,
    ) -> Answer<'a, Result<Vec<Entry>, StoreError>> {
        Box::pin(Self::page(self, selection, order, limit))
    }

    fn count<'a>(
        &'a self,
        selection: &'a Selection<'a>,
        limit: u32,
    ) -> Answer<'a, Result<u64, StoreError>> {
        Box::pin(Self::count(self, selection, limit))
    }

    fn find<'a>(
        &'a self,
        owner: &'a str,
        number: i64,
    ) -> Answer<'a, Result<Option<Entry>, StoreError>> {
        Box::pin(Self::find(self, owner, number))
    }

    fn has<'a>(&'a self, owner: &'a str, number: i64) -> Answer<'a, Result<bool, StoreError>> {
        Box::pin(Self::has(self, owner, number))
    }

    fn span<'a>(
        &'a self,
        owner: &'a str,
        end: i64,
    ) -> Answer<'a, Result<Option<(i64, i64)>, StoreError>> {
        Box::pin(Self::span(self, owner, end))
    }
}

impl Shelf {
    /// The archive of an address, in which everybody who may read it sees everything as it is.
    pub fn plain(hub: &Hub, jid: &BareJid, line: u64) -> Self {
        Self {
            jid: jid.clone(),
            owner: jid.to_string(),
            line: line.cast_signed(),
            stock: Arc::new(Archive::new(hub.db().clone())),
            show: Box::new(|entry| Cow::Borrowed(&entry.stanza)),
            peers: Peers::Partners,
            is_indexed: true,
        }
    }
}

impl ShelfAsk {
    /// The archive that a request is for, at this node of it.
    pub fn of<P>(ask: &Request<P>, node: Option<String>) -> Self {
        let to = ask.stanza.head.to.as_ref().map_or_else(|| ask.from.jid.bare(), |to| to.bare());
        Self {
            hub: ask.hub.clone(),
            site: Arc::clone(&ask.site),
            from: ask.from.clone(),
            to,
            account: ask.account.clone(),
            node,
        }
    }
}

/// What a module says of an archive: nothing when it keeps none under that address and node.
pub type ShelfAnswer = Result<Option<Shelf>, StanzaError>;

pub(crate) type ShelfRoute = Box<dyn Fn(ShelfAsk) -> Answer<'static, ShelfAnswer> + Send + Sync>;

impl Router {
    /// Opens an archive for somebody who wants to read it; nothing when no module has it.
    ///
    /// # Errors
    /// `forbidden` when this reader may not, and whatever else keeps the module from it.
    pub async fn shelf(&self, ask: ShelfAsk) -> ShelfAnswer {
        for (_, open) in &self.0.shelves {
            if let Some(shelf) = open(ask.clone()).await? {
                return Ok(Some(shelf));
            }
        }
        Ok(None)
    }
}
