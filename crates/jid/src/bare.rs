//! An address that never has a resource.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::str::FromStr;

use crate::{Jid, JidError, Part, Reason};

/// The address of an account, a room, or a domain: `local@domain` or `domain`.
///
/// It borrows as `str`, so a map of these is searched with [`Jid::bare_str`] and without
/// an allocation. Only prepared text finds anything.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BareJid(Jid);

impl BareJid {
    /// Reads and prepares an address, which must have no resource.
    ///
    /// # Errors
    /// When there is a resource, and as [`Jid::new`].
    pub fn new(text: &str) -> Result<BareJid, JidError> {
        let jid = Jid::new(text)?;
        if jid.is_bare() {
            return Ok(BareJid(jid));
        }
        Err(JidError::Invalid(Part::Resource, Reason::Rule("is not allowed here")))
    }

    /// Prepares each part and puts them together, as [`Jid::from_parts`].
    ///
    /// # Errors
    /// As [`Jid::new`].
    pub fn from_parts(local: Option<&str>, domain: &str) -> Result<BareJid, JidError> {
        Jid::from_parts(local, domain, None).map(BareJid)
    }

    /// Wraps an address known to have no resource.
    pub(crate) fn trusted(jid: Jid) -> BareJid {
        debug_assert!(jid.is_bare());
        BareJid(jid)
    }

    /// The part before the `@`.
    pub fn local(&self) -> Option<&str> {
        self.0.local()
    }

    /// The domain.
    pub fn domain(&self) -> &str {
        self.0.domain()
    }

    /// The whole address.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// This address with a resource.
    ///
    /// # Errors
    /// When `resource` is empty, too long, or not an OpaqueString.
    pub fn with_resource(&self, resource: &str) -> Result<Jid, JidError> {
        self.0.with_resource(resource)
    }

    /// The same address as the wider type; shares the text.
    pub fn to_jid(&self) -> Jid {
        self.0.clone()
    }

    /// The same address as the wider type.
    pub fn as_jid(&self) -> &Jid {
        &self.0
    }

    /// Whether this is a domain: an address without a local part.
    pub fn is_domain(&self) -> bool {
        self.0.local().is_none()
    }
}

impl From<BareJid> for Jid {
    fn from(bare: BareJid) -> Jid {
        bare.0
    }
}

impl Borrow<str> for BareJid {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for BareJid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for BareJid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl FromStr for BareJid {
    type Err = JidError;

    fn from_str(text: &str) -> Result<BareJid, JidError> {
        BareJid::new(text)
    }
}

impl TryFrom<&str> for BareJid {
    type Error = JidError;

    fn try_from(text: &str) -> Result<BareJid, JidError> {
        BareJid::new(text)
    }
}

impl xso::FromXmlText for BareJid {
    fn from_xml_text(text: String) -> Result<BareJid, xso::error::Error> {
        BareJid::new(&text).map_err(xso::error::Error::text_parse_error)
    }
}

impl xso::AsXmlText for BareJid {
    fn as_xml_text(&self) -> Result<Cow<'_, str>, xso::error::Error> {
        Ok(Cow::Borrowed(self.as_str()))
    }
}
