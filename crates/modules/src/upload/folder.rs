//! Files in a folder: one per upload, named by its token and by nothing that a client said.

use std::fmt;
use std::io::{self, ErrorKind, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use tokio::fs::{self, DirBuilder, OpenOptions};
use tokio::io::{AsyncSeekExt, AsyncWriteExt};
use waxwing_kernel::http::{Bytes, Content};
use waxwing_kernel::request::Answer;

use super::shelf::{Draft, Kept, Shelf, is_token};

/// What a file is called that is not complete.
const PART: &str = ".part";

/// The folder of all uploads: 256 folders by the first digits of the tokens, with the files in
/// them. What is not complete ends in `.part`.
pub(super) struct Folder(PathBuf);

/// A file that is being written.
struct FileDraft {
    file: fs::File,
    part: PathBuf,
    place: PathBuf,
}

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// The path of the whole file, and that of its beginning.
    fn places(&self, token: &str) -> io::Result<(PathBuf, PathBuf)> {
        if !is_token(token) {
            return Err(ErrorKind::InvalidInput.into());
        }
        let folder = self.0.join(&token[..2]);
        Ok((folder.join(token), folder.join(format!("{token}{PART}"))))
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

impl Shelf for Folder {
    /// A whole file is never overwritten.
    fn begin<'a>(
        &'a self,
        token: &'a str,
        _: &'a str,
        _: u64,
    ) -> Answer<'a, io::Result<Box<dyn Draft>>> {
        Box::pin(async move {
            let (place, part) = self.places(token)?;
            if fs::try_exists(&place).await? {
                return Err(ErrorKind::AlreadyExists.into());
            }
            let folder = place.parent().unwrap_or(&self.0);
            DirBuilder::new().recursive(true).mode(0o700).create(folder).await?;
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            let file = options.open(&part).await?;
            Ok(Box::new(FileDraft { file, part, place }) as Box<dyn Draft>)
        })
    }

    fn content<'a>(
        &'a self,
        token: &'a str,
        part: Range<u64>,
        _: bool,
    ) -> Answer<'a, io::Result<Content>> {
        Box::pin(async move {
            let (place, _) = self.places(token)?;
            let mut file = fs::File::open(place).await?;
            file.seek(SeekFrom::Start(part.start)).await?;
            let file = file.into_std().await;
            Ok(Content::File { file, length: part.end - part.start })
        })
    }

    fn remove<'a>(&'a self, token: &'a str) -> Answer<'a, io::Result<()>> {
        Box::pin(async move {
            let (place, part) = self.places(token)?;
            for path in [place, part] {
                match fs::remove_file(path).await {
                    Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            Ok(())
        })
    }

    fn kept<'a>(&'a self, digits: &'a str) -> Answer<'a, io::Result<Vec<Kept>>> {
        Box::pin(async move {
            let mut entries = match fs::read_dir(self.0.join(digits)).await {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
                entries => entries?,
            };
            let mut kept: Vec<Kept> = Vec::new();
            while let Some(entry) = entries.next_entry().await? {
                let name = entry.file_name();
                let Some(name) = name.to_str() else { continue };
                let token = name.strip_suffix(PART).unwrap_or(name);
                if !is_token(token) {
                    continue;
                }
                let written = entry.metadata().await?.modified()?.duration_since(UNIX_EPOCH);
                let at = written.map_or(0, |since| since.as_millis() as i64);
                kept.push(Kept { token: token.to_owned(), at });
            }
            Ok(kept)
        })
    }
}

impl Draft for FileDraft {
    fn write(&mut self, bytes: Bytes) -> Answer<'_, io::Result<()>> {
        Box::pin(async move { self.file.write_all(&bytes).await })
    }

    /// Returns when the whole file is on disk and in its place.
    fn keep(mut self: Box<Self>) -> Answer<'static, io::Result<()>> {
        Box::pin(async move {
            self.file.flush().await?;
            self.file.sync_all().await?;
            fs::rename(&self.part, &self.place).await?;
            // The names as well: that of the file, and that of its folder, which may be new.
            for folder in self.place.ancestors().skip(1).take(2) {
                sync(folder).await?;
            }
            Ok(())
        })
    }
}

async fn sync(folder: &Path) -> io::Result<()> {
    fs::File::open(folder).await?.sync_all().await
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

    #[tokio::test]
    async fn what_is_kept_is_found_whole_or_not() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path().join("upload"));
        assert_eq!(folder.kept("01").await.unwrap(), []);
        let mut draft = folder.begin(TOKEN, "romeo@localhost", 3).await.unwrap();
        draft.write(Bytes::from_static(b"abc")).await.unwrap();
        let tokens = async || {
            let kept = folder.kept("01").await.unwrap();
            kept.into_iter().map(|kept| (kept.token, kept.at > 0)).collect::<Vec<_>>()
        };
        assert_eq!(tokens().await, [(TOKEN.to_owned(), true)]);
        draft.keep().await.unwrap();
        assert_eq!(tokens().await, [(TOKEN.to_owned(), true)]);
        let again = folder.begin(TOKEN, "romeo@localhost", 3).await;
        assert!(again.is_err(), "never overwritten");
        std::fs::write(place.path().join("upload/01/notes.txt"), "mine").unwrap();
        assert_eq!(tokens().await.len(), 1, "what is not ours is not counted");
        folder.remove(TOKEN).await.unwrap();
        assert_eq!(tokens().await, []);
    }
}
