//! What is kept for an account: how much, which of it waits, and which is with a session.

use std::collections::HashMap;

use parking_lot::Mutex;
use waxwing_jid::BareJid;
use waxwing_kernel::account::Fact;
use waxwing_kernel::router::Released;
use waxwing_store::domains::offline::Offline as Rows;
use waxwing_store::{Db, StoreError};
use waxwing_stream::Tag;

/// What is kept for one account, and what of it is on its way to a session.
pub(crate) struct Waiting(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    messages: u64,
    bytes: u64,
    /// Known to wait, or on their way to sessions.
    known: HashMap<Tag, Claim>,
    /// Confirmed: a page that is being read may still show them. True when the row is gone.
    settled: HashMap<Tag, bool>,
    /// How many are reading pages.
    readers: usize,
    /// There was a word about a message that is not known here: the account was loaded while it
    /// was written, and there may be more rows than were counted.
    is_unsure: bool,
}

/// Who has a message.
struct Claim {
    /// Sessions that have it and have not confirmed it; none when it waits.
    holders: usize,
    /// Whether it is written down, or only watched.
    is_row: bool,
}

impl Fact for Waiting {
    async fn load(db: &Db, owner: &BareJid) -> Result<Self, StoreError> {
        let held = Rows::new(db.clone()).held(owner.as_str()).await?;
        let (messages, bytes) = (held.stanzas, held.bytes);
        Ok(Self(Mutex::new(Inner { messages, bytes, ..Inner::default() })))
    }
}

impl Waiting {
    /// Whether nothing is kept. What is being written is counted already; and whoever wrote it
    /// looks for sessions once more afterwards.
    pub(super) fn is_empty(&self) -> bool {
        let inner = self.0.lock();
        inner.messages == 0 && inner.known.is_empty() && !inner.is_unsure
    }

    /// All rows are about to be read.
    pub(super) fn know_all(&self) {
        self.0.lock().is_unsure = false;
    }

    /// Counts one more message, unless there is no room.
    pub(super) fn admit(&self, bytes: u64, messages_max: u64, bytes_max: u64) -> bool {
        let mut inner = self.0.lock();
        let bytes = inner.bytes + bytes;
        let has_room = inner.messages < messages_max && bytes <= bytes_max;
        if has_room {
            inner.messages += 1;
            inner.bytes = bytes;
        }
        has_room
    }

    /// A message is about to be written, or watched, on its way to so many sessions.
    pub(super) fn begin(&self, tag: Tag, holders: usize, is_row: bool) {
        self.0.lock().known.insert(tag, Claim { holders, is_row });
    }

    /// Claims a message that is known to wait.
    pub(super) fn claim(&self, tag: Tag, sessions: usize) -> bool {
        let mut inner = self.0.lock();
        let Some(claim) = inner.look_up(tag).filter(|claim| claim.holders == 0) else {
            return false;
        };
        claim.holders = sessions;
        true
    }

    /// Claims a message whose row was read, unless somebody has it or has had it.
    pub(super) fn claim_row(&self, tag: Tag) -> bool {
        let mut inner = self.0.lock();
        if inner.settled.contains_key(&tag) {
            return false;
        }
        let claim = inner.known.entry(tag).or_insert(Claim { holders: 0, is_row: true });
        let waits = claim.holders == 0;
        if waits {
            claim.holders = 1;
        }
        waits
    }

    /// A session could not take a message, or never confirmed it.
    pub(super) fn release(&self, tag: Tag) -> Released {
        let mut inner = self.0.lock();
        let Some(claim) = inner.look_up(tag) else { return Released::Elsewhere };
        claim.holders = claim.holders.saturating_sub(1);
        match claim {
            Claim { holders: 1.., .. } => Released::Elsewhere,
            Claim { is_row: true, .. } => Released::Waits,
            Claim { is_row: false, .. } => {
                inner.known.remove(&tag);
                Released::Nowhere
            }
        }
    }

    /// Takes a confirmed message out of the count. False when there is no row to remove, or another
    /// session confirmed it before.
    pub(super) fn settle(&self, tag: Tag) -> bool {
        let mut inner = self.0.lock();
        let is_row = inner.discard(tag);
        if is_row {
            inner.settled.insert(tag, false);
        }
        is_row
    }

    /// The rows of confirmed messages are gone, or will not go.
    pub(super) fn forgotten(&self, tags: &[Tag]) {
        let mut inner = self.0.lock();
        let is_read = inner.readers > 0;
        for tag in tags {
            if is_read {
                inner.settled.entry(*tag).and_modify(|is_gone| *is_gone = true);
            } else {
                inner.settled.remove(tag);
            }
        }
    }

    /// A message could not be written.
    pub(super) fn abandon(&self, tag: Tag) {
        self.0.lock().discard(tag);
    }
}

impl Inner {
    fn look_up(&mut self, tag: Tag) -> Option<&mut Claim> {
        let claim = self.known.get_mut(&tag);
        self.is_unsure |= claim.is_none();
        claim
    }

    /// Drops a message; true when it counted.
    fn discard(&mut self, tag: Tag) -> bool {
        let is_row = self.known.remove(&tag).is_some_and(|claim| claim.is_row);
        if is_row {
            // The mean size is near enough for a bound, and right again when nothing waits.
            self.bytes -= self.bytes / self.messages.max(1);
            self.messages = self.messages.saturating_sub(1);
        }
        is_row
    }
}

/// Messages that are about to be removed. Those whose rows are not said to be gone when it is
/// dropped wait as before.
pub(super) struct Claimed<'a> {
    waiting: &'a Waiting,
    tags: Vec<Tag>,
}

impl<'a> Claimed<'a> {
    /// Those whose rows were read that nobody has or has had.
    pub(super) fn of(waiting: &'a Waiting, tags: impl Iterator<Item = Tag>) -> Self {
        Self { waiting, tags: tags.filter(|tag| waiting.claim_row(*tag)).collect() }
    }

    pub(super) fn tags(&self) -> &[Tag] {
        &self.tags
    }

    /// Their rows are gone.
    pub(super) fn gone(mut self) {
        let tags = std::mem::take(&mut self.tags);
        for tag in &tags {
            self.waiting.settle(*tag);
        }
        self.waiting.forgotten(&tags);
    }
}

impl Drop for Claimed<'_> {
    fn drop(&mut self) {
        for tag in &self.tags {
            self.waiting.release(*tag);
        }
    }
}

/// While it lives, pages of the spool are being read.
pub(super) struct Reading<'a>(&'a Waiting);

impl<'a> Reading<'a> {
    pub(super) fn begin(waiting: &'a Waiting) -> Self {
        waiting.0.lock().readers += 1;
        Self(waiting)
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let mut inner = self.0.0.lock();
        inner.readers -= 1;
        if inner.readers == 0 {
            inner.settled.retain(|_, is_gone| !*is_gone);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: Tag = Tag(7);

    fn waiting() -> Waiting {
        Waiting(Mutex::new(Inner::default()))
    }

    #[test]
    fn a_message_waits_again_when_the_last_who_has_it_gives_it_back() {
        let waiting = waiting();
        waiting.begin(TAG, 2, true);
        assert!(!waiting.claim(TAG, 1) && !waiting.claim_row(TAG));
        assert_eq!(waiting.release(TAG), Released::Elsewhere);
        assert!(!waiting.claim(TAG, 1));
        assert_eq!(waiting.release(TAG), Released::Waits);
        assert!(waiting.claim(TAG, 1));
    }

    #[test]
    fn what_one_session_confirmed_is_nobodys_any_more() {
        let waiting = waiting();
        waiting.begin(TAG, 2, true);
        assert!(waiting.settle(TAG) && !waiting.settle(TAG));
        assert_eq!(waiting.release(TAG), Released::Elsewhere);
        assert!(!waiting.claim(TAG, 1));
    }

    #[test]
    fn what_is_only_watched_has_no_row() {
        let waiting = waiting();
        waiting.begin(TAG, 2, false);
        assert_eq!(waiting.release(TAG), Released::Elsewhere);
        assert_eq!(waiting.release(TAG), Released::Nowhere);
        waiting.begin(TAG, 2, false);
        assert!(!waiting.settle(TAG));
        assert_eq!(waiting.release(TAG), Released::Elsewhere);
    }

    #[test]
    fn a_page_does_not_bring_back_what_was_confirmed_while_it_was_read() {
        let waiting = waiting();
        let tags: Vec<_> = (1..=500).map(Tag).collect();
        let reading = Reading::begin(&waiting);
        for tag in &tags {
            waiting.begin(*tag, 1, true);
            assert!(waiting.settle(*tag));
        }
        assert!(!tags.iter().any(|tag| waiting.claim_row(*tag)));
        waiting.forgotten(&tags);
        assert!(!tags.iter().any(|tag| waiting.claim_row(*tag)));
        drop(reading);
        assert!(waiting.0.lock().settled.is_empty());
    }

    #[test]
    fn it_is_empty_when_nothing_is_kept_and_nothing_unknown_was_heard_of() {
        let waiting = waiting();
        assert!(waiting.is_empty());
        assert!(waiting.admit(100, 1, 1000) && !waiting.is_empty());
        waiting.begin(TAG, 1, true);
        assert!(waiting.settle(TAG) && waiting.is_empty());
        // The row was written by somebody who knew the account before it was loaded again.
        assert!(!waiting.claim(Tag(8), 1) && !waiting.is_empty());
        waiting.know_all();
        assert!(waiting.is_empty());
        assert_eq!(waiting.release(Tag(9)), Released::Elsewhere);
        assert!(!waiting.is_empty());
    }

    #[test]
    fn what_could_not_be_removed_waits_as_before() {
        let waiting = waiting();
        assert!(waiting.admit(100, 1, 1000) && waiting.claim_row(TAG));
        assert_eq!(waiting.release(TAG), Released::Waits);
        let reading = Reading::begin(&waiting);
        let claimed = Claimed::of(&waiting, [TAG].into_iter());
        assert!(claimed.tags() == [TAG] && !waiting.claim_row(TAG));
        drop(claimed);
        assert!(!waiting.is_empty() && waiting.claim_row(TAG));
        assert_eq!(waiting.release(TAG), Released::Waits);
        Claimed::of(&waiting, [TAG].into_iter()).gone();
        assert!(waiting.is_empty() && !waiting.claim_row(TAG));
        drop(reading);
        assert!(waiting.0.lock().settled.is_empty());
    }

    #[test]
    fn what_could_not_be_written_takes_no_room() {
        let waiting = waiting();
        for _ in 0..3 {
            assert!(waiting.admit(100, 1, 1000));
            waiting.begin(TAG, 1, true);
            assert!(!waiting.admit(100, 1, 1000));
            waiting.abandon(TAG);
        }
    }
}
