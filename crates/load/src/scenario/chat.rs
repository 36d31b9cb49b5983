//! Pairs of clients: one speaks, one listens. In closed loop the next word waits for an earlier
//! one; in open loop words come at their time, whether the server keeps up or not.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::task::JoinSet;

use crate::Outcome;
use crate::clock::now;
use crate::latency::Latencies;
use crate::limits::make_room;
use crate::report::{Report, duration};
use crate::run::{Pace, Run, flatten};
use crate::scenario::pair::{Heard, Pair, Rhythm, Text};

/// A generator that is so much behind its own schedule is the bottleneck, in microseconds.
const LATE_MICROS: f64 = 2_000.0;
/// Time between the last sign-in and the first word in open loop.
const BREATH: Duration = Duration::from_millis(50);

/// How many, how much, how fast.
#[derive(Args)]
pub(crate) struct Chat {
    /// Pairs of clients; they are twice as many accounts.
    #[arg(long, default_value_t = 100, value_parser = crate::counts())]
    pairs: u64,
    /// Closed loop: messages of one pair on their way at a time.
    #[arg(long, default_value_t = 1, value_parser = crate::counts(), conflicts_with = "rate")]
    window: u64,
    /// Open loop: messages a second of all pairs together. Latencies count from the moment when a
    /// message was due, so a server that stalls does not hide the messages it held up.
    #[arg(long, value_parser = crate::counts())]
    rate: Option<u64>,
    /// Bytes of one message as it is sent, at least.
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    bytes: u64,
    #[command(flatten)]
    pace: Pace,
}

/// Talks, and counts what the server spends on it.
pub(crate) async fn run(run: &Run, chat: &Chat) -> Outcome<Report> {
    let count = chat.pairs as usize;
    make_room(2 * count, if chat.rate.is_some() { 2 } else { 1 })?;
    let clients = run.sign_in(0..2 * count, 2).await?;
    let mut pairs = talk(run, chat, clients)?;
    let measured = tokio::select! {
        measured = run.measure("chat", chat.pace) => measured?,
        Some(ended) = pairs.join_next() => {
            let reason = flatten(ended).err();
            return Err(reason.unwrap_or_else(|| "a pair has ended before its time".into()));
        }
    };
    run.progress.begin("last words", chat.pairs);
    let (mut latencies, mut lateness) = (Latencies::default(), Latencies::default());
    while let Some(joined) = pairs.join_next().await {
        let heard: Heard = flatten(joined)?;
        latencies.add(&heard.latencies);
        lateness.add(&heard.lateness);
        run.progress.step();
    }
    let late = lateness.micros(0.99);
    let report = Report::new(run, "chat", "messages", measured)
        .latencies(latencies)
        .line("pairs", chat.describe(), ("parameters", chat.json()))
        .line("checked", "every message came once and in order".into(), ("checked", true.into()));
    Ok(match chat.rate {
        Some(_) => report
            .line(
                "schedule",
                format!("99 % of all messages left within {} of their time", duration(late)),
                ("generator_late_micros_p99", json!(late)),
            )
            .warning((late > LATE_MICROS).then(|| {
                "the generator could not keep its own schedule: latencies contain its delay".into()
            })),
        None => report,
    })
}

/// Starts all pairs.
fn talk(
    run: &Run,
    chat: &Chat,
    clients: Vec<crate::client::Client>,
) -> Outcome<JoinSet<Outcome<Heard>>> {
    let mut clients = clients.into_iter();
    let mut pairs = JoinSet::new();
    let start = now() + BREATH;
    for number in 0..chat.pairs as usize {
        let (Some(speaker), Some(listener)) = (clients.next(), clients.next()) else { break };
        let rhythm = match chat.rate {
            None => Rhythm::Closed { window: chat.window },
            Some(rate) => {
                let interval = Duration::from_secs(chat.pairs).div_f64(rate as f64);
                let offset = interval.mul_f64(number as f64 / chat.pairs as f64);
                Rhythm::open(start + offset, interval)?
            }
        };
        let pair = Pair {
            speaker,
            listener,
            text: Text::new(&run.target.full_address(2 * number + 1), chat.bytes as usize),
            rhythm,
            window: run.window(),
            progress: Arc::clone(&run.progress),
            patience: run.target.patience,
        };
        pairs.spawn(pair.talk());
    }
    Ok(pairs)
}

impl Chat {
    fn describe(&self) -> String {
        let Self { pairs, window, bytes, .. } = self;
        let how = match self.rate {
            Some(rate) => format!("{rate} messages a second together"),
            None => format!("{window} in flight in each"),
        };
        format!("{pairs}, {how}, {bytes} bytes a message")
    }

    fn json(&self) -> serde_json::Value {
        let window = self.rate.is_none().then_some(self.window);
        json!({ "pairs": self.pairs, "window": window, "rate": self.rate, "bytes": self.bytes })
    }
}
