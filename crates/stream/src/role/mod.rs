//! What a stream is for. One folder per role, one file per state, named by what it expects.

pub(crate) mod client;
pub(crate) mod component;
pub(crate) mod server;

use crate::{CLIENT, COMPONENT, FRAMING, FRAMING_SERVER, SERVER};

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A client (RFC 6120).
    Client,
    /// A component (XEP-0114).
    Component,
    /// A server that has called us (RFC 6120).
    Incoming,
    /// A server that we call.
    Outgoing,
}

impl Role {
    /// The content namespace of its streams (RFC 6120 §4.8.3).
    pub(crate) fn content(self) -> &'static str {
        match self {
            Role::Client => CLIENT,
            Role::Component => COMPONENT,
            Role::Incoming | Role::Outgoing => SERVER,
        }
    }

    /// The namespace of what opens and closes its streams on WebSockets. XEP-0468 §2: "for s2s, the
    /// 'jabber:server' namespace should be replaced with
    /// 'urn:ietf:params:xml:ns:xmpp-framing-server'".
    pub(crate) fn framing(self) -> &'static str {
        match self {
            Role::Client | Role::Component => FRAMING,
            Role::Incoming | Role::Outgoing => FRAMING_SERVER,
        }
    }
}
