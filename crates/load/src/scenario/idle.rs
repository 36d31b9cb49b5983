//! Clients that are there and say nothing.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::client::Client;
use crate::scenario::sign_in;
use crate::target::Target;
use crate::{Outcome, process};

/// How many, for how long.
#[derive(Args)]
pub(crate) struct Idle {
    /// Sessions that are counted.
    #[arg(long, default_value_t = 2000)]
    users: usize,
    /// Sessions before the first reading: what a server allocates once is not counted.
    #[arg(long, default_value_t = 20)]
    first: usize,
    /// Seconds of silence before each reading.
    #[arg(long, default_value_t = 5)]
    settle: u64,
}

/// Reads the server's resident memory before and after the sessions.
pub(crate) async fn run(target: &Target, pid: Option<u32>, idle: &Idle) -> Outcome<Value> {
    let pid = pid.ok_or("memory can only be read with --pid")?;
    let settle = Duration::from_secs(idle.settle);
    let mut silent = JoinSet::new();
    keep(&mut silent, sign_in(target, 0..idle.first).await?);
    tokio::time::sleep(settle).await;
    let before = process::resident(pid)?;
    keep(&mut silent, sign_in(target, idle.first..idle.first + idle.users).await?);
    tokio::time::sleep(settle).await;
    let after = process::resident(pid)?;
    if let Some(ended) = silent.try_join_next() {
        let reason = ended.unwrap_or_else(|error| error.to_string());
        return Err(format!("a session has ended meanwhile: {reason}"));
    }
    silent.shutdown().await;
    Ok(json!({
        "sessions": idle.users,
        "before_kib": before,
        "after_kib": after,
        "session_kib": after.saturating_sub(before) as f64 / idle.users as f64,
    }))
}

/// Answers the server's requests until the end, which gives a reason if it comes early.
fn keep(silent: &mut JoinSet<String>, clients: Vec<Client>) {
    for mut client in clients {
        silent.spawn(async move {
            loop {
                if let Err(reason) = client.next().await {
                    return reason;
                }
            }
        });
    }
}
