//! What to measure, and how long.

use std::path::PathBuf;

use rustix::process::{Resource, getrlimit};

/// Descriptors that are not sessions: files of the database, sockets that listen, and the like.
const SPARE_FILES: usize = 300;

pub(super) const HELP: &str = "\
Usage: cargo xtask compare [OPTIONS]

  --quick            fewer cases, smaller and shorter, one round: about three minutes
  --only PART        cases whose name contains this; may be given several times (all of them)
  --server NAME      waxwing, floor, ejabberd or prosody; may be given several times (those
                     installed); ratios need waxwing
  --rounds N         runs of each case on each server, alternating (3; 1 with --quick)
  --seconds N        seconds that count in each run (6; 2 with --quick)
  --sessions N       idle sessions (2000; 500 with --quick)
  --many N           idle sessions where they are many, and fewer where the limit of open files is
                     lower; 0 for none (20000; 0 with --quick)
  --accounts N       accounts that Waxwing starts with, at least (10000; 1000 with --quick)
  --all              every server in every round and every case that it can do, which takes hours
  --programs FOLDER  takes waxwing and waxwing-load from there as they are, and builds nothing
  --write            writes the tables and plots of docs/performance.md
  --from FILE        measures nothing and takes the figures of an earlier run
";

/// What was asked for.
pub(super) struct Options {
    pub(super) is_quick: bool,
    pub(super) only: Vec<String>,
    pub(super) servers: Vec<String>,
    pub(super) rounds: usize,
    pub(super) seconds: usize,
    pub(super) sessions: usize,
    /// Idle sessions where they are many.
    pub(super) many: usize,
    /// Accounts that a server starts with.
    pub(super) accounts: usize,
    /// Whether every server takes part in every round.
    pub(super) all: bool,
    pub(super) builds: bool,
    pub(super) programs: PathBuf,
    pub(super) writes: bool,
    pub(super) from: Option<PathBuf>,
}

impl Options {
    /// Reads the arguments; none when help is wanted.
    pub(super) fn read(arguments: &[String]) -> Result<Option<Self>, String> {
        let is_quick = arguments.iter().any(|argument| argument == "--quick");
        let (rounds, seconds, sessions) = if is_quick { (1, 2, 500) } else { (3, 6, 2000) };
        let (many, accounts) = if is_quick { (0, 1000) } else { (20_000, 10_000) };
        let mut options = Self {
            is_quick,
            only: Vec::new(),
            servers: Vec::new(),
            rounds,
            seconds,
            sessions,
            many,
            accounts,
            all: false,
            builds: true,
            programs: "target/release".into(),
            writes: false,
            from: None,
        };
        let mut arguments = arguments.iter();
        while let Some(name) = arguments.next() {
            match name.as_str() {
                "--help" | "-h" => return Ok(None),
                "--quick" => {}
                "--all" => options.all = true,
                "--write" => options.writes = true,
                _ => {
                    let value = arguments.next();
                    options.set(name, value.ok_or(format!("{name} needs a value\n{HELP}"))?)?;
                }
            }
        }
        options.many = options.many.min(most_sessions());
        Ok(Some(options))
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let number = || match value.parse() {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(format!("{name} needs a number from 1, and got {value:?}")),
        };
        match name {
            "--only" => self.only.push(value.to_owned()),
            "--server" => self.servers.push(server(value)?),
            "--rounds" => self.rounds = number()?,
            "--seconds" => self.seconds = number()?,
            "--sessions" => self.sessions = number()?,
            "--many" if value == "0" => self.many = 0,
            "--many" => self.many = number()?,
            "--accounts" => self.accounts = number()?,
            "--programs" => (self.programs, self.builds) = (value.into(), false),
            "--from" => self.from = Some(value.into()),
            _ => return Err(format!("{name} is no option\n{HELP}")),
        }
        Ok(())
    }

    /// Whether this case is to be measured.
    pub(super) fn wants(&self, case: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| case.contains(part))
    }
}

/// Sessions that one process may have: it inherits the limit of open files.
fn most_sessions() -> usize {
    let limit = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(SPARE_FILES)
}

fn server(value: &str) -> Result<String, String> {
    let known = super::peers::PEERS.map(|peer| peer.name);
    match known.contains(&value) {
        true => Ok(value.to_owned()),
        false => Err(format!("{value:?} is none of {}", known.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Option<Options>, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Options::read(&words)
    }

    #[test]
    fn options_are_read_or_refused() {
        let options = read(&["--only", "chat", "--rounds", "5"]).expect("fine").expect("no help");
        assert!(options.wants("chat-tcp-1") && !options.wants("idle-tcp"));
        assert_eq!((options.rounds, options.accounts), (5, 10_000));
        assert!(read(&["--rounds", "0"]).is_err());
        assert!(read(&["--server", "sendmail"]).is_err());
        assert!(read(&["--rounds"]).is_err());
        assert!(read(&["--sessions", "0"]).is_err());
        let few = read(&["--many", "5", "--all"]).expect("fine").expect("no help");
        assert!(few.many == 5 && few.all);
        let none = read(&["--many", "0"]).expect("fine").expect("no help");
        assert_eq!(none.many, 0);
        assert!(read(&["--help"]).is_ok_and(|options| options.is_none()));
        let quick = read(&["--seconds", "4", "--quick"]).expect("fine").expect("no help");
        assert_eq!((quick.rounds, quick.seconds, quick.sessions), (1, 4, 500));
    }
}
