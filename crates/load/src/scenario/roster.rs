//! Clients that ask for their contact list, again and again.

use std::sync::Arc;

use clap::Args;
use serde_json::json;
use tokio::task::JoinSet;

use crate::Outcome;
use crate::client::{Client, is_result};
use crate::clock::now;
use crate::latency::Latencies;
use crate::progress::Progress;
use crate::report::Report;
use crate::run::{Pace, Run, Window, flatten};

const QUERY: &str = "<query xmlns='jabber:iq:roster'/>";

/// How many lists, and how long they are.
#[derive(Args)]
pub(crate) struct Roster {
    /// Clients, each with a list of its own.
    #[arg(long, default_value_t = 20, value_parser = crate::counts())]
    users: u64,
    /// Contacts on each list; missing ones are added first, and stay.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(0..=10_000))]
    items: u64,
    #[command(flatten)]
    pace: Pace,
}

/// Fetches lists, and counts what the server spends on it.
pub(crate) async fn run(run: &Run, roster: &Roster) -> Outcome<Report> {
    let Roster { users, items, pace } = *roster;
    if run.target.is_floor() {
        return Err("the floor knows no contact lists: take another --auth".into());
    }
    run.make_room(users as usize, 1)?;
    let clients = run.sign_in(0..users as usize, 1).await?;
    run.progress.begin("filling", users);
    let mut tasks = JoinSet::new();
    for mut client in clients {
        let patience = run.target.patience.max(std::time::Duration::from_secs(items / 20));
        let progress = Arc::clone(&run.progress);
        let domain = run.target.domain.clone();
        tasks.spawn(async move {
            let filled = tokio::time::timeout(patience, fill(&mut client, items, &domain)).await;
            progress.step();
            filled.map_err(|_| "the contact lists take too long to fill".to_owned())??;
            Ok(client)
        });
    }
    let mut clients = Vec::new();
    while let Some(joined) = tasks.join_next().await {
        clients.push(flatten(joined)?);
    }
    let mut tasks = JoinSet::new();
    for client in clients {
        let (window, progress) = (run.window(), Arc::clone(&run.progress));
        let patience = run.target.patience;
        tasks.spawn(async move { fetch(client, items, &window, &progress, patience).await });
    }
    let (measured, heard) = run.measure("roster", pace, &mut tasks).await?;
    let parameters = ("parameters", json!({ "users": users, "items": items }));
    Ok(Report::new(run, "roster", "lists", measured)
        .latencies(Latencies::all(&heard))
        .line("lists", format!("{users} clients, {items} contacts each"), parameters)
        .line("checked", "every list was whole".into(), ("checked", true.into())))
}

/// Adds what is missing to a list.
async fn fill(client: &mut Client, items: u64, domain: &str) -> Outcome<()> {
    let there = count(&client.ask("get", "before", "", QUERY).await?);
    for number in there..items {
        let query = format!(
            "<query xmlns='jabber:iq:roster'><item jid='contact{number}@{domain}' \
             name='Contact {number}'><group>Friends</group></item></query>"
        );
        let answer = client.ask("set", &format!("add{number}"), "", &query).await?;
        if !is_result(&answer) {
            return Err(format!("the server refuses a contact: {answer}"));
        }
    }
    Ok(())
}

/// Asks until the window is over, and counts the contacts in every answer.
async fn fetch(
    mut client: Client,
    items: u64,
    window: &Window,
    progress: &Progress,
    patience: std::time::Duration,
) -> Outcome<Latencies> {
    let mut latencies = Latencies::default();
    while !window.is_over() {
        let start = now();
        let asking = client.ask("get", "list", "", QUERY);
        let asked = tokio::time::timeout(patience, asking).await;
        let answer = asked.map_err(|_| "a contact list has not come in time".to_owned())??;
        if !is_result(&answer) || count(&answer) < items {
            return Err(format!("{items} contacts are on the list, and this came: {answer}"));
        }
        if window.has(start) {
            latencies.record(start.elapsed());
        }
        progress.count();
    }
    Ok(latencies)
}

fn count(list: &str) -> u64 {
    list.matches("<item ").count() as u64
}
