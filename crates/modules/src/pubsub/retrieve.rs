//! Reading items (§6.5), all or page by page (XEP-0059).

use waxwing_stanza::payload::rsm::{self, Page};
use waxwing_stanza::{StanzaError, to_xml};
use waxwing_store::domains::pubsub::{Item as Row, Items, Slice, Subscriptions};
use waxwing_xml::write;

use super::config::{Config, ItemReply};
use super::errors::{no_item, no_node, not_kept, unstored, with};
use super::node::State;
use super::rights::Action;
use super::wire::{ItemsAsk, NS};
use super::{Answer, Errand, Pubsub};

/// Items that are read from the store at a time: they may be large.
const CHUNK: u32 = 50;

/// A part of the items of a node, oldest first.
#[derive(Default)]
struct Part {
    items: Vec<Row>,
    /// It has an end where there may be more.
    is_cut: bool,
}

impl Pubsub {
    pub(super) async fn retrieve(&self, on: &Errand, ask: ItemsAsk) -> Answer {
        let node = self.node(&on.realm, &ask.node).await?;
        if node.state().is_none() {
            if self.has_list(on, &ask.node).await {
                return Ok(Some(empty(&ask.node)));
            }
            // COMPAT(Profanity, until it reads the condition): it publishes its first list of
            // devices when it is told that there is none, and finds the node in the request. RFC
            // 6120 §8.3.1: an error "MAY include the original XML sent".
            return Err(no_node().beside(empty(&ask.node)));
        }
        let state = self.allowed(on, &node, Action::Retrieve).await?;
        self.check_subid(on, &state, ask.subid.as_deref()).await?;
        if !state.config.persists && state.last.is_none() {
            return Err(not_kept());
        }
        let now = on.hub.clock().wall_millis().cast_signed();
        let rows = Items::new(on.hub.db().clone());
        if !ask.ids.is_empty() {
            let most = self.config.page as usize;
            if ask.ids.len() > most {
                let error = StanzaError::not_acceptable();
                return Err(error.text(format!("At most {most} items are asked for at a time.")));
            }
            // §6.5.9.12: those that are not there are not in the answer.
            let ids: Vec<&str> = ask.ids.iter().map(String::as_str).collect();
            let items = self.some(&rows, state.id, &ids, now).await?;
            return Ok(Some(answer(&ask.node, &state.config, &items, None)));
        }
        let (part, set) = match &ask.set {
            Some(set) => self.page(&rows, &state, set, now).await?,
            None => {
                let most = ask.last.unwrap_or(u32::MAX);
                let part = self.last(&rows, &state, most, now).await?;
                // §6.5.4: "note that the list of items has been truncated by including a Result
                // Set Management notation."
                let is_truncated = part.is_cut && part.items.len() < most as usize;
                let set = match is_truncated {
                    true => Some(self.bounds_of(&rows, &state, &part).await?),
                    false => None,
                };
                (part, set)
            }
        };
        Ok(Some(answer(&ask.node, &state.config, &part.items, set.as_ref())))
    }

    /// §6.5.9.1: "If the requesting entity has multiple subscriptions to the node but does not
    /// specify a subscription ID, the service MUST return a <bad-request/> error".
    async fn check_subid(
        &self,
        on: &Errand,
        state: &State,
        subid: Option<&str>,
    ) -> Result<(), StanzaError> {
        if on.realm.jid == on.asker {
            return Ok(());
        }
        let rows = Subscriptions::new(on.hub.db().clone());
        let held = rows.of(state.id, on.asker.as_str()).await.map_err(unstored)?;
        match subid {
            None if held.len() > 1 => {
                let error = with(StanzaError::bad_request(), "subid-required");
                Err(error.text("You have several subscriptions here; say which."))
            }
            // §6.5.9.2: "If the requesting entity is subscribed but specifies an invalid
            // subscription ID, the service MUST return a <not-acceptable/> error".
            Some(subid) if !held.iter().any(|held| held.subid == subid) => {
                let error = with(StanzaError::not_acceptable(), "invalid-subid");
                Err(error.text("You have no such subscription here."))
            }
            _ => Ok(()),
        }
    }

    /// Those with these ids, as many as one answer has room for.
    async fn some(
        &self,
        rows: &Items,
        node: i64,
        ids: &[&str],
        now: i64,
    ) -> Result<Vec<Row>, StanzaError> {
        let (mut items, mut room) = (Vec::new(), self.config.page_bytes.0 as usize);
        for ids in ids.chunks(CHUNK as usize) {
            for item in rows.find(node, ids, now).await.map_err(unstored)? {
                if !takes(&mut room, &item, items.is_empty()) {
                    return Ok(items);
                }
                items.push(item);
            }
        }
        Ok(items)
    }

    /// The last of a node, at most so many.
    async fn last(
        &self,
        rows: &Items,
        state: &State,
        most: u32,
        now: i64,
    ) -> Result<Part, StanzaError> {
        let all = Slice { node: state.id, above: 0, below: i64::MAX, is_back: true, now };
        self.part(rows, all, most).await
    }

    /// The part of a slice that one answer has room for, from its beginning.
    async fn part(&self, rows: &Items, slice: Slice, most: u32) -> Result<Part, StanzaError> {
        let (mut slice, mut part) = (slice, Part::default());
        let most = most.min(self.config.page) as usize;
        let mut room = self.config.page_bytes.0 as usize;
        'all: while part.items.len() < most {
            let chunk = rows.slice(slice, CHUNK).await.map_err(unstored)?;
            let is_end = chunk.len() < CHUNK as usize;
            for item in chunk {
                let is_full = part.items.len() >= most;
                if is_full || !takes(&mut room, &item, part.items.is_empty()) {
                    part.is_cut = true;
                    break 'all;
                }
                match slice.is_back {
                    true => slice.below = item.number,
                    false => slice.above = item.number,
                }
                part.items.push(item);
            }
            if is_end {
                break;
            }
            part.is_cut = part.items.len() >= most;
        }
        if slice.is_back {
            part.items.reverse();
        }
        Ok(part)
    }

    /// The page of a node that is asked for, for those who want the ids alone.
    pub(super) async fn page_of(
        &self,
        state: &State,
        set: Option<&rsm::Request>,
    ) -> Result<(Vec<Row>, Option<Page>), StanzaError> {
        let now = self.hub.clock().wall_millis().cast_signed();
        let rows = Items::new(self.hub.db().clone());
        let none = rsm::Request::default();
        let (part, page) = self.page(&rows, state, set.unwrap_or(&none), now).await?;
        let is_said = set.is_some() || part.is_cut;
        Ok((part.items, page.filter(|_| is_said)))
    }

    /// The page that is asked for.
    async fn page(
        &self,
        rows: &Items,
        state: &State,
        set: &rsm::Request,
        now: i64,
    ) -> Result<(Part, Option<Page>), StanzaError> {
        if set.index.is_some() {
            let error = StanzaError::feature_not_implemented();
            return Err(error.text("Pages begin at an item, and not at a position."));
        }
        let most = set.max.map_or(u32::MAX, |most| u32::try_from(most).unwrap_or(u32::MAX));
        // XEP-0059 §2.7: "the number of items … without retrieving them".
        if most == 0 {
            let count = usize::try_from(state.items).ok();
            return Ok((Part::default(), Some(Page::empty(count))));
        }
        let mut slice = Slice { node: state.id, above: 0, below: i64::MAX, is_back: false, now };
        if let Some(after) = &set.after {
            slice.above = number(rows, state.id, after).await?;
        }
        match set.before.as_deref() {
            None => {}
            Some("") => slice.is_back = true,
            Some(before) => {
                slice.below = number(rows, state.id, before).await?;
                slice.is_back = set.after.is_none();
            }
        }
        let part = self.part(rows, slice, most).await?;
        let set = self.bounds_of(rows, state, &part).await?;
        Ok((part, Some(set)))
    }

    /// What XEP-0059 wants to be said of a part.
    async fn bounds_of(
        &self,
        rows: &Items,
        state: &State,
        part: &Part,
    ) -> Result<Page, StanzaError> {
        let count = usize::try_from(state.items).ok();
        let (Some(first), Some(last)) = (part.items.first(), part.items.last()) else {
            return Ok(Page::empty(count));
        };
        let index = rows.before(state.id, first.number).await.map_err(unstored)?;
        Ok(Page::new(&first.id, &last.id, usize::try_from(index).ok(), count))
    }
}

/// Whether there is room for one more item; the first always fits.
fn takes(room: &mut usize, item: &Row, is_first: bool) -> bool {
    let bytes = item.payload.len() + item.id.len();
    let fits = is_first || bytes <= *room;
    *room = room.saturating_sub(bytes);
    fits
}

/// XEP-0059 §2.2: "If the responding entity cannot find the item … it SHOULD return an
/// <item-not-found/> error".
async fn number(rows: &Items, node: i64, id: &str) -> Result<i64, StanzaError> {
    rows.number(node, id).await.map_err(unstored)?.ok_or_else(no_item)
}

/// No items of a node.
pub(super) fn empty(node: &str) -> String {
    let mut out = format!("<pubsub xmlns='{NS}'><items");
    write::attribute(&mut out, "node", node);
    out + "/></pubsub>"
}

fn answer(node: &str, config: &Config, items: &[Row], set: Option<&Page>) -> String {
    let bytes: usize = items.iter().map(|item| item.payload.len() + item.id.len() + 64).sum();
    let mut out = String::with_capacity(bytes + 256);
    out.push_str("<pubsub xmlns='");
    out.push_str(NS);
    out.push_str("'><items");
    write::attribute(&mut out, "node", node);
    if items.is_empty() {
        out.push_str("/>");
    } else {
        out.push('>');
        items.iter().for_each(|item| put(&mut out, item, config));
        out.push_str("</items>");
    }
    if let Some(set) = set {
        out.push_str(&to_xml(set));
    }
    out.push_str("</pubsub>");
    out
}

/// §7.1.2.3: "If so, the service MUST also include the publisher with every other form of item
/// retrieval."
fn put(out: &mut String, item: &Row, config: &Config) {
    out.push_str("<item");
    write::attribute(out, "id", &item.id);
    if config.itemreply == ItemReply::Publisher {
        write::attribute(out, "publisher", &item.publisher);
    }
    if item.payload.is_empty() {
        return out.push_str("/>");
    }
    out.push('>');
    out.push_str(&item.payload);
    out.push_str("</item>");
}
