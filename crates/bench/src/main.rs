//! Runs one operation of the server so many times and says nothing: `cargo xtask counts` runs it
//! under callgrind with two numbers, and what one operation costs is the difference by the
//! difference. `docs/counts.md` says what each operation includes.
//!
//! Whatever is prepared is prepared for the larger of the two numbers, so that it cancels out.

mod crowds;
mod login;
mod peer;
mod sessions;
mod spool;
mod stanzas;

use std::process::ExitCode;

/// The server's allocator, as it is a part of what a message costs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome<T = ()> = Result<T, String>;

/// Something whose cost is known and watched.
struct Operation {
    name: &'static str,
    run: fn(Runs) -> Outcome,
    /// The two numbers of runs.
    runs: (usize, usize),
    /// What a run is counted as: so many deliveries.
    parts: usize,
    /// How far a count may grow, in percent.
    slack: usize,
}

/// How often an operation is run now, and how often at most.
#[derive(Clone, Copy)]
struct Runs {
    now: usize,
    most: usize,
}

const SLACK: usize = 5;

const OPERATIONS: &[Operation] = &[
    once("split", stanzas::split, (500, 4500)),
    once("read", stanzas::read, (500, 4500)),
    once("write", stanzas::write, (500, 4500)),
    once("write-xmlns", stanzas::write_with_namespace, (500, 4500)),
    once("jid", stanzas::jid, (500, 4500)),
    once("jid-unicode", stanzas::jid_unicode, (500, 2500)),
    once("chat", sessions::chat, (200, 1200)),
    once("chat-websocket", sessions::chat_websocket, (200, 1200)),
    once("chat-16", sessions::chat_burst, (15, 90)).split(sessions::BURST),
    once("chat-carbon", sessions::chat_carbon, (200, 1200)),
    once("chat-promised", sessions::chat_promised, (100, 500)).wide(),
    once("chat-archived", sessions::chat_archived, (200, 1200)).wide(),
    once("presence", sessions::presence, (4, 24)).split(sessions::CONTACTS),
    once("room", crowds::room, (4, 104)).split(crowds::OCCUPANTS).loose(),
    once("publish", crowds::publish, (2, 62)).split(crowds::SUBSCRIBERS).loose(),
    once("ping", sessions::ping, (200, 1200)),
    once("spool", spool::append, (200, 1200)).wide(),
    once("archive", spool::file, (200, 1200)).wide(),
    once("login", login::login, (20, 100)).wide(),
];

const fn once(name: &'static str, run: fn(Runs) -> Outcome, runs: (usize, usize)) -> Operation {
    Operation { name, run, runs, parts: 1, slack: SLACK }
}

impl Operation {
    /// A run does the same `parts` times.
    const fn split(mut self, parts: usize) -> Self {
        self.parts = parts;
        self
    }

    /// Threads take part in it, whose waits differ from run to run, or cryptography does, which is
    /// another program on another processor.
    const fn wide(mut self) -> Self {
        self.slack = 15;
        self
    }

    /// So many sign in before that this is much of what is counted, and not the same each time.
    const fn loose(mut self) -> Self {
        self.slack = 50;
        self
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["--list"] => {
            list();
            Ok(())
        }
        [name, runs] => run(name, runs),
        _ => Err("usage: waxwing-bench --list | OPERATION RUNS".to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("waxwing-bench: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// For a program: name, fewer runs, more runs, parts of a run, percent of slack.
fn list() {
    for Operation { name, runs: (fewer, more), parts, slack, .. } in OPERATIONS {
        println!("{name} {fewer} {more} {parts} {slack}");
    }
}

fn run(name: &str, runs: &str) -> Outcome {
    let operation = OPERATIONS.iter().find(|operation| operation.name == name);
    let operation = operation.ok_or_else(|| format!("there is no operation {name:?}"))?;
    let most = operation.runs.1;
    match runs.parse() {
        Ok(now) if now <= most => (operation.run)(Runs { now, most }),
        _ => Err(format!("{name} is run 0 to {most} times, not {runs:?}")),
    }
}
