//! Answers: pages of messages, the form, and what the archive spans.

use std::fmt::Write;
use std::sync::Arc;

use waxwing_kernel::account::Account;
use waxwing_kernel::clock::stamp_of;
use waxwing_kernel::request::Request;
use waxwing_kernel::stage::Effects;
use waxwing_kernel::{Hub, Names};
use waxwing_stanza::payload::delay;
use waxwing_stanza::payload::rsm::{self, Page};
use waxwing_stanza::{MessageType, Stanza, StanzaError, to_xml};
use waxwing_store::domains::archive::{Entry, Order, Selection};
use waxwing_xml::write::attribute;

use super::filter::{self, Filter, millis};
use super::query::{Metadata, Query};
use super::search::FIELD;
use super::{Archive, NS, unread};

/// Messages read at a time.
const CHUNK: usize = 64;

/// Messages counted at most, when only their number is wanted: more are not worth the time.
const COUNTED: u32 = 10_000;

/// What a question found.
struct Found {
    /// In the order of the archive.
    entries: Vec<Entry>,
    /// Whether there is nothing more in the direction of the page.
    is_complete: bool,
    /// Whether the same question will find the same tomorrow.
    is_stable: bool,
    count: Option<usize>,
}

impl Archive {
    /// §4.1.5: "The server replies with all the form fields it supports in queries".
    pub(super) async fn fields(
        self: Arc<Self>,
        _: Request<Query>,
    ) -> Result<String, StanzaError> {
        // `ids`: "the server MUST include a <validate/> element that signals the list is open".
        Ok(format!(
            "<query xmlns='{NS}'><x xmlns='jabber:x:data' type='form'>\
             <field type='hidden' var='FORM_TYPE'><value>{NS}</value></field>\
             <field type='jid-single' var='with'/><field type='text-single' var='start'/>\
             <field type='text-single' var='end'/><field type='text-single' var='before-id'/>\
             <field type='text-single' var='after-id'/><field type='list-multi' var='ids'>\
             <validate xmlns='http://jabber.org/protocol/xdata-validate' datatype='xs:string'>\
             <open/></validate></field><field type='boolean' var='include-groupchat'/>\
             <field type='text-single' var='{FIELD}'/></x></query>"
        ))
    }

    /// §4: "the server pushes to the client a series of messages … After the results it then
    /// returns the IQ result".
    pub(super) async fn query(
        self: Arc<Self>,
        ask: Request<Query>,
    ) -> Result<String, StanzaError> {
        let Some(mailbox) = &ask.from.mailbox else { return Err(StanzaError::forbidden()) };
        // One answer may fill half of what waits for a client that does not read.
        if mailbox.room() < 2 * self.config.page as usize {
            let text = "Read the answers to your earlier questions first.";
            return Err(StanzaError::resource_constraint().text(text));
        }
        let found = self.find(&ask).await?;
        let names = ask.hub.names();
        let mut effects = Effects::default();
        let page = page(names, &found);
        let mut entries = found.entries;
        if ask.payload.is_flipped {
            entries.reverse();
        }
        for entry in entries {
            let result = result(names, &entry, ask.payload.queryid.as_deref());
            let result = Stanza::message(MessageType::Normal).with(result);
            let result = result.from(ask.account().jid().to_jid()).to(ask.from.jid.clone());
            effects.deliver(mailbox, result);
        }
        ask.hub.perform(effects).await;
        let complete = if found.is_complete { " complete='true'" } else { "" };
        // §4.3.2: "if the results are unstable …, the server MUST stamp the <fin> element".
        let stable = if found.is_stable { "" } else { " stable='false'" };
        Ok(format!("<fin xmlns='{NS}'{complete}{stable}>{}</fin>", to_xml(&page)))
    }

    async fn find(&self, ask: &Request<Query>) -> Result<Found, StanzaError> {
        let (names, most) = (ask.hub.names(), self.config.page as usize);
        let mut filter = Filter::read(&ask.payload.form()?, names, most)?;
        let page = ask.payload.page()?;
        let line = ask.hub.line(ask.account()).await.map_err(unread)?;
        filter.sink(line.cast_signed());
        let is_indexed = match &filter.words {
            Some(_) => {
                let index = self.index(&ask.hub, ask.account(), line.cast_signed());
                index.await.map_err(unread)?
            }
            None => true,
        };
        if page.max == Some(0) {
            return self.count(ask, &filter).await;
        }
        for (id, is_after) in [(&page.after, true), (&page.before, false)] {
            // XEP-0059 §2.5: an empty <before/> asks for the last page.
            let Some(id) = id.as_deref().filter(|id| is_after || !id.is_empty()) else { continue };
            let number = filter::number(names, id)?;
            filter.landmarks.push(number);
            if is_after { filter.rise(number) } else { filter.sink(number) }
        }
        self.check(ask, &filter).await?;
        let limit = page.max.unwrap_or(most).min(most);
        let order = if page.before.is_some() { Order::Falling } else { Order::Rising };
        let is_whole = page.before.as_deref().is_none_or(str::is_empty) && page.after.is_none();
        let mut found = match filter.numbers.take() {
            Some(numbers) => self.pick(ask, &filter, numbers, (order, limit)).await?,
            None => self.walk(ask, &filter, order, limit).await?,
        };
        if order == Order::Falling {
            found.entries.reverse();
        }
        // All there is was seen, so it was counted as well.
        found.count = (is_whole && found.is_complete).then_some(found.entries.len());
        found.is_stable = is_indexed;
        Ok(found)
    }

    /// Whether everything is there that the client reckons with.
    async fn check(&self, ask: &Request<Query>, filter: &Filter) -> Result<(), StanzaError> {
        let (rows, owner) = (Self::rows(&ask.hub), ask.account().jid().as_str());
        for landmark in &filter.landmarks {
            if !rows.has(owner, *landmark).await.map_err(unread)? {
                return Err(filter::not_found());
            }
        }
        Ok(())
    }

    /// XEP-0059 §2.7: "the item count of a result set without retrieving the items themselves".
    async fn count(&self, ask: &Request<Query>, filter: &Filter) -> Result<Found, StanzaError> {
        self.check(ask, filter).await?;
        if filter.words.is_some() && filter.numbers.is_none() {
            // To count what is found takes as long as to find it.
            return Ok(Filling::new(0, 0).found(false));
        }
        let count = match &filter.numbers {
            Some(numbers) => {
                let page = (Order::Rising, numbers.len());
                let found = self.pick(ask, filter, numbers.clone(), page).await?;
                found.entries.len()
            }
            None => {
                let selection = selection(ask, filter);
                let count = Self::rows(&ask.hub).count(&selection, COUNTED + 1).await;
                usize::try_from(count.map_err(unread)?).unwrap_or(usize::MAX)
            }
        };
        let is_counted = count <= COUNTED as usize;
        let count_or_none = is_counted.then_some(count);
        Ok(Found { count: count_or_none, ..Filling::new(0, 0).found(count == 0) })
    }

    /// A page of what a filter selects.
    async fn walk(
        &self,
        ask: &Request<Query>,
        filter: &Filter,
        order: Order,
        limit: usize,
    ) -> Result<Found, StanzaError> {
        let rows = Self::rows(&ask.hub);
        let mut selection = selection(ask, filter);
        let mut page = Filling::new(limit, self.config.page_size.len());
        loop {
            // One more than fits tells whether there is more.
            let chunk = (limit + 1 - page.entries.len()).min(CHUNK);
            let read = match &filter.words {
                None => rows.page(&selection, order, chunk as u32).await,
                Some(words) if words.is_empty() => Ok(Vec::new()),
                Some(words) => rows.search(&selection, words, order, chunk as u32).await,
            };
            let read = read.map_err(unread)?;
            let is_end = read.len() < chunk;
            for entry in read {
                match order {
                    Order::Rising => selection.above = entry.number,
                    Order::Falling => selection.below = entry.number,
                }
                if !page.add(entry) {
                    return Ok(page.found(false));
                }
            }
            if is_end {
                return Ok(page.found(true));
            }
        }
    }

    /// A page of messages that were asked for by their ids.
    async fn pick(
        &self,
        ask: &Request<Query>,
        filter: &Filter,
        mut numbers: Vec<i64>,
        (order, limit): (Order, usize),
    ) -> Result<Found, StanzaError> {
        let (rows, owner) = (Self::rows(&ask.hub), ask.account().jid().as_str());
        let mut page = Filling::new(limit, self.config.page_size.len());
        if order == Order::Falling {
            numbers.reverse();
        }
        let mut is_complete = true;
        for number in numbers {
            let entry = rows.find(owner, number).await.map_err(unread)?;
            let entry = entry.ok_or_else(filter::not_found)?;
            // Those behind a full page are looked for all the same: none of them may be missing.
            if is_complete && filter.admits(&entry) {
                is_complete = page.add(entry);
            }
        }
        Ok(page.found(is_complete))
    }

    /// §5: "this element MUST include <start/> and <end/> elements", and "if the archive is empty,
    /// the server MUST instead send an empty <metadata/> element".
    pub(super) async fn metadata(
        self: Arc<Self>,
        ask: Request<Metadata>,
    ) -> Result<String, StanzaError> {
        Self::describe(&ask.hub, ask.account()).await
    }

    /// XEP-0386 §4: "The server SHOULD include a <metadata/> element ..., describing the state of
    /// the user's message archive at the precise time of resource binding." Who gets none asks.
    pub(super) async fn bound(self: Arc<Self>, hub: Hub, account: Arc<Account>) -> String {
        Self::describe(&hub, &account).await.unwrap_or_default()
    }

    async fn describe(hub: &Hub, account: &Account) -> Result<String, StanzaError> {
        let line = hub.line(account).await.map_err(unread)?;
        let owner = account.jid().as_str();
        let span = Self::rows(hub).span(owner, line.cast_signed()).await.map_err(unread)?;
        let Some((first, last)) = span else { return Ok(format!("<metadata xmlns='{NS}'/>")) };
        let end = |name: &str, number: i64| {
            let (id, stamp) = (name_of(hub, number), stamp_of(millis(number)));
            format!("<{name} id='{}' timestamp='{stamp}'/>", &*id)
        };
        let (start, end) = (end("start", first), end("end", last));
        Ok(format!("<metadata xmlns='{NS}'>{start}{end}</metadata>"))
    }

    pub(super) async fn refuse_query(
        self: Arc<Self>,
        _: Request<Query>,
    ) -> Result<(), StanzaError> {
        Err(StanzaError::forbidden().text("This is somebody else's archive."))
    }

    pub(super) async fn refuse_metadata(
        self: Arc<Self>,
        _: Request<Metadata>,
    ) -> Result<(), StanzaError> {
        Err(StanzaError::forbidden().text("This is somebody else's archive."))
    }
}

/// A page while it fills.
struct Filling {
    entries: Vec<Entry>,
    messages: usize,
    bytes: usize,
}

impl Filling {
    fn new(messages: usize, bytes: usize) -> Self {
        Self { entries: Vec::new(), messages, bytes }
    }

    /// Adds a message if it fits. One alone always does.
    fn add(&mut self, entry: Entry) -> bool {
        let size = entry.stanza.len();
        let fits = self.entries.is_empty()
            || self.entries.len() < self.messages && size <= self.bytes;
        if fits {
            self.bytes = self.bytes.saturating_sub(size);
            self.entries.push(entry);
        }
        fits
    }

    fn found(self, is_complete: bool) -> Found {
        Found { entries: self.entries, is_complete, is_stable: true, count: None }
    }
}

fn selection<'a>(ask: &'a Request<Query>, filter: &'a Filter) -> Selection<'a> {
    let owner = ask.account().jid().as_str();
    let below = filter.below.unwrap_or(i64::MAX);
    Selection { owner, above: filter.above, below, with: filter.with() }
}

fn name_of(hub: &Hub, number: i64) -> waxwing_kernel::Name {
    hub.names().name(number.cast_unsigned())
}

/// §4.2: a message as it was, with its id and the time when it was filed.
fn result(names: &Names, entry: &Entry, queryid: Option<&str>) -> String {
    let mut xml = String::with_capacity(320 + entry.stanza.len());
    let _ = write!(xml, "<result xmlns='{NS}'");
    if let Some(queryid) = queryid {
        attribute(&mut xml, "queryid", queryid);
    }
    attribute(&mut xml, "id", &names.name(entry.number.cast_unsigned()));
    let stamp = stamp_of(millis(entry.number));
    xml.push_str("><forwarded xmlns='urn:xmpp:forward:0'>");
    xml.push_str(&delay::delay(&stamp, &entry.owner));
    xml.push_str(&entry.stanza);
    xml.push_str("</forwarded></result>");
    xml
}

/// What the last word of an answer says of the page.
fn page(names: &Names, found: &Found) -> rsm::Page {
    let (Some(first), Some(last)) = (found.entries.first(), found.entries.last()) else {
        return Page::empty(found.count);
    };
    let name = |entry: &Entry| names.name(entry.number.cast_unsigned()).to_string();
    Page::new(name(first), name(last), found.count.map(|_| 0), found.count)
}
