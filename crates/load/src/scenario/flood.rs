//! Clients that do harm: some flood, some never read what is written to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::Outcome;
use crate::client::{Client, attribute};
use crate::run::Run;
use crate::scenario::keep;
use crate::target::Target;

/// Messages in front of a question.
const BATCH: u64 = 250;
/// Questions of one flooder on their way at a time. So the server always has more to read, and what
/// it has not read yet stays bounded.
const ASKED: u64 = 8;
/// How often somebody who never reads looks whether it is still connected.
const BEAT: Duration = Duration::from_millis(200);
/// How often the end of a flood is looked for.
const STEP: Duration = Duration::from_millis(20);

/// Some who flood others that read, and some who flood others that do not.
pub(super) struct Floods {
    valve: watch::Sender<bool>,
    /// They live as long as the run, and end only with an error.
    pub(super) tasks: JoinSet<Outcome<()>>,
    /// Those who read, and answer the server.
    readers: JoinSet<String>,
    tally: Arc<Tally>,
}

/// What came of it.
#[derive(Default)]
struct Tally {
    /// Messages that the server has taken.
    taken: AtomicU64,
    /// Questions without an answer.
    open: AtomicU64,
    /// Sessions that the server has ended because nobody read.
    ended: AtomicU64,
}

impl Floods {
    /// Signs everybody in but those who will not read; nothing flows yet. They have the accounts
    /// from `first`, two for each.
    pub(super) async fn new(
        run: &Run,
        first: usize,
        (flooders, deaf): (usize, usize),
        bytes: usize,
    ) -> Outcome<Self> {
        let (valve, watch) = watch::channel(false);
        let (mut tasks, mut readers) = (JoinSet::new(), JoinSet::new());
        let tally = Arc::<Tally>::default();
        let last = first + 2 * (flooders + deaf);
        run.register(first..last).await?;
        for index in 0..flooders + deaf {
            let (from, to) = (first + 2 * index, first + 2 * index + 1);
            let client = one(run.sign_in(from..from + 1, 1).await?)?;
            if index < flooders {
                keep(&mut readers, run.sign_in(to..to + 1, 1).await?);
            } else {
                tasks.spawn(stay(run.target.clone(), to, watch.clone(), Arc::clone(&tally)));
            }
            let message = message(&client, &run.target.full_address(to), bytes);
            let question = client.stanza("<iq", &question(&run.target.domain));
            let flooder = Flooder { client, message, question, tally: Arc::clone(&tally) };
            tasks.spawn(flooder.pour(watch.clone()));
        }
        Ok(Self { valve, tasks, readers, tally })
    }

    /// Lets it flow.
    pub(super) fn open(&self) {
        self.valve.send_replace(true);
    }

    /// Stops it, and waits until the server has taken what was sent.
    pub(super) async fn close(&mut self, patience: Duration) -> Outcome<()> {
        self.valve.send_replace(false);
        let taken = async {
            while self.tally.open.load(Ordering::Relaxed) > 0 {
                tokio::time::sleep(STEP).await;
            }
        };
        let taken = tokio::time::timeout(patience, taken).await;
        super::all_there(&mut self.readers)?;
        taken.map_err(|_| {
            let seconds = patience.as_secs();
            format!("the server does not take what floods have sent within {seconds} s")
        })
    }

    /// Messages that the server has taken so far.
    pub(super) fn taken(&self) -> u64 {
        self.tally.taken.load(Ordering::Relaxed)
    }

    /// Sessions that it has ended because nobody read.
    pub(super) fn ended(&self) -> u64 {
        self.tally.ended.load(Ordering::Relaxed)
    }
}

fn one(clients: Vec<Client>) -> Outcome<Client> {
    clients.into_iter().next().ok_or_else(|| "nobody has signed in".into())
}

fn message(client: &Client, to: &str, bytes: usize) -> String {
    let write = |body: &str| {
        client.stanza("<message", &format!(" type='chat' to='{to}'><body>{body}</body></message>"))
    };
    write(&"x".repeat(bytes.saturating_sub(write("").len())))
}

/// Asked of the server itself: what came before is taken when the answer comes.
fn question(domain: &str) -> String {
    format!(" type='get' id='flood' to='{domain}'><ping xmlns='urn:xmpp:ping'/></iq>")
}

/// One who sends as fast as the server reads.
struct Flooder {
    client: Client,
    message: String,
    question: String,
    tally: Arc<Tally>,
}

impl Flooder {
    async fn pour(mut self, mut valve: watch::Receiver<bool>) -> Outcome<()> {
        let mut asked = 0;
        loop {
            let is_open = *valve.borrow_and_update();
            while is_open && asked < ASKED {
                (0..BATCH).for_each(|_| self.client.push(&self.message));
                self.client.push(&self.question);
                self.tally.open.fetch_add(1, Ordering::Relaxed);
                asked += 1;
            }
            tokio::select! {
                moved = self.client.exchange() => moved?,
                changed = valve.changed() => if changed.is_err() { return Ok(()) },
            }
            // Refused or not, what is answered was taken.
            while let Some(element) = self.client.heard()? {
                if element.starts_with("<iq") && attribute(&element, "id") == Some("flood") {
                    asked -= 1;
                    self.tally.open.fetch_sub(1, Ordering::Relaxed);
                    self.tally.taken.fetch_add(BATCH, Ordering::Relaxed);
                }
            }
        }
    }
}

/// Signs in while the floods flow, and never reads; once the server has had enough, again.
async fn stay(
    target: Target,
    number: usize,
    mut valve: watch::Receiver<bool>,
    tally: Arc<Tally>,
) -> Outcome<()> {
    while valve.wait_for(|is_open| *is_open).await.is_ok() {
        let mut client = Client::enter(&target, number, 0).await?;
        client.show(&target).await?;
        let closed = async {
            while client.beat().await.is_ok() {
                tokio::time::sleep(BEAT).await;
            }
        };
        tokio::select! {
            () = closed => { tally.ended.fetch_add(1, Ordering::Relaxed); }
            _ = valve.wait_for(|is_open| !*is_open) => {}
        }
    }
    Ok(())
}
