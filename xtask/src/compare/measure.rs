//! The measurements: each starts its servers in turn, again and again, and never two at a time.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::{self, sleep};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::cases::{CASES, Case, Figure};
use super::options::Options;
use super::peers::{Mode, PEERS, Peer, Place};
use super::results::{Results, brief};
use super::running::{Running, free_ports, now};

/// How long one run of the load generator may take. It ends by itself long before.
const PATIENCE: Duration = Duration::from_secs(900);
const STEP: Duration = Duration::from_millis(20);

/// Everything that the measurements share.
pub(super) struct Comparison {
    options: Options,
    servers: Vec<(Peer, Place)>,
    /// Servers that could not be got ready, and why.
    failures: Vec<String>,
    _folder: TempDir,
}

impl Comparison {
    /// Starts each server once and makes its accounts. One that cannot be got ready is left out,
    /// unless it is Waxwing.
    pub(super) fn new(root: &Path, options: Options) -> Result<Self, String> {
        let folder = TempDir::new().map_err(|error| error.to_string())?;
        let programs = root.join(&options.programs);
        let mut places = Vec::new();
        for (number, peer) in (0..).zip(PEERS) {
            let (programs, ports) = (programs.clone(), free_ports(number)?);
            let place = Place { programs, folder: folder.path().join(peer.name), ports };
            let is_wanted = match options.servers.is_empty() {
                true => peer.is_there(&place),
                false => options.servers.iter().any(|name| name == peer.name),
            };
            if is_wanted {
                places.push((peer, place));
            }
        }
        // Nothing is measured here, so all of them work at the same time.
        let made: Vec<Result<(), String>> = thread::scope(|scope| {
            let make = |(peer, place)| make_accounts(&options, peer, place);
            let all: Vec<_> = places
                .iter()
                .map(|(peer, place)| scope.spawn(move || make((peer, place))))
                .collect();
            let joined = all.into_iter().map(|one| one.join());
            joined.map(|made| made.unwrap_or_else(|_| Err("a thread panicked".into()))).collect()
        });
        let (mut servers, mut failures) = (Vec::new(), Vec::new());
        for ((peer, place), made) in places.into_iter().zip(made) {
            match made {
                Ok(()) => servers.push((peer, place)),
                Err(reason) if peer.is_own() => return Err(reason),
                Err(reason) => failures.push(format!("{} is left out: {reason}", peer.name)),
            }
        }
        Ok(Self { options, servers, failures, _folder: folder })
    }

    /// Runs every case on every server, round by round, and has the results kept after each.
    pub(super) fn run(
        &self,
        keep: impl Fn(&Results) -> Result<(), String>,
    ) -> Result<Results, String> {
        let mut results = Results::new(self.about());
        self.failures.iter().for_each(|failure| results.fail(failure.clone()));
        let (options, start) = (&self.options, now());
        for round in 1..=options.rounds {
            for case in CASES.iter().filter(|case| case.is_wanted(options)) {
                let here = self.servers.iter().filter(|(peer, _)| case.has(peer, round, options));
                for (peer, place) in here {
                    let run = self.measure(case, peer, place).unwrap_or_else(|reason| {
                        results.fail(format!("{} on {}: {reason}", case.name, peer.name));
                        Value::Null
                    });
                    let figure = run[case.figure.key()].as_f64().map_or("failed".into(), brief);
                    let unit = case.figure.unit();
                    let (so_far, name) = (start.elapsed().as_secs(), case.name);
                    eprintln!(
                        "{so_far:5} s, round {round}, {name}, {}: {figure} {unit}",
                        peer.name
                    );
                    results.add(case.name, peer.name, run);
                }
                keep(&results)?;
            }
        }
        Ok(results)
    }

    fn measure(&self, case: &Case, peer: &Peer, place: &Place) -> Result<Value, String> {
        let running = Running::start(peer, place, case.mode())?;
        if case.figure == Figure::Start {
            let took = running.took.as_secs_f64() * 1e3;
            return Ok(json!({ "start_ms": took, "resident_kib": resident(running.pid()) }));
        }
        let words = case.words(&self.options);
        let run = load(peer, place, &running, (case.transport, words))?;
        Ok(match case.figure {
            Figure::Fairness => json!({
                "alone_p50": run["alone_micros"]["p50"],
                "alone_p99": run["alone_micros"]["p99"],
                "beside_p50": run["beside_micros"]["p50"],
                "beside_p99": run["beside_micros"]["p99"],
                "ratio_p99": run["ratio"]["p99"],
                "more_kib": run["memory"]["more_kib"],
                "taken_per_second": run["flood"]["per_second"],
                "late_p99": run["generator_late_micros_p99"],
            }),
            _ => json!({
                "cpu_micros": run["server"]["cpu_micros"],
                "cpu_share": run["server"]["cpu_share"],
                "resident_kib": run["server"]["resident_kib"],
                "per_second": run["per_second"],
                "p50": run["latency_micros"]["p50"],
                "p99": run["latency_micros"]["p99"],
                "session_kib": run["memory"]["session_kib"],
                "late_p99": run["generator_late_micros_p99"],
            }),
        })
    }

    fn about(&self) -> Value {
        let first = |file: &str, key: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix(key).map(str::to_owned));
            line.map(|line| line.trim_matches(['\t', ' ', ':', '"']).to_owned())
        };
        let version = |program: &str, words: &[&str]| {
            let output = Command::new(program).args(words).output().ok()?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            Some(text.lines().next()?.trim().to_owned())
        };
        let packages = ["-W", "-f", "${Package} ${Version}  ", "ejabberd", "prosody"];
        let size = self.servers.first().and_then(|(_, place)| {
            fs::metadata(place.programs.join("waxwing")).ok().map(|file| file.len())
        });
        let load = first("/proc/loadavg", "");
        json!({
            "date": version("date", &["-u", "+%Y-%m-%d"]),
            "processor": first("/proc/cpuinfo", "model name"),
            "processors": std::thread::available_parallelism().map_or(1, usize::from),
            "system": first("/etc/os-release", "PRETTY_NAME="),
            "kernel": version("uname", &["-r"]),
            "packages": version("dpkg-query", &packages),
            "load_average": load.as_deref().and_then(|load| load.split(' ').next()),
            "program_bytes": size,
            "rounds": self.options.rounds,
            "seconds": self.options.seconds,
            "sessions": self.options.sessions,
            "many": self.options.many,
            "accounts": self.options.accounts,
        })
    }
}

/// As many as the cases need that this server takes part in.
fn make_accounts(options: &Options, peer: &Peer, place: &Place) -> Result<(), String> {
    let has = |case: &Case| (1..=options.rounds).any(|round| case.has(peer, round, options));
    let cases = CASES.iter().filter(|case| case.is_wanted(options) && has(case));
    let Some(users) = cases.map(|case| case.accounts(peer, options)).max() else { return Ok(()) };
    if peer.is_floor() {
        return Ok(());
    }
    eprintln!("{}: {users} accounts", peer.name);
    let (is_limited, is_archived, has_services) = (false, false, false);
    let mode = Mode { transport: "tcp", is_limited, is_archived, has_services };
    let running = Running::start(peer, place, mode)?;
    let words = vec!["register".to_owned(), "--users".to_owned(), users.to_string()];
    load(peer, place, &running, ("tcp", words)).map(drop)
}

/// Resident memory of a process, in KiB.
fn resident(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Runs the load generator and reads its result.
fn load(
    peer: &Peer,
    place: &Place,
    running: &Running,
    (transport, words): (&str, Vec<String>),
) -> Result<Value, String> {
    let mut command = Command::new(place.programs.join("waxwing-load"));
    command
        .args(["--address", &format!("127.0.0.1:{}", place.ports.of(transport))])
        .args(["--transport", transport, "--json", "--pid", &running.pid().to_string()])
        .args(words);
    if peer.is_floor() {
        command.args(["--auth", "floor"]);
    }
    let output = finish(command).map_err(|reason| format!("waxwing-load: {reason}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}

/// Waits for the end of a program that says little, and puts one to it that does not come.
fn finish(mut command: Command) -> Result<Output, String> {
    let failed = |error: std::io::Error| error.to_string();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut left = PATIENCE;
    while child.try_wait().map_err(failed)?.is_none() {
        if left.is_zero() {
            child.kill().map_err(failed)?;
            child.wait().map_err(failed)?;
            return Err(format!("it has not ended within {} s", PATIENCE.as_secs()));
        }
        sleep(STEP);
        left = left.saturating_sub(STEP);
    }
    child.wait_with_output().map_err(failed)
}
