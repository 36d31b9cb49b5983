//! Input that waits while a question is being answered.

/// What arrived since the question, in order.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) bytes: Vec<u8>,
    /// Where WebSocket messages end.
    pub(crate) ends: Vec<usize>,
    /// The transport has ended behind the bytes.
    pub(crate) ended: bool,
}

impl Held {
    /// The messages, in order.
    pub(crate) fn messages(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end])
    }
}
