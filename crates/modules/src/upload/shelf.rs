//! Where the bytes of uploads are kept: what a folder and object storage have in common.

use std::fmt;
use std::io;
use std::ops::Range;

use waxwing_kernel::http::{Bytes, Content};
use waxwing_kernel::request::Answer;

/// A place for files that are known by their tokens.
pub(super) trait Shelf: fmt::Display + Send + Sync {
    /// Begins a file of `size` bytes that `owner` sends. What an upload before left that broke off
    /// is overwritten. `ErrorKind::ResourceBusy`: too many are under way.
    fn begin<'a>(
        &'a self,
        token: &'a str,
        owner: &'a str,
        size: u64,
    ) -> Answer<'a, io::Result<Box<dyn Draft>>>;

    /// A part of a whole file, to be read as somebody takes it. That it is there is known when
    /// `is_wanted`; else only its length matters. `ErrorKind::ResourceBusy`: too many are read.
    fn content<'a>(
        &'a self,
        token: &'a str,
        part: Range<u64>,
        is_wanted: bool,
    ) -> Answer<'a, io::Result<Content>>;

    /// Removes what there is of a file.
    fn remove<'a>(&'a self, token: &'a str) -> Answer<'a, io::Result<()>>;

    /// What is kept whose tokens begin with these two digits.
    fn kept<'a>(&'a self, digits: &'a str) -> Answer<'a, io::Result<Vec<Kept>>>;
}

/// A file that is being written. Dropping it gives it up.
pub(super) trait Draft: Send {
    /// Takes the next bytes.
    fn write(&mut self, bytes: Bytes) -> Answer<'_, io::Result<()>>;

    /// Returns when the whole file is in its place, and stays there whatever happens.
    fn keep(self: Box<Self>) -> Answer<'static, io::Result<()>>;
}

/// Something on a shelf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) token: String,
    /// When it was last written, in milliseconds since 1970.
    pub(super) at: i64,
}

/// Whether a text could be a token: nothing else ever becomes part of a path.
pub(super) fn is_token(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == 2 * super::TOKEN_BYTES && text.bytes().all(is_digit)
}
