//! A room whose occupants come, talk, go, are thrown out and lose their connections, all at random;
//! in the end a judge compares what each of them saw.

mod actor;
mod dice;
mod judge;
mod witness;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::actor::Actor;
use self::judge::{Event, Record, Stay, judge};
use self::witness::Witness;
use crate::Outcome;
use crate::client::{Client, attribute};
use crate::latency::Latencies;
use crate::progress::Progress;
use crate::report::Report;
use crate::run::{Pace, Run, Window};
use crate::scenario::forum::{Forum, Service};
use crate::target::Target;

/// Those who enter at the same time.
const AT_ONCE: usize = 16;

/// How many, how lively, how long.
#[derive(Args)]
pub(crate) struct Soak {
    /// Clients that come and go, each of its own account; one more watches, and throws them out.
    #[arg(long, default_value_t = 500, value_parser = crate::counts())]
    occupants: u64,
    /// What all of them do in a second: seven in ten say something, the others move.
    #[arg(long, default_value_t = 100, value_parser = crate::counts())]
    rate: u64,
    /// What the dice begin with, to have the same choices again.
    #[arg(long)]
    seed: Option<u64>,
    #[command(flatten)]
    service: Service,
    #[command(flatten)]
    pace: Pace,
}

/// What everybody in the room shares.
struct Stage {
    target: Target,
    forum: Forum,
    /// What stands in the ids of this run.
    token: String,
    /// Time between two things that one does, on average.
    mean: Duration,
    /// The number of the next message.
    serial: AtomicU32,
    door: Semaphore,
    /// Actors that have done.
    done: AtomicUsize,
    actors: usize,
    window: Arc<Window>,
    progress: Arc<Progress>,
    tally: Tally,
}

/// What has happened.
#[derive(Default)]
struct Tally {
    said: AtomicU64,
    stays: AtomicU64,
    kicks: AtomicU64,
    resumptions: AtomicU64,
    quits: AtomicU64,
    latencies: std::sync::Mutex<Latencies>,
}

/// What somebody has to tell in the end.
enum Told {
    Saw(Vec<Event>),
    Was(Vec<Record>),
}

/// Lets everybody do as the dice say, and judges.
pub(crate) async fn run(run: &Run, soak: &Soak) -> Outcome<Report> {
    if run.target.is_floor() {
        return Err("the floor knows no rooms: take another --auth".into());
    }
    let (actors, seed) = (soak.occupants as usize, soak.seed.unwrap_or_else(|| dice::seed(run)));
    run.make_room(actors + 1, 1)?;
    let mut clients = run.sign_in(0..actors + 1, actors + 1).await?.into_iter();
    let watcher = clients.next().ok_or("nobody has signed in")?;
    let stage = Arc::new(Stage {
        target: run.target.clone(),
        forum: Forum::new(run, &soak.service),
        token: run.token.clone(),
        mean: Duration::from_secs(soak.occupants).div_f64(soak.rate as f64),
        serial: AtomicU32::new(0),
        door: Semaphore::new(AT_ONCE),
        done: AtomicUsize::new(0),
        actors,
        window: run.window(),
        progress: Arc::clone(&run.progress),
        tally: Tally::default(),
    });
    // The witness is there before anybody else, and makes the room.
    let witness = Witness::enter(&stage, watcher, seed).await?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { Ok(Told::Saw(witness.watch().await?)) });
    for (number, client) in (1..).zip(clients) {
        let actor = Actor::new(&stage, number, seed);
        tasks.spawn(async move { Ok(Told::Was(actor.play(client).await?)) });
    }
    let outcome = run.measure("soaking", soak.pace, &mut tasks).await;
    // Whoever wants to see it again needs the seed.
    let seeded = |reason| format!("{reason} (--seed {seed})");
    let (measured, told) = outcome.map_err(seeded)?;
    let (mut events, mut records) = (Vec::new(), Vec::new());
    for told in told {
        match told {
            Told::Saw(saw) => events = saw,
            Told::Was(was) => records.extend(was),
        }
    }
    judge(&events, &records).map_err(seeded)?;
    Ok(soak.report(run, measured, (&stage.tally, seed)))
}

impl Soak {
    fn report(
        &self,
        run: &Run,
        measured: (crate::meter::Usage, u64),
        (tally, seed): (&Tally, u64),
    ) -> Report {
        let Self { occupants, rate, .. } = self;
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (said, stays, kicks) = (of(&tally.said), of(&tally.stays), of(&tally.kicks));
        let (resumptions, quits) = (of(&tally.resumptions), of(&tally.quits));
        let text = format!("{occupants} occupants, {rate} things done in a second, seed {seed}");
        let parameters = json!({ "occupants": occupants, "rate": rate, "seed": seed });
        let what = format!(
            "{said} messages said, {stays} stays in the room, {kicks} thrown out, {resumptions} \
             connections lost and resumed, {quits} sessions ended"
        );
        let happened = json!({ "said": said, "stays": stays, "kicks": kicks,
            "resumptions": resumptions, "quits": quits });
        let checked = "all who were there saw the same messages in the same order, once";
        let latencies = tally.latencies.lock();
        let latencies = Latencies::all([&*latencies.unwrap_or_else(|error| error.into_inner())]);
        Report::new(run, "soak", "deliveries", measured)
            .latencies(latencies)
            .line("room", text, ("parameters", parameters))
            .line("happened", what, ("happened", happened))
            .line("checked", checked.into(), ("checked", true.into()))
    }
}

impl Stage {
    /// A word of somebody.
    fn write(&self, client: &Client, stay: Stay, serial: u32) -> String {
        let (to, token, Stay { person, number }) = (&self.forum.address, &self.token, stay);
        let rest = format!(
            " type='groupchat' to='{to}' id='m{token}-{person}-{number}-{serial}'>\
             <body>Word {serial}: what is in a name?</body></message>"
        );
        client.stanza("<message", &rest)
    }

    /// Who said what came, and which word it is. A subject is none, and nobody changes it.
    fn read(&self, message: &str) -> Outcome<(Stay, u32)> {
        let id = attribute(message, "id").and_then(|id| id.strip_prefix('m'));
        let rest = id.and_then(|id| id.strip_prefix(&*self.token)?.strip_prefix('-'));
        let numbers: Vec<u32> = rest
            .into_iter()
            .flat_map(|rest| rest.split('-'))
            .filter_map(|n| n.parse().ok())
            .collect();
        match numbers[..] {
            [person, number, serial] => Ok((Stay { person: person as usize, number }, serial)),
            _ => Err(format!("nobody said this: {message}")),
        }
    }
}

/// What somebody is called during a stay.
fn nick(stay: Stay) -> String {
    format!("o{}-{}", stay.person, stay.number)
}

/// Who that is.
fn stay(nick: &str) -> Option<Stay> {
    let (person, number) = nick.strip_prefix('o')?.split_once('-')?;
    Some(Stay { person: person.parse().ok()?, number: number.parse().ok()? })
}
