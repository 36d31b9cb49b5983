//! The server's end of the control socket.

use std::fs::{self, File, Permissions, TryLockError};
use std::future::Future;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use waxwing_kernel::command::Refusal;

use super::{ANSWER_WAIT, REQUEST_BYTES_MAX, Request, Response, SEND_WAIT, socket};

/// Requests answered at the same time; others wait.
const REQUESTS_MAX: usize = 16;

/// How often the folder's lock is tried, and how long apart: a server that just ended or a command
/// that works on the database may still hold it.
const LOCK_ATTEMPTS: u32 = 40;
const LOCK_PAUSE: Duration = Duration::from_millis(25);

/// Answers requests.
pub(crate) type Handle =
    Arc<dyn Fn(Request) -> Pin<Box<dyn Future<Output = Response> + Send>> + Send + Sync>;

/// The open control socket of a data folder. The socket goes when this does.
#[derive(Debug)]
pub(crate) struct Control {
    listener: UnixListener,
    path: PathBuf,
    /// Held so that of servers that start at the same moment one gets the folder, wherever the
    /// database is. The operating system frees it however the process ends.
    _lock: File,
}

impl Control {
    /// Opens the socket, replacing one that a killed server left behind.
    ///
    /// # Errors
    /// When a server runs on this folder already, or the folder cannot be written; the message
    /// names the remedy.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let path = socket(folder);
        let lock = lock(folder)?;
        // Bound under another name first: nobody sees the socket before it is private.
        let fresh = folder.join("control.new");
        let _ = fs::remove_file(&fresh);
        let listener = UnixListener::bind(&fresh).map_err(|error| explain(&fresh, &error))?;
        fs::set_permissions(&fresh, Permissions::from_mode(0o600))?;
        fs::rename(&fresh, &path)?;
        Ok(Self { listener, path, _lock: lock })
    }

    /// Answers until dropped.
    pub(crate) async fn serve(&self, handle: Handle) {
        let mut running = JoinSet::new();
        loop {
            while running.len() >= REQUESTS_MAX {
                running.join_next().await;
            }
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                Some(_) = running.join_next() => continue,
            };
            match accepted {
                Ok((stream, _)) if is_ours(&stream) => {
                    running.spawn(answer(stream, Arc::clone(&handle)));
                }
                Ok(_) => tracing::warn!("another user tried the control socket"),
                Err(error) => {
                    tracing::warn!(%error, "control socket");
                    tokio::time::sleep(SEND_WAIT / 10).await;
                }
            }
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// The file permissions say it already, where the file system keeps them.
fn is_ours(stream: &UnixStream) -> bool {
    let owner = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == owner || peer.uid() == 0)
}

/// One request, one answer.
async fn answer(mut stream: UnixStream, handle: Handle) {
    let mut line = String::new();
    let mut limited = BufReader::new((&mut stream).take(REQUEST_BYTES_MAX));
    let read = timeout(SEND_WAIT, limited.read_line(&mut line)).await;
    let response = match read {
        Ok(Ok(length)) if length > 0 => match Request::from_line(&line) {
            Ok(request) => timeout(ANSWER_WAIT, handle(request)).await.unwrap_or_else(|_| {
                Err(Refusal::busy("the server is too busy; try again later")).into()
            }),
            Err(reason) => Err(Refusal::invalid("request", reason)).into(),
        },
        _ => return,
    };
    let line = response.to_line();
    let _ = timeout(SEND_WAIT, stream.write_all(line.as_bytes())).await;
}

/// Makes sure that nobody else has the folder, for as long as the answer is held.
///
/// # Errors
/// The same as those of [`Control::open`].
pub(crate) fn lock(folder: &Path) -> io::Result<File> {
    let path = folder.join("control.lock");
    let mut options = fs::OpenOptions::new();
    let opened = options.write(true).create(true).truncate(false).open(&path);
    let file = opened.map_err(|error| explain(&path, &error))?;
    for _ in 0..LOCK_ATTEMPTS {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(error)) => return Err(explain(&path, &error)),
        }
    }
    let folder = folder.display();
    Err(io::Error::new(
        io::ErrorKind::AddrInUse,
        format!("a server is already running on {folder}: stop it or choose another --data"),
    ))
}

fn explain(path: &Path, error: &io::Error) -> io::Error {
    let path = path.display();
    let text = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            format!("{path}: may not be written; make its folder yours or choose another --data")
        }
        io::ErrorKind::InvalidInput => {
            format!("{path}: this path is too long for a socket; choose a shorter --data")
        }
        _ => format!("{path}: {error}"),
    };
    io::Error::new(error.kind(), text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{AskError, ask};
    use waxwing_kernel::command::{Said, Values};

    fn echo() -> Handle {
        Arc::new(|request| {
            Box::pin(async move {
                match request {
                    Request::Run { words, .. } => Ok(Said::note(words.join(" "))).into(),
                    Request::Reload => Err(Refusal::not_allowed("no")).into(),
                }
            })
        })
    }

    async fn asked(folder: &Path, request: Request) -> Result<Response, AskError> {
        let folder = folder.to_owned();
        tokio::task::spawn_blocking(move || ask(&folder, &request)).await.expect("it returns")
    }

    #[tokio::test]
    async fn requests_are_answered_and_a_second_server_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let run =
            Request::Run { words: vec!["user".into(), "list".into()], values: Values::default() };
        let none = asked(folder.path(), run.clone()).await;
        assert!(matches!(none, Err(AskError::NotRunning(_))), "{none:?}");

        let control = Control::open(folder.path()).expect("the folder is free");
        let mode = fs::metadata(socket(folder.path())).expect("it exists").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let second = Control::open(folder.path()).expect_err("the folder is taken");
        assert!(second.to_string().contains("already running"), "{second}");

        tokio::select! {
            () = control.serve(echo()) => unreachable!("it serves until dropped"),
            () = async {
                let said = asked(folder.path(), run).await.expect("an answer");
                assert_eq!(said.to_json()["note"], "user list");
                let refused = asked(folder.path(), Request::Reload).await.expect("an answer");
                assert!(matches!(refused, Response::Refused { .. }));
            } => {}
        }
        drop(control);
        assert!(!socket(folder.path()).exists());
    }

    #[tokio::test]
    async fn a_socket_left_behind_is_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let left = std::os::unix::net::UnixListener::bind(socket(folder.path())).expect("bound");
        drop(left);
        assert!(Control::open(folder.path()).is_ok());
    }

    #[tokio::test]
    async fn an_endless_request_is_dropped() {
        let folder = tempfile::tempdir().expect("a folder");
        let control = Control::open(folder.path()).expect("the folder is free");
        let path = socket(folder.path());
        let client = tokio::task::spawn_blocking(move || {
            use std::io::{Read, Write};
            let mut stream = std::os::unix::net::UnixStream::connect(path).expect("it listens");
            let _ = stream.write_all(&vec![b' '; 200_000]);
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer);
            answer
        });
        tokio::select! {
            () = control.serve(echo()) => unreachable!("it serves until dropped"),
            answer = client => assert!(!answer.expect("it returns").contains("\"text\":\"\"")),
        }
    }
}
