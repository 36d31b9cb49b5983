//! What to measure, and how long.

pub(super) const HELP: &str = "\
Usage: cargo xtask bench [OPTIONS]

  --only WHAT        start, chat or idle; may be given several times (all of them)
  --server NAME      waxwing, ejabberd or prosody; may be given several times (those installed)
  --transport NAME   tcp, tls or websocket (tcp); ejabberd and prosody have no tls here
  --runs N           runs of each server, alternating (3)
  --seconds N        seconds of chat that count in each run (8)
  --pairs N          pairs that chat (100)
  --sessions N       idle sessions (2000)
  --no-build         takes target/release as it is
";

/// What was asked for.
pub(super) struct Options {
    pub(super) only: Vec<String>,
    pub(super) servers: Vec<String>,
    pub(super) transport: String,
    pub(super) runs: usize,
    pub(super) seconds: usize,
    pub(super) pairs: usize,
    pub(super) sessions: usize,
    pub(super) builds: bool,
}

impl Options {
    /// Reads the arguments; none when help is wanted.
    pub(super) fn read(arguments: &[String]) -> Result<Option<Self>, String> {
        let mut options = Self {
            only: Vec::new(),
            servers: Vec::new(),
            transport: "tcp".into(),
            runs: 3,
            seconds: 8,
            pairs: 100,
            sessions: 2000,
            builds: true,
        };
        let mut arguments = arguments.iter();
        while let Some(name) = arguments.next() {
            if matches!(name.as_str(), "--help" | "-h") {
                return Ok(None);
            }
            if name == "--no-build" {
                options.builds = false;
                continue;
            }
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value\n{HELP}"))?;
            let number = || match value.parse() {
                Ok(number) if number > 0 => Ok(number),
                _ => Err(format!("{name} needs a number from 1, and got {value:?}")),
            };
            match name.as_str() {
                "--only" => options.only.push(one_of(value, &["start", "chat", "idle"])?),
                "--server" => {
                    options.servers.push(one_of(value, &["waxwing", "ejabberd", "prosody"])?);
                }
                "--transport" => {
                    options.transport = one_of(value, &["tcp", "tls", "websocket"])?;
                }
                "--runs" => options.runs = number()?,
                "--seconds" => options.seconds = number()?,
                "--pairs" => options.pairs = number()?,
                "--sessions" => options.sessions = number()?,
                _ => return Err(format!("{name} is no option\n{HELP}")),
            }
        }
        Ok(Some(options))
    }

    /// Whether this is to be measured.
    pub(super) fn wants(&self, what: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == what)
    }
}

fn one_of(value: &str, known: &[&str]) -> Result<String, String> {
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
        let options = read(&["--only", "chat", "--runs", "5"]).expect("fine").expect("no help");
        assert!(options.wants("chat") && !options.wants("idle"));
        assert_eq!((options.runs, options.sessions), (5, 2000));
        assert!(read(&["--runs", "0"]).is_err());
        assert!(read(&["--only", "dance"]).is_err());
        assert!(read(&["--runs"]).is_err());
        assert!(read(&["--help"]).is_ok_and(|options| options.is_none()));
    }
}
