//! Files in object storage: one object per upload, under the same names as in a folder.

use std::fmt;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt};
use tokio::sync::mpsc;
use waxwing_kernel::clock::Clock;
use waxwing_kernel::http::{Bytes, Content};
use waxwing_kernel::request::Answer;

use super::places::{Place, Places};
use super::shelf::{Draft, Kept, Shelf, is_token};

/// What is held in memory of a file that is being written. Every part but the last has this size,
/// the smallest that S3 takes.
pub(super) const PART_BYTES: usize = 5 << 20;
/// S3 takes ten thousand parts.
pub(super) const FILE_BYTES_MAX: u64 = 48 << 30;
/// How much of a file is asked for at a time, and held in memory while it goes out.
pub(super) const PIECE_BYTES: u64 = 1 << 20;
/// A download that ends while a piece was waited for so long ended because of that.
const SLOW: Duration = Duration::from_secs(20);

/// A bucket, or a part of it.
pub(super) struct Objects {
    store: Arc<dyn ObjectStore>,
    /// Empty, or with a `/` at its end.
    prefix: String,
    clock: Clock,
    /// For files that are written.
    writers: Places,
    /// For files that are fetched.
    readers: Places,
}

impl Objects {
    pub(super) fn new(
        store: Arc<dyn ObjectStore>,
        prefix: &str,
        clock: Clock,
        (writers, readers): (usize, usize),
    ) -> Self {
        let prefix = match prefix.trim_matches('/') {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        let places = |count| Places::new(count, clock.clone());
        let (writers, readers) = (places(writers), places(readers));
        Self { store, prefix, clock, writers, readers }
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
    fn begin<'a>(
        &'a self,
        token: &'a str,
        owner: &'a str,
        size: u64,
    ) -> Answer<'a, io::Result<Box<dyn Draft>>> {
        Box::pin(async move {
            let path = self.path(token)?;
            let place = self.writers.take(Some(owner)).await?;
            let room = usize::try_from(size).unwrap_or(PART_BYTES).min(PART_BYTES);
            let draft = ObjectDraft {
                store: Arc::clone(&self.store),
                path,
                clock: self.clock.clone(),
                part: Vec::with_capacity(room),
                upload: None,
                _place: place,
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
            let path = self.path(token)?;
            if !is_wanted || part.is_empty() {
                return Ok(Content::Bytes(Bytes::new()));
            }
            let mut reading = Reading {
                store: Arc::clone(&self.store),
                path,
                left: part,
                clock: self.clock.clone(),
                _place: self.readers.take(None).await?,
            };
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
    _place: Place,
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
    clock: Clock,
    _place: Place,
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

    /// Asks for one piece after the other, as fast as somebody takes them, until the last is taken.
    async fn go_on(mut self, first: Bytes, pieces: mpsc::Sender<Bytes>) {
        if pieces.send(first).await.is_err() {
            return;
        }
        while !self.left.is_empty() {
            // Room first: for who takes nothing one piece waits, and not another behind it.
            let Ok(room) = pieces.reserve().await else { return };
            let asked = self.clock.now();
            let answer = tokio::select! {
                answer = self.ask() => answer,
                () = pieces.closed() => Err(lost(self.clock.now() - asked)),
            };
            match answer {
                Ok(piece) => room.send(piece),
                // The client has left, which is its right.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => return,
                Err(error) => {
                    let path = &self.path;
                    return tracing::error!(%error, %path, "a file from object storage broke off");
                }
            }
        }
        // It is in memory, and has its place, until somebody takes it.
        let _ = pieces.reserve().await;
    }
}

/// Why nobody waits any more for a piece that was asked for so long ago. The network lets go who
/// takes nothing, and here there was nothing to take.
fn lost(waited: Duration) -> io::Error {
    if waited < SLOW {
        return ErrorKind::BrokenPipe.into();
    }
    let text = format!("the storage gave nothing for {} seconds", waited.as_secs());
    io::Error::new(ErrorKind::TimedOut, text)
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
mod tests;
