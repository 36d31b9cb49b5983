//! One who speaks, one who listens, and what is checked between them.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{Interval, MissedTickBehavior};

use crate::Outcome;
use crate::client::{Client, attribute};
use crate::clock::now;
use crate::latency::Latencies;
use crate::progress::Progress;
use crate::run::Window;
use crate::timer::Timer;

/// How long a listener waits behind the last message for one too many.
const STRAY: Duration = Duration::from_millis(300);
/// How often a pair that hears nothing looks at the clock.
const TICK: Duration = Duration::from_millis(100);
/// What may wait for the socket before no more is written, in bytes. It stays due meanwhile.
const BACKLOG_BYTES: usize = 1 << 18;

/// When the speaker speaks.
pub(super) enum Rhythm {
    /// When fewer than so many messages are on their way.
    Closed { window: u64 },
    /// At fixed moments.
    Open { first: Instant, interval: Duration, timer: Box<Timer> },
}

impl Rhythm {
    pub(super) fn open(first: Instant, interval: Duration) -> Outcome<Self> {
        Ok(Self::Open { first, interval, timer: Box::new(Timer::new()?) })
    }

    /// When this message is due, where that was fixed.
    fn due(&self, number: u64) -> Option<Instant> {
        match self {
            Self::Closed { .. } => None,
            Self::Open { first, interval, .. } => Some(*first + interval.mul_f64(number as f64)),
        }
    }

    /// Waits until it is.
    async fn wait(&mut self, number: u64) -> Outcome<()> {
        let due = self.due(number);
        match (self, due) {
            (Self::Open { timer, .. }, Some(due)) => timer.until(due).await,
            _ => std::future::pending().await,
        }
    }
}

pub(super) struct Pair {
    pub(super) speaker: Client,
    pub(super) listener: Client,
    pub(super) text: Text,
    pub(super) rhythm: Rhythm,
    pub(super) window: Arc<Window>,
    pub(super) progress: Arc<Progress>,
    /// How long one message may take.
    pub(super) patience: Duration,
}

/// What a pair has to tell in the end.
#[derive(Default)]
pub(super) struct Heard {
    /// From when a message was sent, or was due, until it arrived.
    pub(super) latencies: Latencies,
    /// From when a message was due until it was written.
    pub(super) lateness: Latencies,
}

impl Pair {
    /// Talks until the window is over and everything has arrived.
    pub(super) async fn talk(mut self) -> Outcome<Heard> {
        let (mut said, mut heard) = (0, 0);
        let mut result = Heard::default();
        let mut since = VecDeque::new();
        let mut ticks = ticks();
        let mut last = now();
        loop {
            let is_over = self.window.is_over();
            if !is_over {
                said += self.say(said, heard, &mut since, &mut result);
            } else if said == heard {
                break;
            }
            let is_due = !is_over && self.speaker.waiting() < BACKLOG_BYTES;
            tokio::select! {
                biased;
                word = first_message(&mut self.speaker) => {
                    return Err(format!("the speaker gets an answer: {}", word?));
                }
                message = first_message(&mut self.listener) => {
                    last = now();
                    let mut next = Some(message?);
                    // What came together is answered together.
                    while let Some(message) = next {
                        check(&message, heard)?;
                        heard += 1;
                        self.progress.count();
                        if let Some(since) = since.pop_front() && self.window.has(since) {
                            result.latencies.record(last - since);
                        }
                        next = self.listener.message();
                    }
                }
                rung = self.rhythm.wait(said), if is_due => rung?,
                _ = ticks.tick() => {
                    if said > heard && last.elapsed() > self.patience {
                        let seconds = self.patience.as_secs();
                        return Err(format!("message {heard} has not come within {seconds} s"));
                    }
                }
            }
        }
        match tokio::time::timeout(STRAY, first_message(&mut self.listener)).await {
            Err(_) => Ok(result),
            Ok(Ok(stray)) => Err(format!("a message too many: {stray}")),
            Ok(Err(reason)) => Err(reason),
        }
    }

    /// Puts on its way what is due; gives how many messages that were.
    fn say(
        &mut self,
        said: u64,
        heard: u64,
        since: &mut VecDeque<Instant>,
        result: &mut Heard,
    ) -> u64 {
        let mut more = 0;
        let moment = now();
        loop {
            let number = said + more;
            let start = match (&self.rhythm, self.rhythm.due(number)) {
                (_, Some(due)) if due <= moment && self.speaker.waiting() < BACKLOG_BYTES => due,
                (Rhythm::Closed { window }, _) if number - heard < *window => moment,
                _ => return more,
            };
            if self.window.has(start) {
                result.lateness.record(moment - start);
            }
            self.text.say(&mut self.speaker, number);
            since.push_back(start);
            more += 1;
        }
    }
}

fn ticks() -> Interval {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// The next message; presence and the like pass by.
async fn first_message(client: &mut Client) -> Outcome<String> {
    loop {
        let element = client.next().await?;
        if element.starts_with("<message") {
            return Ok(element);
        }
    }
}

/// Exactly this message is due: none is lost, none comes twice, none overtakes.
fn check(message: &str, due: u64) -> Outcome<()> {
    let number: Option<u64> =
        attribute(message, "id").and_then(|id| id.strip_prefix('m')?.parse().ok());
    match number {
        Some(number) if number == due && attribute(message, "type") != Some("error") => Ok(()),
        _ => Err(format!("message {due} was due, and this came: {message}")),
    }
}

/// What is said.
pub(super) struct Text {
    to: String,
    body: String,
    buffer: String,
}

impl Text {
    pub(super) fn new(to: &str, bytes: usize) -> Self {
        let mut text = Self { to: to.to_owned(), body: String::new(), buffer: String::new() };
        text.write(0);
        let room = bytes.saturating_sub(text.buffer.len() + "<message".len());
        text.body = "What is in a name? ".chars().cycle().take(room).collect();
        text
    }

    fn say(&mut self, speaker: &mut Client, number: u64) {
        self.write(number);
        let stanza = speaker.stanza("<message", &self.buffer);
        speaker.push(&stanza);
    }

    fn write(&mut self, number: u64) {
        let Self { to, body, buffer } = self;
        buffer.clear();
        write!(
            buffer,
            " type='chat' to='{to}' id='m{number}'><body>{body}</body>\
             <active xmlns='http://jabber.org/protocol/chatstates'/>\
             <origin-id xmlns='urn:xmpp:sid:0' id='m{number}'/></message>"
        )
        .expect("strings take every write");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_message_that_is_due_will_do() {
        assert!(check("<message id='m7' type='chat'/>", 7).is_ok());
        assert!(check("<message id='m8'/>", 7).is_err(), "one is lost");
        assert!(check("<message id='m6'/>", 7).is_err(), "one comes twice, or late");
        assert!(check("<message id='m7' type='error'/>", 7).is_err(), "one comes back");
        assert!(check("<message/>", 7).is_err(), "a stranger");
    }

    #[test]
    fn a_text_has_the_size_that_was_asked_for() {
        let mut text = Text::new("romeo@localhost/load", 400);
        text.write(5);
        assert_eq!(text.buffer.len() + "<message".len(), 400);
    }

    #[tokio::test]
    async fn in_open_loop_the_schedule_does_not_wait_for_the_server() {
        let first = now();
        let rhythm = Rhythm::open(first, Duration::from_millis(2)).expect("a timer");
        assert_eq!(rhythm.due(0), Some(first));
        assert_eq!(rhythm.due(500), Some(first + Duration::from_secs(1)));
    }
}
