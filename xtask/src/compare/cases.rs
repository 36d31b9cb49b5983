//! The cases: a scenario of the load generator with its parameters, and who takes part.

use super::options::Options;
use super::peers::{Mode, Peer};

/// One row of the comparison.
pub(super) struct Case {
    /// What it is called on the command line and in the raw figures.
    pub(super) name: &'static str,
    /// What it is called on the page.
    title: &'static str,
    pub(super) transport: &'static str,
    /// Words for the load generator, without times and numbers of sessions.
    arguments: &'static [&'static str],
    /// What it is mainly about.
    pub(super) figure: Figure,
    /// Whether a relay can do it.
    has_floor: bool,
    others: Others,
    /// Whether one round is enough for everybody.
    is_once: bool,
    /// Whether servers keep the limits on what one client may send.
    pub(super) is_limited: bool,
    /// Whether servers keep everything that is said.
    pub(super) is_archived: bool,
    /// Whether servers have rooms and nodes.
    pub(super) has_services: bool,
    /// Accounts that it needs, besides those of idle sessions.
    accounts: usize,
    /// Whether it is about as many idle sessions as the machine may have.
    pub(super) has_many: bool,
    is_quick: bool,
}

/// When servers besides Waxwing take part, unless all are asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Others {
    /// In every round, but for those that are there for orientation only.
    Often,
    /// In the first round.
    Once,
    Never,
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
    /// How much longer messages take when others flood or never read.
    Fairness,
}

/// Seconds of each half of a turn: floods have to fill what a server keeps for who does not read.
const HALF_SECONDS: &str = "6";
/// Stands in a title for the number of sessions.
const MANY: &str = "MANY";

const fn case(
    name: &'static str,
    title: &'static str,
    transport: &'static str,
    arguments: &'static [&'static str],
    figure: Figure,
) -> Case {
    Case {
        name,
        title,
        transport,
        arguments,
        figure,
        has_floor: true,
        others: Others::Often,
        is_once: false,
        is_limited: false,
        is_archived: false,
        has_services: false,
        accounts: ACCOUNTS,
        has_many: false,
        is_quick: false,
    }
}

/// Sessions that fall silent.
const fn idle(name: &'static str, title: &'static str, transport: &'static str) -> Case {
    let case = case(name, title, transport, &["idle", "--first", "20"], Figure::Memory);
    Case { others: Others::Once, ..case }
}

/// The same, as many as the machine may have.
const fn many(name: &'static str, title: &'static str, transport: &'static str) -> Case {
    let case = idle(name, title, transport);
    Case { others: Others::Never, has_floor: false, is_once: true, has_many: true, ..case }
}

/// Rooms and nodes: what one says, many hear.
const fn crowd(
    name: &'static str,
    title: &'static str,
    transport: &'static str,
    arguments: &'static [&'static str],
) -> Case {
    Case { has_services: true, ..case(name, title, transport, arguments, Figure::Cpu) }
}

impl Case {
    const fn quick(self) -> Self {
        Self { is_quick: true, ..self }
    }

    /// With the others in the first round only: no aim is set against them.
    const fn once_for_others(self) -> Self {
        Self { others: Others::Once, ..self }
    }

    const fn without_floor(self) -> Self {
        Self { has_floor: false, ..self }
    }

    /// With limits.
    const fn limited(self) -> Self {
        Self { is_limited: true, ..self.once_for_others() }
    }

    /// With an archive.
    const fn archived(self) -> Self {
        Self { is_archived: true, ..self.without_floor() }
    }

    /// Somebody speaks to a thousand.
    const fn large(self) -> Self {
        Self { accounts: LARGE, ..self }
    }

    /// How this case has servers started.
    pub(super) fn mode(&self) -> Mode {
        let Self { transport, is_limited, is_archived, has_services, .. } = *self;
        Mode { transport, is_limited, is_archived, has_services }
    }

    /// The title for a run with so many sessions where they are many.
    pub(super) fn title(&self, many: &str) -> String {
        self.title.replace(MANY, many)
    }

    /// The words for the load generator.
    pub(super) fn words(&self, options: &Options) -> Vec<String> {
        let mut words: Vec<String> = self.arguments.iter().map(|word| (*word).into()).collect();
        let (settle, warm_up) = if options.is_quick { ("1", "1") } else { ("2", "1") };
        let sessions = if self.has_many { options.many } else { options.sessions }.to_string();
        let seconds = options.seconds.to_string();
        let half = if options.is_quick { &seconds } else { HALF_SECONDS };
        let times = match self.figure {
            Figure::Memory => ["--users", &sessions, "--settle", settle, "--seconds", "1"].to_vec(),
            Figure::Fairness => ["--warm-up", warm_up, "--seconds", half, "--turns", "2"].to_vec(),
            _ => ["--warm-up", warm_up, "--seconds", &seconds].to_vec(),
        };
        words.extend(times.into_iter().map(str::to_owned));
        words
    }

    /// The accounts that a server needs for it. Others than Waxwing start with fewer, which is in
    /// their favour and spares a quarter of an hour of registrations.
    pub(super) fn accounts(&self, peer: &Peer, options: &Options) -> usize {
        match self.figure {
            Figure::Start if peer.is_own() => options.accounts,
            Figure::Start => options.sessions + FIRST_SESSIONS,
            Figure::Memory if self.has_many => options.many + FIRST_SESSIONS,
            Figure::Memory => options.sessions + FIRST_SESSIONS,
            _ => self.accounts,
        }
    }

    /// Whether a run has it.
    pub(super) fn is_wanted(&self, options: &Options) -> bool {
        let is_named = !options.only.is_empty();
        (self.is_quick || is_named || !options.is_quick)
            && options.wants(self.name)
            && (!self.has_many || options.many > 0)
    }

    /// Whether this server is measured in this round, counted from 1.
    pub(super) fn has(&self, peer: &Peer, round: usize, options: &Options) -> bool {
        if self.is_once && round > 1 {
            return false;
        }
        if peer.is_floor() {
            return self.has_floor;
        }
        let is_often = match self.others {
            _ if peer.is_own() || options.all => return true,
            Others::Often => peer.is_often,
            Others::Once => false,
            Others::Never => return false,
        };
        is_often || round == 1
    }
}

/// Accounts besides those of idle sessions, in most cases and where one speaks to a thousand.
const ACCOUNTS: usize = 501;
const LARGE: usize = 1_001;
/// Idle sessions that do not count, which warm a server up.
const FIRST_SESSIONS: usize = 20;
/// What is said with an archive, and without one: the difference is what archiving costs.
pub(super) const ARCHIVED: &str = "archive-tcp-1";
pub(super) const PLAIN: &str = "chat-tcp-1";
const ONE: &[&str] = &["chat", "--pairs", "100", "--window", "1"];
const SIXTEEN: &[&str] = &["chat", "--pairs", "100", "--window", "16"];
const ROOM: &[&str] = &["room", "--occupants", "100", "--talkers", "10"];
const HALL: &[&str] = &["room", "--occupants", "1000", "--talkers", "10"];
const NODE: &[&str] = &["pubsub", "--subscribers", "1000"];
const KEPT: &[&str] = &["pubsub", "--subscribers", "1000", "--kept", "10"];
const LOGIN: &[&str] = &["login", "--users", "200", "--at-once", "8"];

pub(super) const CASES: &[Case] = &[
    case("start", "start to the first answer", "tcp", &[], Figure::Start).quick(),
    case(PLAIN, "chat, TCP, 1 in flight", "tcp", ONE, Figure::Cpu).quick(),
    case(ARCHIVED, "chat, TCP, 1 in flight, archived", "tcp", ONE, Figure::Cpu).archived(),
    case("chat-tls-1", "chat, TLS, 1 in flight", "tls", ONE, Figure::Cpu).quick(),
    case("chat-ws-1", "chat, WebSocket, 1 in flight", "ws", ONE, Figure::Cpu)
        .without_floor()
        .quick(),
    case("chat-tcp-16", "chat, TCP, 16 in flight", "tcp", SIXTEEN, Figure::Cpu).quick(),
    case("chat-tls-16", "chat, TLS, 16 in flight", "tls", SIXTEEN, Figure::Cpu).once_for_others(),
    case("chat-ws-16", "chat, WebSocket, 16 in flight", "ws", SIXTEEN, Figure::Cpu)
        .without_floor()
        .once_for_others(),
    case(
        "open-1000",
        "chat at 1,000 messages a second",
        "tcp",
        &["chat", "--pairs", "100", "--rate", "1000"],
        Figure::Latency,
    )
    .once_for_others(),
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
    crowd("room-100-tcp", "room of 100, 10 talk, TCP, a delivery", "tcp", ROOM).quick(),
    crowd("room-100-tls", "room of 100, 10 talk, TLS, a delivery", "tls", ROOM).once_for_others(),
    crowd("room-100-ws", "room of 100, 10 talk, WebSocket, a delivery", "ws", ROOM)
        .without_floor()
        .once_for_others(),
    crowd("room-1000-tcp", "room of 1,000, 10 talk, a delivery", "tcp", HALL)
        .large()
        .once_for_others(),
    crowd(
        "room-join-1000",
        "entering and leaving a room of 1,000, a stanza sent",
        "tcp",
        &["room-join", "--occupants", "1000"],
    )
    .large()
    .without_floor()
    .once_for_others(),
    crowd("pubsub-1000", "publishing to 1,000, a delivery", "tcp", NODE).large().quick(),
    crowd("pubsub-1000-kept", "publishing to 1,000, items kept, a delivery", "tcp", KEPT).large(),
    case("login-tcp", "sign-in, SCRAM-SHA-1, TCP", "tcp", LOGIN, Figure::Cpu)
        .without_floor()
        .quick(),
    case("login-tls", "sign-in, SCRAM-SHA-1, TLS", "tls", LOGIN, Figure::Cpu).without_floor(),
    idle("idle-tcp", "idle session, TCP", "tcp").quick(),
    idle("idle-tls", "idle session, TLS", "tls"),
    idle("idle-ws", "idle session, WebSocket", "ws").without_floor(),
    idle("idle-wss", "idle session, secure WebSocket", "wss").without_floor().quick(),
    many("many-tcp", "idle session of MANY, TCP", "tcp"),
    many("many-tls", "idle session of MANY, TLS", "tls"),
    many("many-ws", "idle session of MANY, WebSocket", "ws"),
    many("many-wss", "idle session of MANY, secure WebSocket", "wss"),
    case(
        "fairness-tcp",
        "beside one who floods and one who never reads",
        "tcp",
        &["fairness", "--pairs", "100", "--rate", "5000"],
        Figure::Fairness,
    )
    .without_floor()
    .limited(),
];

#[cfg(test)]
mod tests {
    use super::super::peers::PEERS;
    use super::*;

    fn read(words: &[&str]) -> Options {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Options::read(&words).expect("fine").expect("no help")
    }

    #[test]
    fn names_are_told_apart_and_words_are_whole() {
        let options = read(&["--quick"]);
        for case in CASES {
            assert_eq!(CASES.iter().filter(|other| other.name == case.name).count(), 1);
            let words = case.words(&options);
            assert!(words.iter().any(|word| word == "--seconds"), "{words:?}");
            assert!(!case.title("20,000").contains(MANY));
        }
        assert!(CASES.iter().filter(|case| case.is_wanted(&options)).count() < CASES.len());
        let named = read(&["--quick", "--only", "fairness"]);
        assert!(CASES.iter().any(|case| case.is_wanted(&named)), "who names one gets it");
    }

    #[test]
    fn everybody_takes_part_as_often_as_it_tells_something() {
        let rounds = |case: &str, server: &str, options: &Options| -> usize {
            let case = CASES.iter().find(|one| one.name == case).expect("a case");
            let peer = PEERS.iter().find(|peer| peer.name == server).expect("a server");
            (1..=3).filter(|round| case.has(peer, *round, options)).count()
        };
        let (usual, all) = (read(&[]), read(&["--all"]));
        for (case, server, some, every) in [
            ("chat-tcp-1", "waxwing", 3, 3),
            ("chat-tcp-1", "ejabberd", 3, 3),
            ("chat-tcp-1", "prosody", 1, 3),
            ("chat-ws-1", "floor", 0, 0),
            ("idle-tcp", "waxwing", 3, 3),
            ("idle-tcp", "ejabberd", 1, 3),
            ("many-tcp", "waxwing", 1, 1),
            ("many-tcp", "ejabberd", 0, 1),
            ("fairness-tcp", "prosody", 1, 3),
        ] {
            let found = (rounds(case, server, &usual), rounds(case, server, &all));
            assert_eq!(found, (some, every), "{case} on {server}");
        }
    }
}
