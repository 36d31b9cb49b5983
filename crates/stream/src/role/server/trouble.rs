//! Why a stream to another server did not come about, in words for people.

use std::fmt;
use std::sync::Arc;

use waxwing_stanza::StanzaError;
use waxwing_xml::Element;

use crate::error::{Condition, STREAM_ERRORS, StreamError};

/// Bytes of a foreign text that are repeated.
const TEXT_BYTES: usize = 300;

/// Why a stream with another server could not be opened, or what it was ended with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It offers no TLS, and we require it.
    NoEncryption,
    /// It offered TLS and then refused.
    TlsRefused,
    /// Nothing vouches for its certificate, and we require that; in words.
    Untrusted(Arc<str>),
    /// It offers no way to prove who we are that we may use.
    NoProof,
    /// It does not accept our certificate; with its reason.
    CertificateRefused(String),
    /// It says that our dialback key is wrong.
    DialbackInvalid,
    /// It could not verify our dialback key, or did not want to.
    DialbackFailed(StanzaError),
    /// It ended the stream with this error.
    Told(StreamError),
    /// It said something that is not XMPP; what we told it.
    Broken(StreamError),
    /// It speaks for this domain and not for the one that we called.
    WrongDomain(String),
    /// It speaks the protocol of before 2004, without TLS.
    TooOld,
    /// It took too long.
    Silent,
    /// The connection broke.
    Lost,
    /// It closed the stream, or we did, before anything came of it.
    Closed,
}

impl Trouble {
    /// One sentence about the server `peer`.
    pub fn words(&self, peer: &str) -> String {
        match self {
            Trouble::NoEncryption => {
                format!("{peer} offers no encryption, which this server requires.")
            }
            Trouble::TlsRefused => format!("{peer} offered encryption and then refused it."),
            Trouble::Untrusted(why) => why.to_string(),
            Trouble::NoProof => {
                format!("{peer} offers no way to prove who we are that this server may use.")
            }
            Trouble::CertificateRefused(why) => {
                format!("{peer} does not accept our certificate: {why}.")
            }
            Trouble::DialbackInvalid => {
                format!(
                    "{peer} asked whether our dialback key is right and was told that it is not."
                )
            }
            Trouble::DialbackFailed(error) => {
                format!(
                    "{peer} could not verify who we are by dialback: {}.",
                    clip(&error.to_string())
                )
            }
            Trouble::Told(error) => match &error.host {
                Some(host) => format!("{peer} sends us elsewhere: {}.", clip(host)),
                None => format!("{peer} ended the stream: {}.", clip(&error.to_string())),
            },
            Trouble::Broken(error) => format!("{peer} does not speak XMPP properly: {error}."),
            Trouble::WrongDomain(name) => {
                format!("The server that was found for {peer} says that it is {}.", clip(name))
            }
            Trouble::TooOld => format!("{peer} speaks a protocol too old for encryption."),
            Trouble::Silent => format!("{peer} took too long to answer."),
            Trouble::Lost => format!("The connection to {peer} broke."),
            Trouble::Closed => format!("{peer} closed the stream before anything was sent."),
        }
    }

    /// What an operator can do about it, where that is known.
    pub fn advice(&self) -> Option<&'static str> {
        Some(match self {
            Trouble::NoEncryption | Trouble::TooOld => {
                "Ask its operator to install a certificate; or allow streams without TLS for this \
                 domain alone: [[peer]] tls = \"optional\"."
            }
            Trouble::TlsRefused => "Ask its operator to look into the log of that server.",
            Trouble::Untrusted(_) => {
                "Its operator has to renew or correct the certificate; until then dialback can \
                 stand in for it: [[peer]] trust = \"either\"."
            }
            Trouble::NoProof => {
                "That server wants a valid certificate of ours; `waxwing check` says what is wrong \
                 with it."
            }
            Trouble::CertificateRefused(_) => {
                "`waxwing check` says whether our certificate is valid for the domain, and its \
                 chain complete."
            }
            Trouble::DialbackInvalid => {
                "The DNS records of our domain lead to another server than this one, or to \
                 several with different secrets."
            }
            Trouble::DialbackFailed(_) => {
                "That server could not reach ours: look at the SRV records of our domain, and at \
                 port 5269 from outside."
            }
            Trouble::Told(error) => told(error.condition)?,
            Trouble::WrongDomain(_) => "The SRV records of that domain lead to the wrong server.",
            Trouble::Broken(_) | Trouble::Silent | Trouble::Lost | Trouble::Closed => return None,
        })
    }

    /// Whether to call again without SASL EXTERNAL: XEP-0178 §3 lets a server that refuses a
    /// certificate close the stream, and dialback may still succeed.
    pub fn is_worth_dialback(&self) -> bool {
        matches!(self, Trouble::CertificateRefused(_))
    }

    /// Whether the same call may succeed later without anybody doing anything.
    pub fn is_passing(&self) -> bool {
        match self {
            Trouble::Silent | Trouble::Lost | Trouble::Closed | Trouble::DialbackFailed(_) => true,
            Trouble::Told(error) => matches!(
                error.condition,
                Condition::ConnectionTimeout
                    | Condition::InternalServerError
                    | Condition::RemoteConnectionFailed
                    | Condition::Reset
                    | Condition::ResourceConstraint
                    | Condition::SystemShutdown
            ),
            _ => false,
        }
    }
}

fn told(condition: Condition) -> Option<&'static str> {
    Some(match condition {
        Condition::HostUnknown | Condition::HostGone => {
            "The DNS records of that domain lead to a server that does not serve it (any more)."
        }
        Condition::NotAuthorized => {
            "`waxwing check` says whether our certificate is valid for the domain, and its chain \
             complete."
        }
        Condition::PolicyViolation => {
            "That server may have blocked ours, or wants a certificate or encryption; its operator \
             knows."
        }
        _ => return None,
    })
}

/// The words without a name.
impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words("the other server"))
    }
}

/// Foreign text goes into logs and to users: not too much of it, and on one line.
pub(super) fn clip(text: &str) -> String {
    let end = text.floor_char_boundary(TEXT_BYTES);
    text[..end].trim().trim_end_matches('.').replace(char::is_control, " ")
}

impl StreamError {
    /// Reads the `<stream:error/>` of a peer; a condition that nobody knows is
    /// `undefined-condition` (RFC 6120 §4.9.3.21).
    pub(crate) fn read(element: &Element) -> StreamError {
        let mut error = StreamError::undefined_condition();
        for part in element.children().filter(|part| part.namespace() == STREAM_ERRORS) {
            if part.name() == "text" {
                error.text = Some(clip(&part.text()).into());
                continue;
            }
            let known = Condition::ALL.iter().find(|known| known.name() == part.name());
            if let Some(condition) = known {
                error.condition = *condition;
            }
            if error.condition == Condition::SeeOtherHost {
                error.host = Some(clip(&part.text())).filter(|host| !host.is_empty());
            }
        }
        error
    }
}
