//! What goes in and comes out of a stream besides bytes.

use std::fmt;
use std::sync::Arc;

use waxwing_jid::{BareJid, Jid};
use waxwing_stanza::{Stanza, StanzaError};
use waxwing_xml::Element;
use zeroize::Zeroizing;

use crate::acks::Acks;
use crate::error::StreamError;
use crate::role::server::{Dialback, Linked, Trouble, Verdict};
use crate::sasl::{Failure, Hash, ScramKeys, TokenBinding};

/// Names one question until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(pub(crate) u32);

/// The sender's name for a stanza given to [`crate::Stream::send`]; 0 means none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(pub u64);

/// What happened on a stream.
#[derive(Debug)]
pub enum Event {
    /// A stanza of the bound client, with its number in this session (for
    /// [`crate::Stream::handled`]); `from` is the bound address. Of a component it is an address
    /// of its domain, and there is a `to`.
    Stanza(u64, Stanza),
    /// An element other than a stanza in one of the namespaces of [`crate::Host::nonzas`].
    Nonza(Element),
    /// The stream cannot go on without an answer; further input waits inside.
    Ask(Ticket, Question),
    /// `<proceed/>` is in the outbox: flush it, do the TLS handshake, call
    /// [`crate::Stream::secured`].
    StartTls,
    /// The peer has taken responsibility for these stanzas (XEP-0198), in the order of sending.
    Confirmed(Vec<Tag>),
    /// A registration IQ before authentication; answered with [`Answer::Reply`].
    Early(Ticket, Stanza),
    /// An authentication failed: for logs and rate limits; the client has been told.
    Unauthorized(Option<BareJid>, Failure),
    /// An error that answers a stanza of another server with a mistake in it. Both addresses are
    /// set; it goes its own way, since the stream may not lead back.
    Reply(Stanza),
    /// A pair of domains is proven, one way; on a stream between servers.
    Linked(Linked),
    /// Another server asks to be let in. Verify the key by a [`crate::Purpose::Verify`] call, and
    /// tell [`crate::Stream::verified`]; nothing waits meanwhile.
    Dialback(Dialback),
    /// What the authoritative server says about the key; the stream then closes itself.
    Verdict(Verdict),
    /// The last event. Flush the outbox, then end the connection.
    Closed(Closure),
}

/// How a stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closure {
    /// Closed properly by either side: the session ends even with stream management.
    Footer,
    /// The transport ended or the peer fell silent.
    Lost,
    /// A stream error, ours or asked for by the driver.
    Error(StreamError),
    /// Another server could not be called, or has ended the stream with an error.
    Refused(Trouble),
}

/// Why the driver closes a stream.
#[derive(Clone, Debug)]
pub enum Closing {
    /// Without an error, waiting for the peer's closing tag within `close_seconds`.
    Clean,
    /// With a stream error.
    Error(StreamError),
    /// Sends the client elsewhere: a URI on WebSockets, `host[:port]` on TCP.
    SeeOther(String),
}

/// What the stream cannot know itself.
#[derive(Debug)]
pub enum Question {
    /// Keys for SCRAM. Answers: [`Answer::Scram`], [`Answer::Locked`], [`Answer::Verdict`].
    Credentials {
        /// Who signs in.
        account: BareJid,
        /// Which keys.
        need: Need,
    },
    /// Is this the password? Answers: [`Answer::Verdict`]; [`Answer::Account`] where somebody else
    /// than this server knows that it is.
    Plain {
        /// Who signs in.
        account: BareJid,
        /// As sent, not yet prepared; see [`ScramKeys::verify_plain`].
        password: Zeroizing<String>,
    },
    /// Whose token is this (RFC 7628)? Answer: [`Answer::External`].
    Bearer {
        /// The domain of the stream.
        domain: Arc<str>,
        /// Who the client wants to be, if it says.
        account: Option<BareJid>,
        /// As sent.
        token: Zeroizing<String>,
    },
    /// Whose certificate is this? Answer: [`Answer::External`].
    External {
        /// Who the client wants to be, if it says.
        account: Option<BareJid>,
        /// In DER.
        certificate: Vec<u8>,
        /// It leads to a trusted authority.
        verified: bool,
    },
    /// The tokens of a client (XEP-0484). Answers: [`Answer::Tokens`], [`Answer::Verdict`] (Err).
    Tokens {
        /// Who signs in.
        account: BareJid,
        /// The identifier of the client's installation.
        agent: String,
        /// What the tokens must have been made for.
        binding: TokenBinding,
    },
    /// Which of these hashes an account has no keys for (XEP-0480). Answers: [`Answer::Missing`],
    /// [`Answer::Verdict`] (Err).
    Missing {
        /// Who has proven its password.
        account: BareJid,
        /// What the client can make keys for.
        hashes: Vec<Hash>,
    },
    /// Keep these keys beside those that there are, as long as the password is the one that was
    /// checked with the salt `proven`. Answer: [`Answer::Kept`].
    Keep {
        /// Whose they are.
        account: BareJid,
        /// Made by the client.
        keys: ScramKeys,
        /// As of [`Proof::Password`].
        proven: Vec<u8>,
    },
    /// Let this client in, which has proven who it is and told which installation it is (XEP-0388
    /// §2.3). Answer: [`Answer::Admitted`].
    Admit(Box<Admit>),
    /// A fresh account for a nameless client. Answers: [`Answer::Account`], [`Answer::Verdict`].
    Anonymous,
    /// Bind a resource (RFC 6120 §7). Answer: [`Answer::Bound`].
    Bind {
        /// Who has signed in.
        account: BareJid,
        /// The prepared resource that the client asks for.
        resource: Option<String>,
        /// By which client it is.
        by: Installation,
    },
    /// Bind a resource along with the authentication (XEP-0386), and enable there what the client
    /// asks for. Answer: [`Answer::Begun`].
    Begin(Box<Inline>),
    /// Resume a session (XEP-0198 §5). Answers: [`Answer::Resumed`], [`Answer::NotResumed`].
    Resume {
        /// Who has signed in; only this account's sessions may be handed out.
        account: BareJid,
        /// The identifier of the session.
        previd: String,
        /// Stanzas the client has handled.
        h: u32,
    },
    /// A component has proven who it is (XEP-0114): may it come in? Answer: [`Answer::Attached`].
    Attach {
        /// The domain that it speaks for.
        domain: Arc<str>,
    },
    /// Do these certificates stand for another server's domain? Answer: [`Answer::Vouched`].
    Vouch {
        /// The domain, prepared.
        domain: Arc<str>,
        /// In DER, its own first.
        chain: Vec<Vec<u8>>,
    },
    /// Enable stream management (XEP-0198 §3). Answers: [`Answer::Enabled`],
    /// [`Answer::NotEnabled`].
    Enable {
        /// The client wants to resume.
        resume: bool,
        /// For how many seconds at most.
        max: Option<u32>,
    },
}

/// A client that has proven who it is, by the extensible profile.
pub struct Admit {
    /// Who has signed in.
    pub account: BareJid,
    /// The identifier of the client's installation, which nobody else may see.
    pub agent: String,
    /// How it was proven.
    pub proof: Proof,
    /// The whole `<authenticate/>`.
    pub request: Arc<Element>,
}

/// The request may hold a password, so it stays out of logs.
impl fmt::Debug for Admit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admit").field("account", &self.account).finish_non_exhaustive()
    }
}

/// How a client has proven who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// By a password; with the salt of the keys that it was checked with, which change with it.
    Password(Vec<u8>),
    /// By a token, with its name.
    Token(String),
    /// By a certificate, by what somebody else vouches for, or not at all.
    Other,
}

/// A token that a client may have.
#[derive(Clone, Debug)]
pub struct TokenKey {
    /// What the driver calls it.
    pub name: String,
    /// The token itself, as the client was told.
    pub secret: Zeroizing<String>,
}

/// What is known of a client besides whose it is.
#[derive(Clone, Debug, Default)]
pub struct Installation {
    /// The identifier that it has told (XEP-0388 §2.3), which nobody else may see.
    pub agent: Option<String>,
    /// The token that it has signed in with, and wants to keep: its name, and what it is for.
    pub token: Option<(String, TokenBinding)>,
}

/// A session that is asked for along with the authentication (XEP-0386).
pub struct Inline {
    /// Who has signed in.
    pub account: BareJid,
    /// By which client it is.
    pub by: Installation,
    /// What the client calls itself, for its resource; as sent, not yet prepared.
    pub tag: Option<String>,
    /// Stream management is asked for.
    pub enable: Option<Enable>,
    /// The whole `<authenticate/>`.
    pub request: Arc<Element>,
}

/// The request may hold a password, so it stays out of logs.
impl fmt::Debug for Inline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inline").field("account", &self.account).finish_non_exhaustive()
    }
}

/// `<enable/>` (XEP-0198 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enable {
    /// The client wants to resume.
    pub resume: bool,
    /// For how many seconds at most.
    pub max: Option<u32>,
}

/// `<enabled/>` (XEP-0198 §3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enabled {
    /// The identifier for resumption, if that is granted.
    pub id: Option<String>,
    /// How long the session waits for its client, in seconds.
    pub max_seconds: u32,
}

/// A session that begins along with the authentication.
#[derive(Debug)]
pub struct Begun {
    /// The bound address.
    pub address: Jid,
    /// Stream management is on, where it was asked for.
    pub enabled: Option<Enabled>,
    /// Further elements for `<bound/>`.
    pub bound: String,
}

/// What credentials a mechanism needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// SCRAM keys made with this hash.
    Scram(Hash),
}

/// The answer to a [`Question`] or to [`Event::Early`].
#[derive(Debug)]
pub enum Answer {
    /// The keys; `None` for an account that does not exist or has none for this hash.
    Scram(Option<ScramKeys>),
    /// The keys of an account that may not sign in: told only to who proves the password.
    Locked(ScramKeys, AuthFailure),
    /// Right or wrong password, with the salt of the keys that it was checked with; or, to any
    /// question about identity, why nobody signs in now.
    Verdict(Result<Vec<u8>, AuthFailure>),
    /// The tokens of the client that have not expired; none where there is no such account.
    Tokens(Vec<TokenKey>),
    /// What there are no keys for.
    Missing(Vec<Hash>),
    /// The keys are durable; or why not.
    Kept(Result<(), AuthFailure>),
    /// The client is let in, with elements for `<success/>`; or why not.
    Admitted(Result<String, AuthFailure>),
    /// Whose certificate or token it is.
    External(Result<BareJid, AuthFailure>),
    /// The account of an anonymous client, or of one that somebody else vouches for.
    Account(BareJid),
    /// The bound address.
    Bound(Result<Jid, StanzaError>),
    /// The session that was asked for along with the authentication.
    Begun(Result<Box<Begun>, StanzaError>),
    /// The state of the session to resume.
    Resumed(Box<Acks>),
    /// No such session; with the count of stanzas handled, if that is still known.
    NotResumed {
        /// Stanzas of the client that were handled.
        h: Option<u32>,
    },
    /// Stream management is on.
    Enabled {
        /// The identifier for resumption, if that is granted.
        id: Option<String>,
        /// How long the session waits for its client, in seconds.
        max_seconds: u32,
    },
    /// The component is in; or what it is told instead.
    Attached(Result<(), StreamError>),
    /// Whether the certificates do; if not, why, in words for a person.
    Vouched(Result<(), Arc<str>>),
    /// Stream management is refused.
    NotEnabled(StanzaError),
    /// The reply to [`Event::Early`], if any.
    Reply(Option<Stanza>),
}

/// Why somebody may not sign in (RFC 6120 §6.5). Texts are shown to the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthFailure {
    /// Wrong password or unknown account.
    NotAuthorized,
    /// The account is disabled, with the reason.
    AccountDisabled(Option<String>),
    /// The password must be renewed first.
    CredentialsExpired,
    /// Not allowed to act as the wanted account.
    InvalidAuthzid,
    /// The token is good, but was not given out for this (RFC 6750 §3.1).
    OutOfScope,
    /// It may work later.
    Temporary(Option<String>),
}
