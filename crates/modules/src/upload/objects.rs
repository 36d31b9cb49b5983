//! Files in object storage: one object per upload, under the same names as in a folder.

use std::fmt;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::sync::Arc;

use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use waxwing_kernel::clock::Clock;
use waxwing_kernel::http::{Bytes, Content};
use waxwing_kernel::request::Answer;

use super::shelf::{Draft, Kept, Shelf, is_token};

/// What is held in memory of a file that is being written. Every part but the last has this size,
/// the smallest that S3 takes.
pub(super) const PART_BYTES: usize = 5 << 20;
/// S3 takes ten thousand parts.
pub(super) const FILE_BYTES_MAX: u64 = 48 << 30;
/// How much of a file is asked for at a time, and held in memory while it goes out.
pub(super) const PIECE_BYTES: u64 = 1 << 20;

/// A bucket, or a part of it.
pub(super) struct Objects {
    store: Arc<dyn ObjectStore>,
    /// Empty, or with a `/` at its end.
    prefix: String,
    clock: Clock,
    /// Files that may be written at a time.
    free: Arc<Semaphore>,
}

impl Objects {
    pub(super) fn new(
        store: Arc<dyn ObjectStore>,
        prefix: &str,
        clock: Clock,
        writers: usize,
    ) -> Self {
        let prefix = match prefix.trim_matches('/') {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        Self { store, prefix, clock, free: Arc::new(Semaphore::new(writers)) }
    }

    /// Whether the bucket can be asked.
    pub(super) async fn probe(&self) -> io::Result<()> {
        let nobody = self.path(&"0".repeat(2 * super::TOKEN_BYTES))?;
        match self.store.head(&nobody).await {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    fn path(&self, token: &str) -> io::Result<Path> {
        match is_token(token) {
            true => Ok(Path::from(format!("{}{}/{token}", self.prefix, &token[..2]))),
            false => Err(ErrorKind::InvalidInput.into()),
        }
    }
}

impl fmt::Display for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} below /{}", self.store, self.prefix)
    }
}

impl Shelf for Objects {
    fn begin<'a>(&'a self, token: &'a str, size: u64) -> Answer<'a, io::Result<Box<dyn Draft>>> {
        Box::pin(async move {
            let path = self.path(token)?;
            let turn = Arc::clone(&self.free).acquire_owned().await.map_err(io::Error::other)?;
            let room = usize::try_from(size).unwrap_or(PART_BYTES).min(PART_BYTES);
            let draft = ObjectDraft {
                store: Arc::clone(&self.store),
                path,
                clock: self.clock.clone(),
                part: Vec::with_capacity(room),
                upload: None,
                _turn: turn,
            };
            Ok(Box::new(draft) as Box<dyn Draft>)
        })
    }

    fn content<'a>(
        &'a self,
        token: &'a str,
        part: Range<u64>,
        is_wanted: bool,
    ) -> Answer<'a, io::Result<Content>> {
        Box::pin(async move {
            let mut reading =
                Reading { store: Arc::clone(&self.store), path: self.path(token)?, left: part };
            if !is_wanted || reading.left.is_empty() {
                return Ok(Content::Bytes(Bytes::new()));
            }
            let first = reading.ask().await?;
            // One piece waits while another goes out. When the channel closes too early, so does
            // the connection: the client sees that something is missing.
            let (pieces, taken) = mpsc::channel(1);
            self.clock.spawn(reading.go_on(first, pieces));
            Ok(Content::Stream(taken))
        })
    }

    fn remove<'a>(&'a self, token: &'a str) -> Answer<'a, io::Result<()>> {
        Box::pin(async move {
            match self.store.delete(&self.path(token)?).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(failed(error)),
            }
        })
    }

    fn kept<'a>(&'a self, digits: &'a str) -> Answer<'a, io::Result<Vec<Kept>>> {
        Box::pin(async move {
            let folder = Path::from(format!("{}{digits}", self.prefix));
            let listed = self.store.list_with_delimiter(Some(&folder)).await.map_err(failed)?;
            let kept = listed.objects.into_iter().filter_map(|object| {
                let token = object.location.filename().filter(|name| is_token(name))?.to_owned();
                Some(Kept { token, at: object.last_modified.timestamp_millis() })
            });
            Ok(kept.collect())
        })
    }
}

/// A file on its way into the bucket. Nothing of it can be seen there before it is whole.
struct ObjectDraft {
    store: Arc<dyn ObjectStore>,
    path: Path,
    clock: Clock,
    part: Vec<u8>,
    /// Begun with the first part, if there are several.
    upload: Option<Box<dyn MultipartUpload>>,
    _turn: OwnedSemaphorePermit,
}

impl Draft for ObjectDraft {
    fn write(&mut self, mut bytes: Bytes) -> Answer<'_, io::Result<()>> {
        Box::pin(async move {
            while !bytes.is_empty() {
                let taken = bytes.split_to(bytes.len().min(PART_BYTES - self.part.len()));
                self.part.extend_from_slice(&taken);
                if self.part.len() == PART_BYTES {
                    self.send().await?;
                }
            }
            Ok(())
        })
    }

    fn keep(mut self: Box<Self>) -> Answer<'static, io::Result<()>> {
        Box::pin(async move {
            if self.upload.is_none() {
                let whole = std::mem::take(&mut self.part).into();
                return self.store.put(&self.path, whole).await.map(drop).map_err(failed);
            }
            if !self.part.is_empty() {
                self.send().await?;
            }
            if let Some(upload) = &mut self.upload {
                upload.complete().await.map_err(failed)?;
            }
            self.upload = None;
            Ok(())
        })
    }
}

impl ObjectDraft {
    /// Sends a part, and waits until it is there: no more than one is ever in memory.
    async fn send(&mut self) -> io::Result<()> {
        let upload = match &mut self.upload {
            Some(upload) => upload,
            None => {
                let begun = self.store.put_multipart(&self.path).await.map_err(failed)?;
                self.upload.insert(begun)
            }
        };
        let part = std::mem::replace(&mut self.part, Vec::with_capacity(PART_BYTES));
        upload.put_part(part.into()).await.map_err(failed)
    }
}

impl Drop for ObjectDraft {
    /// What was sent of a file that was given up would be paid for and never seen.
    fn drop(&mut self) {
        let Some(mut upload) = self.upload.take() else { return };
        self.clock.spawn(async move {
            if let Err(error) = upload.abort().await {
                tracing::warn!(%error, "parts of a broken upload are left in object storage");
            }
        });
    }
}

/// A file on its way out.
struct Reading {
    store: Arc<dyn ObjectStore>,
    path: Path,
    /// What has not been asked for.
    left: Range<u64>,
}

impl Reading {
    async fn ask(&mut self) -> io::Result<Bytes> {
        let end = self.left.end.min(self.left.start + PIECE_BYTES);
        let piece = self.store.get_range(&self.path, self.left.start..end).await;
        let piece = piece.map_err(failed)?;
        if piece.len() as u64 != end - self.left.start {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.left.start = end;
        Ok(piece)
    }

    /// Asks for one piece after the other, as fast as somebody takes them.
    async fn go_on(mut self, first: Bytes, pieces: mpsc::Sender<Bytes>) {
        if pieces.send(first).await.is_err() {
            return;
        }
        while !self.left.is_empty() {
            // Room first: for who takes nothing one piece waits, and not another behind it.
            let Ok(room) = pieces.reserve().await else { return };
            match self.ask().await {
                Ok(piece) => room.send(piece),
                Err(error) => {
                    let path = &self.path;
                    return tracing::error!(%error, %path, "a file from object storage broke off");
                }
            }
        }
    }
}

/// The error in the words that a disk would use.
fn failed(error: object_store::Error) -> io::Error {
    use object_store::Error;

    let kind = match &error {
        Error::NotFound { .. } => ErrorKind::NotFound,
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            ErrorKind::PermissionDenied
        }
        _ => ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn objects() -> (Arc<InMemory>, Objects) {
        let store = Arc::new(InMemory::new());
        let objects = Objects::new(Arc::clone(&store) as _, "/files/", Clock::system(), 2);
        (store, objects)
    }

    async fn put(objects: &Objects, bytes: &[u8], piece: usize) {
        let mut draft = objects.begin(TOKEN, bytes.len() as u64).await.unwrap();
        for piece in bytes.chunks(piece) {
            draft.write(Bytes::copy_from_slice(piece)).await.unwrap();
        }
        draft.keep().await.unwrap();
    }

    async fn read(objects: &Objects, part: Range<u64>) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        match objects.content(TOKEN, part, true).await? {
            Content::Stream(mut pieces) => {
                while let Some(piece) = pieces.recv().await {
                    all.extend_from_slice(&piece);
                }
            }
            content => assert_eq!(format!("{content:?}"), "Bytes(b\"\")"),
        }
        Ok(all)
    }

    #[tokio::test]
    async fn files_of_every_size_come_back_whole_and_in_parts() {
        for size in [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES + 7] {
            let (store, objects) = objects();
            let bytes: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            put(&objects, &bytes, 100_001).await;
            let path = Path::from(format!("files/01/{TOKEN}"));
            assert_eq!(store.head(&path).await.unwrap().size, size as u64);
            assert!(read(&objects, 0..size as u64).await.unwrap() == bytes, "{size}");
            if size > 10 {
                let part = size as u64 / 3..size as u64 - 3;
                let expected = &bytes[size / 3..size - 3];
                assert!(read(&objects, part).await.unwrap() == expected, "{size}");
            }
            let kept = objects.kept("01").await.unwrap();
            assert_eq!(kept.iter().map(|kept| kept.token.as_str()).collect::<Vec<_>>(), [TOKEN]);
            assert_eq!(objects.kept("02").await.unwrap(), []);
            objects.remove(TOKEN).await.unwrap();
            objects.remove(TOKEN).await.unwrap();
            let gone = objects.content(TOKEN, 0..1, true).await.unwrap_err();
            assert_eq!(gone.kind(), ErrorKind::NotFound);
        }
    }

    #[tokio::test]
    async fn nothing_is_seen_of_a_file_that_was_given_up() {
        let (_, objects) = objects();
        let mut draft = objects.begin(TOKEN, 9 << 20).await.unwrap();
        draft.write(Bytes::from(vec![1; 6 << 20])).await.unwrap();
        drop(draft);
        assert_eq!(objects.kept("01").await.unwrap(), []);
        objects.probe().await.unwrap();
        // Two may be written at a time; both of those turns are free again.
        let _both =
            (objects.begin(TOKEN, 1).await.unwrap(), objects.begin(TOKEN, 1).await.unwrap());
    }

    #[tokio::test]
    async fn only_tokens_become_names() {
        let (_, objects) = objects();
        for text in ["", "../4567890123456789012345678901", &TOKEN.to_uppercase()] {
            assert!(objects.begin(text, 1).await.is_err(), "{text}");
            assert!(objects.remove(text).await.is_err(), "{text}");
        }
    }
}
