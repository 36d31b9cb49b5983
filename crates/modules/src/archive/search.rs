//! Finding messages by their words (XEP-0431, version 0.2.0).
//!
//! The words of an archive are indexed when a reader first asks for some, from the youngest
//! message on. One question does a part of that; the rest is done behind it, and until then the
//! answer says that it is not stable (XEP-0313 §4.3.2).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use tokio::sync::Mutex;
use waxwing_kernel::{Hub, worth};
use waxwing_stanza::{CLIENT, Stanza};
use waxwing_store::StoreError;
use waxwing_store::domains::archive::{Archive as Rows, Entry, Order, Selection, With, Words};

use super::Archive;

/// The field of a question.
pub(super) const FIELD: &str = "{urn:xmpp:fulltext:0}fulltext";

/// Bytes and words of a question.
pub(super) const BYTES: usize = 1024;
pub(super) const WORDS: usize = 16;

/// Messages indexed in one commit.
const CHUNK: u32 = 250;

/// Commits that a question waits for.
const PATIENCE: usize = 8;

/// Who brings the index of an archive up to date, one at a time. There is an entry while somebody
/// does.
#[derive(Default)]
pub(super) struct Indexing(parking_lot::Mutex<HashMap<String, Weak<State>>>);

#[derive(Default)]
struct State {
    turn: Mutex<()>,
    /// Whether somebody goes on behind a question.
    is_followed: AtomicBool,
}

impl Indexing {
    fn of(&self, owner: &str) -> Arc<State> {
        let mut all = self.0.lock();
        if let Some(state) = all.get(owner).and_then(Weak::upgrade) {
            return state;
        }
        all.retain(|_, state| state.strong_count() > 0);
        let state = Arc::<State>::default();
        all.insert(owner.to_owned(), Arc::downgrade(&state));
        state
    }
}

/// The words by which a message is found: none of one that is encrypted, whose text is for clients
/// that cannot read it.
pub(super) fn words_of(entry: &Entry) -> Words {
    let Ok(stanza) = Stanza::parse(&entry.stanza) else { return Words::default() };
    if worth::is_encrypted(&stanza) {
        return Words::default();
    }
    let texts = stanza
        .body
        .children()
        .filter(|child| child.namespace() == CLIENT && matches!(child.name(), "body" | "subject"));
    let texts: Vec<_> = texts.map(|child| child.text().into_owned()).collect();
    Words::of(&texts.join(" "))
}

impl Archive {
    /// Indexes what is below the line, as far as a question may wait for it. True when that is
    /// everything.
    pub(super) async fn index(
        &self,
        hub: &Hub,
        owner: &str,
        line: i64,
    ) -> Result<bool, StoreError> {
        let state = self.indexing.of(owner);
        let rows = Self::rows(hub);
        for _ in 0..PATIENCE {
            if advance(&rows, hub, &state, owner, line).await? {
                return Ok(true);
            }
        }
        if !state.is_followed.swap(true, Ordering::AcqRel) {
            let (hub, owner) = (hub.clone(), owner.to_owned());
            hub.clone().clock().spawn(async move {
                let outcome = loop {
                    match advance(&rows, &hub, &state, &owner, line).await {
                        Ok(false) => {}
                        outcome => break outcome,
                    }
                };
                state.is_followed.store(false, Ordering::Release);
                if let Err(error) = outcome {
                    tracing::warn!(%error, "an archive is not indexed for now");
                }
            });
        }
        Ok(false)
    }
}

/// Indexes some messages: first what is younger than what is indexed, then what is older. True when
/// there is nothing left to do.
async fn advance(
    rows: &Rows,
    hub: &Hub,
    state: &State,
    owner: &str,
    line: i64,
) -> Result<bool, StoreError> {
    let _turn = state.turn.lock().await;
    let (low, high) = rows.indexed(owner).await?.unwrap_or((line, line));
    if low == 0 && high >= line {
        return Ok(true);
    }
    let all = Selection { owner, above: 0, below: i64::MAX, with: With::Anybody };
    let (entries, span) = if high < line {
        let younger = Selection { above: high - 1, below: line, ..all };
        let entries = rows.page(&younger, Order::Rising, CHUNK).await?;
        let reached = entries.last().filter(|_| entries.len() == CHUNK as usize);
        let span = (low, reached.map_or(line, |last| last.number + 1));
        (entries, span)
    } else {
        let older = Selection { below: low, ..all };
        let entries = rows.page(&older, Order::Falling, CHUNK).await?;
        let reached = entries.last().filter(|_| entries.len() == CHUNK as usize);
        let span = (reached.map_or(0, |last| last.number), high);
        (entries, span)
    };
    let index = |entry: &Entry| rows.index(owner, entry.number, &words_of(entry));
    let mut batch: Vec<_> = entries.iter().filter_map(index).collect();
    batch.push(Rows::spread(owner, span));
    hub.db().batch(batch).await?;
    Ok(span.0 == 0 && span.1 >= line)
}
