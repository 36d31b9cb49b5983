//! The rules of one session: which request comes next, which is held, what each one is answered.

use std::collections::{BTreeMap, VecDeque};
use std::task::Waker;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use waxwing_stream::Outbox;
use waxwing_xml::write;

use super::body::{Answer, Request, Terminal};
use super::letter::Letter;
use crate::limits::Limits;

/// What we speak: BOSH 1.11.
const MINOR: u32 = 11;
/// Requests that may be held at a time, whatever the client wants.
const HOLD_MAX: u32 = 2;
/// How often a client that polls may come with nothing, in seconds.
const POLLING_SECONDS: u32 = 2;
/// How long the answer to a client that polls is waited for, so that it need not come again.
const POLL_WAIT: Duration = Duration::from_millis(100);
/// RFC 7395 §3.6.
const CLOSE: &str = "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>";

/// One session.
pub(super) struct State {
    hold: usize,
    requests: u64,
    wait: Duration,
    inactivity: Duration,
    pause_max: u32,
    is_polling: bool,
    is_legacy: bool,
    /// Whether the client wants to know what has come.
    acks: bool,
    /// The number of the request whose turn it is.
    next: u64,
    /// Requests that came before their turn.
    early: BTreeMap<u64, (Request, oneshot::Sender<Answer>)>,
    /// Requests that are not answered yet, by their numbers.
    held: VecDeque<(u64, oneshot::Sender<Answer>)>,
    /// The last answers, for clients that did not get them.
    answered: VecDeque<(u64, Answer)>,
    /// For the stream.
    inbox: VecDeque<Piece>,
    /// Attributes that the next answer carries.
    attributes: String,
    is_open: bool,
    /// What everybody hears once the session is over.
    over: Option<Answer>,
    pause: Option<Duration>,
    idle_since: Instant,
    /// When a client that polls last came with nothing and left with nothing.
    in_vain_at: Option<Instant>,
    /// Wakes the stream's task.
    pub(super) reader: Option<Waker>,
    /// The same when it has something to say and nobody to say it to.
    pub(super) writer: Option<Waker>,
}

/// What the stream gets.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// One element.
    Message(String),
    /// The client is there.
    Alive,
    /// The client is gone.
    End,
}

/// What a request gets.
pub(super) enum Turn {
    /// This, at once.
    Now(Answer),
    /// An answer to come.
    Later(oneshot::Receiver<Answer>),
}

impl State {
    /// A session as `request` wants it, which is its first. The waiting answer is the request's.
    pub(super) fn new(now: Instant, sid: &str, request: &Request, limits: &Limits) -> (Self, Turn) {
        let terms = &request.terms;
        let wait = terms
            .wait
            .map_or(limits.bosh_wait_seconds, |wanted| wanted.min(limits.bosh_wait_seconds));
        let hold = terms.hold.unwrap_or(1).min(HOLD_MAX);
        let is_polling = wait == 0 || hold == 0;
        let inactivity = match is_polling {
            // §12 "a higher than normal value".
            true => limits.bosh_inactivity_seconds + 10 * POLLING_SECONDS,
            false => limits.bosh_inactivity_seconds,
        };
        let (to, answer) = oneshot::channel();
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        let mut state = Self {
            hold: hold.max(1) as usize,
            requests: u64::from(hold) + 1,
            wait: if is_polling { POLL_WAIT } else { seconds(wait) },
            inactivity: seconds(inactivity),
            pause_max: limits.bosh_pause_seconds,
            is_polling,
            is_legacy: terms.minor.is_none(),
            acks: terms.acks,
            next: request.rid + 1,
            early: BTreeMap::new(),
            held: VecDeque::from([(request.rid, to)]),
            answered: VecDeque::new(),
            inbox: VecDeque::from([Piece::Message(request.header.open())]),
            attributes: String::new(),
            is_open: false,
            over: None,
            pause: None,
            idle_since: now,
            in_vain_at: None,
            reader: None,
            writer: None,
        };
        state.offer(sid, hold, wait, request);
        (state, Turn::Later(answer))
    }

    /// What the first answer tells (XEP-0124 §7.2).
    fn offer(&mut self, sid: &str, hold: u32, wait: u32, request: &Request) {
        let minor = request.terms.minor.unwrap_or(MINOR).min(MINOR);
        let numbers = [
            ("wait", u64::from(wait)),
            ("hold", hold.into()),
            ("requests", self.requests),
            ("inactivity", self.inactivity.as_secs()),
            ("maxpause", self.pause_max.into()),
        ];
        let out = &mut self.attributes;
        write::attribute(out, "sid", sid);
        write::attribute(out, "ver", &format!("1.{minor}"));
        for (name, number) in numbers {
            write::attribute(out, name, &number.to_string());
        }
        if self.is_polling {
            write::attribute(out, "polling", &POLLING_SECONDS.to_string());
        }
        if self.acks {
            write::attribute(out, "ack", &request.rid.to_string());
        }
    }

    /// How long a request is held.
    pub(super) fn wait(&self) -> Duration {
        self.wait
    }

    /// Whether the session is over.
    pub(super) fn is_over(&self) -> bool {
        self.over.is_some()
    }

    /// Takes a request that is not the first.
    pub(super) fn take(&mut self, now: Instant, request: Request) -> Turn {
        if let Some(over) = &self.over {
            return Turn::Now(over.clone());
        }
        let rid = request.rid;
        if rid < self.next {
            return self.repeat(rid);
        }
        // §11 "the client MAY make one additional request if it is to pause or terminate".
        let spare = u64::from(request.is_last || request.pause.is_some());
        // §14.2 "If it receives a request with a 'rid' greater than the values in the window, then
        // the connection manager MUST terminate the session".
        if rid >= self.next + self.requests + spare {
            return Turn::Now(self.fail(Terminal::ItemNotFound));
        }
        let (to, answer) = oneshot::channel();
        if let Some((_, before)) = self.early.insert(rid, (request, to)) {
            let _ = before.send(Answer::again());
        }
        while let Some((request, to)) = self.early.remove(&self.next) {
            self.next += 1;
            self.process(now, request, to);
        }
        Turn::Later(answer)
    }

    /// §14.3: a request that came before.
    fn repeat(&mut self, rid: u64) -> Turn {
        if let Some((_, answer)) = self.answered.iter().find(|(known, _)| *known == rid) {
            return Turn::Now(answer.clone());
        }
        match self.held.iter_mut().find(|(known, _)| *known == rid) {
            // "it SHOULD respond immediately to the existing request with a recoverable binding
            // condition … and send any future response to the latest request."
            Some((_, waiting)) => {
                let (to, answer) = oneshot::channel();
                let _ = std::mem::replace(waiting, to).send(Answer::again());
                Turn::Later(answer)
            }
            None => Turn::Now(self.fail(Terminal::ItemNotFound)),
        }
    }

    /// Takes the request whose turn it is.
    fn process(&mut self, now: Instant, request: Request, to: oneshot::Sender<Answer>) {
        self.held.push_back((request.rid, to));
        if self.is_over() {
            return self.dismiss();
        }
        self.pause = None;
        let (is_empty, is_last) = (request.is_empty(), request.is_last);
        let polling = Duration::from_secs(POLLING_SECONDS.into());
        let is_hasty = self.in_vain_at.is_some_and(|before| now < before + polling);
        let is_crowd = self.held.len() as u64 > self.requests + u64::from(is_last);
        // §11, §12: too many at a time, or a client that polls too often.
        if is_crowd && request.pause.is_none() || self.is_polling && is_empty && is_hasty {
            self.fail(Terminal::PolicyViolation);
            return;
        }
        self.in_vain_at = (self.is_polling && is_empty).then_some(now);
        match request.is_restart {
            // XEP-0206 §5 "if the client includes an XML stanza in the body, the connection manager
            // SHOULD ignore it".
            true => self.inbox.push_back(Piece::Message(request.header.open())),
            false => self.inbox.extend(request.payloads.into_iter().map(Piece::Message)),
        }
        if is_last {
            self.inbox.push_back(Piece::Message(CLOSE.to_owned()));
        } else if is_empty {
            self.inbox.push_back(Piece::Alive);
        }
        if let Some(seconds) = request.pause {
            // §10 "SHOULD respond immediately to all pending requests (including the pause
            // request) and temporarily increase the maximum inactivity period".
            self.pause = Some(Duration::from_secs(seconds.min(self.pause_max).into()));
            while !self.held.is_empty() {
                self.answer(now, "");
            }
        }
        self.wake();
    }

    /// What the stream gets next; answers those who need not be held any more once it has all.
    pub(super) fn hear(&mut self, now: Instant) -> VecDeque<Piece> {
        let pieces = std::mem::take(&mut self.inbox);
        // Only now: a client that is answered may send more.
        while self.held.len() > self.hold {
            self.answer(now, "");
        }
        pieces
    }

    /// Tells the client what the stream says. False when there is no request to answer: nothing
    /// was taken then.
    pub(super) fn say(&mut self, now: Instant, out: &Outbox) -> bool {
        let Letter { payload, header, end, is_urgent } = Letter::read(out);
        if let Some(header) = header.filter(|_| !self.is_open) {
            self.is_open = true;
            self.attributes += &header;
        }
        let is_idle = payload.is_empty() && end.is_none() && !is_urgent;
        if is_idle || self.is_over() {
            return true;
        }
        if self.held.is_empty() {
            return false;
        }
        if !payload.is_empty() {
            self.in_vain_at = None;
        }
        match end {
            None => self.answer(now, &payload),
            Some(terminal) => {
                self.end(terminal, &payload);
                // Nobody answers the end of a session: to have been told is to agree.
                self.inbox.push_back(Piece::Message(CLOSE.to_owned()));
                self.wake();
            }
        }
        true
    }

    /// A request has been held as long as it may.
    pub(super) fn time_out(&mut self, now: Instant, rid: u64) {
        if let Some((_, to)) = self.early.remove(&rid) {
            // What should have come before it has not.
            let _ = to.send(Answer::again());
        }
        while self.held.front().is_some_and(|(held, _)| *held <= rid) {
            self.answer(now, "");
        }
    }

    /// Ends the session when its client has been away for too long; else when to ask again.
    pub(super) fn expire(&mut self, now: Instant) -> Option<Instant> {
        if self.is_over() {
            return None;
        }
        let patience = self.pause.unwrap_or(self.inactivity);
        if !self.held.is_empty() || !self.early.is_empty() {
            return Some(now + patience);
        }
        let at = self.idle_since + patience;
        if now < at {
            return Some(at);
        }
        // §10 "the connection manager SHOULD respond as if the session does not exist".
        self.fail(Terminal::ItemNotFound);
        None
    }

    /// Ends the session: the client did what it may not, or is gone.
    pub(super) fn fail(&mut self, terminal: Terminal) -> Answer {
        self.inbox.push_back(Piece::End);
        self.end(terminal, "");
        self.wake();
        terminal.answer("", "", self.is_legacy)
    }

    /// Ends the session: "on the oldest connection … a <body/> element of the type 'terminate'. On
    /// all other open connections … an empty <body/> element" (§13).
    pub(super) fn end(&mut self, terminal: Terminal, payload: &str) {
        if self.is_over() {
            return;
        }
        self.over = Some(terminal.answer("", "", self.is_legacy));
        let attributes = std::mem::take(&mut self.attributes);
        if let Some((_, to)) = self.held.pop_front() {
            let _ = to.send(terminal.answer(&attributes, payload, self.is_legacy));
        }
        self.dismiss();
    }

    /// Answers everybody who is left.
    fn dismiss(&mut self) {
        let early = std::mem::take(&mut self.early).into_values().map(|(_, to)| to);
        for to in self.held.drain(..).map(|(_, to)| to).chain(early) {
            let _ = to.send(Answer::of("", ""));
        }
    }

    /// Answers the oldest request.
    fn answer(&mut self, now: Instant, payload: &str) {
        let Some((rid, to)) = self.held.pop_front() else { return };
        let mut attributes = std::mem::take(&mut self.attributes);
        // §9.1 "SHOULD NOT include an 'ack' attribute in any response if the value would be the
        // 'rid' of the request being responded to".
        if self.acks && self.next - 1 != rid {
            write::attribute(&mut attributes, "ack", &(self.next - 1).to_string());
        }
        let answer = Answer::of(&attributes, payload);
        if self.answered.len() as u64 >= self.requests {
            self.answered.pop_front();
        }
        self.answered.push_back((rid, answer.clone()));
        // A client that is gone asks again with the same number.
        let _ = to.send(answer);
        if self.held.is_empty() {
            self.idle_since = now;
        }
    }

    fn wake(&mut self) {
        let wakers = [self.reader.take(), self.writer.take()];
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
