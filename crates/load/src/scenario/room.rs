//! A room in which some talk and all listen.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::task::JoinSet;

use crate::Outcome;
use crate::client::{Client, attribute};
use crate::latency::Latencies;
use crate::progress::Progress;
use crate::report::Report;
use crate::run::{Pace, Run};
use crate::scenario::audience::{Audience, Ear, Speaker};
use crate::scenario::forum::{Forum, Service};
use crate::scenario::pair::punctuality;
use crate::scenario::rhythm::ticks;

/// How long a listener waits behind the last message for one too many.
const STRAY: Duration = Duration::from_millis(300);
/// What may wait for the socket before no more is written, in bytes. It stays due meanwhile.
const BACKLOG_BYTES: usize = 1 << 18;

/// How many, how much, how fast.
#[derive(Args)]
pub(crate) struct Room {
    /// Clients in the room, each of its own account.
    #[arg(long, default_value_t = 100, value_parser = crate::counts())]
    occupants: u64,
    /// Those of them who talk.
    #[arg(long, default_value_t = 10, value_parser = crate::counts())]
    talkers: u64,
    /// Closed loop: messages of one talker on their way at a time; one has arrived when everybody
    /// has it.
    #[arg(long, default_value_t = 1, value_parser = crate::counts(), conflicts_with = "rate")]
    window: u64,
    /// Open loop: messages a second of all talkers together. Latencies count from the moment when
    /// a message was due.
    #[arg(long, value_parser = crate::counts())]
    rate: Option<u64>,
    /// Bytes of one message as it is sent, at least.
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    bytes: u64,
    #[command(flatten)]
    service: Service,
    #[command(flatten)]
    pace: Pace,
}

/// Talks, and counts what the server spends on each delivery.
pub(crate) async fn run(run: &Run, room: &Room) -> Outcome<Report> {
    let Room { occupants, talkers, window, rate, bytes, pace, .. } = *room;
    if talkers > occupants {
        return Err(format!("{talkers} cannot talk among {occupants}: --occupants {talkers}"));
    }
    let count = occupants as usize;
    run.make_room(count, if rate.is_some() { 2 } else { 1 })?;
    let clients = run.sign_in(0..count, count).await?;
    let forum = Forum::new(run, &room.service);
    let clients = forum.gather(run, clients, 0..count).await?;
    // The floor gives nobody back what it said itself; a room does (XEP-0045 §7.4).
    let hearers = occupants - u64::from(run.target.is_floor());
    let audience = Audience::new(run, talkers, hearers, rate.is_none().then_some(window));
    let mut tasks = JoinSet::new();
    for (number, client) in clients.into_iter().enumerate() {
        let is_talker = number < talkers as usize;
        let speaker = is_talker.then(|| Speaker::new(run, &audience, number, rate)).transpose()?;
        let occupant = Occupant {
            client,
            text: Text::new(&forum.address, &run.token, bytes as usize),
            ear: Ear::new(&audience, number),
            speaker,
            audience: Arc::clone(&audience),
            progress: Arc::clone(&run.progress),
        };
        tasks.spawn(occupant.attend());
    }
    let (measured, heard) = run.measure("room", pace, &mut tasks).await?;
    if !run.target.is_floor() && heard.iter().any(|(order, _)| *order != heard[0].0) {
        return Err("not everybody has heard the talkers in the same order".into());
    }
    let lateness = Latencies::all(heard.iter().map(|(_, lateness)| lateness));
    let report = room.report(run, measured).latencies(audience.latencies());
    Ok(if rate.is_some() { punctuality(&lateness, report) } else { report })
}

impl Room {
    fn report(&self, run: &Run, measured: (crate::meter::Usage, u64)) -> Report {
        let Self { occupants, talkers, window, rate, bytes, .. } = self;
        let how = match rate {
            Some(rate) => format!("{rate} messages a second together"),
            None => format!("{window} in flight each"),
        };
        let text = format!("{occupants} occupants, {talkers} talk, {how}, {bytes} bytes a message");
        let figures = json!({ "occupants": occupants, "talkers": talkers, "bytes": bytes,
            "window": rate.is_none().then_some(window), "rate": rate });
        let checked = "everybody got every message once, and all in the same order";
        Report::new(run, "room", "deliveries", measured)
            .line("room", text, ("parameters", figures))
            .line("checked", checked.into(), ("checked", true.into()))
    }
}

/// One in the room, who talks or does not.
struct Occupant {
    client: Client,
    text: Text,
    ear: Ear,
    speaker: Option<Speaker>,
    audience: Arc<Audience>,
    progress: Arc<Progress>,
}

impl Occupant {
    /// Takes part until all talkers have done; gives the order of what was heard, and how late the
    /// generator was.
    async fn attend(mut self) -> Outcome<(u64, Latencies)> {
        match self.speaker.take() {
            Some(speaker) => self.talk(speaker).await,
            None => {
                let audience = Arc::clone(&self.audience);
                tokio::select! {
                    biased;
                    failed = self.listen() => return Err(failed),
                    () = audience.over() => {}
                }
                self.finish(Latencies::default()).await
            }
        }
    }

    async fn talk(mut self, mut speaker: Speaker) -> Outcome<(u64, Latencies)> {
        let audience = Arc::clone(&self.audience);
        let (over, mut ticks) = (audience.over(), ticks());
        tokio::pin!(over);
        loop {
            while self.client.waiting() < BACKLOG_BYTES
                && let Some(number) = speaker.next()
            {
                let message = self.text.write(&self.client, speaker.voice(), number);
                self.client.push(&message);
            }
            tokio::select! {
                biased;
                element = self.client.next() => self.hear(&element?)?,
                waited = speaker.wait() => waited?,
                () = &mut over => break,
                _ = ticks.tick() => speaker.hurry()?,
            }
        }
        self.finish(speaker.lateness).await
    }

    /// Listens until something goes wrong.
    async fn listen(&mut self) -> String {
        loop {
            let heard = match self.client.next().await {
                Ok(element) => self.hear(&element),
                Err(reason) => Err(reason),
            };
            if let Err(reason) = heard {
                return reason;
            }
        }
    }

    fn hear(&mut self, element: &str) -> Outcome<()> {
        if !element.starts_with("<message") {
            return Ok(());
        }
        let Some((voice, number)) = self.text.read(element)? else { return Ok(()) };
        self.ear.hear(voice, number, element)?;
        self.progress.count();
        Ok(())
    }

    /// Listens for one too many.
    async fn finish(mut self, lateness: Latencies) -> Outcome<(u64, Latencies)> {
        match tokio::time::timeout(STRAY, self.listen()).await {
            Ok(reason) => Err(reason),
            Err(_) => Ok((self.ear.order(), lateness)),
        }
    }
}

/// What is said.
pub(super) struct Text {
    room: Arc<str>,
    /// What stands in the ids of this run.
    token: String,
    body: String,
}

impl Text {
    pub(super) fn new(room: &Arc<str>, token: &str, bytes: usize) -> Self {
        let mut text =
            Self { room: Arc::clone(room), token: token.to_owned(), body: String::new() };
        let room = bytes.saturating_sub(text.rest(0, 0).len() + "<message".len());
        text.body = "What is in a name? ".chars().cycle().take(room).collect();
        text
    }

    /// The message with this number of this talker.
    pub(super) fn write(&self, client: &Client, voice: usize, number: u64) -> String {
        client.stanza("<message", &self.rest(voice, number))
    }

    fn rest(&self, voice: usize, number: u64) -> String {
        let Self { room, token, body } = self;
        format!(
            " type='groupchat' to='{room}' id='m{token}-{voice}-{number}'><body>{body}</body>\
             <origin-id xmlns='urn:xmpp:sid:0' id='m{token}-{voice}-{number}'/></message>"
        )
    }

    /// Who said what came, and which; none when it is no talk of this run, such as a subject.
    pub(super) fn read(&self, message: &str) -> Outcome<Option<(usize, u64)>> {
        if attribute(message, "type") == Some("error") {
            return Err(format!("a message comes back: {message}"));
        }
        let id = attribute(message, "id").and_then(|id| id.strip_prefix('m'));
        let Some(rest) = id.and_then(|id| id.strip_prefix(&*self.token)) else { return Ok(None) };
        let numbers = rest.strip_prefix('-').and_then(|rest| rest.split_once('-'));
        let both = numbers.and_then(|(one, other)| Some((one.parse().ok()?, other.parse().ok()?)));
        both.map(Some).ok_or_else(|| format!("nobody said this: {message}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_known_when_it_comes() {
        let text = Text::new(&"r@rooms.localhost".into(), "ab", 400);
        let said = format!("<message{}", text.rest(3, 17));
        assert_eq!(said.len(), 402, "two digits more than the first message of the first talker");
        assert_eq!(text.read(&said), Ok(Some((3, 17))));
        assert_eq!(text.read("<message id='mcd-3-17'/>"), Ok(None), "of another run");
        assert_eq!(text.read("<message><subject/></message>"), Ok(None));
        assert!(text.read("<message id='mab-x'/>").is_err());
        assert!(text.read("<message type='error' id='mab-3-17'/>").is_err());
    }
}
