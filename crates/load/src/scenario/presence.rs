//! One client that everybody has on the contact list, and whose presence changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

use crate::Outcome;
use crate::client::{Client, attribute};
use crate::clock::now;
use crate::latency::Latencies;
use crate::progress::Progress;
use crate::report::Report;
use crate::run::{Pace, Run, Window, flatten};
use crate::target::Target;

/// How often somebody who hears nothing looks at the clock.
const TICK: Duration = Duration::from_millis(100);
/// Contacts that subscribe at the same time: some servers write the whole list each time.
const AT_ONCE: usize = 8;
/// The number of the account that all contacts see.
const STAR: usize = 0;

/// How many contacts.
#[derive(Args)]
pub(crate) struct Presence {
    /// Contacts that get every change.
    #[arg(long, default_value_t = 500, value_parser = crate::counts())]
    contacts: u64,
    #[command(flatten)]
    pace: Pace,
}

/// Changes the presence when all contacts have got the last change.
pub(crate) async fn run(run: &Run, presence: &Presence) -> Outcome<Report> {
    let contacts = presence.contacts as usize;
    run.make_room(contacts + 1, 1)?;
    let mut clients = run.sign_in(0..contacts + 1, contacts + 1).await?.into_iter();
    let mut star = clients.next().ok_or("nobody has signed in")?;
    let clients: Vec<Client> = clients.collect();
    let clients =
        if run.target.is_floor() { clients } else { subscribe(run, &mut star, clients).await? };
    let round = Arc::new(Round::new(contacts as u64));
    let mut tasks = JoinSet::new();
    for client in clients {
        let contact = Contact {
            client,
            star: run.target.bare_address(STAR),
            round: Arc::clone(&round),
            window: run.window(),
            progress: Arc::clone(&run.progress),
        };
        tasks.spawn(contact.hear());
    }
    tasks.spawn(shine(star, Arc::clone(&round), run.window(), run.target.patience));
    let (measured, heard) = run.measure("presence", presence.pace, &mut tasks).await?;
    let parameters = ("parameters", json!({ "contacts": contacts }));
    Ok(Report::new(run, "presence", "deliveries", measured)
        .latencies(Latencies::all(&heard))
        .line("contacts", contacts.to_string(), parameters)
        .line("checked", "every change came once and in order".into(), ("checked", true.into())))
}

/// The change that is on its way.
struct Round {
    contacts: u64,
    /// Deliveries so far, of all rounds.
    arrived: AtomicU64,
    all_there: Notify,
    /// No other change will come.
    is_done: AtomicBool,
    /// When the change was sent, in nanoseconds since the start.
    sent: AtomicU64,
    start: Instant,
}

impl Round {
    fn new(contacts: u64) -> Self {
        let (arrived, sent) = (AtomicU64::new(0), AtomicU64::new(0));
        let (all_there, is_done) = (Notify::new(), AtomicBool::new(false));
        Self { contacts, arrived, all_there, is_done, sent, start: now() }
    }

    fn sent(&self) -> Instant {
        self.start + Duration::from_nanos(self.sent.load(Ordering::Acquire))
    }

    fn arrive(&self) {
        if (self.arrived.fetch_add(1, Ordering::AcqRel) + 1).is_multiple_of(self.contacts) {
            self.all_there.notify_one();
        }
    }
}

/// Changes the presence until the window is over.
async fn shine(
    mut star: Client,
    round: Arc<Round>,
    window: Arc<Window>,
    patience: Duration,
) -> Outcome<Latencies> {
    let mut number: u64 = 0;
    while !window.is_over() {
        let rest = format!("><show>away</show><status>p{number}</status></presence>");
        let change = star.stanza("<presence", &rest);
        round.sent.store(round.start.elapsed().as_nanos() as u64, Ordering::Release);
        star.send(&change).await?;
        number += 1;
        let everybody = async {
            loop {
                tokio::select! {
                    () = round.all_there.notified() => return Outcome::Ok(()),
                    // Its own presence comes back to it, and the server may ask something.
                    element = star.next() => element?,
                };
            }
        };
        let overdue = |_| {
            let arrived = round.arrived.load(Ordering::Relaxed);
            let (due, seconds) = (number * round.contacts, patience.as_secs());
            format!("{arrived} of {due} deliveries have come, and no more within {seconds} s")
        };
        tokio::time::timeout(patience, everybody).await.map_err(overdue)??;
    }
    round.is_done.store(true, Ordering::Release);
    Ok(Latencies::default())
}

/// One who sees the star.
struct Contact {
    client: Client,
    star: String,
    round: Arc<Round>,
    window: Arc<Window>,
    progress: Arc<Progress>,
}

impl Contact {
    /// Checks every change until the star has done.
    async fn hear(mut self) -> Outcome<Latencies> {
        let mut latencies = Latencies::default();
        let mut due: u64 = 0;
        let mut ticks = tokio::time::interval(TICK);
        loop {
            let element = tokio::select! {
                element = self.client.next() => element?,
                _ = ticks.tick() => {
                    if self.round.is_done.load(Ordering::Acquire) {
                        return Ok(latencies);
                    }
                    continue;
                }
            };
            let Some(number) = self.number(&element) else { continue };
            if number != due {
                return Err(format!("change {due} was due, and this came: {element}"));
            }
            due += 1;
            let sent = self.round.sent();
            if self.window.has(sent) {
                latencies.record(sent.elapsed());
            }
            self.progress.count();
            self.round.arrive();
        }
    }

    /// The number of a change; none for other presence, such as the star's first.
    fn number(&self, element: &str) -> Option<u64> {
        let from = attribute(element, "from");
        let is_star = from.is_none_or(|from| from.starts_with(&self.star));
        let (_, status) = element.split_once("<status>p")?;
        let number = status.split_once('<')?.0.parse().ok()?;
        (element.starts_with("<presence") && is_star).then_some(number)
    }
}

/// Lets everybody see the star (RFC 6121 §3.1), where that is not so yet.
async fn subscribe(run: &Run, star: &mut Client, clients: Vec<Client>) -> Outcome<Vec<Client>> {
    run.progress.begin("subscribing", clients.len() as u64);
    let mut tasks = JoinSet::new();
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    for (index, client) in clients.into_iter().enumerate() {
        let (target, progress) = (run.target.clone(), Arc::clone(&run.progress));
        let turns = Arc::clone(&turns);
        tasks.spawn(async move {
            let _turn = turns.acquire().await.map_err(|error| error.to_string())?;
            let asking = ask_for_presence(client, &target);
            let asked = tokio::time::timeout(target.patience, asking).await;
            let client = asked.map_err(|_| "a subscription was not answered".to_owned())??;
            progress.step();
            Ok((index, client))
        });
    }
    let mut done: Vec<(usize, Client)> = Vec::new();
    while !tasks.is_empty() {
        tokio::select! {
            Some(joined) = tasks.join_next() => done.push(flatten(joined)?),
            element = star.next() => {
                let element = element?;
                if attribute(&element, "type") == Some("subscribe")
                    && let Some(from) = attribute(&element, "from")
                {
                    let rest = format!(" to='{from}' type='subscribed'/>");
                    let answer = star.stanza("<presence", &rest);
                    star.push(&answer);
                }
            }
        }
        run.go_on("subscribing")?;
    }
    done.sort_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, client)| client).collect())
}

async fn ask_for_presence(mut client: Client, target: &Target) -> Outcome<Client> {
    let star = target.bare_address(STAR);
    let roster = client.ask("get", "roster", "", "<query xmlns='jabber:iq:roster'/>").await?;
    let item = roster.split("<item").find(|item| attribute(item, "jid") == Some(&star));
    let sees = item.and_then(|item| attribute(item, "subscription"));
    if matches!(sees, Some("to" | "both")) {
        return Ok(client);
    }
    let ask = client.stanza("<presence", &format!(" to='{star}' type='subscribe'/>"));
    client.send(&ask).await?;
    loop {
        let element = client.next().await?;
        let is_answer = element.starts_with("<presence")
            && attribute(&element, "from").is_some_and(|from| from.starts_with(&star));
        match attribute(&element, "type") {
            Some("subscribed") if is_answer => return Ok(client),
            Some("error" | "unsubscribed") if is_answer => {
                return Err(format!("the server refuses a subscription: {element}"));
            }
            _ => {}
        }
    }
}
