//! A room that is full, and newcomers who enter and leave again.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::task::JoinSet;

use crate::Outcome;
use crate::client::{Client, attribute};
use crate::clock::now;
use crate::latency::Latencies;
use crate::progress::Progress;
use crate::report::Report;
use crate::run::{Pace, Run, Window};
use crate::scenario::audience::{Audience, Ear, Speaker};
use crate::scenario::forum::{Forum, Service, has_status};
use crate::scenario::rhythm::ticks;

/// How long an occupant waits behind the last presence for one too many.
const STRAY: Duration = Duration::from_millis(300);

/// How many are there, and how many come.
#[derive(Args)]
pub(crate) struct RoomJoin {
    /// Clients that are in the room all the time, each of its own account.
    #[arg(long, default_value_t = 1000, value_parser = crate::counts())]
    occupants: u64,
    /// Clients that enter and leave, over and over.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    newcomers: u64,
    /// The room does not show everybody to everybody: count what comes, and do not miss the rest.
    #[arg(long)]
    thinned: bool,
    #[command(flatten)]
    service: Service,
    #[command(flatten)]
    pace: Pace,
}

/// Enters and leaves, and counts what the server spends on each stanza that it sends for it.
pub(crate) async fn run(run: &Run, join: &RoomJoin) -> Outcome<Report> {
    let RoomJoin { occupants, newcomers, thinned, pace, .. } = *join;
    if run.target.is_floor() {
        return Err("the floor knows no rooms: take another --auth".into());
    }
    let (first, count) = (occupants as usize, (occupants + newcomers) as usize);
    run.make_room(count, 1)?;
    let mut clients = run.sign_in(0..count, count).await?;
    let comers = clients.split_off(first);
    let forum = Forum::new(run, &join.service);
    let clients = forum.gather(run, clients, 0..first).await?;
    // Entering and leaving by turns are what the newcomers have to say.
    let hearers = if thinned { 0 } else { occupants };
    let audience = Audience::new(run, newcomers, hearers, Some(1));
    let mut tasks = JoinSet::new();
    for (number, client) in clients.into_iter().enumerate() {
        let (ear, progress) = (Ear::new(&audience, number), Arc::clone(&run.progress));
        let audience = Arc::clone(&audience);
        let occupant = Occupant {
            client,
            forum: forum.clone(),
            first,
            thinned,
            is_over: false,
            ear,
            progress,
        };
        tasks.spawn(occupant.stay(audience));
    }
    for (voice, client) in comers.into_iter().enumerate() {
        let speaker = Speaker::new(run, &audience, voice, None)?;
        let newcomer = Newcomer {
            client,
            forum: forum.clone(),
            nick: Forum::nick(first + voice),
            occupants: first,
            thinned,
            patience: run.target.patience,
            progress: Arc::clone(&run.progress),
        };
        tasks.spawn(newcomer.come_and_go(speaker, run.window()));
    }
    let (measured, heard) = run.measure("entering", pace, &mut tasks).await?;
    let latencies = Latencies::all(&heard);
    let text = format!("{occupants} occupants, {newcomers} enter and leave");
    let parameters = json!({ "occupants": occupants, "newcomers": newcomers, "thinned": thinned });
    let entries = latencies.count();
    let checked = match thinned {
        true => "every newcomer got in",
        false => "everybody saw everybody come, and go, once",
    };
    Ok(Report::new(run, "room-join", "stanzas", measured)
        .latencies(latencies)
        .line("room", text, ("parameters", parameters))
        .line("entries", entries.to_string(), ("entries", entries.into()))
        .line("checked", checked.into(), ("checked", true.into())))
}

/// One who is there all the time, and sees newcomers.
struct Occupant {
    client: Client,
    forum: Forum,
    /// The number of the first newcomer.
    first: usize,
    thinned: bool,
    /// The run ends: other occupants may go.
    is_over: bool,
    ear: Ear,
    progress: Arc<Progress>,
}

impl Occupant {
    async fn stay(mut self, audience: Arc<Audience>) -> Outcome<Latencies> {
        tokio::select! {
            biased;
            failed = self.watch() => return Err(failed),
            () = audience.over() => self.is_over = true,
        }
        match tokio::time::timeout(STRAY, self.watch()).await {
            Ok(failed) => Err(failed),
            Err(_) => Ok(Latencies::default()),
        }
    }

    /// Watches until something goes wrong.
    async fn watch(&mut self) -> String {
        loop {
            let seen = match self.client.next().await {
                Ok(element) => self.see(&element),
                Err(reason) => Err(reason),
            };
            if let Err(reason) = seen {
                return reason;
            }
        }
    }

    fn see(&mut self, element: &str) -> Outcome<()> {
        self.forum.refused(element)?;
        let Some(number) = number(&self.forum, element) else { return Ok(()) };
        let Some(voice) = number.checked_sub(self.first) else {
            return match self.is_over {
                true => Ok(()),
                false => Err(format!("nobody else moves, and this came: {element}")),
            };
        };
        self.progress.count();
        if self.thinned {
            return Ok(());
        }
        // Everybody enters before leaving.
        let leaves = attribute(element, "type") == Some("unavailable");
        match self.ear.due(voice) {
            Some(due) if (due % 2 == 1) == leaves => self.ear.hear(voice, due, element),
            _ => Err(format!("a presence is lost, or one too many: {element}")),
        }
    }
}

/// One who comes and goes.
struct Newcomer {
    client: Client,
    forum: Forum,
    nick: String,
    /// How many are there all the time.
    occupants: usize,
    thinned: bool,
    patience: Duration,
    progress: Arc<Progress>,
}

impl Newcomer {
    /// Enters and leaves until the window is over; gives how long it took to get in.
    async fn come_and_go(
        mut self,
        mut speaker: Speaker,
        window: Arc<Window>,
    ) -> Outcome<Latencies> {
        let mut latencies = Latencies::default();
        let mut ticks = ticks();
        loop {
            let Some(number) = speaker.next() else {
                if speaker.is_silent() {
                    return Ok(latencies);
                }
                tokio::select! {
                    element = self.client.next() => self.pass(&element?)?,
                    waited = speaker.wait() => waited?,
                    _ = ticks.tick() => speaker.hurry()?,
                }
                continue;
            };
            let (start, patience) = (now(), self.patience);
            let moving =
                async { if number % 2 == 0 { self.enter().await } else { self.leave().await } };
            let moved = tokio::time::timeout(patience, moving).await;
            moved.map_err(|_| "a newcomer has waited too long".to_owned())??;
            if number % 2 == 0 && window.has(start) {
                latencies.record(start.elapsed());
            }
        }
    }

    /// Up to the subject, which comes last (XEP-0045 §7.1).
    async fn enter(&mut self) -> Outcome<()> {
        let entry = self.forum.entry(&self.client, &self.nick);
        self.client.send(&entry).await?;
        let mut seen = vec![false; self.occupants];
        loop {
            let element = self.client.next().await?;
            self.pass(&element)?;
            if element.starts_with("<message") && element.contains("<subject") {
                return Err(format!("the subject comes before the own presence: {element}"));
            }
            let Some(sender) = self.forum.sender(&element) else { continue };
            if sender == self.nick && has_status(&element, 110) {
                break;
            }
            let place = number(&self.forum, &element).and_then(|number| seen.get_mut(number));
            if place.is_some_and(|seen| std::mem::replace(seen, true)) {
                return Err(format!("somebody is shown twice: {element}"));
            }
        }
        let unseen = seen.iter().filter(|seen| !**seen).count();
        if unseen > 0 && !self.thinned {
            return Err(format!("{unseen} of {} occupants are not shown", self.occupants));
        }
        loop {
            let element = self.client.next().await?;
            self.pass(&element)?;
            if element.starts_with("<message") && element.contains("<subject") {
                return Ok(());
            }
        }
    }

    async fn leave(&mut self) -> Outcome<()> {
        let exit = self.forum.exit(&self.client, &self.nick);
        self.client.send(&exit).await?;
        loop {
            let element = self.client.next().await?;
            self.pass(&element)?;
            let is_own = self.forum.sender(&element) == Some(&*self.nick);
            if is_own && attribute(&element, "type") == Some("unavailable") {
                return Ok(());
            }
        }
    }

    fn pass(&self, element: &str) -> Outcome<()> {
        self.progress.count();
        self.forum.refused(element)
    }
}

/// The number of the client whose presence in the room this is.
fn number(forum: &Forum, element: &str) -> Option<usize> {
    let nick = forum.sender(element).filter(|_| element.starts_with("<presence"))?;
    nick.strip_prefix('n')?.parse().ok()
}
