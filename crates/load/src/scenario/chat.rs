//! Pairs of clients: one speaks, one listens. In closed loop the next word waits for an earlier
//! one; in open loop words come at their time, whether the server keeps up or not.

use std::net::SocketAddr;

use clap::Args;
use serde_json::json;

use crate::Outcome;
use crate::client::Client;
use crate::report::Report;
use crate::run::{Pace, Run};
use crate::scenario::pair::{self, Heard, Manner};
use crate::target::Target;

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
    far: Far,
    #[command(flatten)]
    pace: Pace,
}

/// Where those listen who are on another server.
#[derive(Args)]
struct Far {
    /// Where another server listens, which the first one federates with: who listens signs in
    /// there, and the messages go from server to server.
    #[arg(long, requires = "far_domain")]
    far_address: Option<SocketAddr>,
    /// The virtual host there.
    #[arg(long, requires = "far_address")]
    far_domain: Option<String>,
}

/// Talks, and counts what the server spends on it.
pub(crate) async fn run(run: &Run, chat: &Chat) -> Outcome<Report> {
    let &Chat { pairs, window, rate, bytes, pace, .. } = chat;
    let count = 2 * pairs as usize;
    run.make_room(count, if rate.is_some() { 2 } else { 1 })?;
    let manner = Manner { pairs, window, rate, bytes };
    let mut talks = match chat.far.run(run) {
        Some(far) => {
            let clients = meet(run, &far, pairs as usize).await?;
            pair::talk_to(run, &manner, clients, |number| far.target.full_address(number))?
        }
        None => pair::talk(run, &manner, run.sign_in(0..count, 2).await?)?,
    };
    let (measured, heard) = run.measure("chat", pace, &mut talks).await?;
    let heard = Heard::all(heard);
    let report = match rate {
        Some(_) => pair::punctuality(&heard.lateness, chat.report(run, measured)),
        None => chat.report(run, measured),
    };
    let [latencies, _] = heard.latencies;
    Ok(report.latencies(latencies))
}

impl Far {
    /// The part of the run that is over there.
    fn run(&self, run: &Run) -> Option<Run> {
        let (address, domain) = (self.far_address?, self.far_domain.clone()?);
        Some(run.at(Target { address, domain, ..run.target.clone() }))
    }
}

/// Who speaks here and who listens there, one of each in turn.
async fn meet(near: &Run, far: &Run, pairs: usize) -> Outcome<Vec<Client>> {
    let speakers = near.sign_in(0..pairs, 1).await?;
    let listeners = far.sign_in(0..pairs, 1).await?;
    Ok(speakers.into_iter().zip(listeners).flat_map(|(one, other)| [one, other]).collect())
}

impl Chat {
    fn report(&self, run: &Run, measured: (crate::meter::Usage, u64)) -> Report {
        let Self { pairs, window, rate, bytes, .. } = self;
        let how = match rate {
            Some(rate) => format!("{rate} messages a second together"),
            None => format!("{window} in flight in each"),
        };
        let place = match &self.far.far_domain {
            Some(domain) => format!(", to {domain}"),
            None => String::new(),
        };
        let text = format!("{pairs}, {how}, {bytes} bytes a message{place}");
        let window = rate.is_none().then_some(window);
        let figures = json!({ "pairs": pairs, "window": window, "rate": rate, "bytes": bytes,
            "far": self.far.far_domain });
        Report::new(run, "chat", "messages", measured)
            .line("pairs", text, ("parameters", figures))
            .line(
                "checked",
                "every message came once and in order".into(),
                ("checked", true.into()),
            )
    }
}
