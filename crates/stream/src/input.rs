//! What a stream gets from the wire.

use crate::error::StreamError;

/// How the stream is cut into elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// One XML document per stream (RFC 6120).
    Tcp,
    /// One element per message (RFC 7395).
    WebSocket,
}

/// What arrived, as the wire saw it.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Any piece of a TCP stream.
    Bytes(&'a [u8]),
    /// One whole WebSocket text message.
    Message(&'a [u8]),
    /// A WebSocket Ping or Pong.
    Alive,
    /// The socket ended, or the WebSocket closed with no `<close/>`.
    End,
    /// The peer broke the rules of the WebSocket layer.
    Violation(Violation),
}

/// A broken rule of the WebSocket layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A message over the limit: `policy-violation`, code 1009.
    TooBig,
    /// A binary message: `bad-format`, code 1003.
    Binary,
    /// A text message that is not UTF-8: `unsupported-encoding`, code 1007.
    NotUtf8,
    /// Anything else: the WebSocket fails with code 1002 and nothing more is said.
    Protocol,
}

impl Violation {
    /// What the peer is told, if it is told anything, and the code of the close frame.
    pub(crate) fn verdict(self) -> (Option<StreamError>, u16) {
        let (error, code) = match self {
            Violation::TooBig => (StreamError::policy_violation().text("too large"), 1009),
            Violation::Binary => (StreamError::bad_format().text("text messages only"), 1003),
            Violation::NotUtf8 => (StreamError::unsupported_encoding(), 1007),
            Violation::Protocol => return (None, 1002),
        };
        (Some(error), code)
    }
}
