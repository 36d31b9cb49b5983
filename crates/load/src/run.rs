//! One run: what all its parts share, and how it ends.

use std::ops::Range;
use std::process::exit;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use crate::Outcome;
use crate::client::Client;
use crate::clock::now;
use crate::limits;
use crate::meter::{Meter, Usage};
use crate::progress::Progress;
use crate::target::Target;

/// Clients that sign in at the same time.
pub(crate) const AT_ONCE: usize = 16;
/// How often a pause looks at itself.
const STEP: Duration = Duration::from_millis(100);
/// What a shell expects of a program that was interrupted.
const INTERRUPTED: i32 = 130;

/// A run against a server.
pub(crate) struct Run {
    pub(crate) target: Target,
    pub(crate) pid: Option<u32>,
    pub(crate) progress: Arc<Progress>,
    /// Accounts that do not exist are made first.
    pub(crate) registers: bool,
    /// Tells what belongs to this run from what an earlier one has left.
    pub(crate) token: String,
    interrupted: watch::Receiver<bool>,
    window: Arc<Window>,
}

/// The time that counts.
#[derive(Default)]
pub(crate) struct Window {
    from: OnceLock<Instant>,
    until: OnceLock<Instant>,
    /// Where parts of it begin, the latest last, and which they are; none does not count.
    parts: RwLock<Vec<(Instant, Option<usize>)>>,
}

impl Window {
    /// From now on it counts.
    pub(crate) fn open(&self) {
        let _ = self.from.set(now());
    }

    /// Nothing new counts any more.
    pub(crate) fn close(&self) {
        let _ = self.until.set(now());
    }

    /// From now on what is due belongs to this part of the result, or to none.
    pub(crate) fn begin(&self, part: Option<usize>) {
        self.parts.write().unwrap_or_else(PoisonError::into_inner).push((now(), part));
    }

    /// Which part of the result something belongs to that was due then; where there is only one,
    /// it is 0.
    pub(crate) fn part(&self, moment: Instant) -> Option<usize> {
        let parts = self.parts.read().unwrap_or_else(PoisonError::into_inner);
        let part = parts.iter().rev().find(|(from, _)| *from <= moment);
        part.map_or(Some(0), |(_, part)| *part).filter(|_| self.has(moment))
    }

    /// Whether something that was due then is part of the result.
    pub(crate) fn has(&self, moment: Instant) -> bool {
        self.from.get().is_some_and(|from| *from <= moment) && self.is_before_end(moment)
    }

    /// Whether something that was due then had to be begun.
    pub(crate) fn is_before_end(&self, moment: Instant) -> bool {
        self.until.get().is_none_or(|until| moment < *until)
    }

    /// Whether nothing new is to be begun.
    pub(crate) fn is_over(&self) -> bool {
        self.until.get().is_some()
    }
}

impl Run {
    /// Begins, with an eye on the keyboard: the first Ctrl-C ends the measurement early, the second
    /// everything.
    pub(crate) fn new(target: Target, pid: Option<u32>, registers: bool) -> Self {
        let (tell, interrupted) = watch::channel(false);
        // Where the signal cannot be heard it ends the program, as it does by itself.
        if let Ok(mut interrupts) = signal(SignalKind::interrupt()) {
            let _listener = crate::clock::spawn(async move {
                while interrupts.recv().await.is_some() {
                    if tell.send_replace(true) {
                        exit(INTERRUPTED);
                    }
                }
            });
        }
        let (progress, window) = (Arc::default(), Arc::default());
        Self { target, pid, progress, registers, token: token(), interrupted, window }
    }

    /// A part of this run that is at another server.
    pub(crate) fn at(&self, target: Target) -> Self {
        Self {
            target,
            pid: None,
            progress: Arc::clone(&self.progress),
            registers: self.registers,
            token: self.token.clone(),
            interrupted: self.interrupted.clone(),
            window: Arc::clone(&self.window),
        }
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        *self.interrupted.borrow()
    }

    pub(crate) fn window(&self) -> Arc<Window> {
        Arc::clone(&self.window)
    }

    /// Makes room for this many connections, each with `files` descriptors, or says what is
    /// missing.
    pub(crate) fn make_room(&self, connections: usize, files: usize) -> Outcome<()> {
        limits::make_room(connections, files)?;
        self.target.sources.suffice(connections, self.target.address.ip())
    }

    /// Lets the load warm up, then measures what happens in `part`; gives what was used meanwhile,
    /// and how many operations were counted. The load finds the limits in the window.
    pub(crate) async fn during(
        &self,
        warm_up: u64,
        part: impl Future<Output = Outcome<()>>,
    ) -> Outcome<(Usage, u64)> {
        self.pause("warming up", warm_up).await;
        let before = self.progress.counted();
        let meter = Meter::start(self.pid)?;
        self.window.open();
        part.await?;
        self.window.close();
        Ok((meter.stop()?, self.progress.counted() - before))
    }

    /// Measures for as long as `pace` says, and gives what the tasks that make the load have to
    /// tell. One that ends before its time ends the run.
    pub(crate) async fn measure<T: 'static>(
        &self,
        label: &'static str,
        pace: Pace,
        tasks: &mut JoinSet<Outcome<T>>,
    ) -> Outcome<((Usage, u64), Vec<T>)> {
        let part = async {
            self.pause(label, pace.seconds).await;
            Ok(())
        };
        let measured = tokio::select! {
            measured = self.during(pace.warm_up, part) => measured?,
            Some(ended) = tasks.join_next() => return Err(early(ended)),
        };
        Ok((measured, self.finish(tasks).await?))
    }

    /// Waits for what the tasks have to tell in the end.
    pub(crate) async fn finish<T: 'static>(
        &self,
        tasks: &mut JoinSet<Outcome<T>>,
    ) -> Outcome<Vec<T>> {
        self.progress.begin("last words", tasks.len() as u64);
        let mut told = Vec::new();
        while let Some(joined) = tasks.join_next().await {
            told.push(flatten(joined)?);
            self.progress.step();
        }
        Ok(told)
    }

    /// Waits, but not after an interruption.
    pub(crate) async fn pause(&self, label: &'static str, seconds: u64) {
        let wanted = Duration::from_secs(seconds);
        self.progress.begin(label, (wanted.as_millis() / STEP.as_millis()) as u64);
        let mut interrupted = self.interrupted.clone();
        let steps = async {
            let mut ticks = tokio::time::interval(STEP);
            let start = now();
            while start.elapsed() < wanted {
                ticks.tick().await;
                self.progress.step();
            }
        };
        tokio::select! {
            () = steps => {}
            _ = interrupted.wait_for(|is| *is) => {}
        }
    }

    /// Signs these clients in and shows their presence; they come back in order. On the floor, as
    /// many as `group_size` share a group. An interruption is an error.
    pub(crate) async fn sign_in(
        &self,
        users: Range<usize>,
        group_size: usize,
    ) -> Outcome<Vec<Client>> {
        let clients = self.sign_some_in(users, group_size).await?;
        self.go_on("signing in")?;
        Ok(clients)
    }

    /// The same; those who were there before an interruption come back.
    pub(crate) async fn sign_some_in(
        &self,
        users: Range<usize>,
        group_size: usize,
    ) -> Outcome<Vec<Client>> {
        self.register(users.clone()).await?;
        let one = |number| {
            let target = self.target.clone();
            async move {
                let mut client = Client::enter(&target, number, number / group_size).await?;
                client.show(&target).await?;
                Ok((number, client))
            }
        };
        let mut clients = self.all("signing in", users, one).await?;
        clients.sort_by_key(|(number, _)| *number);
        Ok(clients.into_iter().map(|(_, client)| client).collect())
    }

    /// Makes the accounts, where that was asked for.
    pub(crate) async fn register(&self, users: Range<usize>) -> Outcome<()> {
        self.target.accounts.suffice(users.end)?;
        if !self.registers || self.target.is_floor() {
            return Ok(());
        }
        let one = |number| {
            let target = self.target.clone();
            async move { Client::register(&target, number).await }
        };
        self.all("registering", users, one).await?;
        self.go_on("registering")
    }

    /// Ends a run that was interrupted before there was anything to tell.
    pub(crate) fn go_on(&self, label: &str) -> Outcome<()> {
        match self.is_interrupted() {
            true => Err(format!("interrupted while {label}, before anything was measured")),
            false => Ok(()),
        }
    }

    /// Does something for every number, [`AT_ONCE`] at a time. The first failure ends it; after an
    /// interruption nothing new is begun.
    pub(crate) async fn all<T, F>(
        &self,
        label: &'static str,
        numbers: Range<usize>,
        each: impl Fn(usize) -> F,
    ) -> Outcome<Vec<T>>
    where
        T: Send + 'static,
        F: Future<Output = Outcome<T>> + Send + 'static,
    {
        self.progress.begin(label, numbers.len() as u64);
        let mut tasks = JoinSet::new();
        let mut done = Vec::new();
        for number in numbers {
            if tasks.len() >= AT_ONCE
                && let Some(joined) = tasks.join_next().await
            {
                done.push(flatten(joined)?);
                self.progress.step();
            }
            if self.is_interrupted() {
                break;
            }
            tasks.spawn(each(number));
        }
        while let Some(joined) = tasks.join_next().await {
            done.push(flatten(joined)?);
            self.progress.step();
        }
        Ok(done)
    }
}

fn token() -> String {
    let mut raw = [0; 4];
    aws_lc_rs::rand::fill(&mut raw).expect("the operating system has randomness");
    format!("{:08x}", u32::from_be_bytes(raw))
}

/// Seconds that are not counted, and seconds that are.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Pace {
    /// Seconds that are not counted.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(0..=3600))]
    pub(crate) warm_up: u64,
    /// Seconds that are.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) seconds: u64,
}

/// Why a task that should have gone on has ended.
pub(crate) fn early<T>(joined: Result<Outcome<T>, JoinError>) -> String {
    flatten(joined).err().unwrap_or_else(|| "a client has ended before its time".into())
}

/// What a task of the run came to.
pub(crate) fn flatten<T>(joined: Result<Outcome<T>, JoinError>) -> Outcome<T> {
    joined.map_err(|error| error.to_string())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_belong_to_the_part_that_had_begun() {
        let window = Window::default();
        let early = now();
        assert_eq!(window.part(early), None, "it is not open yet");
        window.open();
        let whole = now();
        assert_eq!(window.part(whole), Some(0));
        window.begin(Some(1));
        let second = now();
        window.begin(None);
        let between = now();
        window.begin(Some(0));
        let last = now();
        window.close();
        let parts = [early, whole, second, between, last, now()].map(|at| window.part(at));
        assert_eq!(parts, [None, Some(0), Some(1), None, Some(0), None]);
    }
}
