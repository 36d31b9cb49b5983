//! What a stream is for. One folder per role, one file per state, named by what it expects.

pub(crate) mod client;
pub(crate) mod component;

use crate::{CLIENT, COMPONENT};

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A client (RFC 6120).
    Client,
    /// A component (XEP-0114).
    Component,
}

impl Role {
    /// The content namespace of its streams (RFC 6120 §4.8.3).
    pub(crate) fn content(self) -> &'static str {
        match self {
            Role::Client => CLIENT,
            Role::Component => COMPONENT,
        }
    }
}
