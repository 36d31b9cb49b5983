//! Why the server of a domain was not found, in words for a person.

use std::fmt;
use std::sync::Arc;

/// Why a question about names has no useful answer. Each has the name that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameTrouble {
    /// What stands behind the `@` can be no name of a machine.
    BadDomain(Arc<str>),
    /// DNS has no such name.
    NoSuchName(Arc<str>),
    /// The name exists and has no address.
    NoAddress(Arc<str>),
    /// The domain says that it has no XMPP server (RFC 2782, the target `.`).
    Declined(Arc<str>),
    /// All its addresses are of private networks, and those are not dialled.
    NotPublic(Arc<str>),
    /// No DNS server answered in time.
    NoAnswer(Arc<str>),
    /// DNSSEC says that the answer is forged, or the zone is broken.
    Bogus(Arc<str>),
    /// DNS answered with an error.
    Failed {
        /// The name.
        name: Arc<str>,
        /// What was said.
        why: Arc<str>,
    },
}

impl NameTrouble {
    /// Whether the domain is not there at all, as opposed to not reached right now.
    pub fn is_absence(&self) -> bool {
        matches!(
            self,
            Self::BadDomain(_) | Self::NoSuchName(_) | Self::NoAddress(_) | Self::Declined(_)
        )
    }

    /// What the operator, or who runs the other side, can do.
    pub fn advice(&self) -> String {
        match self {
            Self::BadDomain(_) => "Check how the address is written.".to_owned(),
            Self::NoSuchName(name) => {
                format!(
                    "Check how the address is written; if {name} is right, it is not registered."
                )
            }
            Self::NoAddress(name) => format!(
                "Whoever runs the domain needs an SRV record, or an A or AAAA record of {name}."
            ),
            Self::Declined(name) => format!(
                "If {name} should have a server, its SRV records must name it instead of '.'."
            ),
            Self::NotPublic(_) => "If the server is in a network of your own, set \
                 private_addresses = true in [federation], or give its address in a [[peer]]."
                .to_owned(),
            Self::NoAnswer(_) => "Check this machine's network and its DNS servers \
                 (/etc/resolv.conf, or dns in [federation])."
                .to_owned(),
            Self::Bogus(name) => format!(
                "Whoever runs {name} must repair its DNSSEC; if all domains are affected, check \
                 this machine's clock and DNS servers."
            ),
            Self::Failed { .. } => "Try again later; if all domains are affected, check this \
                 machine's DNS servers (/etc/resolv.conf, or dns in [federation])."
                .to_owned(),
        }
    }
}

impl fmt::Display for NameTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadDomain(name) => write!(f, "'{name}' is not a name that DNS can have."),
            Self::NoSuchName(name) => write!(f, "The name {name} does not exist in DNS."),
            Self::NoAddress(name) => write!(f, "The name {name} has no address in DNS."),
            Self::Declined(name) => {
                write!(f, "{name} says in DNS that it has no XMPP server for other servers.")
            }
            Self::NotPublic(name) => {
                write!(f, "{name} has only addresses of private networks, which are not dialled.")
            }
            Self::NoAnswer(name) => {
                write!(f, "No DNS server answered in time when asked for {name}.")
            }
            Self::Bogus(name) => write!(
                f,
                "What DNS says of {name} cannot be trusted: its DNSSEC signatures do not prove it."
            ),
            Self::Failed { name, why } => write!(f, "DNS could not tell where {name} is: {why}."),
        }
    }
}

impl std::error::Error for NameTrouble {}
