//! The ways out, by pair of domains: one of ours and another server's. And for how long nobody
//! tries where it was in vain.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use smallvec::SmallVec;
use waxwing_stanza::StanzaError;
use waxwing_stream::Pair;

use crate::mailbox::{Mail, Mailbox};

/// How often rests that are over are looked for.
const SWEEP: Duration = Duration::from_secs(60);

/// Every way out. `pair.from` is ours, `pair.to` the other server's.
#[derive(Default)]
pub(super) struct Pairs {
    by_peer: HashMap<Arc<str>, SmallVec<[Entry; 1]>>,
    count: usize,
    swept: Option<Instant>,
}

struct Entry {
    ours: Arc<str>,
    /// The link of this pair.
    link: Option<Mailbox>,
    /// A stream of the other side that takes our stanzas as well (XEP-0288), for when there is no
    /// link.
    bidi: Option<Mailbox>,
    rest: Option<Rest>,
    /// The last row of what goes on waiting for the next link, because nobody is there to take it
    /// back.
    owed: Option<i64>,
}

/// Nobody tries to reach the other side for a while.
#[derive(Clone, Debug)]
pub(super) struct Rest {
    /// Until then.
    pub(super) until: Instant,
    /// How often it was in vain, one time after the other.
    pub(super) failures: u32,
    /// What everybody is told meanwhile.
    pub(super) error: StanzaError,
}

/// What there is for a pair.
pub(super) enum Found {
    /// A letter box of somebody who has a way out, or looks for one.
    Way(Mailbox),
    /// It was in vain a moment ago.
    Resting(StanzaError),
    /// Nothing.
    Nothing,
}

/// There are too many links.
#[derive(Debug)]
pub(super) struct TooMany;

impl Entry {
    fn is_used(&self) -> bool {
        self.link.is_some() || self.bidi.is_some() || self.owed.is_some()
    }

    fn way(&self) -> Option<&Mailbox> {
        self.link.as_ref().or(self.bidi.as_ref())
    }
}

impl Pairs {
    fn entry(&self, ours: &str, peer: &str) -> Option<&Entry> {
        self.by_peer.get(peer)?.iter().find(|entry| &*entry.ours == ours)
    }

    fn entry_mut(&mut self, pair: &Pair) -> Option<&mut Entry> {
        self.by_peer.get_mut(&pair.to)?.iter_mut().find(|entry| entry.ours == pair.from)
    }

    /// The way that is there already.
    pub(super) fn way(&self, ours: &str, peer: &str) -> Option<Mailbox> {
        self.entry(ours, peer)?.way().cloned()
    }

    /// What there is for a pair.
    pub(super) fn find(&self, ours: &str, peer: &str, now: Instant) -> Found {
        let Some(entry) = self.entry(ours, peer) else { return Found::Nothing };
        match (entry.way(), &entry.rest) {
            (Some(mailbox), _) => Found::Way(mailbox.clone()),
            (None, Some(rest)) if now < rest.until => Found::Resting(rest.error.clone()),
            _ => Found::Nothing,
        }
    }

    /// A link of this pair begins. Gives the last row of what waits for it.
    pub(super) fn begin(
        &mut self,
        pair: &Pair,
        mailbox: &Mailbox,
        (most, now): (usize, Instant),
    ) -> Result<Option<i64>, TooMany> {
        let entry = self.place(pair, (most, now))?;
        entry.link = Some(mailbox.clone());
        Ok(entry.owed.take())
    }

    /// A stream of the other side takes stanzas of this pair.
    pub(super) fn open(
        &mut self,
        pair: &Pair,
        mailbox: &Mailbox,
        (most, now): (usize, Instant),
    ) -> Result<(), TooMany> {
        let entry = self.place(pair, (most, now))?;
        (entry.bidi, entry.rest) = (Some(mailbox.clone()), None);
        Ok(())
    }

    fn place(&mut self, pair: &Pair, (most, now): (usize, Instant)) -> Result<&mut Entry, TooMany> {
        let is_known = self.entry(&pair.from, &pair.to).is_some();
        if !is_known {
            self.sweep(now);
            if self.count >= most {
                // Rests spare calls in vain; they keep nobody from another server.
                self.retain(|_| false);
            }
            if self.count >= most {
                return Err(TooMany);
            }
            self.count += 1;
        }
        let entries = self.by_peer.entry(Arc::clone(&pair.to)).or_default();
        let at = entries.iter().position(|entry| entry.ours == pair.from).unwrap_or_else(|| {
            let ours = Arc::clone(&pair.from);
            entries.push(Entry { ours, link: None, bidi: None, rest: None, owed: None });
            entries.len() - 1
        });
        Ok(&mut entries[at])
    }

    /// The link of this pair has found its way.
    pub(super) fn reached(&mut self, pair: &Pair) {
        if let Some(entry) = self.entry_mut(pair) {
            entry.rest = None;
        }
    }

    /// Something goes on waiting for the next link of this pair, up to this row.
    pub(super) fn owe(&mut self, pair: &Pair, last: i64) {
        if let Some(entry) = self.entry_mut(pair) {
            entry.owed = Some(last);
        }
    }

    /// Whether something waits that no link has taken along.
    pub(super) fn owes(&self, pair: &Pair) -> bool {
        self.entry(&pair.from, &pair.to).is_some_and(|entry| entry.owed.is_some())
    }

    /// How often the other side was not reached so far, one time after the other.
    pub(super) fn failures(&self, pair: &Pair) -> u32 {
        let entry = self.entry(&pair.from, &pair.to);
        entry.and_then(|entry| entry.rest.as_ref()).map_or(0, |rest| rest.failures)
    }

    /// The link behind `mailbox` ends, if nobody has written to it meanwhile.
    pub(super) fn end(&mut self, pair: &Pair, mailbox: &Mailbox) -> bool {
        let is_empty = mailbox.close_if_empty();
        if is_empty {
            self.forget(pair, mailbox);
        }
        is_empty
    }

    /// The link behind `mailbox` was in vain, and nobody tries for a while. Gives what waited.
    pub(super) fn rest(&mut self, pair: &Pair, mailbox: &Mailbox, rest: Rest) -> Vec<Mail> {
        if let Some(entry) = self.entry_mut(pair) {
            entry.link.take_if(|link| link.is(mailbox));
            entry.rest = Some(rest);
        }
        mailbox.close()
    }

    /// Whatever is behind `mailbox` is gone.
    pub(super) fn forget(&mut self, pair: &Pair, mailbox: &Mailbox) {
        let Some(entry) = self.entry_mut(pair) else { return };
        entry.link.take_if(|link| link.is(mailbox));
        entry.bidi.take_if(|bidi| bidi.is(mailbox));
        if !entry.is_used() && entry.rest.is_none() {
            self.drop_unused(&pair.to, |entry| entry.rest.is_some());
        }
    }

    /// Tries again from now on.
    pub(super) fn forgive(&mut self, peer: &str) {
        if let Some(entries) = self.by_peer.get_mut(peer) {
            entries.iter_mut().for_each(|entry| entry.rest = None);
        }
        self.drop_unused(peer, |_| false);
    }

    fn drop_unused(&mut self, peer: &str, is_kept: impl Fn(&Entry) -> bool) {
        let Some(entries) = self.by_peer.get_mut(peer) else { return };
        let before = entries.len();
        entries.retain(|entry| entry.is_used() || is_kept(entry));
        self.count -= before - entries.len();
        if entries.is_empty() {
            self.by_peer.remove(peer);
        }
    }

    /// Forgets rests that were over long ago.
    fn sweep(&mut self, now: Instant) {
        if self.swept.is_some_and(|at| now < at + SWEEP) {
            return;
        }
        self.swept = Some(now);
        let is_fresh = |rest: &Rest| now < rest.until + 10 * SWEEP;
        self.retain(|entry| entry.rest.as_ref().is_some_and(is_fresh));
    }

    /// Forgets all that have no way but those to be kept.
    fn retain(&mut self, is_kept: impl Fn(&Entry) -> bool) {
        let mut count = 0;
        self.by_peer.retain(|_, entries| {
            entries.retain(|entry| entry.is_used() || is_kept(entry));
            count += entries.len();
            !entries.is_empty()
        });
        self.count = count;
    }

    /// Every pair: ours, the other's, its way if it has one, and its rest.
    pub(super) fn all(
        &self,
    ) -> impl Iterator<Item = (&Arc<str>, &Arc<str>, Option<&Mailbox>, Option<&Rest>)> {
        self.by_peer.iter().flat_map(|(peer, entries)| {
            entries.iter().map(move |it| (&it.ours, peer, it.way(), it.rest.as_ref()))
        })
    }
}

/// How long nobody tries after so many failures, one after the other: from `first` on twice as long
/// each time, and no longer than `most`; a quarter more or less as the dice fall, so that those who
/// failed together do not try together.
pub(super) fn rest_of(failures: u32, first: Duration, most: Duration, dice: u16) -> Duration {
    let doubled = first.saturating_mul(1 << failures.saturating_sub(1).min(20));
    let span = doubled.min(most);
    span * 3 / 4 + span / 2 * u32::from(dice) / u32::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use waxwing_stanza::{PresenceType, Stanza};

    use super::*;
    use crate::clock::Clock;
    use crate::mailbox::Delivery;

    fn pair(peer: &str) -> Pair {
        Pair { from: "here.example".into(), to: peer.into() }
    }

    fn rest(until: Instant, failures: u32) -> Rest {
        Rest { until, failures, error: StanzaError::remote_server_timeout() }
    }

    fn mailbox() -> Mailbox {
        Mailbox::patient(4, 10_000)
    }

    fn now() -> Instant {
        Clock::simulated(0, 1).now()
    }

    #[test]
    fn a_link_that_ends_with_a_letter_in_its_box_does_not_end() {
        let (mut pairs, pair, mailbox, now) = (Pairs::default(), pair("a"), mailbox(), now());
        pairs.begin(&pair, &mailbox, (9, now)).unwrap();
        let found = pairs.way("here.example", "a").unwrap();
        found.deliver(Delivery::new(Stanza::presence(PresenceType::Available))).unwrap();
        assert!(!pairs.end(&pair, &mailbox) && pairs.way("here.example", "a").is_some());
        assert!(mailbox.try_next_delivery().is_some());
        assert!(pairs.end(&pair, &mailbox));
        assert!(matches!(pairs.find("here.example", "a", now), Found::Nothing));
        assert_eq!(pairs.count, 0);
        assert!(found.deliver(Delivery::new(Stanza::presence(PresenceType::Available))).is_err());
    }

    #[test]
    fn who_was_not_reached_is_left_alone_for_a_while() {
        let (mut pairs, pair, mailbox, now) = (Pairs::default(), pair("a"), mailbox(), now());
        pairs.begin(&pair, &mailbox, (9, now)).unwrap();
        let later = now + Duration::from_secs(10);
        assert!(pairs.rest(&pair, &mailbox, rest(later, 1)).is_empty());
        assert!(matches!(pairs.find("here.example", "a", now), Found::Resting(_)));
        assert!(matches!(pairs.find("other.example", "a", now), Found::Nothing), "not for others");
        assert!(matches!(pairs.find("here.example", "a", later), Found::Nothing));
        assert_eq!(pairs.failures(&pair), 1);
        let next = self::mailbox();
        pairs.begin(&pair, &next, (9, later)).unwrap();
        assert_eq!(pairs.failures(&pair), 1, "until it is reached");
        pairs.reached(&pair);
        assert_eq!(pairs.failures(&pair), 0);
        pairs.rest(&pair, &next, rest(later, 2));
        pairs.forgive("a");
        assert!(matches!(pairs.find("here.example", "a", now), Found::Nothing));
        assert_eq!(pairs.count, 0);
    }

    #[test]
    fn there_are_so_many_and_what_is_long_over_makes_room() {
        let (mut pairs, now) = (Pairs::default(), now());
        for peer in ["a", "b"] {
            pairs.begin(&pair(peer), &mailbox(), (2, now)).unwrap();
        }
        assert!(pairs.begin(&pair("c"), &mailbox(), (2, now)).is_err());
        let held = pairs.way("here.example", "b").unwrap();
        pairs.rest(&pair("b"), &held, rest(now, 1));
        pairs.owe(&pair("b"), 7);
        pairs.forgive("b");
        let later = now + 20 * SWEEP;
        assert!(pairs.begin(&pair("c"), &mailbox(), (2, later)).is_err(), "something waits for b");
        let held = mailbox();
        assert_eq!(pairs.begin(&pair("b"), &held, (2, later)).unwrap(), Some(7));
        pairs.rest(&pair("b"), &held, rest(later + 100 * SWEEP, 2));
        pairs.begin(&pair("c"), &mailbox(), (2, later)).unwrap();
        assert_eq!(pairs.all().count(), 2, "who rests makes room");
        assert!(pairs.way("here.example", "a").is_some(), "links stay");
    }

    #[test]
    fn a_stream_of_the_other_side_serves_where_there_is_no_link() {
        let (mut pairs, pair, now) = (Pairs::default(), pair("a"), now());
        let (arrival, link) = (mailbox(), mailbox());
        pairs.open(&pair, &arrival, (9, now)).unwrap();
        assert!(pairs.way("here.example", "a").unwrap().is(&arrival));
        pairs.begin(&pair, &link, (9, now)).unwrap();
        assert!(pairs.way("here.example", "a").unwrap().is(&link));
        assert!(pairs.end(&pair, &link));
        assert!(pairs.way("here.example", "a").unwrap().is(&arrival));
        pairs.forget(&pair, &arrival);
        assert_eq!((pairs.count, pairs.all().count()), (0, 0));
    }

    #[test]
    fn rests_grow_and_have_an_end_and_are_not_the_same_for_all() {
        let (first, most) = (Duration::from_secs(10), Duration::from_secs(600));
        let shortest = |failures| rest_of(failures, first, most, 0).as_secs_f64();
        let longest = |failures| rest_of(failures, first, most, u16::MAX).as_secs_f64();
        assert_eq!((shortest(1), longest(1)), (7.5, 12.5));
        assert_eq!((shortest(2), longest(2)), (15.0, 25.0));
        assert_eq!((shortest(40), longest(u32::MAX)), (450.0, 750.0));
    }
}
