//! What to measure, and how long.

use std::path::PathBuf;

pub(super) const HELP: &str = "\
Usage: cargo xtask compare [OPTIONS]

  --quick            fewer cases, smaller and shorter, one round: under five minutes
  --only PART        cases whose name contains this; may be given several times (all of them)
  --server NAME      waxwing, floor, ejabberd or prosody; may be given several times (those
                     installed); ratios need waxwing
  --rounds N         runs of each case on each server, alternating (3; 1 with --quick)
  --seconds N        seconds that count in each run (6; 2 with --quick)
  --sessions N       idle sessions (2000; 500 with --quick)
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
        let mut options = Self {
            is_quick,
            only: Vec::new(),
            servers: Vec::new(),
            rounds,
            seconds,
            sessions,
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
                "--write" => options.writes = true,
                _ => {
                    let value = arguments.next();
                    options.set(name, value.ok_or(format!("{name} needs a value\n{HELP}"))?)?;
                }
            }
        }
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
        assert_eq!((options.rounds, options.sessions), (5, 2000));
        assert!(read(&["--rounds", "0"]).is_err());
        assert!(read(&["--server", "sendmail"]).is_err());
        assert!(read(&["--rounds"]).is_err());
        assert!(read(&["--help"]).is_ok_and(|options| options.is_none()));
        let quick = read(&["--seconds", "4", "--quick"]).expect("fine").expect("no help");
        assert_eq!((quick.rounds, quick.seconds, quick.sessions), (1, 4, 500));
    }
}
