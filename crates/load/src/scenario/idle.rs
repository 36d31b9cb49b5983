//! Clients that are there and say nothing.

use clap::Args;
use serde_json::json;
use tokio::task::JoinSet;

use crate::meter::Meter;
use crate::report::Report;
use crate::run::Run;
use crate::scenario::{all_there, keep};
use crate::{Outcome, process};

/// Sessions that sign in before they are waited on: a server asks those who are silent whether
/// they are still there, and somebody has to answer.
const GROUP: usize = 1_000;

/// How many, for how long.
#[derive(Args)]
pub(crate) struct Idle {
    /// Sessions that are counted.
    #[arg(long, default_value_t = 2000, value_parser = crate::counts())]
    users: u64,
    /// Sessions before the first reading: what a server allocates once is not counted.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(0..=10_000))]
    first: u64,
    /// Seconds of silence before each reading of the memory.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(0..=3600))]
    settle: u64,
    /// Seconds of silence whose processor time is read.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
}

/// Reads the server's resident memory before and after the sessions. Interrupted while they sign
/// in, it tells of those who are there.
pub(crate) async fn run(run: &Run, idle: &Idle) -> Outcome<Report> {
    let (first, all) = (idle.first as usize, (idle.first + idle.users) as usize);
    run.make_room(all, 1)?;
    let resident = || run.pid.map(process::resident).transpose();
    run.register(0..all).await?;
    let mut silent = JoinSet::new();
    keep(&mut silent, run.sign_in(0..first, 1).await?);
    run.pause("settling", idle.settle).await;
    let before = resident()?;
    let mut from = first;
    while from < all && !run.is_interrupted() {
        let until = all.min(from + GROUP);
        keep(&mut silent, run.sign_some_in(from..until, 1).await?);
        from = until;
    }
    let users = silent.len() - first;
    run.pause("settling", idle.settle).await;
    let after = resident()?;
    let meter = Meter::start(run.pid)?;
    run.pause("idle", idle.seconds).await;
    let usage = meter.stop()?;
    all_there(&mut silent)?;
    silent.shutdown().await;
    let report = Report::new(run, "idle", "sessions", (usage, users as u64)).line(
        "checked",
        "all stayed".into(),
        ("checked", true.into()),
    );
    Ok(match before.zip(after) {
        None => report.warning(Some("memory is only read with --pid".into())),
        Some((before, after)) => {
            let each = after.saturating_sub(before) as f64 / users.max(1) as f64;
            let text = format!(
                "{each:.2} KiB for each session; {:.1} MiB before them",
                before as f64 / 1024.0
            );
            let figures = json!({ "before_kib": before, "after_kib": after, "session_kib": each });
            report.line("memory", text, ("memory", figures))
        }
    })
}
