//! Stanzas: a head the server rewrites and a body it only forwards.
//!
//! A [`Stanza`] is read from an [`Element`](waxwing_xml::Element) without building a tree and
//! is written straight into a `String`. The [`Head`] holds what routing needs: the kind, the
//! addresses and the id. The [`Body`] holds the children as they arrived plus what the server
//! added; it is shared between all copies of a stanza. A child is parsed into a type only when
//! someone asks for it ([`Body::payload`]).
//!
//! ```
//! use waxwing_jid::Jid;
//! use waxwing_stanza::{MessageType, Stanza, StanzaError};
//!
//! let message = Stanza::parse(
//!     "<message xmlns='jabber:client' from='romeo@example.net/o' to='juliet@example.com' \
//!      id='1' type='chat'><body>Art thou not Romeo?</body></message>",
//! )?;
//! assert_eq!(message.body.text_of("body").as_deref(), Some("Art thou not Romeo?"));
//!
//! let error = StanzaError::service_unavailable().text("nobody is here");
//! let mut out = String::new();
//! message.error_reply(&error).expect("a message may be answered").write(&mut out, None);
//! assert!(out.starts_with("<message from='juliet@example.com' to='romeo@example.net/o' id='1'"));
//!
//! let greeting = Stanza::message(MessageType::Chat).to(Jid::new("juliet@example.com")?);
//! let greeting = greeting.with("<body>hello</body>");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod body;
mod condition;
mod error;
mod head;
pub mod payload;
mod read;
mod stanza;

pub use body::Body;
pub use condition::{Condition, ErrorKind};
pub use error::StanzaError;
pub use head::{Head, IqType, Kind, MessageType, PresenceType};
pub use payload::{Payload, Reply, to_xml};
pub use read::{Malformed, StoredError};
pub use stanza::Stanza;

/// Content namespace of client streams (RFC 6120 §4.8.3).
pub const CLIENT: &str = "jabber:client";

/// Content namespace of server streams (RFC 6120 §4.8.3).
pub const SERVER: &str = "jabber:server";

/// Namespace of the stanza error conditions (RFC 6120 §8.3.2).
pub const STANZA_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";

/// Whether this is a namespace that stanzas themselves live in.
pub fn is_content(namespace: &str) -> bool {
    namespace == CLIENT || namespace == SERVER
}
