//! The body of an answer: some bytes, a file that is read as the client takes it, or pieces that
//! come when they come.

use std::fmt;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::fs::File;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::mpsc::Receiver;
use waxwing_kernel::http::{Content, HttpReply};

use super::route::Reply;
use super::serve::HyperReply;

/// How much of a file is in memory at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// The body of an answer.
pub(crate) enum Outgoing {
    /// Bytes that are there.
    Whole(Bytes),
    /// The rest of a file.
    File(Sending),
    /// What comes.
    Stream(Flowing),
}

/// A file on its way.
pub(crate) struct Sending {
    file: File,
    left: u64,
    open: Open,
}

/// Pieces on their way, made by somebody else.
pub(crate) struct Flowing {
    pieces: Receiver<Bytes>,
    open: Open,
}

impl Outgoing {
    /// What a module answers with; what is not there at once beats in `pulse` while it goes out.
    pub(super) fn new(content: Content, pulse: &Arc<Pulse>) -> Self {
        match content {
            Content::Bytes(bytes) => Self::Whole(bytes),
            Content::File { file, length } => {
                let mut file = File::from_std(file);
                file.set_max_buf_size(PIECE_BYTES);
                Self::File(Sending { file, left: length, open: Open::new(pulse) })
            }
            Content::Stream(pieces) => Self::Stream(Flowing { pieces, open: Open::new(pulse) }),
        }
    }

    pub(super) fn reply(reply: HttpReply, pulse: &Arc<Pulse>) -> HyperReply {
        let mut answer = HyperReply::new(Self::new(reply.content, pulse));
        *answer.status_mut() = reply.status;
        *answer.headers_mut() = reply.headers;
        answer
    }
}

impl From<Reply> for HyperReply {
    fn from(reply: Reply) -> Self {
        let mut answer = Self::new(Outgoing::Whole(reply.body));
        *answer.status_mut() = reply.status;
        *answer.headers_mut() = reply.headers;
        answer
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::File(sending) => sending
                .poll_piece(cx)
                .map(|piece| piece.transpose().map(|piece| piece.map(Frame::data))),
            Self::Stream(Flowing { pieces, open }) => {
                open.0.beats.fetch_add(1, Ordering::Relaxed);
                let piece = pieces.poll_recv(cx);
                open.0.is_unmade.store(piece.is_pending(), Ordering::Relaxed);
                piece.map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.size_hint().exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::File(sending) => SizeHint::with_exact(sending.left),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

impl Sending {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        self.open.0.beats.fetch_add(1, Ordering::Relaxed);
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(PIECE_BYTES);
        if wanted == 0 {
            return Poll::Ready(Ok(None));
        }
        let mut piece = vec![0; wanted];
        let mut read = ReadBuf::new(&mut piece);
        ready!(Pin::new(&mut self.file).poll_read(cx, &mut read))?;
        let count = read.filled().len();
        if count == 0 {
            let short = "a file is shorter than it was";
            return Poll::Ready(Err(io::Error::new(ErrorKind::UnexpectedEof, short)));
        }
        piece.truncate(count);
        self.left -= count as u64;
        Poll::Ready(Ok(Some(Bytes::from(piece))))
    }
}

/// Counted in a pulse as something that is on its way, until it is dropped.
struct Open(Arc<Pulse>);

impl Open {
    fn new(pulse: &Arc<Pulse>) -> Self {
        pulse.open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(pulse))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outgoing({} bytes)", self.size_hint().lower())
    }
}

/// Tells whether what is on its way over one connection gets on.
#[derive(Default)]
pub(crate) struct Pulse {
    open: AtomicUsize,
    beats: AtomicU64,
    /// The client would take more than there is.
    is_unmade: AtomicBool,
}

/// Why something on its way does not get on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The client takes nothing.
    NotTaken,
    /// Whoever makes it, from what storage gives perhaps, does not go on.
    NotMade,
}

impl Stop {
    /// Notes in the log who it was.
    pub(super) fn note(self) {
        match self {
            Self::NotTaken => tracing::debug!("an answer is not taken"),
            Self::NotMade => tracing::warn!(
                "an answer was given up: its client waited, and nothing more came from the module"
            ),
        }
    }
}

impl Pulse {
    /// Something is on its way from now on, to the end.
    pub(super) fn begin(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    /// Resolves when something is on its way and the client took nothing of it for `patience`, and
    /// up to twice as long.
    pub(super) async fn stops(&self, patience: Duration) -> Stop {
        let mut before = self.beats.load(Ordering::Relaxed);
        loop {
            tokio::time::sleep(patience).await;
            let now = self.beats.load(Ordering::Relaxed);
            if now == before && self.open.load(Ordering::Relaxed) > 0 {
                let is_unmade = self.is_unmade.load(Ordering::Relaxed);
                return if is_unmade { Stop::NotMade } else { Stop::NotTaken };
            }
            before = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tokio::sync::mpsc::channel;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn it_is_known_who_does_not_go_on() {
        let patience = Duration::from_millis(5);
        let pulse = Arc::new(Pulse::default());
        let (pieces, content) = channel(1);
        let mut body = Outgoing::new(Content::Stream(content), &pulse);
        pieces.send(Bytes::from_static(b"first")).await.unwrap();
        assert!(body.frame().await.is_some());
        assert_eq!(pulse.stops(patience).await, Stop::NotTaken);
        assert!(timeout(patience, body.frame()).await.is_err());
        assert_eq!(pulse.stops(patience).await, Stop::NotMade);
        pieces.send(Bytes::from_static(b"second")).await.unwrap();
        assert!(body.frame().await.is_some());
        assert_eq!(pulse.stops(patience).await, Stop::NotTaken);
    }
}
