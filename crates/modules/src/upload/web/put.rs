//! A file arrives: judged by what its slot promised, written as it comes, and confirmed when it is
//! on disk.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use serde_json::json;
use tokio::sync::oneshot;
use waxwing_kernel::http::{HttpReply, HttpRequest, Intake, StatusCode, header};
use waxwing_store::StoreError;

use super::{busy, find, unreachable};
use crate::upload::file::{File, State};
use crate::upload::shelf::Shelf;
use crate::upload::{UPLOAD_STORED, Upload};

/// A row outlives its upload by this long, so that it is not swept away under it.
const GRACE_MILLIS: i64 = 60_000;

pub(super) async fn put(
    upload: Arc<Upload>,
    [token, secret, name]: [&str; 3],
    request: HttpRequest,
) -> HttpReply {
    let file = match find(&upload, token, name).await {
        Ok(file) => file,
        Err(reply) => return reply,
    };
    if verify_slices_are_equal(file.secret.as_bytes(), secret.as_bytes()).is_err() {
        return refuse(StatusCode::FORBIDDEN, "This address is not the one that was given out.\n");
    }
    let now = upload.hub.clock().wall_millis().cast_signed();
    if let Some(refusal) = objection(&file, &request, now) {
        return refusal;
    }
    // In a task of its own: a client that goes away must not leave half a file and a slot that
    // nobody can use.
    let (done, answer) = oneshot::channel();
    let clock = upload.hub.clock().clone();
    clock.spawn(async move {
        let reply = upload.take(file, request.body).await;
        let _ = done.send(reply);
    });
    answer.await.unwrap_or_else(|_| {
        refuse(StatusCode::INTERNAL_SERVER_ERROR, "Something broke; the server's log says what.\n")
    })
}

/// Why this is not the file that the slot is for.
fn objection(file: &File, request: &HttpRequest, now: i64) -> Option<HttpReply> {
    match file.state {
        State::Slot if file.expires > now => {}
        State::Slot => {
            let text = "It is too late to upload this; ask for another slot.\n";
            return Some(refuse(StatusCode::FORBIDDEN, text));
        }
        State::Coming => return Some(taken()),
        State::Stored => {
            let text = "This file is there already, and is never overwritten.\n";
            return Some(refuse(StatusCode::CONFLICT, text));
        }
    }
    // §7 "The upload service MUST reject the file upload if the Content-Length does not match the
    // size of the slot request."
    let length = request.body.length().map(|length| i64::try_from(length).unwrap_or(i64::MAX));
    match length {
        None => {
            let text = "The length must be said before (Content-Length).\n";
            return Some(refuse(StatusCode::LENGTH_REQUIRED, text));
        }
        Some(length) if length > file.size => {
            let text = format!("This is larger than the {} bytes of the slot.\n", file.size);
            return Some(HttpReply::text(StatusCode::PAYLOAD_TOO_LARGE, text));
        }
        Some(length) if length < file.size => {
            let text = format!("This is smaller than the {} bytes of the slot.\n", file.size);
            return Some(HttpReply::text(StatusCode::BAD_REQUEST, text));
        }
        Some(_) => {}
    }
    // "The service SHOULD reject the file if the Content-Type has been specified beforehand and
    // does not match."
    let sent = request.headers.get(header::CONTENT_TYPE).map(|kind| kind.as_bytes());
    match (&file.kind, sent) {
        (Some(promised), Some(sent)) if !is_same(promised.as_bytes(), sent) => {
            let text = format!("The slot is for {promised}.\n");
            Some(HttpReply::text(StatusCode::UNSUPPORTED_MEDIA_TYPE, text))
        }
        _ => None,
    }
}

/// Whether two media types are the same, whatever their parameters.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let essence = |kind: &[u8]| {
        let essence = kind.split(|byte| *byte == b';').next().unwrap_or_default();
        essence.trim_ascii().to_ascii_lowercase()
    };
    essence(one) == essence(other)
}

impl Upload {
    /// Takes the body of a file in, once.
    async fn take(self: Arc<Self>, file: File, body: Box<dyn Intake>) -> HttpReply {
        let Some(shelf) = &self.shelf else {
            return refuse(StatusCode::NOT_IMPLEMENTED, "This server keeps no files.\n");
        };
        let clock = self.hub.clock();
        let millis = i64::from(self.config.upload_seconds) * 1000;
        let now = clock.wall_millis().cast_signed();
        let begun = self.files.begin(&file.token, now + millis + GRACE_MILLIS, now).await;
        match begun {
            Ok(()) => {}
            Err(StoreError::Conflict(_)) => return taken(),
            Err(error) => return unreachable(&error),
        }
        let deadline = clock.now() + Duration::from_millis(millis.unsigned_abs());
        let written = tokio::select! {
            written = write(&**shelf, &file, body) => written,
            () = clock.until(Some(deadline)) => Err(ErrorKind::TimedOut.into()),
        };
        let now = clock.wall_millis().cast_signed();
        match written {
            Ok(()) => match self.files.finish(&file.token, now).await {
                Ok(()) => {
                    self.tell(&file);
                    HttpReply::status(StatusCode::CREATED)
                }
                Err(error) => {
                    self.give_up(&file).await;
                    match error {
                        StoreError::Conflict(_) => super::nothing(),
                        error => unreachable(&error),
                    }
                }
            },
            Err(error) => {
                self.give_up(&file).await;
                excuse(&error)
            }
        }
    }

    fn tell(&self, file: &File) {
        let domain = file.owner.rsplit('@').next().unwrap_or_default();
        self.hub.tell(
            domain,
            &UPLOAD_STORED,
            || json!({ "owner": file.owner, "size": file.size, "media_type": file.kind }),
        );
    }

    /// Forgets what came, so that the client may try again while its slot is valid.
    async fn give_up(&self, file: &File) {
        self.discard(&file.token).await;
        if let Err(error) = self.files.reopen(&file.token, file.expires).await {
            tracing::warn!(%error, "an upload that broke off cannot be tried again");
        }
    }
}

/// Writes the body piece by piece.
async fn write(shelf: &dyn Shelf, file: &File, mut body: Box<dyn Intake>) -> io::Result<()> {
    let mut left = file.size.unsigned_abs();
    let mut draft = shelf.begin(&file.token, &file.owner, left).await?;
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|error| broken(&error))?;
        left = left.checked_sub(piece.len() as u64).ok_or(ErrorKind::InvalidData)?;
        draft.write(piece).await?;
    }
    if left > 0 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    draft.keep().await
}

/// Tells trouble with the client from trouble with the disk.
fn broken(error: &io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::TimedOut => ErrorKind::TimedOut.into(),
        _ => ErrorKind::UnexpectedEof.into(),
    }
}

/// The answer to an upload that did not come to its end.
fn excuse(error: &io::Error) -> HttpReply {
    match error.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::InvalidData => {
            refuse(StatusCode::BAD_REQUEST, "The upload broke off.\n")
        }
        ErrorKind::TimedOut => refuse(StatusCode::REQUEST_TIMEOUT, "This took too long.\n"),
        ErrorKind::ResourceBusy => {
            tracing::warn!("an upload found no place to be written; see modules.upload.s3.writers");
            busy("Too many files are being uploaded; try again in half a minute.\n")
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            tracing::error!(%error, "no room for an upload");
            refuse(StatusCode::INSUFFICIENT_STORAGE, "The server's disk is full.\n")
        }
        _ => {
            tracing::error!(%error, "an upload could not be written");
            let text = "The server cannot keep this file at the moment; try again later.\n";
            refuse(StatusCode::INTERNAL_SERVER_ERROR, text)
        }
    }
}

fn taken() -> HttpReply {
    refuse(StatusCode::CONFLICT, "This file is being uploaded already.\n")
}

fn refuse(status: StatusCode, text: &'static str) -> HttpReply {
    HttpReply::text(status, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_found_no_place_is_told_when_to_come_again() {
        let reply = excuse(&ErrorKind::ResourceBusy.into());
        assert_eq!(reply.status, 503);
        assert_eq!(reply.headers[header::RETRY_AFTER], "30");
    }
}
