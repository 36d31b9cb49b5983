//! The XML of XMPP: a validating, incremental splitter that builds no tree.
//!
//! [`Splitter`] cuts a byte stream into its header, its top-level elements and its footer;
//! [`parse`] reads one document holding one element (a WebSocket message). What comes out is an
//! [`Element`]: the text that arrived, in one allocation of its own size, and a table of its
//! children. Nothing leaves this crate that a strict XML parser would refuse.
//!
//! Comments, processing instructions, document types and entities other than the five predefined
//! ones are refused, as RFC 6120 §11.1 asks. The crate knows nothing of XMPP beyond that.

mod attributes;
mod chars;
mod child;
mod content;
mod decode;
mod document;
mod element;
mod error;
mod limits;
mod namespaces;
mod rewrite;
mod scan;
mod splitter;
mod tag;
mod walk;
pub mod write;

pub use attributes::Attributes;
pub use child::{Child, Children};
pub use content::Content;
pub use document::parse;
pub use element::Element;
pub use error::XmlError;
pub use limits::Limits;
pub use splitter::{Event, Splitter};
