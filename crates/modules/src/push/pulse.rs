//! What one push service was told, and is to be told next: one notification is on its way at a
//! time, and what happens meanwhile is in the next.

use std::collections::VecDeque;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::pin::pin;

use parking_lot::Mutex;
use tokio::sync::Notify;
use waxwing_jid::Jid;

use super::matter::{News, Weight};

/// Messages that are remembered as told, so that none is told twice when it changes sessions.
const TOLD: usize = 32;

/// The state of one registration. In memory only: after a restart counting begins anew.
#[derive(Default)]
pub(super) struct Pulse {
    beat: Mutex<Beat>,
    /// Something came that cannot wait.
    hurry: Notify,
}

#[derive(Default)]
struct Beat {
    /// Messages since its client was last connected.
    messages: u32,
    /// Requests to see the account's presence since then.
    requests: u32,
    next: Option<Summary>,
    is_busy: bool,
    failures: u32,
    told: VecDeque<u64>,
}

/// What a notification tells.
#[derive(Clone, Debug)]
pub(super) struct Summary {
    pub(super) weight: Weight,
    pub(super) messages: u32,
    pub(super) requests: u32,
    pub(super) sender: Option<Jid>,
    pub(super) body: Option<String>,
}

impl Pulse {
    /// Takes in a message. Whether somebody must begin to tell: then the pulse is busy until
    /// [`Pulse::next`] finds nothing.
    pub(super) fn message(&self, news: News) -> bool {
        let mut beat = self.beat.lock();
        if let Some(id) = &news.id {
            let mut hasher = DefaultHasher::new();
            (id, news.sender.as_ref().map(Jid::as_str)).hash(&mut hasher);
            let identity = hasher.finish();
            if beat.told.contains(&identity) {
                return false;
            }
            if beat.told.len() == TOLD {
                beat.told.pop_front();
            }
            beat.told.push_back(identity);
        }
        beat.messages = beat.messages.saturating_add(1);
        let weight = news.weight;
        self.merge(&mut beat, weight, news.sender, news.body)
    }

    /// Takes in that somebody asks to see the account's presence.
    pub(super) fn request(&self) -> bool {
        let mut beat = self.beat.lock();
        beat.requests = beat.requests.saturating_add(1);
        self.merge(&mut beat, Weight::Normal, None, None)
    }

    fn merge(
        &self,
        beat: &mut Beat,
        weight: Weight,
        sender: Option<Jid>,
        body: Option<String>,
    ) -> bool {
        let (messages, requests) = (beat.messages, beat.requests);
        let before = beat.next.take();
        let weight = before.as_ref().map_or(weight, |before| before.weight.max(weight));
        // The last message counts, and a request says nothing of one.
        let (sender, body) = match before {
            Some(before) if sender.is_none() => (before.sender, before.body),
            _ => (sender, body),
        };
        beat.next = Some(Summary { weight, messages, requests, sender, body });
        if weight == Weight::Call {
            self.hurry.notify_one();
        }
        !std::mem::replace(&mut beat.is_busy, true)
    }

    /// What is to be told now. Nothing: whoever told is done.
    pub(super) fn next(&self) -> Option<Summary> {
        let mut beat = self.beat.lock();
        let next = beat.next.take();
        beat.is_busy = next.is_some();
        // What was urgent goes out with this: the pause behind it is a whole one.
        pin!(self.hurry.notified()).enable();
        next
    }

    /// It was told.
    pub(super) fn succeeded(&self) {
        self.beat.lock().failures = 0;
    }

    /// It could not be told `summary`, which is due again unless there is newer by now. How often
    /// in a row this was so; what was tried ahead of time (`is_hurried`) does not count, or whoever
    /// calls again and again would use up the patience with a service that rests for a minute.
    pub(super) fn failed(&self, summary: Summary, is_hurried: bool) -> u32 {
        let mut beat = self.beat.lock();
        if !is_hurried || beat.failures == 0 {
            beat.failures = beat.failures.saturating_add(1);
        }
        beat.next.get_or_insert(summary);
        beat.failures
    }

    /// Its client was connected until now. What came in the moment since then is still to be told.
    pub(super) fn recount(&self) {
        let mut beat = self.beat.lock();
        (beat.messages, beat.requests) = (0, 0);
    }

    /// Its client is connected and sees for itself.
    pub(super) fn reset(&self) {
        let mut beat = self.beat.lock();
        (beat.messages, beat.requests, beat.next) = (0, 0, None);
    }

    /// Resolves when something came that cannot wait.
    pub(super) async fn hurried(&self) {
        self.hurry.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;

    fn news(weight: Weight, id: &str) -> News {
        let sender = Jid::new("juliet@localhost/desk").ok();
        let (body, id) = (Some(id.to_owned()), Some(id.to_owned()));
        News { weight, sender, body, id, is_sealed: false, mentioned: Vec::new() }
    }

    #[test]
    fn what_comes_meanwhile_is_in_the_next() {
        let pulse = Pulse::default();
        assert!(pulse.message(news(Weight::High, "1")));
        let first = pulse.next().expect("something to tell");
        assert_eq!((first.messages, first.body.as_deref()), (1, Some("1")));
        assert!(!pulse.message(news(Weight::High, "2")));
        assert!(!pulse.message(news(Weight::Normal, "3")));
        assert!(!pulse.request());
        let second = pulse.next().expect("something to tell");
        assert_eq!((second.messages, second.requests, second.weight), (3, 1, Weight::High));
        assert_eq!(second.body.as_deref(), Some("3"));
        assert!(pulse.next().is_none());
        assert!(pulse.message(news(Weight::High, "4")));
    }

    #[test]
    fn nothing_is_told_twice() {
        let pulse = Pulse::default();
        assert!(pulse.message(news(Weight::High, "1")));
        pulse.next();
        pulse.next();
        assert!(!pulse.message(news(Weight::High, "1")));
        assert!(pulse.next().is_none());
    }

    #[test]
    fn a_call_hurries_once() {
        let is_hurried = |pulse: &Pulse| {
            pin!(pulse.hurried()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
        };
        let pulse = Pulse::default();
        assert!(pulse.message(news(Weight::Call, "1")));
        pulse.next().expect("a call");
        assert!(!is_hurried(&pulse), "it is on its way");
        assert!(!pulse.message(news(Weight::Call, "2")));
        assert!(is_hurried(&pulse) && !is_hurried(&pulse));
    }

    #[test]
    fn what_comes_as_the_client_is_lost_is_told() {
        let pulse = Pulse::default();
        assert!(pulse.message(news(Weight::High, "1")));
        pulse.recount();
        assert!(!pulse.message(news(Weight::High, "2")));
        assert_eq!(pulse.next().map(|summary| summary.messages), Some(1));
        pulse.message(news(Weight::High, "3"));
        pulse.recount();
        assert!(pulse.next().is_some());
    }

    #[test]
    fn what_failed_is_due_again() {
        let pulse = Pulse::default();
        pulse.message(news(Weight::High, "1"));
        let first = pulse.next().expect("something to tell");
        assert_eq!(pulse.failed(first, false), 1);
        let again = pulse.next().expect("the same");
        assert_eq!(pulse.failed(again, false), 2);
        for _ in 0..20 {
            assert!(!pulse.message(news(Weight::Call, "call")));
            let hurried = pulse.next().expect("a call");
            assert_eq!(pulse.failed(hurried, true), 2);
        }
        pulse.succeeded();
        pulse.reset();
        assert!(pulse.next().is_none());
        pulse.message(news(Weight::High, "2"));
        let fresh = pulse.next().expect("something to tell");
        assert_eq!((fresh.messages, pulse.failed(fresh, true)), (1, 1));
    }
}
