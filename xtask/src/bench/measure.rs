//! The measurements: each starts its servers in turn, again and again, and never two at a time.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::options::Options;
use super::peers::{PEERS, Peer, Place, Ports};
use super::report::{Report, Row};
use super::running::{Running, free_ports};

/// Idle sessions that do not count, which warm a server up.
const FIRST_SESSIONS: usize = 20;

/// Everything that the measurements share.
pub(super) struct Bench<'a> {
    root: &'a Path,
    options: Options,
    servers: Vec<(&'static Peer, Place<'a>)>,
    _folder: TempDir,
}

impl<'a> Bench<'a> {
    /// Starts each server once and makes its accounts.
    pub(super) fn new(root: &'a Path, options: Options) -> Result<Self, String> {
        let folder = TempDir::new().map_err(|error| error.to_string())?;
        let mut servers = Vec::new();
        for peer in PEERS {
            let place = Place { root, folder: folder.path().join(peer.name), ports: free_ports()? };
            let is_named = options.servers.iter().any(|name| name == peer.name);
            if is_named || (options.servers.is_empty() && peer.is_there(&place)) {
                servers.push((peer, place));
            }
        }
        let bench = Self { root, options, servers, _folder: folder };
        let users = (bench.options.sessions + FIRST_SESSIONS).max(2 * bench.options.pairs);
        for (peer, place) in &bench.servers {
            eprintln!("{}: {users} accounts", peer.name);
            let running = Running::start(peer, place)?;
            bench.load(place, &running, "tcp", &["register", "--users", &users.to_string()])?;
        }
        Ok(bench)
    }

    /// Measures what was asked for.
    pub(super) fn run(&self) -> Result<Report, String> {
        let mut report = Report::default();
        if self.options.wants("start") {
            let program = self.root.join("target/release/waxwing");
            let bytes = fs::metadata(&program).map_err(|error| error.to_string())?.len();
            report.note(format!("The program has {:.1} MiB.", bytes as f64 / 1_048_576.0));
            let rows = self.each(|_, _, running| Ok(vec![running.took.as_secs_f64() * 1e3]))?;
            report.add("Start to the first answer, existing data", &["ms"], rows);
        }
        if self.options.wants("chat") {
            let seconds = self.options.seconds.to_string();
            let pairs = self.options.pairs.to_string();
            let arguments = ["chat", "--pairs", &pairs, "--seconds", &seconds];
            let fields = ["cpu_micros", "latency_median_micros", "latency_99_micros", "per_second"];
            let rows =
                self.each(|_, place, running| self.figures(place, running, &arguments, &fields))?;
            let title = format!("Chat over {}, {pairs} pairs, 1 in flight", self.options.transport);
            let columns = ["CPU µs a message", "median µs", "99 % µs", "messages a second"];
            report.add(&title, &columns, rows);
        }
        if self.options.wants("idle") {
            let sessions = self.options.sessions.to_string();
            let first = FIRST_SESSIONS.to_string();
            let arguments = ["idle", "--users", &sessions, "--first", &first];
            let fields = ["session_kib", "before_kib"];
            let rows =
                self.each(|_, place, running| self.figures(place, running, &arguments, &fields))?;
            let title =
                format!("{sessions} idle sessions with presence over {}", self.options.transport);
            report.add(&title, &["KiB a session", "KiB before"], rows);
        }
        Ok(report)
    }

    /// Runs every server in turn, `runs` times over.
    fn each(
        &self,
        measure: impl Fn(&Peer, &Place<'_>, &Running) -> Result<Vec<f64>, String>,
    ) -> Result<Vec<Row>, String> {
        let fresh = |(peer, _): &(&'static Peer, Place<'_>)| Row { name: peer.name, runs: vec![] };
        let mut rows: Vec<Row> = self.servers.iter().map(fresh).collect();
        for run in 1..=self.options.runs {
            for ((peer, place), row) in self.servers.iter().zip(&mut rows) {
                let running = Running::start(peer, place)?;
                let figures = measure(peer, place, &running)?;
                eprintln!("{} run {run}: {figures:.1?}", peer.name);
                row.runs.push(figures);
            }
        }
        Ok(rows)
    }

    fn figures(
        &self,
        place: &Place<'_>,
        running: &Running,
        arguments: &[&str],
        fields: &[&str],
    ) -> Result<Vec<f64>, String> {
        let result = self.load(place, running, &self.options.transport, arguments)?;
        let figure = |field: &&str| result[*field].as_f64().ok_or(format!("{field} is missing"));
        fields.iter().map(figure).collect()
    }

    /// Runs the load generator and reads its result.
    fn load(
        &self,
        place: &Place<'_>,
        running: &Running,
        transport: &str,
        arguments: &[&str],
    ) -> Result<Value, String> {
        let Ports { tcp, tls, http } = place.ports;
        let port = match transport {
            "tls" => tls,
            "websocket" => http,
            _ => tcp,
        };
        let output = Command::new(self.root.join("target/release/waxwing-load"))
            .args(["--address", &format!("127.0.0.1:{port}"), "--transport", transport])
            .args(["--pid", &running.pid().to_string()])
            .args(arguments)
            .output()
            .map_err(|error| format!("waxwing-load: {error}"))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
    }
}
