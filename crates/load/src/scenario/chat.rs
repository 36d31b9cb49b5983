//! Pairs of clients: one speaks, one listens. In closed loop the next word waits for an earlier
//! one; in open loop words come at their time, whether the server keeps up or not.

use clap::Args;
use serde_json::json;

use crate::Outcome;
use crate::report::Report;
use crate::run::{Pace, Run};
use crate::scenario::pair::{self, Heard, Manner};

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
    let Chat { pairs, window, rate, bytes, pace } = *chat;
    let count = 2 * pairs as usize;
    run.make_room(count, if rate.is_some() { 2 } else { 1 })?;
    let clients = run.sign_in(0..count, 2).await?;
    let mut talks = pair::talk(run, &Manner { pairs, window, rate, bytes }, clients)?;
    let (measured, heard) = run.measure("chat", pace, &mut talks).await?;
    let heard = Heard::all(heard);
    let report = match rate {
        Some(_) => pair::punctuality(&heard.lateness, chat.report(run, measured)),
        None => chat.report(run, measured),
    };
    let [latencies, _] = heard.latencies;
    Ok(report.latencies(latencies))
}

impl Chat {
    fn report(&self, run: &Run, measured: (crate::meter::Usage, u64)) -> Report {
        let Self { pairs, window, rate, bytes, .. } = self;
        let how = match rate {
            Some(rate) => format!("{rate} messages a second together"),
            None => format!("{window} in flight in each"),
        };
        let text = format!("{pairs}, {how}, {bytes} bytes a message");
        let window = rate.is_none().then_some(window);
        let figures = json!({ "pairs": pairs, "window": window, "rate": rate, "bytes": bytes });
        Report::new(run, "chat", "messages", measured)
            .line("pairs", text, ("parameters", figures))
            .line(
                "checked",
                "every message came once and in order".into(),
                ("checked", true.into()),
            )
    }
}
