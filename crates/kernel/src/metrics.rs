//! What the server counts, as OpenMetrics text.
//!
//! What happens for every stanza is counted by plain atomics, each reached without a lookup. What
//! happens seldom goes through a table of labels.

mod certificates;
mod peers;

use std::sync::atomic::Ordering;
use std::time::Duration;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use waxwing_stanza::Kind;

pub use self::certificates::Certificates;
pub use self::peers::Peers;

/// One label and its value.
type Label = [(&'static str, &'static str); 1];

/// Everything counted. One for the whole server; shared by reference.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    connections: Family<Label, Gauge>,
    sessions: Gauge,
    bound: Family<Label, Counter>,
    resumed: Counter,
    received: ByKind,
    sent: ByKind,
    stream_errors: Family<Label, Counter>,
    auth_failures: Family<Label, Counter>,
    withheld: Family<Label, Counter>,
    components: Gauge,
    from_components: ByKind,
    to_components: ByKind,
    commits: Histogram,
    deflated: Deflated,
    files: Gauge,
    file_bytes: Gauge,
    peers: Peers,
    certificates: Certificates,
    process: ProcessGauges,
}

/// Bytes of messages that went over a WebSocket in compressed form (RFC 7692), as they were and as
/// they went. The default counts for nobody.
#[derive(Clone, Debug, Default)]
pub struct Deflated {
    sent: Sizes,
    received: Sizes,
}

#[derive(Clone, Debug, Default)]
struct Sizes {
    compressed: Counter,
    plain: Counter,
}

/// One counter for each kind of stanza.
#[derive(Debug)]
struct ByKind {
    message: Counter,
    presence: Counter,
    iq: Counter,
}

#[derive(Debug, Default)]
struct ProcessGauges {
    resident: Gauge,
    open_files: Gauge,
    max_files: Gauge,
    uptime: Gauge<f64, std::sync::atomic::AtomicU64>,
    cpu: Counter<f64, std::sync::atomic::AtomicU64>,
}

/// What the operating system says of the process; read by whoever may touch `/proc`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Process {
    /// Resident memory (bytes).
    pub resident_bytes: u64,
    /// Open file descriptors.
    pub open_files: u64,
    /// Most file descriptors that may be open.
    pub max_files: u64,
    /// Processor time used (seconds).
    pub cpu_seconds: f64,
    /// Since the start (seconds).
    pub uptime_seconds: f64,
}

/// A connection that is counted until it is dropped.
#[derive(Debug)]
pub struct Connected(Gauge);

/// A component that is counted until it is dropped.
pub type Attached = Connected;

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// Begins at zero. `version` and `revision` describe the build.
    pub fn new(version: &'static str, revision: &'static str) -> Self {
        let mut registry = Registry::default();
        let own = registry.sub_registry_with_prefix("waxwing");
        let build = Info::new([("version", version), ("revision", revision)]);
        own.register("build", "The running program", build);
        let connections = Family::default();
        own.register("connections", "Open client connections by transport", connections.clone());
        let sessions = Gauge::default();
        own.register("sessions", "Sessions, connected or waiting to be resumed", sessions.clone());
        let bound = Family::default();
        own.register("sessions_bound", "Sessions begun by transport", bound.clone());
        let resumed = Counter::default();
        own.register("sessions_resumed", "Sessions taken up again (XEP-0198)", resumed.clone());
        let received = ByKind::new(own, "stanzas_received", "Stanzas from clients by kind");
        let sent = ByKind::new(own, "stanzas_sent", "Stanzas to clients by kind");
        let stream_errors = Family::default();
        own.register("stream_errors", "Stream errors sent by condition", stream_errors.clone());
        let auth_failures = Family::default();
        own.register("auth_failures", "Refused sign-ins by condition", auth_failures.clone());
        let components = Gauge::default();
        own.register("components", "Connected components (XEP-0114)", components.clone());
        let help = "Stanzas from components by kind";
        let from_components = ByKind::new(own, "component_stanzas_received", help);
        let help = "Stanzas to components by kind";
        let to_components = ByKind::new(own, "component_stanzas_sent", help);
        let withheld = Family::default();
        let help = "Messages and requests of strangers that were withheld, by reason";
        own.register("strangers_withheld", help, withheld.clone());
        // 50 µs to 1.6 s: a memory database to a busy spinning disk.
        let commits = Histogram::new(exponential_buckets(0.000_05, 2.0, 16));
        let help = "From handing a write to the database until it is durable";
        own.register_with_unit("commit", help, Unit::Seconds, commits.clone());
        let deflated = Deflated::new(own);
        let (files, file_bytes) = uploads(own);
        let (peers, certificates) = (Peers::new(own), Certificates::new(own));
        let process = ProcessGauges::new(&mut registry);
        Self {
            registry,
            connections,
            sessions,
            bound,
            resumed,
            received,
            sent,
            stream_errors,
            auth_failures,
            withheld,
            components,
            from_components,
            to_components,
            commits,
            deflated,
            files,
            file_bytes,
            peers,
            certificates,
            process,
        }
    }

    /// A client has connected; it is counted for as long as the answer lives.
    pub fn connected(&self, transport: &'static str) -> Connected {
        let open = self.connections.get_or_create_owned(&[("transport", transport)]);
        open.inc();
        Connected(open)
    }

    /// A session has begun.
    pub fn session_bound(&self, transport: &'static str) {
        self.sessions.inc();
        self.bound.get_or_create(&[("transport", transport)]).inc();
    }

    /// A session has ended.
    pub fn session_ended(&self) {
        self.sessions.dec();
    }

    /// A session was taken up again on a new connection.
    pub fn session_resumed(&self) {
        self.resumed.inc();
    }

    /// A client sent a stanza.
    pub fn stanza_in(&self, kind: Kind) {
        self.received.of(kind).inc();
    }

    /// A client was sent a stanza.
    pub fn stanza_out(&self, kind: Kind) {
        self.sent.of(kind).inc();
    }

    /// A component has connected; it is counted for as long as the answer lives.
    pub fn component_attached(&self) -> Attached {
        self.components.inc();
        Connected(self.components.clone())
    }

    /// A component sent a stanza.
    pub fn component_in(&self, kind: Kind) {
        self.from_components.of(kind).inc();
    }

    /// A component was sent a stanza.
    pub fn component_out(&self, kind: Kind) {
        self.to_components.of(kind).inc();
    }

    /// A stream ended with an error of ours, such as `policy-violation`.
    pub fn stream_error(&self, condition: &'static str) {
        self.stream_errors.get_or_create(&[("condition", condition)]).inc();
    }

    /// A sign-in was refused, with a condition such as `not-authorized`.
    pub fn auth_failed(&self, condition: &'static str) {
        self.auth_failures.get_or_create(&[("condition", condition)]).inc();
    }

    /// Something of a stranger was withheld from a person, for a reason such as `unanswered`.
    pub fn withheld(&self, reason: &'static str) {
        self.withheld.get_or_create(&[("reason", reason)]).inc();
    }

    /// A write became durable.
    pub fn committed(&self, took: Duration) {
        self.commits.observe(took.as_secs_f64());
    }

    /// So many files are kept, of so many bytes together.
    pub fn files_kept(&self, count: i64, bytes: i64) {
        self.files.set(count);
        self.file_bytes.set(bytes);
    }

    /// What is counted of certificates.
    pub fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// What is counted of other servers.
    pub fn peers(&self) -> &Peers {
        &self.peers
    }

    /// Where WebSockets count what compression does.
    pub fn deflated(&self) -> Deflated {
        self.deflated.clone()
    }

    /// Everything as OpenMetrics text (`application/openmetrics-text; version=1.0.0`).
    pub fn to_text(&self, process: &Process) -> String {
        self.process.set(process);
        let mut out = String::new();
        text::encode(&mut out, &self.registry).expect("a String takes everything");
        out
    }
}

/// How many files there are, and what they take.
fn uploads(registry: &mut Registry) -> (Gauge, Gauge) {
    let (files, bytes) = (Gauge::default(), Gauge::default());
    registry.register("uploads", "Files that people have sent", files.clone());
    let help = "What these files take";
    registry.register_with_unit("uploads_stored", help, Unit::Bytes, bytes.clone());
    (files, bytes)
}

impl Deflated {
    fn new(registry: &mut Registry) -> Self {
        let family = Family::<[(&'static str, &'static str); 2], Counter>::default();
        let of = |direction, form| {
            family.get_or_create_owned(&[("direction", direction), ("form", form)])
        };
        let sizes = |direction| Sizes {
            compressed: of(direction, "compressed"),
            plain: of(direction, "plain"),
        };
        let counts = Self { sent: sizes("sent"), received: sizes("received") };
        let help = "Messages on WebSockets that were compressed, before and after";
        registry.register_with_unit("websocket_deflate", help, Unit::Bytes, family);
        counts
    }

    /// A message of `plain` bytes went out as `compressed` bytes.
    pub fn sent(&self, compressed: usize, plain: usize) {
        self.sent.count(compressed, plain);
    }

    /// A message of `compressed` bytes came, and held `plain` bytes.
    pub fn received(&self, compressed: usize, plain: usize) {
        self.received.count(compressed, plain);
    }
}

impl Sizes {
    fn count(&self, compressed: usize, plain: usize) {
        self.compressed.inc_by(compressed as u64);
        self.plain.inc_by(plain as u64);
    }
}

impl ByKind {
    fn new(registry: &mut Registry, name: &str, help: &str) -> Self {
        let family = Family::<Label, Counter>::default();
        let of = |kind| family.get_or_create_owned(&[("kind", kind)]);
        let counters = Self { message: of("message"), presence: of("presence"), iq: of("iq") };
        registry.register(name, help, family);
        counters
    }

    fn of(&self, kind: Kind) -> &Counter {
        match kind {
            Kind::Message(_) => &self.message,
            Kind::Presence(_) => &self.presence,
            Kind::Iq(_) => &self.iq,
        }
    }
}

impl ProcessGauges {
    /// The names are the ones that every Prometheus client uses.
    fn new(registry: &mut Registry) -> Self {
        let own = Self::default();
        let process = registry.sub_registry_with_prefix("process");
        let resident = own.resident.clone();
        process.register_with_unit("resident_memory", "Resident memory", Unit::Bytes, resident);
        process.register("open_fds", "Open file descriptors", own.open_files.clone());
        process.register("max_fds", "Most file descriptors allowed", own.max_files.clone());
        process.register_with_unit("cpu", "Processor time used", Unit::Seconds, own.cpu.clone());
        let uptime = own.uptime.clone();
        process.register_with_unit("uptime", "Since the start", Unit::Seconds, uptime);
        own
    }

    fn set(&self, process: &Process) {
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.resident.set(whole(process.resident_bytes));
        self.open_files.set(whole(process.open_files));
        self.max_files.set(whole(process.max_files));
        self.uptime.set(process.uptime_seconds);
        self.cpu.inner().store(process.cpu_seconds.to_bits(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use waxwing_stanza::MessageType;

    use super::*;

    #[test]
    fn what_is_counted_is_told() {
        let metrics = Metrics::new("1.2.3", "abcdef");
        let connected = metrics.connected("tls");
        metrics.session_bound("tls");
        metrics.stanza_in(Kind::Message(MessageType::Chat));
        metrics.stream_error("policy-violation");
        metrics.auth_failed("not-authorized");
        metrics.withheld("links");
        metrics.committed(Duration::from_millis(1));
        metrics.deflated().sent(100, 400);
        metrics.deflated().received(7, 5);
        let process = Process { resident_bytes: 4096, cpu_seconds: 1.5, ..Process::default() };
        let text = metrics.to_text(&process);
        for line in [
            "waxwing_build_info{version=\"1.2.3\",revision=\"abcdef\"} 1",
            "waxwing_connections{transport=\"tls\"} 1",
            "waxwing_sessions 1",
            "waxwing_sessions_bound_total{transport=\"tls\"} 1",
            "waxwing_stanzas_received_total{kind=\"message\"} 1",
            "waxwing_stanzas_received_total{kind=\"iq\"} 0",
            "waxwing_stream_errors_total{condition=\"policy-violation\"} 1",
            "waxwing_auth_failures_total{condition=\"not-authorized\"} 1",
            "waxwing_strangers_withheld_total{reason=\"links\"} 1",
            "waxwing_commit_seconds_count 1",
            "waxwing_websocket_deflate_bytes_total{direction=\"sent\",form=\"plain\"} 400",
            "waxwing_websocket_deflate_bytes_total{direction=\"received\",form=\"compressed\"} 7",
            "process_resident_memory_bytes 4096",
            "process_cpu_seconds_total 1.5",
            "# EOF",
        ] {
            assert!(text.lines().any(|told| told == line), "{line} is missing in\n{text}");
        }
        drop(connected);
        let text = metrics.to_text(&process);
        assert!(text.contains("waxwing_connections{transport=\"tls\"} 0"));
    }
}
