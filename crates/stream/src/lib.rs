//! One XML stream as a machine without IO: bytes and clock readings in; events, bytes and one
//! deadline out.
//!
//! [`Stream`] speaks RFC 6120 (TCP) and RFC 7395 (WebSocket) as the server of a client:
//! STARTTLS, SASL by both profiles (RFC 6120 §6, XEP-0388), resource binding by both ways (RFC
//! 6120 §7, XEP-0386), stream management (XEP-0198), announced limits (XEP-0478), keepalive and
//! the closing handshake. What it cannot know itself it asks
//! ([`Event::Ask`]); the driver answers, possibly after a query.
//!
//! ```text
//!  ExpectHeader -> ExpectTls -> ExpectHeader -> ExpectSasl -> ExpectHeader -> ExpectBind -> Open
//!                                                   \------> Welcome ------> ExpectBind -> Open
//!                                                               \--------------------------> Open
//!
//!  component:  ExpectHeader -> ExpectHandshake -> Linked
//! ```
//!
//! [`Stream::component`] speaks the component protocol (XEP-0114) instead; [`Stream::incoming`] and
//! [`Stream::outgoing`] are the two ends of a stream between servers.

mod acks;
mod chassis;
mod error;
mod event;
mod features;
mod framing;
mod held;
mod host;
mod input;
mod limits;
mod outbox;
mod role;
mod sasl;
mod stream;
mod timers;

pub use acks::{Acks, Full};
pub use error::{Condition, StreamError};
pub use event::{
    Admit, Answer, AuthFailure, Begun, Closing, Closure, Enable, Enabled, Event, Inline,
    Installation, Need, Proof, Question, Tag, Ticket, TokenKey,
};
pub use host::{
    BearerOffer, Component, Entropy, Host, Hosts, Mechanisms, PeerTrust, Redirect, Security,
};
pub use input::{Framing, Input, Violation};
pub use limits::Limits;
pub use outbox::{Mark, MarkKind, Outbox};
pub use role::server::{
    Border, By, Call, Demand, Dialback, Linked, Pair, Purpose, Trouble, Unsent, Verdict, Way,
    dialback_key,
};
pub use sasl::{Failure, FailureCondition, Hash, Mechanism, ScramKeys, TokenBinding};
pub use stream::Stream;

pub(crate) const CLIENT: &str = "jabber:client";
pub(crate) const COMPONENT: &str = "jabber:component:accept";
pub(crate) const SERVER: &str = "jabber:server";
pub(crate) const DIALBACK: &str = "jabber:server:dialback";
pub(crate) const STREAM: &str = "http://etherx.jabber.org/streams";
pub(crate) const FRAMING: &str = "urn:ietf:params:xml:ns:xmpp-framing";
pub(crate) const FRAMING_SERVER: &str = "urn:ietf:params:xml:ns:xmpp-framing-server";
pub(crate) const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
pub(crate) const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
pub(crate) const SASL2: &str = "urn:xmpp:sasl:2";
pub(crate) const BIND: &str = "urn:ietf:params:xml:ns:xmpp-bind";
pub(crate) const BIND2: &str = "urn:xmpp:bind:0";
pub(crate) const SM: &str = "urn:xmpp:sm:3";
pub(crate) const UPGRADE: &str = "urn:xmpp:sasl:upgrade:0";
pub(crate) const SCRAM_UPGRADE: &str = "urn:xmpp:scram-upgrade:0";
pub(crate) const IAP: &str = "urn:xmpp:iap:0";
pub(crate) const FAST: &str = "urn:xmpp:fast:0";
pub(crate) const CSI: &str = "urn:xmpp:csi:0";
