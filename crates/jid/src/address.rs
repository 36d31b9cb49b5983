//! An address with or without a resource.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use crate::ascii::{self, Scan};
use crate::prepare::{prepare_domain, prepare_local, prepare_resource};
use crate::{BareJid, JidError};

/// An address in prepared form: `local@domain/resource`, where local and resource may be
/// missing. Cloning shares the text. Addresses compare, order and hash as their texts.
#[derive(Clone)]
pub struct Jid {
    text: Arc<str>,
    /// Where the `@` before the domain is; 0 without a local part, which is never empty.
    at: u16,
    /// Where the `/` before the resource is; 0 without one, as the domain is never empty.
    slash: u16,
}

impl Jid {
    /// Reads and prepares an address.
    ///
    /// # Errors
    /// When a part is empty, too long, or breaks the rules of RFC 7622.
    pub fn new(text: &str) -> Result<Jid, JidError> {
        let (local, domain, resource) = split(text);
        let Some(fold) = scan(local, domain, resource) else {
            return Jid::from_parts(local, domain, resource);
        };
        let mut text: Arc<str> = Arc::from(text);
        let end = resource.map_or(text.len(), |resource| text.len() - resource.len() - 1);
        if fold {
            let own = Arc::get_mut(&mut text).expect("the text was made just now and not shared");
            own[..end].make_ascii_lowercase();
        }
        let slash = resource.map_or(0, |_| end as u16);
        Ok(Jid { text, at: local.map_or(0, |local| local.len() as u16), slash })
    }

    /// Prepares each part and puts them together. A part taken from elsewhere, such as a
    /// user name, cannot smuggle in another part: `@` in a local part is refused.
    ///
    /// # Errors
    /// As [`Jid::new`].
    pub fn from_parts(
        local: Option<&str>,
        domain: &str,
        resource: Option<&str>,
    ) -> Result<Jid, JidError> {
        let local = local.map(prepare_local).transpose()?;
        let domain = prepare_domain(domain)?;
        let resource = resource.map(prepare_resource).transpose()?;
        Ok(join(local, &domain, resource))
    }

    /// The same account or domain with this resource instead of its own.
    ///
    /// # Errors
    /// When `resource` is empty, too long, or not an OpaqueString.
    pub fn with_resource(&self, resource: &str) -> Result<Jid, JidError> {
        let resource = prepare_resource(resource)?;
        let bare = self.bare_str();
        let mut text = String::with_capacity(bare.len() + 1 + resource.len());
        text.push_str(bare);
        text.push('/');
        text.push_str(&resource);
        Ok(Jid { slash: bare.len() as u16, text: text.into(), at: self.at })
    }

    /// The part before the `@`.
    pub fn local(&self) -> Option<&str> {
        (self.at != 0).then(|| &self.text[..self.at as usize])
    }

    /// The domain.
    pub fn domain(&self) -> &str {
        let start = if self.at == 0 { 0 } else { self.at as usize + 1 };
        &self.text[start..self.bare_len()]
    }

    /// The part after the `/`.
    pub fn resource(&self) -> Option<&str> {
        (self.slash != 0).then(|| &self.text[self.slash as usize + 1..])
    }

    /// The address without its resource. Shares the text when there is none to cut off.
    pub fn bare(&self) -> BareJid {
        if self.is_bare() {
            return BareJid::trusted(self.clone());
        }
        BareJid::trusted(Jid { text: Arc::from(self.bare_str()), at: self.at, slash: 0 })
    }

    /// The text of the address without its resource: a key for a map of [`BareJid`]s.
    pub fn bare_str(&self) -> &str {
        &self.text[..self.bare_len()]
    }

    /// Whether there is no resource.
    pub fn is_bare(&self) -> bool {
        self.slash == 0
    }

    /// The whole address.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn bare_len(&self) -> usize {
        if self.slash == 0 { self.text.len() } else { self.slash as usize }
    }
}

/// RFC 7622 §3.1: the resource starts at the first `/`, and the local part ends at the first
/// `@` before that.
fn split(text: &str) -> (Option<&str>, &str, Option<&str>) {
    let (bare, resource) = match text.split_once('/') {
        Some((bare, resource)) => (bare, Some(resource)),
        None => (text, None),
    };
    match bare.split_once('@') {
        Some((local, domain)) => (Some(local), domain, resource),
        None => (None, bare, resource),
    }
}

/// Whether lower-casing ASCII before the resource is all there is to do, and whether there
/// is anything to lower; `None` when the parts need a closer look.
fn scan(local: Option<&str>, domain: &str, resource: Option<&str>) -> Option<bool> {
    let local = local.map_or(Scan::Ready, ascii::scan_local);
    let domain = ascii::scan_domain(domain);
    let resource = resource.map_or(Scan::Ready, ascii::scan_resource);
    let scans = [local, domain, resource];
    (!scans.contains(&Scan::Slow)).then(|| scans.contains(&Scan::Fold))
}

fn join(local: Option<Cow<'_, str>>, domain: &str, resource: Option<Cow<'_, str>>) -> Jid {
    let length = |part: &Option<Cow<'_, str>>| part.as_ref().map_or(0, |part| part.len() + 1);
    let mut text = String::with_capacity(length(&local) + domain.len() + length(&resource));
    let (mut at, mut slash) = (0, 0);
    if let Some(local) = local {
        text.push_str(&local);
        at = text.len() as u16;
        text.push('@');
    }
    text.push_str(domain);
    if let Some(resource) = resource {
        slash = text.len() as u16;
        text.push('/');
        text.push_str(&resource);
    }
    Jid { text: text.into(), at, slash }
}

impl PartialEq for Jid {
    fn eq(&self, other: &Jid) -> bool {
        Arc::ptr_eq(&self.text, &other.text) || self.text == other.text
    }
}

impl Eq for Jid {}

impl PartialOrd for Jid {
    fn partial_cmp(&self, other: &Jid) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Jid {
    fn cmp(&self, other: &Jid) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl Hash for Jid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Display for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.text)
    }
}

impl FromStr for Jid {
    type Err = JidError;

    fn from_str(text: &str) -> Result<Jid, JidError> {
        Jid::new(text)
    }
}

impl TryFrom<&str> for Jid {
    type Error = JidError;

    fn try_from(text: &str) -> Result<Jid, JidError> {
        Jid::new(text)
    }
}

impl xso::FromXmlText for Jid {
    fn from_xml_text(text: String) -> Result<Jid, xso::error::Error> {
        Jid::new(&text).map_err(xso::error::Error::text_parse_error)
    }
}

impl xso::AsXmlText for Jid {
    fn as_xml_text(&self) -> Result<Cow<'_, str>, xso::error::Error> {
        Ok(Cow::Borrowed(&self.text))
    }
}
