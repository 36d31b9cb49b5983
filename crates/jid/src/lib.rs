//! Addresses of XMPP entities (RFC 7622).
//!
//! A [`Jid`] holds its text in prepared form only, so two addresses are the same
//! entity exactly when their texts are equal. [`BareJid`] is the same without a
//! resource: the type says which one a function wants.
//!
//! Preparation follows PRECIS (RFC 8264, RFC 8265) and IDNA2008. Plain ASCII, which
//! is nearly every address on the wire, is checked against a table of bytes and costs
//! one allocation: the text of the address itself.
//!
//! ```
//! use waxwing_jid::{BareJid, Jid};
//!
//! let jid = Jid::new("Juliet@Example.COM/Balcony")?;
//! assert_eq!(jid.as_str(), "juliet@example.com/Balcony");
//! assert_eq!(jid.bare(), BareJid::new("juliet@example.com")?);
//! assert!(Jid::new("juliet capulet@example.com").is_err());
//! # Ok::<(), waxwing_jid::JidError>(())
//! ```

mod address;
mod ascii;
mod bare;
mod domain;
mod error;
mod prepare;

pub use address::Jid;
pub use bare::BareJid;
pub use domain::is_subdomain;
pub use error::{JidError, Part, Reason};
pub use prepare::{prepare_domain, prepare_local, prepare_password, prepare_resource};
