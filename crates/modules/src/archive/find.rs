//! Finding what a question is about, a page at most.

use waxwing_kernel::Hub;
use waxwing_kernel::shelf::Shelf;
use waxwing_stanza::StanzaError;
use waxwing_stanza::payload::rsm;
use waxwing_store::domains::archive::{Entry, Order, Selection};

use super::filter::{self, Filter};
use super::query::Query;
use super::{Archive, unread};

/// Messages read at a time.
const CHUNK: usize = 64;

/// Messages counted at most, when only their number is wanted: more are not worth the time.
const COUNTED: u32 = 10_000;

/// What a question found.
pub(super) struct Found {
    /// In the order of the archive.
    pub(super) entries: Vec<Entry>,
    /// Whether there is nothing more in the direction of the page.
    pub(super) is_complete: bool,
    /// Whether the same question will find the same tomorrow.
    pub(super) is_stable: bool,
    pub(super) count: Option<usize>,
}

/// A question to an archive.
struct Search<'a> {
    archive: &'a Archive,
    hub: &'a Hub,
    shelf: &'a Shelf,
    filter: Filter,
}

impl Archive {
    /// Finds what is asked of an archive.
    pub(super) async fn find(
        &self,
        hub: &Hub,
        shelf: &Shelf,
        query: &Query,
    ) -> Result<Found, StanzaError> {
        let most = self.config.page as usize;
        let mut filter = Filter::read(&query.form()?, hub.names(), shelf, most)?;
        let page = query.page()?;
        filter.sink(shelf.line);
        let is_indexed = match &filter.words {
            Some(_) => self.index(hub, &shelf.owner, shelf.line).await.map_err(unread)?,
            None => true,
        };
        let mut search = Search { archive: self, hub, shelf, filter };
        if page.max == Some(0) {
            return search.count().await;
        }
        let mut found = search.page(&page, most).await?;
        found.is_stable = is_indexed;
        Ok(found)
    }
}

impl Search<'_> {
    async fn page(&mut self, page: &rsm::Request, most: usize) -> Result<Found, StanzaError> {
        for (id, is_after) in [(&page.after, true), (&page.before, false)] {
            // XEP-0059 §2.5: an empty <before/> asks for the last page.
            let Some(id) = id.as_deref().filter(|id| is_after || !id.is_empty()) else { continue };
            let number = filter::number(self.hub.names(), id)?;
            self.filter.landmarks.push(number);
            if is_after { self.filter.rise(number) } else { self.filter.sink(number) }
        }
        self.check().await?;
        let limit = page.max.unwrap_or(most).min(most);
        let order = if page.before.is_some() { Order::Falling } else { Order::Rising };
        let is_whole = page.before.as_deref().is_none_or(str::is_empty) && page.after.is_none();
        let mut found = match self.filter.numbers.take() {
            Some(numbers) => self.pick(numbers, order, limit).await?,
            None => self.walk(order, limit).await?,
        };
        if order == Order::Falling {
            found.entries.reverse();
        }
        // All there is was seen, so it was counted as well.
        found.count = (is_whole && found.is_complete).then_some(found.entries.len());
        Ok(found)
    }

    /// Whether everything is there that the client reckons with.
    async fn check(&self) -> Result<(), StanzaError> {
        for landmark in &self.filter.landmarks {
            if !self.shelf.stock.has(&self.shelf.owner, *landmark).await.map_err(unread)? {
                return Err(filter::not_found());
            }
        }
        Ok(())
    }

    /// XEP-0059 §2.7: "the item count of a result set without retrieving the items themselves".
    async fn count(&mut self) -> Result<Found, StanzaError> {
        self.check().await?;
        if self.filter.words.is_some() && self.filter.numbers.is_none() {
            // To count what is found takes as long as to find it.
            return Ok(Filling::new(0, 0).found(false));
        }
        let count = match self.filter.numbers.take() {
            Some(numbers) => {
                let limit = numbers.len();
                self.pick(numbers, Order::Rising, limit).await?.entries.len()
            }
            None => {
                let count = self.shelf.stock.count(&self.selection(), COUNTED + 1).await;
                usize::try_from(count.map_err(unread)?).unwrap_or(usize::MAX)
            }
        };
        let is_counted = count <= COUNTED as usize;
        let count_or_none = is_counted.then_some(count);
        Ok(Found { count: count_or_none, ..Filling::new(0, 0).found(count == 0) })
    }

    fn selection(&self) -> Selection<'_> {
        let below = self.filter.below.unwrap_or(i64::MAX);
        let (owner, above) = (self.shelf.owner.as_str(), self.filter.above);
        Selection { owner, above, below, with: self.filter.with() }
    }

    /// A page of what the filter selects.
    async fn walk(&self, order: Order, limit: usize) -> Result<Found, StanzaError> {
        let (rows, stock) = (Archive::rows(self.hub), &self.shelf.stock);
        let mut selection = self.selection();
        let mut page = Filling::new(limit, self.archive.config.page_size.len());
        loop {
            // One more than fits tells whether there is more.
            let chunk = (limit + 1 - page.entries.len()).min(CHUNK);
            let read = match &self.filter.words {
                None => stock.page(&selection, order, chunk as u32).await,
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
        mut numbers: Vec<i64>,
        order: Order,
        limit: usize,
    ) -> Result<Found, StanzaError> {
        let mut page = Filling::new(limit, self.archive.config.page_size.len());
        if order == Order::Falling {
            numbers.reverse();
        }
        let mut is_complete = true;
        for number in numbers {
            let entry = self.shelf.stock.find(&self.shelf.owner, number).await.map_err(unread)?;
            let entry = entry.ok_or_else(filter::not_found)?;
            // Those behind a full page are looked for all the same: none of them may be missing.
            if is_complete && self.filter.admits(&entry) {
                is_complete = page.add(entry);
            }
        }
        Ok(page.found(is_complete))
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
        let fits =
            self.entries.is_empty() || self.entries.len() < self.messages && size <= self.bytes;
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
