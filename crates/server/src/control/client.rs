//! Asks the running server.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::{ANSWER_WAIT, RESPONSE_BYTES_MAX, Request, Response, SEND_WAIT, socket};

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum AskError {
    /// No server runs on this data folder.
    NotRunning(PathBuf),
    /// The socket belongs to another user.
    NotAllowed(PathBuf),
    /// The server did not answer.
    Silent(io::Error),
}

/// Asks the server that runs on a data folder. Blocks until it answers.
pub(crate) fn ask(folder: &Path, request: &Request) -> Result<Response, AskError> {
    let mut stream = UnixStream::connect(socket(folder)).map_err(|error| {
        let folder = folder.to_owned();
        match error.kind() {
            io::ErrorKind::PermissionDenied => AskError::NotAllowed(folder),
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                AskError::NotRunning(folder)
            }
            _ => AskError::Silent(error),
        }
    })?;
    converse(&mut stream, request).map_err(AskError::Silent)
}

/// Whether a server runs on a data folder.
pub(crate) fn is_running(folder: &Path) -> bool {
    UnixStream::connect(socket(folder)).is_ok()
}

fn converse(stream: &mut UnixStream, request: &Request) -> io::Result<Response> {
    stream.set_write_timeout(Some(SEND_WAIT))?;
    stream.set_read_timeout(Some(ANSWER_WAIT + SEND_WAIT))?;
    stream.write_all(request.to_line().as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream.take(RESPONSE_BYTES_MAX)).read_line(&mut line)?;
    Response::from_line(&line).ok_or_else(|| io::Error::other("the answer makes no sense"))
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRunning(folder) => write!(
                f,
                "no server is running on the data folder {}\nstart one with `waxwing serve`, or \
                 name its folder with --data or its file with --config",
                folder.display()
            ),
            Self::NotAllowed(folder) => write!(
                f,
                "the server on {} belongs to another user\nrun this command as that user, for \
                 example with `sudo -u`",
                folder.display()
            ),
            Self::Silent(error) => write!(f, "the server does not answer: {error}"),
        }
    }
}
