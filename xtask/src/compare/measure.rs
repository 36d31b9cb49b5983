//! The measurements: each starts its servers in turn, again and again, and never two at a time.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::cases::{CASES, Case, Figure};
use super::options::Options;
use super::peers::{PEERS, Peer, Place};
use super::results::{Results, brief};
use super::running::{Running, free_ports};

/// Accounts besides those of idle sessions: what the largest other case needs.
const ACCOUNTS: usize = 501;
/// Idle sessions that do not count, which warm a server up.
const FIRST_SESSIONS: usize = 20;

/// Everything that the measurements share.
pub(super) struct Comparison {
    options: Options,
    servers: Vec<(Peer, Place)>,
    _folder: TempDir,
}

impl Comparison {
    /// Starts each server once and makes its accounts.
    pub(super) fn new(root: &Path, options: Options) -> Result<Self, String> {
        let folder = TempDir::new().map_err(|error| error.to_string())?;
        let programs = root.join(&options.programs);
        let mut servers = Vec::new();
        for peer in PEERS {
            let (programs, ports) = (programs.clone(), free_ports()?);
            let place = Place { programs, folder: folder.path().join(peer.name), ports };
            let is_named = options.servers.iter().any(|name| name == peer.name);
            if is_named || (options.servers.is_empty() && peer.is_there(&place)) {
                servers.push((peer, place));
            }
        }
        let comparison = Self { options, servers, _folder: folder };
        for (peer, place) in comparison.servers.iter().filter(|(peer, _)| !peer.is_floor()) {
            comparison.make_accounts(peer, place)?;
        }
        Ok(comparison)
    }

    fn make_accounts(&self, peer: &Peer, place: &Place) -> Result<(), String> {
        let users = (self.options.sessions + FIRST_SESSIONS).max(ACCOUNTS);
        eprintln!("{}: {users} accounts", peer.name);
        let running = Running::start(peer, place, "tcp")?;
        let users = users.to_string();
        let words = ["idle", "--register", "--first", "0", "--users", &users, "--settle", "0"];
        let words = words.iter().chain(&["--seconds", "1"]).map(|word| (*word).to_owned());
        load(peer, place, &running, ("tcp", words.collect())).map(drop)
    }

    /// Runs every case on every server, round by round, and has the results kept after each.
    pub(super) fn run(
        &self,
        keep: impl Fn(&Results) -> Result<(), String>,
    ) -> Result<Results, String> {
        let mut results = Results::new(self.about());
        for round in 1..=self.options.rounds {
            for case in CASES.iter().filter(|case| case.is_wanted(&self.options)) {
                for (peer, place) in &self.servers {
                    if peer.is_floor() && !case.has_floor {
                        continue;
                    }
                    let run = self.measure(case, peer, place).unwrap_or_else(|reason| {
                        results.fail(format!("{} on {}: {reason}", case.name, peer.name));
                        Value::Null
                    });
                    let figure = run[case.figure.key()].as_f64().map_or("-".into(), brief);
                    let unit = case.figure.unit();
                    eprintln!("round {round}, {}, {}: {figure} {unit}", case.name, peer.name);
                    results.add(case.name, peer.name, run);
                }
                keep(&results)?;
            }
        }
        Ok(results)
    }

    fn measure(&self, case: &Case, peer: &Peer, place: &Place) -> Result<Value, String> {
        let running = Running::start(peer, place, case.transport)?;
        if case.figure == Figure::Start {
            let took = running.took.as_secs_f64() * 1e3;
            return Ok(json!({ "start_ms": took, "resident_kib": resident(running.pid()) }));
        }
        let words = case.words(&self.options);
        let run = load(peer, place, &running, (case.transport, words))?;
        Ok(json!({
            "cpu_micros": run["server"]["cpu_micros"],
            "cpu_share": run["server"]["cpu_share"],
            "resident_kib": run["server"]["resident_kib"],
            "per_second": run["per_second"],
            "p50": run["latency_micros"]["p50"],
            "p99": run["latency_micros"]["p99"],
            "session_kib": run["memory"]["session_kib"],
            "late_p99": run["generator_late_micros_p99"],
        }))
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
        })
    }
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
    let output = command.output().map_err(|error| format!("waxwing-load: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}
