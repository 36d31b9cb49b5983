//! Who may write to whom on a stream between servers, and how that was proven.

use std::fmt;
use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_stanza::StanzaError;
use waxwing_xml::Element;

/// Two prepared domain names: `from` writes to `to` (XEP-0220 §1.3, domain pair).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pair {
    /// The sender domain.
    pub from: Arc<str>,
    /// The target domain.
    pub to: Arc<str>,
}

impl Pair {
    /// A pair of prepared names.
    pub fn new(from: impl Into<Arc<str>>, to: impl Into<Arc<str>>) -> Pair {
        Pair { from: from.into(), to: to.into() }
    }

    /// The same pair the other way round.
    pub fn reversed(&self) -> Pair {
        Pair { from: self.to.clone(), to: self.from.clone() }
    }

    /// The `from` and `to` of an element of dialback. Both "MUST" be there (XEP-0220 §2.1.1).
    pub(super) fn read(element: &Element) -> Option<Pair> {
        let name = |attribute| element.attribute(attribute).and_then(|name| domain(&name));
        Some(Pair { from: name("from")?, to: name("to")? })
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.from, self.to)
    }
}

/// The prepared form of a text that is a domain name and nothing else.
pub(super) fn domain(text: &str) -> Option<Arc<str>> {
    let name = BareJid::new(text).ok().filter(BareJid::is_domain)?;
    Some(name.domain().into())
}

/// Which way a pair is proven on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// The peer may write to us.
    In,
    /// We may write to the peer.
    Out,
}

/// How it was proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum By {
    /// By a certificate: SASL EXTERNAL (XEP-0178), or dialback that needed no dialling.
    Certificate,
    /// By a key that the authoritative server knew (XEP-0220).
    Dialback,
    /// The peer is where its name leads, which is all that dialback would prove; nothing vouches
    /// for its certificate.
    Answered,
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            By::Certificate => "certificate",
            By::Dialback => "dialback",
            By::Answered => "address",
        })
    }
}

/// A pair is proven in one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    /// Who writes to whom.
    pub pair: Pair,
    /// Who of them we are: the target of [`Way::In`], the sender of [`Way::Out`].
    pub way: Way,
    /// How it was proven: the peer for what comes in, and on a stream that we opened we ourselves
    /// for what goes out.
    pub by: By,
}

/// A peer asks to be let in for a pair, with a key to verify (XEP-0220 §2.2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialback {
    /// `from` is the peer's.
    pub pair: Pair,
    /// The id of this stream, which the key was made for.
    pub id: String,
    /// As sent, without white space around it.
    pub key: String,
}

/// What became of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the right one.
    Valid,
    /// The authoritative server does not know it.
    Invalid,
    /// It could not be verified, or may not be (XEP-0220 §2.5).
    Failed(StanzaError),
}

/// Why a stanza was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsent {
    /// The pair is not proven on this stream.
    NotProven,
    /// The peer takes no stanza of this size (XEP-0478 §4).
    TooLarge {
        /// What it takes.
        max_bytes: u64,
    },
    /// The stream is closing.
    Closed,
}

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unsent::NotProven => f.write_str("the stream does not stand for these domains"),
            Unsent::TooLarge { max_bytes } => {
                write!(f, "the other server takes at most {max_bytes} bytes")
            }
            Unsent::Closed => f.write_str("the stream is closing"),
        }
    }
}
