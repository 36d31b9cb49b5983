//! One run: what all its parts share, and how it ends.

use std::process::exit;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::Outcome;
use crate::client::Client;
use crate::clock::now;
use crate::meter::{Meter, Usage};
use crate::progress::Progress;
use crate::target::Target;

/// Clients that sign in at the same time.
const AT_ONCE: usize = 16;
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
    interrupted: watch::Receiver<bool>,
    window: Arc<Window>,
}

/// The time that counts.
#[derive(Default)]
pub(crate) struct Window {
    from: OnceLock<Instant>,
    until: OnceLock<Instant>,
}

impl Window {
    /// Whether something that was due then is part of the result.
    pub(crate) fn has(&self, moment: Instant) -> bool {
        self.from.get().is_some_and(|from| *from <= moment)
            && self.until.get().is_none_or(|until| moment < *until)
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
        let _listener = crate::clock::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                if tell.send_replace(true) {
                    exit(INTERRUPTED);
                }
            }
        });
        let (progress, window) = (Arc::default(), Arc::default());
        Self { target, pid, progress, registers, interrupted, window }
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        *self.interrupted.borrow()
    }

    pub(crate) fn window(&self) -> Arc<Window> {
        Arc::clone(&self.window)
    }

    /// Lets the load warm up, then measures. The parts of the load find the limits in the window.
    pub(crate) async fn measure(&self, label: &'static str, pace: Pace) -> Outcome<(Usage, u64)> {
        self.pause("warming up", pace.warm_up).await;
        let before = self.progress.counted();
        let meter = Meter::start(self.pid)?;
        let _ = self.window.from.set(now());
        self.pause(label, pace.seconds).await;
        let _ = self.window.until.set(now());
        Ok((meter.stop()?, self.progress.counted() - before))
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
    /// many as `group_size` share a group.
    pub(crate) async fn sign_in(
        &self,
        users: std::ops::Range<usize>,
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
    pub(crate) async fn register(&self, users: std::ops::Range<usize>) -> Outcome<()> {
        self.target.accounts.suffice(users.end)?;
        if !self.registers || self.target.is_floor() {
            return Ok(());
        }
        let one = |number| {
            let target = self.target.clone();
            async move { Client::register(&target, number).await }
        };
        self.all("registering", users, one).await.map(drop)
    }

    /// Does something for every number, [`AT_ONCE`] at a time; the first failure ends it, and so
    /// does an interruption.
    pub(crate) async fn all<T, F>(
        &self,
        label: &'static str,
        numbers: std::ops::Range<usize>,
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
                return Err(format!("interrupted while {label}, before anything was measured"));
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

/// What a task of the run came to.
pub(crate) fn flatten<T>(joined: Result<Outcome<T>, tokio::task::JoinError>) -> Outcome<T> {
    joined.map_err(|error| error.to_string())?
}
