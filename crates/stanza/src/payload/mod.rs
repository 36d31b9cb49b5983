//! Typed children: reading one on demand, and writing an answer.
//!
//! A payload is a type that derives `xso::FromXml` or `xso::AsXml`. [`payload!`](crate::payload!)
//! lets it be read from a [`Body`](crate::Body), [`reply!`](crate::reply!) lets a handler
//! answer with it. What two modules share lives in the modules below.

pub mod dataform;
pub mod delay;
pub mod disco;
pub mod forward;
pub mod rsm;
pub mod sid;
mod write;

use waxwing_xml::Child;
use xso::FromXml;

use crate::StanzaError;

pub use write::to_xml;

/// A typed child of a stanza.
pub trait Payload: Sized {
    /// The local name of its element.
    const NAME: &'static str;
    /// The namespace of its element.
    const NS: &'static str;

    /// Reads it.
    ///
    /// # Errors
    /// `bad-request` with the reason as text.
    fn read(child: Child<'_>) -> Result<Self, StanzaError>;
}

/// What a handler answers a request with.
pub trait Reply {
    /// The child of the result, if it has one.
    fn into_xml(self) -> Option<String>;
}

/// An empty result.
impl Reply for () {
    fn into_xml(self) -> Option<String> {
        None
    }
}

/// One element with its own `xmlns`.
impl Reply for String {
    fn into_xml(self) -> Option<String> {
        Some(self)
    }
}

impl<R: Reply> Reply for Option<R> {
    fn into_xml(self) -> Option<String> {
        self.and_then(R::into_xml)
    }
}

/// Implements [`Payload`] for a type that derives `xso::FromXml`.
///
/// ```
/// const NS: &str = "urn:xmpp:blocking";
///
/// /// What a client sends to block addresses.
/// #[derive(xso::FromXml)]
/// #[xml(namespace = NS, name = "block", on_unknown_child = Discard)]
/// struct Block {
///     #[xml(child(n = ..))]
///     items: Vec<Item>,
/// }
///
/// #[derive(xso::FromXml)]
/// #[xml(namespace = NS, name = "item")]
/// struct Item {
///     #[xml(attribute)]
///     jid: waxwing_jid::Jid,
/// }
///
/// waxwing_stanza::payload!(Block, "block", NS);
/// ```
///
/// A question without anything in it, a unit struct that discards unknown attributes, is nearly
/// always sent empty. `payload!(empty Ping, "ping", NS)` then takes it without parsing.
#[macro_export]
macro_rules! payload {
    (empty $type:ident, $name:expr, $ns:expr) => {
        impl $crate::Payload for $type {
            const NAME: &'static str = $name;
            const NS: &'static str = $ns;

            fn read(child: $crate::payload::Node<'_>) -> Result<Self, $crate::StanzaError> {
                if child.is_empty() { Ok($type) } else { $crate::payload::read(child) }
            }
        }
    };
    ($type:ty, $name:expr, $ns:expr) => {
        impl $crate::Payload for $type {
            const NAME: &'static str = $name;
            const NS: &'static str = $ns;

            fn read(child: $crate::payload::Node<'_>) -> Result<Self, $crate::StanzaError> {
                $crate::payload::read(child)
            }
        }
    };
}

/// Implements [`Reply`] for types that derive `xso::AsXml`: `reply!(Blocklist);`
#[macro_export]
macro_rules! reply {
    ($($type:ty),+ $(,)?) => {$(
        impl $crate::Reply for $type {
            fn into_xml(self) -> Option<String> {
                Some($crate::to_xml(&self))
            }
        }
    )+};
}

/// What a payload is read from; named here for [`payload!`](crate::payload!).
pub use waxwing_xml::Child as Node;

/// Reads a type that derives `xso::FromXml` from a child with its own `xmlns`.
///
/// # Errors
/// `bad-request` with the reason as text.
pub fn read<T: FromXml>(child: Child<'_>) -> Result<T, StanzaError> {
    let xml = child.as_str().as_bytes();
    // The text has passed the limits of its stream; none of its tokens can be longer than it.
    let options = xso::exports::rxml::Options { max_token_length: xml.len(), ..Default::default() };
    xso::from_bytes_with_options(xml, options).map_err(|error| {
        StanzaError::bad_request().text(format!("in <{}/>: {error}", child.name()))
    })
}
