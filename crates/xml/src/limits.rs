//! What one element may cost, in one place.

/// The most that one top-level element (or the stream header) may ask for.
///
/// Every limit names the largest value that is still accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one top-level element, from its `<` to its last `>`. Above 4 GiB it is 4 GiB.
    pub element_bytes: usize,
    /// How deep elements nest; the top-level element itself is at depth 1.
    pub depth: usize,
    /// Attributes of one start tag, namespace declarations included.
    pub attributes: usize,
    /// Bytes of one element or attribute name, prefix included.
    pub name_bytes: usize,
    /// Bytes of one namespace name as written in its declaration.
    pub namespace_bytes: usize,
    /// Namespace declarations in scope at once, those of the stream header included.
    pub namespaces: usize,
    /// Direct children of one top-level element.
    pub children: usize,
}

impl Limits {
    /// The most bytes that are looked at: positions inside an element have 32 bits.
    pub(crate) fn bytes(&self) -> usize {
        self.element_bytes.min(u32::MAX as usize - 1)
    }
}

impl Default for Limits {
    /// What an authenticated client may send: far more than any client in use does.
    fn default() -> Self {
        Self {
            element_bytes: 256 * 1024,
            depth: 64,
            attributes: 64,
            name_bytes: 256,
            namespace_bytes: 512,
            namespaces: 64,
            children: 1024,
        }
    }
}
