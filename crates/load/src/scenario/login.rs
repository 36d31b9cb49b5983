//! Clients that sign in, show presence and leave, over and over.

use std::sync::Arc;

use clap::Args;
use serde_json::json;
use tokio::task::JoinSet;

use crate::Outcome;
use crate::client::Client;
use crate::clock::now;
use crate::latency::Latencies;
use crate::report::Report;
use crate::run::{Pace, Run};

/// How many at a time, and whose accounts.
#[derive(Args)]
pub(crate) struct Login {
    /// Accounts that sign in, one after the other.
    #[arg(long, default_value_t = 200, value_parser = crate::counts())]
    users: u64,
    /// Sign-ins under way at a time.
    #[arg(long, default_value_t = 8, value_parser = crate::counts())]
    at_once: u64,
    #[command(flatten)]
    pace: Pace,
}

/// Signs in and out, and counts what the server spends on it.
pub(crate) async fn run(run: &Run, login: &Login) -> Outcome<Report> {
    let Login { users, at_once, pace } = *login;
    if run.target.is_floor() {
        return Err("the floor knows no sign-in: take another --auth".into());
    }
    if at_once > users {
        return Err(format!(
            "{at_once} sign-ins at once need as many accounts: use --users {at_once} or more"
        ));
    }
    run.make_room(2 * at_once as usize, 1)?;
    run.register(0..users as usize).await?;
    let mut tasks = JoinSet::new();
    for lane in 0..at_once as usize {
        // Each lane has accounts of its own: nobody's session is replaced by a later one.
        let mine: Vec<usize> = (lane..users as usize).step_by(at_once as usize).collect();
        tasks.spawn(again(mine, Lane::of(run)));
    }
    let (measured, took) = run.measure("login", pace, &mut tasks).await?;
    let text = format!("{at_once} at a time, of {users} accounts");
    let parameters = json!({ "users": users, "at_once": at_once });
    Ok(Report::new(run, "login", "logins", measured)
        .latencies(Latencies::all(&took))
        .line("clients", text, ("parameters", parameters))
        .line("checked", "all got their session".into(), ("checked", true.into())))
}

/// What one lane needs of the run.
struct Lane {
    target: crate::target::Target,
    window: Arc<crate::run::Window>,
    progress: Arc<crate::progress::Progress>,
}

impl Lane {
    fn of(run: &Run) -> Self {
        let progress = Arc::clone(&run.progress);
        Self { target: run.target.clone(), window: run.window(), progress }
    }
}

/// From the connection to the answer behind the first presence, until the window is over.
async fn again(mine: Vec<usize>, lane: Lane) -> Outcome<Latencies> {
    let mut latencies = Latencies::default();
    let mut next = mine.iter().cycle();
    while !lane.window.is_over() {
        let number = *next.next().expect("a lane has an account");
        let start = now();
        let mut client = Client::enter(&lane.target, number, 0).await?;
        client.show(&lane.target).await?;
        if lane.window.has(start) {
            latencies.record(start.elapsed());
        }
        client.leave().await?;
        lane.progress.count();
    }
    Ok(latencies)
}
