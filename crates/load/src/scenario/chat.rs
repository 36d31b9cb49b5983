//! Pairs of clients: one speaks, one listens, and the next word waits for the last.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::client::Client;
use crate::clock::now;
use crate::cutter::attribute;
use crate::scenario::{flatten, sign_in};
use crate::target::{Target, Transport};
use crate::{Outcome, process};

/// How long a listener waits behind the last message for one too many.
const STRAY_MILLIS: u64 = 300;

/// How many, how much, how long.
#[derive(Args)]
pub(crate) struct Chat {
    /// Pairs of clients; they are twice as many accounts.
    #[arg(long, default_value_t = 100)]
    pairs: usize,
    /// Messages of one pair on their way at a time.
    #[arg(long, default_value_t = 1)]
    window: u64,
    /// Bytes of one message as it is sent, at least.
    #[arg(long, default_value_t = 400)]
    bytes: usize,
    /// Seconds that are not counted.
    #[arg(long, default_value_t = 2)]
    warm_up: u64,
    /// Seconds that are.
    #[arg(long, default_value_t = 8)]
    seconds: u64,
}

/// What all pairs share.
#[derive(Default)]
struct Shared {
    is_counting: AtomicBool,
    is_over: AtomicBool,
    arrived: AtomicU64,
}

/// Talks, and counts what the server spends on it.
pub(crate) async fn run(target: &Target, pid: Option<u32>, chat: &Chat) -> Outcome<Value> {
    if chat.window > 1 && target.transport == Transport::Websocket {
        return Err("on a WebSocket one message at a time is sent".into());
    }
    let mut clients = sign_in(target, 0..2 * chat.pairs).await?.into_iter();
    let shared = Arc::new(Shared::default());
    let mut pairs = JoinSet::new();
    for number in 0..chat.pairs {
        let (Some(speaker), Some(listener)) = (clients.next(), clients.next()) else { break };
        let pair = Pair {
            speaker,
            listener,
            text: Text::new(&target.full_address(2 * number + 1), chat.bytes),
            window: chat.window,
            shared: Arc::clone(&shared),
        };
        pairs.spawn(pair.talk());
    }
    tokio::time::sleep(Duration::from_secs(chat.warm_up)).await;
    let spent = || pid.map(process::cpu).transpose();
    let (cpu, count, start) = (spent()?, shared.arrived.load(Ordering::Relaxed), now());
    shared.is_counting.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(chat.seconds)).await;
    shared.is_counting.store(false, Ordering::Relaxed);
    let (cpu_after, count_after, took) =
        (spent()?, shared.arrived.load(Ordering::Relaxed), start.elapsed());
    shared.is_over.store(true, Ordering::Relaxed);
    let mut latencies: Vec<u32> = Vec::new();
    while let Some(joined) = pairs.join_next().await {
        latencies.extend(flatten(joined)?);
    }
    latencies.sort_unstable();
    let messages = count_after - count;
    let cpu = cpu.zip(cpu_after).map(|(before, after)| (after - before).as_secs_f64());
    let at = |part: f64| latencies.get((latencies.len() as f64 * part) as usize).copied();
    Ok(json!({
        "messages": messages,
        "per_second": messages as f64 / took.as_secs_f64(),
        "cpu_micros": cpu.map(|cpu| cpu * 1e6 / messages.max(1) as f64),
        "cpu_share": cpu.map(|cpu| cpu / took.as_secs_f64()),
        "latency_median_micros": at(0.5),
        "latency_99_micros": at(0.99),
    }))
}

struct Pair {
    speaker: Client,
    listener: Client,
    text: Text,
    window: u64,
    shared: Arc<Shared>,
}

impl Pair {
    /// Talks until the end; gives the latencies of the time that counts, in microseconds.
    async fn talk(mut self) -> Outcome<Vec<u32>> {
        let (mut said, mut heard) = (0, 0);
        let mut latencies = Vec::new();
        let mut since = std::collections::VecDeque::new();
        let mut burst = String::new();
        loop {
            let is_over = self.shared.is_over.load(Ordering::Relaxed);
            burst.clear();
            while !is_over && said - heard < self.window {
                self.text.write(&self.speaker, said, &mut burst);
                since.push_back(now());
                said += 1;
            }
            if !burst.is_empty() {
                self.speaker.send(&burst).await?;
            }
            if said == heard {
                break;
            }
            let message = listen(&mut self.listener).await?;
            check(&message, heard)?;
            heard += 1;
            self.shared.arrived.fetch_add(1, Ordering::Relaxed);
            if let Some(since) = since.pop_front()
                && self.shared.is_counting.load(Ordering::Relaxed)
            {
                latencies.push(since.elapsed().as_micros().min(u32::MAX.into()) as u32);
            }
        }
        let wait = Duration::from_millis(STRAY_MILLIS);
        match tokio::time::timeout(wait, listen(&mut self.listener)).await {
            Err(_) => Ok(latencies),
            Ok(Ok(stray)) => Err(format!("a message too many: {stray}")),
            Ok(Err(reason)) => Err(reason),
        }
    }
}

/// The next message; presence and the like pass by.
async fn listen(listener: &mut Client) -> Outcome<String> {
    loop {
        let element = listener.next().await?;
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
        Some(number) if number == due && !message.contains("type='error'") => Ok(()),
        _ => Err(format!("message {due} was due, and this came: {message}")),
    }
}

/// What is said.
struct Text {
    to: String,
    body: String,
}

impl Text {
    fn new(to: &str, bytes: usize) -> Self {
        let mut text = Self { to: to.to_owned(), body: String::new() };
        let mut empty = String::new();
        text.write_rest(0, &mut empty);
        let room = bytes.saturating_sub(empty.len() + "<message".len());
        text.body = "What's in a name? ".replace('\'', "’").chars().cycle().take(room).collect();
        text
    }

    fn write(&self, speaker: &Client, number: u64, out: &mut String) {
        let mut rest = String::with_capacity(512);
        self.write_rest(number, &mut rest);
        out.push_str(&speaker.stanza("<message", &rest));
    }

    fn write_rest(&self, number: u64, out: &mut String) {
        let Self { to, body } = self;
        write!(
            out,
            " type='chat' to='{to}' id='m{number}'><body>{body}</body>\
             <active xmlns='http://jabber.org/protocol/chatstates'/>\
             <origin-id xmlns='urn:xmpp:sid:0' id='m{number}'/></message>"
        )
        .expect("strings take every write");
    }
}
