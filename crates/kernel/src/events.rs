//! What happens on the server, told to programs that watch.
//!
//! Mostly nobody watches, and then telling costs one atomic read. Once somebody did, the newest
//! events are kept for a while, so that who loses the connection and comes back misses nothing.
//! What is kept is the queue of every listener as well: one that is so slow that its next event has
//! been dropped is told so.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use waxwing_stream::StreamError;

use crate::hub::Hub;

/// How long events are kept after the last listener left.
const LINGER: Duration = Duration::from_secs(10 * 60);

/// The longest text in an event, in characters.
const TEXT_CHARS: usize = 500;

/// A kind of event, as it is declared.
#[derive(Debug)]
pub struct EventAbout {
    /// What it is about and what happened: `session.opened`.
    pub name: &'static str,
    /// When it is told, in one sentence.
    pub about: &'static str,
    /// What it says, and what that means.
    pub fields: &'static [(&'static str, &'static str)],
}

/// A session began.
pub static SESSION_OPENED: EventAbout = EventAbout {
    name: "session.opened",
    about: "A session began.",
    fields: &[("jid", "Its full address."), ("transport", "How its client is connected.")],
};

/// A session ended.
pub static SESSION_CLOSED: EventAbout = EventAbout {
    name: "session.closed",
    about: "A session ended; one that waits to be resumed has not.",
    fields: &[("jid", "Its full address.")],
};

/// Somebody did not prove who they are.
pub static SIGNIN_FAILED: EventAbout = EventAbout {
    name: "signin.failed",
    about: "Somebody could not sign in, or showed a token that is none.",
    fields: &[
        ("jid", "The account, if one was named."),
        ("peer", "The address of the network that it came from."),
        ("condition", "The condition that the client was told."),
    ],
};

/// An account was made.
pub static ACCOUNT_CREATED: EventAbout = EventAbout {
    name: "account.created",
    about: "An account was made, by an admin or by its owner.",
    fields: &[("jid", "Its address.")],
};

/// An account was removed.
pub static ACCOUNT_REMOVED: EventAbout = EventAbout {
    name: "account.removed",
    about: "An account was removed with everything it owned.",
    fields: &[("jid", "Its address.")],
};

/// An account was disabled.
pub static ACCOUNT_DISABLED: EventAbout = EventAbout {
    name: "account.disabled",
    about: "An account was kept from signing in.",
    fields: &[("jid", "Its address."), ("reason", "What its owner is told.")],
};

/// An account was enabled.
pub static ACCOUNT_ENABLED: EventAbout = EventAbout {
    name: "account.enabled",
    about: "A disabled account may sign in again.",
    fields: &[("jid", "Its address.")],
};

/// Somebody met a limit.
static LIMIT_HIT: EventAbout = EventAbout {
    name: "limit.hit",
    about: "A connection was ended with `policy-violation` or `resource-constraint`.",
    fields: &[
        ("who", "The full address of the session, or of the network where there is none yet."),
        ("condition", "The condition that the client was told."),
        ("text", "What it was told besides."),
    ],
};

/// What the kernel itself tells, or several modules do.
pub(crate) static OWN: [&EventAbout; 8] = [
    &ACCOUNT_CREATED,
    &ACCOUNT_DISABLED,
    &ACCOUNT_ENABLED,
    &ACCOUNT_REMOVED,
    &LIMIT_HIT,
    &SESSION_CLOSED,
    &SESSION_OPENED,
    &SIGNIN_FAILED,
];

/// Something that happened.
#[derive(Debug)]
pub struct Event {
    /// Greater than that of every event before it, also across restarts.
    pub id: u64,
    /// Unix time in milliseconds.
    pub at_millis: u64,
    /// The domain where it happened.
    pub host: Box<str>,
    /// What kind of event it is.
    pub about: &'static EventAbout,
    /// What it says.
    pub data: Map<String, Value>,
}

/// What a listener gets.
#[derive(Debug)]
pub enum Heard {
    /// Something happened.
    Event(Arc<Event>),
    /// Some of what happened since the listener was here last is not known any more. What is, and
    /// what comes, follows.
    Gap,
    /// The listener was so slow that events are lost to it. Nothing follows.
    TooSlow,
    /// The server is about to end. Nothing follows.
    End,
}

/// All events of a server.
pub(crate) struct Events {
    /// Whether events are kept at all.
    is_awake: AtomicBool,
    state: Mutex<State>,
    /// The id of the newest.
    news: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    kept: VecDeque<Arc<Event>>,
    /// Every event with a greater id is kept.
    since: u64,
    listeners: usize,
    /// When the last listener left.
    left: Option<Instant>,
    is_over: bool,
}

impl Default for Events {
    fn default() -> Self {
        let news = watch::Sender::new(0);
        Self { is_awake: AtomicBool::new(false), state: Mutex::default(), news }
    }
}

impl Events {
    /// Lets every listener end.
    pub(crate) fn end(&self) {
        self.state.lock().is_over = true;
        self.news.send_modify(|_| {});
    }
}

impl Hub {
    /// Whether somebody watches, or did a while ago. Costs one atomic read.
    pub fn is_watched(&self) -> bool {
        self.events().is_awake.load(Ordering::Relaxed)
    }

    /// Tells those who watch what happened on `host`; `data`, an object, is not made when nobody
    /// does.
    pub fn tell(&self, host: &str, about: &'static EventAbout, data: impl FnOnce() -> Value) {
        if self.is_watched() {
            self.tell_watchers(host, about, data());
        }
    }

    /// Tells of a stream of `who` that ends with `error`, if that is because of a limit.
    pub(crate) fn tell_limit(&self, host: &str, error: &StreamError, who: impl FnOnce() -> String) {
        let condition = error.condition.name();
        if matches!(condition, "policy-violation" | "resource-constraint") {
            self.tell(
                host,
                &LIMIT_HIT,
                || json!({ "who": who(), "condition": condition, "text": error.text }),
            );
        }
    }

    #[cold]
    fn tell_watchers(&self, host: &str, about: &'static EventAbout, data: Value) {
        let Value::Object(mut data) = data else { return };
        data.values_mut().for_each(shorten);
        let (events, most) = (self.events(), self.limits().events_kept.max(1));
        let mut state = events.state.lock();
        let is_forgotten = |left| self.clock().now().saturating_duration_since(left) >= LINGER;
        if state.listeners == 0 && state.left.is_none_or(is_forgotten) {
            events.is_awake.store(false, Ordering::Relaxed);
            state.kept.clear();
            return;
        }
        // The id is drawn under the lock: what is kept is in order.
        let (id, at_millis) = (self.next_id(), self.clock().wall_millis());
        state.kept.push_back(Arc::new(Event { id, at_millis, host: host.into(), about, data }));
        while state.kept.len() > most {
            state.since = state.kept.pop_front().map_or(state.since, |oldest| oldest.id);
        }
        drop(state);
        events.news.send_replace(id);
    }

    /// Listens to what happens on `host` from now on, or behind the event that was heard last.
    pub fn listen(&self, host: &str, last: Option<u64>) -> Listener {
        let events = self.events();
        let news = events.news.subscribe();
        let mut state = events.state.lock();
        if !events.is_awake.swap(true, Ordering::Relaxed) {
            state.kept.clear();
            state.since = self.next_id();
        }
        state.listeners += 1;
        let newest = state.kept.back().map_or(state.since, |event| event.id);
        let at = last.map_or(newest, |last| last.clamp(state.since, newest));
        let has_gap = last.is_some_and(|last| last != at);
        drop(state);
        Listener { hub: self.clone(), host: host.into(), at, has_gap, news }
    }
}

/// Somebody who watches; until this is dropped.
pub struct Listener {
    hub: Hub,
    host: Box<str>,
    /// The last event that was heard or passed over.
    at: u64,
    has_gap: bool,
    news: watch::Receiver<u64>,
}

impl Listener {
    /// The id of the event behind which it listens.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Waits for the next thing. To be asked again after a wait that was given up.
    pub async fn next(&mut self) -> Heard {
        if std::mem::take(&mut self.has_gap) {
            return Heard::Gap;
        }
        loop {
            // Before the look, so that nothing comes between the look and the wait.
            self.news.borrow_and_update();
            if let Some(heard) = self.look() {
                return heard;
            }
            if self.news.changed().await.is_err() {
                return Heard::End;
            }
        }
    }

    fn look(&mut self) -> Option<Heard> {
        let state = self.hub.events().state.lock();
        if self.at < state.since {
            return Some(Heard::TooSlow);
        }
        let first = state.kept.partition_point(|event| event.id <= self.at);
        let next = state.kept.range(first..).find(|event| event.host == self.host);
        match next {
            Some(event) => {
                self.at = event.id;
                Some(Heard::Event(Arc::clone(event)))
            }
            None => {
                self.at = state.kept.back().map_or(self.at, |newest| newest.id);
                state.is_over.then_some(Heard::End)
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut state = self.hub.events().state.lock();
        state.listeners -= 1;
        state.left = Some(self.hub.clock().now());
    }
}

/// No event takes much room, whatever somebody wrote.
fn shorten(value: &mut Value) {
    if let Value::String(text) = value
        && let Some((end, _)) = text.char_indices().nth(TEXT_CHARS)
    {
        text.truncate(end);
        text.push('…');
    }
}
