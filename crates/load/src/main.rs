//! Many XMPP clients in one process, to find out what they cost a server.
//!
//! It knows no server from inside: everything goes over sockets, and the figures about the server's
//! process come from the operating system.

mod accounts;
mod client;
mod clock;
mod floor;
mod latency;
mod limits;
mod meter;
mod process;
mod progress;
mod report;
mod run;
mod scenario;
mod scram;
mod sources;
mod target;
mod timer;
mod tls;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use clap::{Args, Parser, Subcommand};

use self::accounts::Accounts;
use self::run::Run;
use self::scenario::Scenario;
use self::sources::Sources;
use self::target::{Speech, Target, Transport};

/// What goes wrong is told to a person and ends the run.
type Outcome<T> = Result<T, String>;

/// The most of anything that is counted here.
const MOST: u64 = 1_000_000;

/// Load for an XMPP server, and what it costs that server.
///
/// Every message is checked: one that is lost, comes twice or overtakes another ends the run with
/// an error. Runs end by themselves; Ctrl-C ends one early and prints what it has.
#[derive(Parser)]
#[command(name = "waxwing-load", version, after_help = EXAMPLE)]
struct Arguments {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLE: &str = "Example:
  waxwing-load chat --address 127.0.0.1:5222 --domain localhost --register \\
      --pid \"$(pidof waxwing)\" --pairs 50 --rate 2000 --seconds 30";

#[derive(Args)]
struct Place {
    /// Where the server listens for the transport.
    #[arg(long, global = true, default_value = "127.0.0.1:5222")]
    address: SocketAddr,
    /// The virtual host.
    #[arg(long, global = true, default_value = "localhost")]
    domain: String,
    /// How to connect.
    #[arg(long, global = true, value_enum, default_value = "tcp")]
    transport: Transport,
    /// Where WebSockets are opened.
    #[arg(long, global = true, default_value = "/xmpp-websocket")]
    path: String,
    /// How to sign in; `floor` talks to `waxwing-load floor`.
    #[arg(long, global = true, value_enum, default_value = "scram-sha-1")]
    auth: Speech,
    /// Names of the accounts, with {} where the number goes.
    #[arg(long, global = true, default_value = "load{}")]
    user: String,
    /// The password of all accounts.
    #[arg(long, global = true, default_value = "under-the-load")]
    password: String,
    /// A file with `name password` on each line, instead of --user and --password.
    #[arg(long, global = true, conflicts_with_all = ["user", "password"])]
    accounts: Option<PathBuf>,
    /// Make accounts that do not exist by registering in-band (XEP-0077).
    #[arg(long, global = true)]
    register: bool,
    /// An address of this machine to connect from; may be given several times, where one has too
    /// few ports. On loopback more are taken without being named.
    #[arg(long, global = true)]
    source: Vec<IpAddr>,
    /// The server's process on this machine, whose processor time and memory are read.
    #[arg(long, global = true)]
    pid: Option<u32>,
    /// Seconds that one answer may take before the run ends with an error.
    #[arg(long, global = true, default_value_t = 30,
        value_parser = clap::value_parser!(u64).range(1..=600))]
    patience: u64,
    /// Print one object of JSON instead of a table.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Scenario(Scenario),
    /// Be a relay that understands nothing: what sockets alone cost, to compare with.
    Floor(floor::Floor),
}

/// Reads a number from one.
fn counts() -> RangedU64ValueParser {
    clap::value_parser!(u64).range(1..=MOST)
}

fn main() -> ExitCode {
    let Arguments { place, command } = Arguments::parse();
    let is_json = place.json;
    let outcome = match &command {
        Command::Floor(floor) => floor::run(floor).map(|()| None),
        Command::Scenario(scenario) => tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| format!("no threads can be started: {error}"))
            .and_then(|runtime| runtime.block_on(perform(place, scenario)).map(Some)),
    };
    match outcome {
        Ok(Some(report)) if is_json => println!("{}", report.json()),
        Ok(Some(report)) => print!("{report}"),
        Ok(None) => {}
        Err(reason) => {
            eprintln!("waxwing-load: {reason}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

async fn perform(place: Place, scenario: &Scenario) -> Outcome<report::Report> {
    let (pid, registers) = (place.pid, place.register);
    if let Some(pid) = pid {
        process::resident(pid)?;
    }
    let registers = registers || matches!(scenario, Scenario::Register(_));
    let run = Run::new(place.target()?, pid, registers);
    tokio::select! {
        report = scenario.play(&run) => report,
        () = Arc::clone(&run.progress).draw() => Err("the progress ends".into()),
    }
}

impl Place {
    fn target(self) -> Outcome<Target> {
        let accounts = match &self.accounts {
            Some(file) => Accounts::file(file)?,
            None => Accounts::pattern(&self.user, &self.password)?,
        };
        if self.auth == Speech::Floor && self.transport != Transport::Tcp {
            let is_tls = self.transport == Transport::Tls;
            if !is_tls {
                return Err("the floor knows --transport tcp and tls only".into());
            }
        }
        if self.source.iter().any(|source| source.is_ipv4() != self.address.is_ipv4()) {
            return Err(format!(
                "{} is not reached from every --source: take addresses of one kind",
                self.address
            ));
        }
        Ok(Target {
            address: self.address,
            domain: self.domain,
            path: self.path,
            transport: self.transport,
            speech: self.auth,
            accounts: Arc::new(accounts),
            sources: Arc::new(Sources::new(self.source)),
            keys: Arc::default(),
            patience: Duration::from_secs(self.patience),
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn read(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_command_line_fits_together() {
        Arguments::command().debug_assert();
        let read = read("load chat --transport wss --rate 5000 --seconds 3").expect("fine");
        assert_eq!(read.place.transport, Transport::Wss);
        assert!(matches!(read.command, Command::Scenario(Scenario::Chat(_))));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for line in [
            "load chat --rate 0",
            "load chat --rate 5 --window 2",
            "load chat --seconds 0",
            "load chat --seconds 100000",
            "load chat --pairs 0",
            "load idle --transport carrier-pigeon",
            "load login --accounts file --password x",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
        let place = read("load chat --user nobody").expect("words").place;
        assert!(place.target().is_err_and(|reason| reason.contains("nobody{}")));
    }
}
