//! One who speaks, one who listens, and what is checked between them.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use crate::Outcome;
use crate::client::{Client, attribute};
use crate::clock::now;
use crate::latency::Latencies;
use crate::progress::Progress;
use crate::report::{Report, duration};
use crate::run::{Run, Window};
use crate::scenario::rhythm::{BREATH, Rhythm, ticks};

/// How long a listener waits behind the last message for one too many.
const STRAY: Duration = Duration::from_millis(300);
/// What may wait for the socket before no more is written, in bytes. It stays due meanwhile.
const BACKLOG_BYTES: usize = 1 << 18;

/// Parts of a run whose latencies are told apart.
const PARTS: usize = 2;
/// A generator that is so much behind its own schedule is the bottleneck, in microseconds.
const LATE_MICROS: f64 = 2_000.0;

/// How many, how much, how fast.
pub(super) struct Manner {
    pub(super) pairs: u64,
    /// Closed loop: messages of one pair on their way at a time.
    pub(super) window: u64,
    /// Open loop instead: messages a second of all pairs together.
    pub(super) rate: Option<u64>,
    /// Bytes of one message as it is sent, at least.
    pub(super) bytes: u64,
}

/// Starts all pairs; the clients are those with the numbers from 0, two of them each.
pub(super) fn talk(
    run: &Run,
    manner: &Manner,
    clients: Vec<Client>,
) -> Outcome<JoinSet<Outcome<Heard>>> {
    talk_to(run, manner, clients, |number| run.target.full_address(2 * number + 1))
}

/// The same with the addresses of those who listen, by the number of the pair.
pub(super) fn talk_to(
    run: &Run,
    manner: &Manner,
    clients: Vec<Client>,
    address: impl Fn(usize) -> String,
) -> Outcome<JoinSet<Outcome<Heard>>> {
    let mut clients = clients.into_iter();
    let mut pairs = JoinSet::new();
    let start = now() + BREATH;
    for number in 0..manner.pairs as usize {
        let (Some(speaker), Some(listener)) = (clients.next(), clients.next()) else { break };
        let rhythm = match manner.rate {
            None => Rhythm::Closed { window: manner.window },
            Some(rate) => Rhythm::turn(start, rate, (number, manner.pairs))?,
        };
        let pair = Pair {
            speaker,
            listener,
            text: Text::new(&address(number), &run.token, manner.bytes as usize),
            rhythm,
            window: run.window(),
            progress: Arc::clone(&run.progress),
            patience: run.target.patience,
        };
        pairs.spawn(pair.talk());
    }
    Ok(pairs)
}

struct Pair {
    speaker: Client,
    listener: Client,
    text: Text,
    rhythm: Rhythm,
    window: Arc<Window>,
    progress: Arc<Progress>,
    /// How long one message may take.
    patience: Duration,
}

/// What a pair has to tell in the end.
#[derive(Default)]
pub(super) struct Heard {
    /// From when a message was sent, or was due, until it arrived; by the part of the run.
    pub(super) latencies: [Latencies; PARTS],
    /// From when a message was due until it was written.
    pub(super) lateness: Latencies,
}

impl Heard {
    /// What all have to tell together.
    pub(super) fn all(parts: Vec<Self>) -> Self {
        let mut all = Self::default();
        for part in parts {
            all.latencies.iter_mut().zip(&part.latencies).for_each(|(all, part)| all.add(part));
            all.lateness.add(&part.lateness);
        }
        all
    }
}

/// Says how well the generator kept its own schedule, which open loop has.
pub(super) fn punctuality(lateness: &Latencies, report: Report) -> Report {
    let late = lateness.micros(0.99);
    let text = format!("99 % of all messages left within {} of their time", duration(late));
    let warning = "the generator could not keep its own schedule: latencies contain its delay";
    report
        .line("schedule", text, ("generator_late_micros_p99", json!(late)))
        .warning((late > LATE_MICROS).then(|| warning.to_owned()))
}

impl Pair {
    /// Talks until the window is over and everything has arrived.
    async fn talk(mut self) -> Outcome<Heard> {
        let (mut said, mut heard) = (0, 0);
        let mut result = Heard::default();
        let mut since = VecDeque::new();
        let mut ticks = ticks();
        loop {
            said += self.say(said, heard, &mut since, &mut result);
            if said == heard && self.is_done(said) {
                break;
            }
            let is_due = !self.is_done(said) && self.speaker.waiting() < BACKLOG_BYTES;
            tokio::select! {
                biased;
                word = first_message(&mut self.speaker) => {
                    return Err(format!("the speaker gets an answer: {}", word?));
                }
                message = first_message(&mut self.listener) => {
                    let moment = now();
                    let mut next = Some(message?);
                    // What came together is answered together.
                    while let Some(message) = next {
                        next = self.listener.message();
                        if is_stale(&message, &self.text.token) {
                            continue;
                        }
                        check(&message, &self.text.token, heard)?;
                        heard += 1;
                        self.progress.count();
                        if let Some(since) = since.pop_front()
                            && let Some(part) = self.window.part(since)
                        {
                            result.latencies[part].record(moment - since);
                        }
                    }
                }
                rung = self.rhythm.wait(said), if is_due => rung?,
                _ = ticks.tick() => {
                    let due = since.front().copied().or_else(|| self.rhythm.due(said));
                    if due.is_some_and(|due| due + self.patience < now()) {
                        let seconds = self.patience.as_secs();
                        return Err(format!(
                            "message {heard} has not come within {seconds} s: the server is \
                             overloaded, or has lost it; ask for fewer messages, or give it more \
                             time with --patience"
                        ));
                    }
                }
            }
        }
        match tokio::time::timeout(STRAY, first_message(&mut self.listener)).await {
            Err(_) => Ok(result),
            Ok(Ok(stray)) if is_stale(&stray, &self.text.token) => Ok(result),
            Ok(Ok(stray)) => Err(format!("a message too many: {stray}")),
            Ok(Err(reason)) => Err(reason),
        }
    }

    /// Whether no message with this number is to be sent any more. In open loop those that were due
    /// before the end are, however late.
    fn is_done(&self, number: u64) -> bool {
        match self.rhythm.due(number) {
            None => self.window.is_over(),
            Some(due) => !self.window.is_before_end(due),
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
            if self.is_done(number) {
                return more;
            }
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

/// The next message; presence and the like pass by.
async fn first_message(client: &mut Client) -> Outcome<String> {
    loop {
        let element = client.next().await?;
        if element.starts_with("<message") {
            return Ok(element);
        }
    }
}

/// Whether a message is from another run, which ended before the server could hand it over.
fn is_stale(message: &str, token: &str) -> bool {
    let other = attribute(message, "id").and_then(|id| id.strip_prefix('m')?.split_once('-'));
    other.is_some_and(|(other, _)| other != token)
}

/// Exactly this message is due: none is lost, none comes twice, none overtakes.
fn check(message: &str, token: &str, due: u64) -> Outcome<()> {
    let number: Option<u64> = attribute(message, "id")
        .and_then(|id| id.strip_prefix('m')?.strip_prefix(token)?.strip_prefix('-')?.parse().ok());
    match number {
        Some(number) if number == due && attribute(message, "type") != Some("error") => Ok(()),
        _ => Err(format!("message {due} was due, and this came: {message}")),
    }
}

/// What is said.
pub(super) struct Text {
    to: String,
    /// What stands in the ids of this run.
    token: String,
    body: String,
    buffer: String,
}

impl Text {
    fn new(to: &str, token: &str, bytes: usize) -> Self {
        let (to, token) = (to.to_owned(), token.to_owned());
        let mut text = Self { to, token, body: String::new(), buffer: String::new() };
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
        let Self { to, token, body, buffer } = self;
        buffer.clear();
        write!(
            buffer,
            " type='chat' to='{to}' id='m{token}-{number}'><body>{body}</body>\
             <active xmlns='http://jabber.org/protocol/chatstates'/>\
             <origin-id xmlns='urn:xmpp:sid:0' id='m{token}-{number}'/></message>"
        )
        .expect("strings take every write");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_message_that_is_due_will_do() {
        let check = |message| check(message, "ab", 7);
        assert!(check("<message id='mab-7' type='chat'/>").is_ok());
        assert!(check("<message id='mab-8'/>").is_err(), "one is lost");
        assert!(check("<message id='mab-6'/>").is_err(), "one comes twice, or late");
        assert!(check("<message id='mab-7' type='error'/>").is_err(), "one comes back");
        assert!(check("<message/>").is_err(), "a stranger");
    }

    #[test]
    fn what_another_run_left_behind_is_passed_over() {
        assert!(is_stale("<message id='mcd-7'/>", "ab"));
        assert!(!is_stale("<message id='mab-7'/>", "ab") && !is_stale("<message/>", "ab"));
    }

    #[test]
    fn a_text_has_the_size_that_was_asked_for() {
        let mut text = Text::new("romeo@localhost/load", "ab", 400);
        text.write(5);
        assert_eq!(text.buffer.len() + "<message".len(), 400);
    }
}
