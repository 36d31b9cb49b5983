//! What was tried in vain, and the one sentence that it makes for a person.

use std::net::SocketAddr;
use std::sync::Arc;

use waxwing_kernel::links::dial::{Attempt, Unreached, UnreachedKind};
use waxwing_kernel::wire::Transport;

use super::call::{Candidate, Setback};
use super::dialer::kind_of;
use crate::names::{NameTrouble, Target, Way};

/// So many places are told in a sentence.
const PLACES_TOLD: usize = 3;
/// Attempts that are remembered; a dial makes no more, but names may fail as well.
const ATTEMPTS_MAX: usize = 32;

/// The places that were tried for one peer.
pub(super) struct Tried {
    domain: Arc<str>,
    attempts: Vec<Attempt>,
    /// The worst of them, by [`weight`].
    worst: Option<(UnreachedKind, Option<String>)>,
    /// What was wrong with the name itself, where nothing could be tried.
    trouble: Option<NameTrouble>,
}

impl Tried {
    pub(super) fn new(domain: Arc<str>) -> Self {
        Self { domain, attempts: Vec::new(), worst: None, trouble: None }
    }

    /// The domain could not be looked up.
    pub(super) fn note_trouble(&mut self, trouble: &NameTrouble) {
        self.trouble.get_or_insert_with(|| trouble.clone());
    }

    /// The host of a target could not be looked up.
    pub(super) fn note_host(&mut self, target: &Target, trouble: &NameTrouble) {
        let setback = Setback {
            kind: kind_of(trouble),
            words: trouble.to_string(),
            advice: Some(trouble.advice()),
        };
        self.note(target, None, &setback);
    }

    /// A call came to nothing.
    pub(super) fn note_call(&mut self, candidate: &Candidate, setback: &Setback) {
        self.note(&candidate.target, Some(candidate.address), setback);
    }

    fn note(&mut self, target: &Target, address: Option<SocketAddr>, setback: &Setback) {
        let kind = setback.kind;
        if self.worst.as_ref().is_none_or(|(worst, _)| weight(kind) > weight(*worst)) {
            self.worst = Some((kind, setback.advice.clone()));
        }
        if self.attempts.len() < ATTEMPTS_MAX {
            let (host, transport) = (target.host.clone(), transport(&target.way));
            let words = setback.words.as_str().into();
            self.attempts.push(Attempt { host, address, transport, words });
        }
    }

    /// What to tell of it. `is_late`: the time was over; `has_skipped`: some places were not to be
    /// tried again.
    pub(super) fn into_unreached(self, is_late: bool, has_skipped: bool) -> Unreached {
        if let (Some(trouble), true) = (&self.trouble, self.attempts.is_empty()) {
            return Unreached {
                kind: kind_of(trouble),
                words: trouble.to_string().into(),
                advice: Some(trouble.advice().into()),
                tried: self.attempts,
            };
        }
        let (kind, advice) = match self.worst {
            Some((kind, advice)) => (kind, advice),
            None if has_skipped && !is_late => (UnreachedKind::Exhausted, None),
            None => (UnreachedKind::Timeout, None),
        };
        let advice = advice.unwrap_or_else(|| usual_advice(kind).to_owned());
        let words = sentence(&self.domain, kind, &self.attempts);
        Unreached { kind, words: words.into(), advice: Some(advice.into()), tried: self.attempts }
    }
}

/// Which of several failures tells most about what is wrong.
fn weight(kind: UnreachedKind) -> u8 {
    match kind {
        UnreachedKind::Bogus => 6,
        UnreachedKind::Untrusted => 5,
        UnreachedKind::Refused => 4,
        UnreachedKind::Timeout => 3,
        UnreachedKind::NoAnswer => 2,
        _ => 1,
    }
}

fn usual_advice(kind: UnreachedKind) -> &'static str {
    match kind {
        UnreachedKind::Refused => {
            "Its server is not running, or a firewall is in the way. Its operator can tell."
        }
        UnreachedKind::Timeout | UnreachedKind::NoAnswer => {
            "Its server or the network on the way is down, or a firewall swallows the connection. \
             If all servers are affected, check this machine's network."
        }
        UnreachedKind::Untrusted => "Its operator has to look at its TLS settings.",
        _ => "Its operator has to look at the DNS records of the domain.",
    }
}

fn sentence(domain: &str, kind: UnreachedKind, attempts: &[Attempt]) -> String {
    // What is wrong with a certificate is a sentence of its own.
    let untrusted = |attempt: &&Attempt| attempt.words.ends_with('.') && attempt.address.is_some();
    if let (UnreachedKind::Untrusted | UnreachedKind::Bogus, Some(attempt)) =
        (kind, attempts.iter().find(untrusted))
    {
        return attempt.words.to_string();
    }
    if attempts.is_empty() {
        return match kind {
            UnreachedKind::Exhausted => {
                format!("There is no other place where the server of {domain} could be.")
            }
            _ => format!("The server of {domain} did not answer in time."),
        };
    }
    if attempts.iter().all(|attempt| attempt.address.is_none()) {
        // Names led nowhere, which is a sentence as well.
        return attempts[0].words.to_string();
    }
    let mut told: Vec<String> = Vec::new();
    for attempt in attempts {
        let words = attempt.words.trim_end_matches('.');
        told.push(match attempt.address {
            Some(address) => format!("{} ({address}): {words}", attempt.host),
            None => words.to_owned(),
        });
    }
    let more = told.len().saturating_sub(PLACES_TOLD);
    told.truncate(PLACES_TOLD);
    let and_more = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("The server of {domain} cannot be reached: {}{and_more}.", told.join("; "))
}

/// How a target is to be connected to, as the kernel calls it.
pub(super) fn transport(way: &Way) -> Transport {
    match way {
        Way::StartTls => Transport::ServerTcp,
        Way::DirectTls => Transport::ServerTls,
        Way::WebSocket { .. } => Transport::ServerWebSocket,
    }
}
