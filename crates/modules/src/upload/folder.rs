//! Where the bytes are: one file per upload, named by its token and by nothing that a client said.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use tokio::fs::{self, DirBuilder, OpenOptions};
use tokio::io::AsyncWriteExt;

/// The folder of all uploads: 256 folders by the first digits of the tokens, with the files in
/// them. What is not complete ends in `.part`.
pub(super) struct Folder(PathBuf);

/// A file that is being written.
pub(super) struct Draft {
    file: fs::File,
    part: PathBuf,
    place: PathBuf,
}

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Begins a file. What an upload before left that broke off is overwritten; a whole file never
    /// is.
    pub(super) async fn begin(&self, token: &str) -> io::Result<Draft> {
        let (place, part) = self.places(token)?;
        if fs::try_exists(&place).await? {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let folder = place.parent().unwrap_or(&self.0);
        DirBuilder::new().recursive(true).mode(0o700).create(folder).await?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let file = options.open(&part).await?;
        Ok(Draft { file, part, place })
    }

    /// Opens a whole file.
    pub(super) async fn open(&self, token: &str) -> io::Result<std::fs::File> {
        let (place, _) = self.places(token)?;
        Ok(fs::File::open(place).await?.into_std().await)
    }

    /// Removes what there is of a file.
    pub(super) async fn remove(&self, token: &str) -> io::Result<()> {
        let (place, part) = self.places(token)?;
        for path in [place, part] {
            match fs::remove_file(path).await {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// The path of the whole file, and that of its beginning.
    fn places(&self, token: &str) -> io::Result<(PathBuf, PathBuf)> {
        if !is_token(token) {
            return Err(ErrorKind::InvalidInput.into());
        }
        let folder = self.0.join(&token[..2]);
        Ok((folder.join(token), folder.join(format!("{token}.part"))))
    }
}

/// Whether a text could be a token: nothing else ever becomes part of a path.
pub(super) fn is_token(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == 2 * super::TOKEN_BYTES && text.bytes().all(is_digit)
}

impl Draft {
    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes).await
    }

    /// Returns when the whole file is on disk and in its place.
    pub(super) async fn keep(mut self) -> io::Result<()> {
        self.file.flush().await?;
        self.file.sync_all().await?;
        fs::rename(&self.part, &self.place).await?;
        // The names as well: that of the file, and that of its folder, which may be new.
        for folder in self.place.ancestors().skip(1).take(2) {
            fs::File::open(folder).await?.sync_all().await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn only_tokens_become_paths() {
        assert!(is_token(TOKEN));
        let parent = "../4567890123456789012345678901";
        for text in ["", "..", "0123", parent, &TOKEN.to_uppercase(), &format!("{TOKEN}0")] {
            assert!(!is_token(text), "{text}");
            assert!(Folder::new("/x".into()).places(text).is_err());
        }
    }
}
