//! What comes twice because a stream broke: the other server sends again what nobody has
//! acknowledged, and some of that had arrived (XEP-0198 §4).
//!
//! What the streams of a pair have brought lately is remembered by a hash. Who begins a stream for
//! the pair within a minute is compared with it for a minute: the same stanza, of the same sender
//! with the same id, is the same.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use waxwing_stanza::{Kind, Stanza};
use waxwing_stream::Pair;

/// Stanzas of a pair that are remembered. More than that are seldom unacknowledged: after every few
/// the other server is told what has arrived.
const REMEMBERED: usize = 256;

/// How long after a stream another one may repeat it.
const MEMORY: Duration = Duration::from_secs(60);

/// What all pairs have brought lately.
#[derive(Default)]
pub(super) struct Echoes {
    pairs: HashMap<Pair, Arc<Mutex<Heard>>>,
}

/// What a pair has brought lately, on whatever stream.
struct Heard {
    names: VecDeque<u64>,
    last: Instant,
}

/// A stream of a pair that may repeat what another had brought.
pub(super) struct Echo {
    heard: Arc<Mutex<Heard>>,
    /// What was there before this stream.
    before: Vec<u64>,
    until: Instant,
}

impl Echoes {
    /// A stream begins. Pairs that nobody has used for long are forgotten.
    pub(super) fn begin(&mut self, pair: &Pair, now: Instant) -> Echo {
        let heard = match self.pairs.get(pair) {
            Some(heard) => Arc::clone(heard),
            None => {
                self.pairs.retain(|_, heard| {
                    Arc::strong_count(heard) > 1 || heard.lock().last + MEMORY > now
                });
                let heard = Arc::new(Mutex::new(Heard { names: VecDeque::new(), last: now }));
                self.pairs.insert(pair.clone(), Arc::clone(&heard));
                heard
            }
        };
        let before = {
            let heard = heard.lock();
            let is_recent = heard.last + MEMORY > now;
            heard.names.iter().copied().filter(|_| is_recent).collect()
        };
        Echo { heard, before, until: now + MEMORY }
    }
}

impl Echo {
    /// Whether a stanza has come before, on another stream; else it is remembered.
    pub(super) fn repeats(&mut self, stanza: &Stanza, now: Instant) -> bool {
        let Some(name) = name(stanza) else { return false };
        if now >= self.until {
            self.before = Vec::new();
        }
        if let Some(at) = self.before.iter().position(|known| *known == name) {
            // Once is a repetition; twice is somebody who says it again.
            self.before.swap_remove(at);
            return true;
        }
        let mut heard = self.heard.lock();
        heard.last = now;
        if heard.names.len() >= REMEMBERED {
            heard.names.pop_front();
        }
        heard.names.push_back(name);
        false
    }
}

/// What stands for the whole stanza. Without an id nobody can tell it from another. A request is
/// never taken for a repetition: whoever asks again under the same id waits for an answer.
fn name(stanza: &Stanza) -> Option<u64> {
    let head = &stanza.head;
    if !matches!(head.kind, Kind::Message(_)) {
        return None;
    }
    let mut hasher = DefaultHasher::new();
    (head.id.as_ref()?, head.kind).hash(&mut hasher);
    for address in [&head.from, &head.to] {
        address.as_ref()?.as_str().hash(&mut hasher);
    }
    for child in stanza.body.children() {
        child.as_str().hash(&mut hasher);
    }
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    use waxwing_stanza::MessageType;

    use super::*;
    use crate::clock::Clock;

    fn message(id: &str, text: &str) -> Stanza {
        let address = |name: &str| waxwing_jid::Jid::new(name).unwrap();
        let message = Stanza::message(MessageType::Chat).id(id);
        let message = message.from(address("a@far.example/x")).to(address("b@near.example"));
        message.with(format!("<body>{text}</body>"))
    }

    #[test]
    fn what_a_broken_stream_had_brought_is_known_once() {
        let mut echoes = Echoes::default();
        let pair = Pair::new("far.example", "near.example");
        let now = Clock::simulated(0, 1).now();
        let mut first = echoes.begin(&pair, now);
        assert!(!first.repeats(&message("1", "O"), now));
        assert!(!first.repeats(&message("2", "Romeo"), now));
        assert!(!first.repeats(&message("2", "Romeo"), now), "on one stream nothing comes twice");
        drop(first);
        let mut second = echoes.begin(&pair, now + Duration::from_secs(5));
        let soon = now + Duration::from_secs(6);
        assert!(second.repeats(&message("1", "O"), soon));
        assert!(!second.repeats(&message("1", "O"), soon), "said again");
        assert!(!second.repeats(&message("2", "Juliet"), soon), "another with the same id");
        assert!(!second.repeats(&message("2", "Romeo"), now + Duration::from_secs(66)), "late");
        let mut third = echoes.begin(&Pair::new("far.example", "chat.near.example"), soon);
        assert!(!third.repeats(&message("1", "O"), soon));
    }

    #[test]
    fn pairs_and_stanzas_are_bounded() {
        let mut echoes = Echoes::default();
        let now = Clock::simulated(0, 1).now();
        let mut echo = echoes.begin(&Pair::new("a", "b"), now);
        for number in 0..1000 {
            assert!(!echo.repeats(&message(&number.to_string(), ""), now));
        }
        assert_eq!(echo.heard.lock().names.len(), REMEMBERED);
        drop(echo);
        for number in 0..100 {
            let pair = Pair::new(number.to_string(), "b");
            drop(echoes.begin(&pair, now + 2 * MEMORY * (number + 1)));
        }
        assert!(echoes.pairs.len() <= 2, "{}", echoes.pairs.len());
    }
}
