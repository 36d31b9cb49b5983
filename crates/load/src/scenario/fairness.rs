//! Pairs that talk in open loop, by turns alone and beside clients that flood or never read.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::Outcome;
use crate::latency::Latencies;
use crate::meter::Usage;
use crate::process;
use crate::report::{Report, duration};
use crate::run::{Pace, Run, early};
use crate::scenario::flood::Floods;
use crate::scenario::pair::{self, Heard, Manner};

/// The parts of the result.
const ALONE: usize = 0;
const BESIDE: usize = 1;
/// Seconds behind a flood in which the server clears up, which do not count.
const SETTLE: u64 = 1;
/// How often memory is read.
const EVERY: Duration = Duration::from_millis(50);

/// Who talks, and who disturbs.
#[derive(Args)]
pub(crate) struct Fairness {
    /// Pairs of clients; they are twice as many accounts.
    #[arg(long, default_value_t = 100, value_parser = crate::counts())]
    pairs: u64,
    /// Messages a second of all pairs together.
    #[arg(long, default_value_t = 5000, value_parser = crate::counts())]
    rate: u64,
    /// Bytes of one message as it is sent, at least.
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    bytes: u64,
    /// Clients that send as fast as the server reads, each to another that reads.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=1000))]
    flooders: u64,
    /// Clients that never read, while another sends to each as fast as the server reads.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=1000))]
    deaf: u64,
    /// Turns: how often they are alone, and then not.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1000))]
    turns: u64,
    /// Seconds are those of each half of a turn.
    #[command(flatten)]
    pace: Pace,
}

/// What the turns have shown.
#[derive(Default)]
struct Seen {
    /// Resident memory before the first flood, and the most beside one, in KiB.
    before: u64,
    most: u64,
    /// Messages of floods that were taken, in so many seconds.
    taken: u64,
    seconds: f64,
}

/// Talks and floods by turns, and compares the latencies.
pub(crate) async fn run(run: &Run, fairness: &Fairness) -> Outcome<Report> {
    let Fairness { pairs, rate, bytes, flooders, deaf, pace, .. } = *fairness;
    if run.target.is_floor() {
        return Err("the floor takes whatever comes: take another --auth".into());
    }
    if flooders + deaf == 0 {
        return Err("nobody disturbs: use --flooders 1, --deaf 1, or the scenario chat".into());
    }
    let disturbers = 2 * (flooders + deaf) as usize;
    let count = 2 * pairs as usize;
    run.make_room(count + disturbers, 2)?;
    let clients = run.sign_in(0..count, 2).await?;
    let who = (flooders as usize, deaf as usize);
    let mut floods = Floods::new(run, count, who, bytes as usize).await?;
    let manner = Manner { pairs, window: 1, rate: Some(rate), bytes };
    let mut talks = pair::talk(run, &manner, clients)?;
    let mut seen = Seen::default();
    let measured = tokio::select! {
        measured = run.during(pace.warm_up, seen.turns(run, fairness, &mut floods)) => measured?,
        Some(ended) = talks.join_next() => return Err(early(ended)),
    };
    let heard = Heard::all(run.finish(&mut talks).await?);
    Ok(fairness.report(run, measured, &heard, &seen, floods.ended()))
}

impl Seen {
    async fn turns(&mut self, run: &Run, fairness: &Fairness, floods: &mut Floods) -> Outcome<()> {
        let window = run.window();
        for turn in 0..fairness.turns {
            window.begin(Some(ALONE));
            let alone = watch(run, "alone", fairness.pace.seconds).await?;
            if turn == 0 {
                self.before = alone;
            }
            if run.is_interrupted() {
                return Ok(());
            }
            let (start, taken) = (crate::clock::now(), floods.taken());
            window.begin(Some(BESIDE));
            floods.open();
            let most = tokio::select! {
                most = watch(run, "beside", fairness.pace.seconds) => most?,
                Some(ended) = floods.tasks.join_next() => return Err(early(ended)),
            };
            self.most = self.most.max(most);
            self.taken += floods.taken() - taken;
            self.seconds += start.elapsed().as_secs_f64();
            window.begin(None);
            floods.close(run.target.patience).await?;
            run.pause("settling", SETTLE).await;
        }
        Ok(())
    }
}

/// Waits, and gives the most memory that the server had meanwhile, in KiB.
async fn watch(run: &Run, label: &'static str, seconds: u64) -> Outcome<u64> {
    let mut most = 0;
    let reading = async {
        let Some(pid) = run.pid else { return std::future::pending().await };
        loop {
            match process::resident(pid) {
                Ok(kib) => most = most.max(kib),
                Err(reason) => return reason,
            }
            tokio::time::sleep(EVERY).await;
        }
    };
    tokio::select! {
        () = run.pause(label, seconds) => Ok(most),
        reason = reading => Err(reason),
    }
}

impl Fairness {
    fn report(
        &self,
        run: &Run,
        measured: (Usage, u64),
        heard: &Heard,
        seen: &Seen,
        ended: u64,
    ) -> Report {
        let Self { pairs, rate, bytes, flooders, deaf, turns, .. } = self;
        let [alone, beside] = [&heard.latencies[ALONE], &heard.latencies[BESIDE]];
        let ratio = |part| beside.micros(part) / alone.micros(part).max(f64::MIN_POSITIVE);
        let (median, p99) = (ratio(0.5), ratio(0.99));
        let text = format!("{pairs}, {rate} messages a second together, {bytes} bytes a message");
        let who = format!("{flooders} flooding, {deaf} never reading, {turns} turns");
        let each = seen.taken as f64 / seen.seconds.max(f64::MIN_POSITIVE);
        let gone =
            format!("{each:.0} messages a second taken; {ended} sessions ended by the server");
        let parameters = json!({ "pairs": pairs, "rate": rate, "bytes": bytes,
            "flooders": flooders, "deaf": deaf, "turns": turns });
        let flood = json!({ "per_second": each, "sessions_ended": ended });
        let report = Report::new(run, "fairness", "messages", measured)
            .line("pairs", text, ("parameters", parameters))
            .line("alone", brief(alone), ("alone_micros", alone.json()))
            .line("beside", brief(beside), ("beside_micros", beside.json()))
            .line(
                "ratio",
                format!("median {median:.2}, 99 % {p99:.2}"),
                ("ratio", json!({ "p50": median, "p99": p99 })),
            )
            .line("disturbed by", format!("{who}; {gone}"), ("flood", flood))
            .line(
                "checked",
                "every message of the pairs came once and in order".into(),
                ("checked", true.into()),
            );
        let report = pair::punctuality(&heard.lateness, report);
        if run.pid.is_none() {
            return report;
        }
        let more = seen.most.saturating_sub(seen.before);
        let text = format!(
            "{:.1} MiB before; at most {:.1} MiB more while disturbed",
            seen.before as f64 / 1024.0,
            more as f64 / 1024.0
        );
        let memory = json!({ "before_kib": seen.before, "more_kib": more });
        report.line("memory", text, ("memory", memory))
    }
}

fn brief(latencies: &Latencies) -> String {
    let at = |part| duration(latencies.micros(part));
    let (median, p99, longest) = (at(0.5), at(0.99), at(1.0));
    format!("{} messages, median {median}, 99 % {p99}, longest {longest}", latencies.count())
}
