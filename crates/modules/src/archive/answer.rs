//! Answers: pages of messages, the form, and what the archive spans.

use std::fmt::Write;
use std::sync::Arc;

use waxwing_kernel::account::Account;
use waxwing_kernel::clock::stamp_of;
use waxwing_kernel::mailbox::Mailbox;
use waxwing_kernel::request::Request;
use waxwing_kernel::shelf::{Peers, Shelf, ShelfAsk};
use waxwing_kernel::stage::Effects;
use waxwing_kernel::{Hub, Names};
use waxwing_stanza::payload::delay;
use waxwing_stanza::payload::rsm::Page;
use waxwing_stanza::{MessageType, Stanza, StanzaError, to_xml};
use waxwing_store::domains::archive::Entry;
use waxwing_xml::write::attribute;

use super::filter::millis;
use super::find::Found;
use super::query::{Metadata, Query};
use super::search::FIELD;
use super::{Archive, NS, unread};

impl Archive {
    pub(super) async fn own_fields(
        self: Arc<Self>,
        ask: Request<Query>,
    ) -> Result<String, StanzaError> {
        Ok(fields(&own(&ask, ask.payload.node.clone()).await?))
    }

    pub(super) async fn own_query(
        self: Arc<Self>,
        ask: Request<Query>,
    ) -> Result<String, StanzaError> {
        let shelf = own(&ask, ask.payload.node.clone()).await?;
        self.answer(&ask, &shelf).await
    }

    /// §5: "this element MUST include <start/> and <end/> elements".
    pub(super) async fn own_metadata(
        self: Arc<Self>,
        ask: Request<Metadata>,
    ) -> Result<String, StanzaError> {
        describe(&ask.hub, &own(&ask, ask.payload.node.clone()).await?).await
    }

    /// What others ask: of accounts, of nobody, and of what has an address at a service.
    pub(super) async fn fields(
        self: Arc<Self>,
        ask: Request<Query>,
    ) -> Result<String, StanzaError> {
        Ok(fields(&opened(&ask, ask.payload.node.clone()).await?))
    }

    pub(super) async fn query(self: Arc<Self>, ask: Request<Query>) -> Result<String, StanzaError> {
        let shelf = opened(&ask, ask.payload.node.clone()).await?;
        self.answer(&ask, &shelf).await
    }

    pub(super) async fn metadata(
        self: Arc<Self>,
        ask: Request<Metadata>,
    ) -> Result<String, StanzaError> {
        describe(&ask.hub, &opened(&ask, ask.payload.node.clone()).await?).await
    }

    /// XEP-0386 §4: "The server SHOULD include a <metadata/> element ..., describing the state of
    /// the user's message archive at the precise time of resource binding." Who gets none asks.
    pub(super) async fn bound(self: Arc<Self>, hub: Hub, account: Arc<Account>) -> String {
        match own_shelf(&hub, &account).await {
            Ok(shelf) => describe(&hub, &shelf).await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// §4: "the server pushes to the client a series of messages … After the results it then
    /// returns the IQ result".
    async fn answer(&self, ask: &Request<Query>, shelf: &Shelf) -> Result<String, StanzaError> {
        // One answer may fill half of what waits for a client that does not read.
        let is_full = |mailbox: &Mailbox| mailbox.room() < 2 * self.config.page as usize;
        if ask.from.mailbox.as_ref().is_some_and(is_full) {
            let text = "Read the answers to your earlier questions first.";
            return Err(StanzaError::resource_constraint().text(text));
        }
        let found = self.find(&ask.hub, shelf, &ask.payload).await?;
        let names = ask.hub.names();
        let mut effects = Effects::default();
        let page = page(names, &found);
        let mut entries = found.entries;
        if ask.payload.is_flipped {
            entries.reverse();
        }
        for entry in entries {
            let result = result(names, shelf, &entry, ask.payload.queryid.as_deref());
            let result = Stanza::message(MessageType::Normal).with(result);
            let result = result.from(shelf.jid.to_jid()).to(ask.from.jid.clone());
            ask.hub.reply(&ask.from, result, &mut effects);
        }
        ask.hub.perform(effects).await;
        let complete = if found.is_complete { " complete='true'" } else { "" };
        // §4.3.2: "if the results are unstable …, the server MUST stamp the <fin> element".
        let stable = if found.is_stable { "" } else { " stable='false'" };
        Ok(format!("<fin xmlns='{NS}'{complete}{stable}>{}</fin>", to_xml(&page)))
    }
}

/// The archive of an account, for its owner.
async fn own_shelf(hub: &Hub, account: &Arc<Account>) -> Result<Shelf, StanzaError> {
    let line = hub.line(account).await.map_err(unread)?;
    Ok(Shelf::plain(hub, account.jid(), line))
}

/// What the owner of an account asks for: the archive, or that of a node.
async fn own<P>(ask: &Request<P>, node: Option<String>) -> Result<Shelf, StanzaError> {
    if node.is_some() {
        return ask.site.router.shelf(ShelfAsk::of(ask, node)).await?.ok_or_else(|| {
            StanzaError::item_not_found().text("There is no archive of such a node here.")
        });
    }
    if ask.from.mailbox.is_none() {
        return Err(StanzaError::forbidden());
    }
    own_shelf(&ask.hub, ask.account()).await
}

/// What anybody else asks for. §8.1: "If a client requests access to an archive it does not have
/// permissions for …, the error condition SHOULD be 'forbidden'": whether there is one or not.
async fn opened<P>(ask: &Request<P>, node: Option<String>) -> Result<Shelf, StanzaError> {
    let shelf = ask.site.router.shelf(ShelfAsk::of(ask, node)).await?;
    shelf.ok_or_else(|| StanzaError::forbidden().text("This is somebody else's archive."))
}

/// §4.1.5: "The server replies with all the form fields it supports in queries".
fn fields(shelf: &Shelf) -> String {
    let with = match shelf.peers {
        Peers::Hidden => "",
        Peers::Partners | Peers::Publishers => "<field type='jid-single' var='with'/>",
    };
    let words = match shelf.is_indexed {
        true => format!("<field type='text-single' var='{FIELD}'/>"),
        false => String::new(),
    };
    // `ids`: "the server MUST include a <validate/> element that signals the list is open".
    format!(
        "<query xmlns='{NS}'><x xmlns='jabber:x:data' type='form'>\
         <field type='hidden' var='FORM_TYPE'><value>{NS}</value></field>\
         {with}<field type='text-single' var='start'/>\
         <field type='text-single' var='end'/><field type='text-single' var='before-id'/>\
         <field type='text-single' var='after-id'/><field type='list-multi' var='ids'>\
         <validate xmlns='http://jabber.org/protocol/xdata-validate' datatype='xs:string'>\
         <open/></validate></field><field type='boolean' var='include-groupchat'/>\
         {words}</x></query>"
    )
}

/// §5: "if the archive is empty, the server MUST instead send an empty <metadata/> element".
async fn describe(hub: &Hub, shelf: &Shelf) -> Result<String, StanzaError> {
    let span = shelf.stock.span(&shelf.owner, shelf.line).await.map_err(unread)?;
    let Some((first, last)) = span else { return Ok(format!("<metadata xmlns='{NS}'/>")) };
    let end = |name: &str, number: i64| {
        let id = hub.names().name(number.cast_unsigned());
        format!("<{name} id='{}' timestamp='{}'/>", &*id, stamp_of(millis(number)))
    };
    let (start, end) = (end("start", first), end("end", last));
    Ok(format!("<metadata xmlns='{NS}'>{start}{end}</metadata>"))
}

/// §4.2: a message as it was, with its id and the time when it was filed.
fn result(names: &Names, shelf: &Shelf, entry: &Entry, queryid: Option<&str>) -> String {
    let mut xml = String::with_capacity(320 + entry.stanza.len());
    let _ = write!(xml, "<result xmlns='{NS}'");
    if let Some(queryid) = queryid {
        attribute(&mut xml, "queryid", queryid);
    }
    attribute(&mut xml, "id", &names.name(entry.number.cast_unsigned()));
    let stamp = stamp_of(millis(entry.number));
    xml.push_str("><forwarded xmlns='urn:xmpp:forward:0'>");
    xml.push_str(&delay::delay(&stamp, shelf.jid.as_str()));
    xml.push_str(&(shelf.show)(entry));
    xml.push_str("</forwarded></result>");
    xml
}

/// What the last word of an answer says of the page.
fn page(names: &Names, found: &Found) -> Page {
    let (Some(first), Some(last)) = (found.entries.first(), found.entries.last()) else {
        return Page::empty(found.count);
    };
    let name = |entry: &Entry| names.name(entry.number.cast_unsigned()).to_string();
    Page::new(name(first), name(last), found.count.map(|_| 0), found.count)
}
