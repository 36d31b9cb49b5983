//! Why another server cannot be reached: for its ledger, and for those whose stanzas go back.

use std::time::Duration;

use waxwing_stanza::StanzaError;
use waxwing_stream::{Closing, Closure, StreamError, Trouble};

use crate::links::dial::{Unreached, UnreachedKind};
use crate::links::ledger::{Failure, Reason};
use crate::links::policy::Barred;

/// An attempt that failed.
#[derive(Clone, Debug)]
pub(crate) struct Setback {
    /// What senders are told.
    pub(crate) error: StanzaError,
    /// What the ledger keeps.
    pub(crate) failure: Failure,
    /// Another address of the other side says the same.
    pub(crate) is_final: bool,
    /// It is our own rule, which is asked each time.
    pub(crate) is_barred: bool,
}

impl Setback {
    /// RFC 6120 §8.3.3.17: "A remote server or service … was resolved but communications could not
    /// be established within a reasonable amount of time (e.g., … stream negotiation fails because
    /// of problems with TLS, SASL, Server Dialback, etc.)".
    fn timeout(failure: Failure) -> Self {
        let error = StanzaError::remote_server_timeout().text(failure.words.to_string());
        Self { error, failure, is_final: false, is_barred: false }
    }

    /// No connection came about.
    pub(super) fn unreached(unreached: &Unreached) -> Self {
        let failure = Failure::from(unreached);
        match unreached.kind {
            // §8.3.3.16: "does not exist or cannot be resolved".
            UnreachedKind::NoSuchDomain | UnreachedKind::NotXmpp => {
                let error = StanzaError::remote_server_not_found();
                let error = error.text(failure.words.to_string());
                Self { error, failure, is_final: true, is_barred: false }
            }
            _ => Self::timeout(failure),
        }
    }

    /// The stream to `peer` could not be opened, or the other side ended it.
    pub(super) fn trouble(trouble: &Trouble, peer: &str) -> Self {
        let advice = trouble.advice().unwrap_or_default();
        let failure = Failure::new(reason(trouble), trouble.words(peer), advice);
        let is_told = matches!(trouble, Trouble::DialbackInvalid | Trouble::Told(_));
        let is_final = is_told && !trouble.is_passing();
        match trouble {
            // XEP-0220 §2.1.1: stanzas go back "with an <internal-server-error/> stanza error".
            Trouble::DialbackInvalid => {
                let error = StanzaError::internal_server_error();
                let error = error.text(failure.words.to_string());
                Self { error, failure, is_final, is_barred: false }
            }
            _ => Self { is_final, ..Self::timeout(failure) },
        }
    }

    /// The handshake of TLS with `peer` failed.
    pub(super) fn tls(peer: &str, error: &std::io::Error) -> Self {
        let words = format!("TLS with {peer} failed: {error}.");
        let advice = "Whoever runs that server can tell why from its log.";
        Self::timeout(Failure::new(Reason::Tls, words, advice))
    }

    /// It took too long.
    pub(super) fn late(peer: &str, time: Duration) -> Self {
        let words = format!("{peer} did not answer within {} seconds.", time.as_secs());
        Self::timeout(Failure::new(Reason::Timeout, words, ""))
    }

    /// What was written to `peer` was not taken for too long.
    pub(super) fn stuck(peer: &str) -> Self {
        let words = format!("{peer} takes nothing of what is sent to it.");
        Self::timeout(Failure::new(Reason::Timeout, words, ""))
    }

    /// The connection to `peer` broke again and again.
    pub(super) fn broken(peer: &str) -> Self {
        let words = format!("The connection to {peer} breaks again and again.");
        Self::timeout(Failure::new(Reason::Broken, words, ""))
    }

    /// Our own rules forbid it.
    pub(super) fn barred(barred: &Barred, peer: &str) -> Self {
        let failure = Failure::new(Reason::Policy, barred.to_string(), barred.advice(peer));
        Self { error: barred.stanza_error(peer), failure, is_final: true, is_barred: true }
    }

    /// This server has been told to end the link.
    pub(super) fn told(closing: &Closing, peer: &str) -> Self {
        let why = match closing {
            Closing::Error(error) => error.condition.name(),
            Closing::Clean | Closing::SeeOther(_) => "no longer wanted",
        };
        let words = format!("The link to {peer} was ended here: {why}.");
        Self::timeout(Failure::new(Reason::Policy, words, ""))
    }

    /// This server does too much of it already.
    pub(super) fn busy() -> Self {
        let words = "This server connects to too many others at the moment; try again later.";
        let error = StanzaError::resource_constraint().text(words);
        let failure = Failure::new(Reason::Resources, words, "");
        Self { error, failure, is_final: true, is_barred: false }
    }

    /// How an open stream to `peer` ended, where that was not in peace.
    pub(super) fn closure(closure: &Closure, peer: &str) -> Option<Self> {
        match closure {
            Closure::Footer => None,
            Closure::Lost => Some(Self::trouble(&Trouble::Lost, peer)),
            Closure::Error(error) => Some(Self::ours(error, peer)),
            Closure::Refused(trouble) => Some(Self::trouble(trouble, peer)),
        }
    }

    fn ours(error: &StreamError, peer: &str) -> Self {
        let condition = error.condition.name();
        let words = match &error.text {
            Some(text) => {
                format!("This server ended the stream with {peer}: {text} ({condition}).")
            }
            None => format!("This server ended the stream with {peer}: {condition}."),
        };
        Self::timeout(Failure::new(Reason::Protocol, words, ""))
    }
}

impl From<&Unreached> for Failure {
    fn from(unreached: &Unreached) -> Self {
        let reason = match unreached.kind {
            UnreachedKind::NoSuchDomain | UnreachedKind::NotXmpp => Reason::Name,
            UnreachedKind::NoAnswer | UnreachedKind::Exhausted => Reason::Unreachable,
            UnreachedKind::Refused => Reason::Refused,
            UnreachedKind::Timeout => Reason::Timeout,
            UnreachedKind::Untrusted | UnreachedKind::Bogus => Reason::Certificate,
        };
        Self::new(reason, &unreached.words, unreached.advice.as_deref().unwrap_or_default())
    }
}

fn reason(trouble: &Trouble) -> Reason {
    match trouble {
        Trouble::NoEncryption | Trouble::TlsRefused => Reason::Tls,
        Trouble::Untrusted(_) | Trouble::CertificateRefused(_) => Reason::Certificate,
        Trouble::NoProof => Reason::Policy,
        Trouble::DialbackInvalid | Trouble::DialbackFailed(_) => Reason::Dialback,
        Trouble::Told(_) => Reason::Stream,
        Trouble::Broken(_) | Trouble::WrongDomain(_) | Trouble::TooOld => Reason::Protocol,
        Trouble::Silent => Reason::Timeout,
        Trouble::Lost | Trouble::Closed => Reason::Broken,
    }
}
