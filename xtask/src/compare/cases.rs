//! The cases: a scenario of the load generator with its parameters.

use super::options::Options;

/// One row of the comparison.
pub(super) struct Case {
    /// What it is called on the command line and in the raw figures.
    pub(super) name: &'static str,
    /// What it is called on the page.
    pub(super) title: &'static str,
    pub(super) transport: &'static str,
    /// Words for the load generator, without times and numbers of sessions.
    arguments: &'static [&'static str],
    /// What it is mainly about.
    pub(super) figure: Figure,
    /// Whether a relay can do it.
    pub(super) has_floor: bool,
    is_quick: bool,
}

/// What a case is mainly about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Figure {
    /// Milliseconds from the start of the process to its first answer.
    Start,
    /// Microseconds of processor time for each operation.
    Cpu,
    /// The same, and latencies at a given rate.
    Latency,
    /// KiB of resident memory for each session.
    Memory,
}

const fn case(
    name: &'static str,
    title: &'static str,
    transport: &'static str,
    arguments: &'static [&'static str],
    figure: Figure,
) -> Case {
    Case { name, title, transport, arguments, figure, has_floor: true, is_quick: false }
}

impl Case {
    const fn quick(self) -> Self {
        Self { is_quick: true, ..self }
    }

    const fn without_floor(self) -> Self {
        Self { has_floor: false, ..self }
    }

    /// The words for the load generator.
    pub(super) fn words(&self, options: &Options) -> Vec<String> {
        let mut words: Vec<String> = self.arguments.iter().map(|word| (*word).into()).collect();
        let (settle, warm_up) = if options.is_quick { ("2", "1") } else { ("5", "2") };
        let (sessions, seconds) = (options.sessions.to_string(), options.seconds.to_string());
        let times = match self.figure {
            Figure::Memory => ["--users", &sessions, "--settle", settle, "--seconds", "1"].to_vec(),
            _ => ["--warm-up", warm_up, "--seconds", &seconds].to_vec(),
        };
        words.extend(times.into_iter().map(str::to_owned));
        words
    }

    /// Whether a shortened run has it.
    pub(super) fn is_wanted(&self, options: &Options) -> bool {
        (self.is_quick || !options.is_quick) && options.wants(self.name)
    }
}

const ONE: &[&str] = &["chat", "--pairs", "100", "--window", "1"];
const SIXTEEN: &[&str] = &["chat", "--pairs", "100", "--window", "16"];
const LOGIN: &[&str] = &["login", "--users", "200", "--at-once", "8"];
const IDLE: &[&str] = &["idle", "--first", "20"];

pub(super) const CASES: &[Case] = &[
    case("start", "start to the first answer", "tcp", &[], Figure::Start).quick(),
    case("chat-tcp-1", "chat, TCP, 1 in flight", "tcp", ONE, Figure::Cpu).quick(),
    case("chat-tls-1", "chat, TLS, 1 in flight", "tls", ONE, Figure::Cpu).quick(),
    case("chat-ws-1", "chat, WebSocket, 1 in flight", "ws", ONE, Figure::Cpu)
        .without_floor()
        .quick(),
    case("chat-tcp-16", "chat, TCP, 16 in flight", "tcp", SIXTEEN, Figure::Cpu).quick(),
    case("chat-tls-16", "chat, TLS, 16 in flight", "tls", SIXTEEN, Figure::Cpu),
    case("chat-ws-16", "chat, WebSocket, 16 in flight", "ws", SIXTEEN, Figure::Cpu).without_floor(),
    case(
        "open-1000",
        "chat at 1,000 messages a second",
        "tcp",
        &["chat", "--pairs", "100", "--rate", "1000"],
        Figure::Latency,
    ),
    case(
        "open-5000",
        "chat at 5,000 messages a second",
        "tcp",
        &["chat", "--pairs", "100", "--rate", "5000"],
        Figure::Latency,
    )
    .quick(),
    case(
        "presence-500",
        "presence to 500 contacts, a delivery",
        "tcp",
        &["presence", "--contacts", "500"],
        Figure::Cpu,
    ),
    case("login-tcp", "sign-in, SCRAM-SHA-1, TCP", "tcp", LOGIN, Figure::Cpu)
        .without_floor()
        .quick(),
    case("login-tls", "sign-in, SCRAM-SHA-1, TLS", "tls", LOGIN, Figure::Cpu).without_floor(),
    case("idle-tcp", "idle session, TCP", "tcp", IDLE, Figure::Memory).quick(),
    case("idle-tls", "idle session, TLS", "tls", IDLE, Figure::Memory),
    case("idle-ws", "idle session, WebSocket", "ws", IDLE, Figure::Memory).without_floor(),
    case("idle-wss", "idle session, secure WebSocket", "wss", IDLE, Figure::Memory)
        .without_floor()
        .quick(),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart_and_words_are_whole() {
        let options = Options::read(&["--quick".to_owned()]).expect("fine").expect("no help");
        for case in CASES {
            assert_eq!(CASES.iter().filter(|other| other.name == case.name).count(), 1);
            let words = case.words(&options);
            assert!(words.iter().any(|word| word == "--seconds"), "{words:?}");
        }
        assert!(CASES.iter().filter(|case| case.is_wanted(&options)).count() < CASES.len());
    }
}
