//! What modules serve: requests whose bodies they read piece by piece, and answers out of files.

use std::fmt;
use std::io::{self, ErrorKind};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderMap, HeaderValue};
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::time::timeout;
use waxwing_kernel::http::{HttpRequest, HttpRoute, Intake};
use waxwing_kernel::request::Answer;

use super::forwarded::Client;
use super::outgoing::{Outgoing, Pulse};
use super::serve::{HyperReply, HyperRequest};
use crate::net::Net;

/// Everything below a path, served by a module.
#[derive(Clone)]
pub struct Folder {
    /// With a `/` at its beginning and its end, percent-encoded.
    pub path: String,
    /// What answers.
    pub route: HttpRoute,
}

impl fmt::Debug for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}

/// The folder that a path leads into.
pub(super) fn find<'a>(folders: &'a [Folder], path: &str) -> Option<&'a Folder> {
    folders.iter().find(|folder| path.starts_with(&folder.path))
}

impl Folder {
    /// Hands the request to the module, and its answer back.
    pub(super) async fn answer(
        &self,
        request: HyperRequest,
        client: Client,
        net: &Net,
        pulse: &Arc<Pulse>,
    ) -> HyperReply {
        let (limits, clock) = (net.limits(), net.clock());
        let path = request.uri().path()[self.path.len()..].to_owned();
        let query = request.uri().query().map(str::to_owned);
        let (head, incoming) = request.into_parts();
        let (back, rest) = oneshot::channel();
        let length = announced(&head.headers);
        let is_polite = head.headers.contains_key(header::EXPECT);
        let patience = Duration::from_secs(limits.body_seconds);
        let body = Reading { incoming: Some(incoming), back: Some(back), length, patience };
        let request = HttpRequest {
            method: head.method,
            path,
            query,
            headers: head.headers,
            client: client.ip,
            is_secure: client.is_secure,
            body: Box::new(body),
        };
        let mut answer = Outgoing::reply((self.route)(request).await, pulse);
        let rest = rest.await.ok().filter(|rest| !rest.is_end_stream());
        if let Some(rest) = rest {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            // A client that sends on while nobody reads may never see the answer; one that waits
            // for leave to send (RFC 9110 §10.1.1) sends nothing.
            if !is_polite {
                clock.spawn(drain(rest, limits.farewell_bytes_max, patience));
            }
        }
        answer
    }
}

/// RFC 9112 §6.3: Transfer-Encoding overrides Content-Length, and then nobody knows. That there is
/// one length, and that it is a number, hyper has made sure of.
fn announced(headers: &HeaderMap) -> Option<u64> {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return None;
    }
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

/// Reads and forgets the rest of a body, as far as that is not too much and does not take too long.
async fn drain(mut body: Incoming, bytes_max: usize, patience: Duration) {
    let all = async {
        let mut count = 0;
        while let Some(Ok(frame)) = body.frame().await
            && count < bytes_max
        {
            count += frame.data_ref().map_or(0, Bytes::len);
        }
    };
    let _ = timeout(patience, all).await;
}

/// A body while a module reads it; what is left of it comes back when the module lets go.
struct Reading {
    incoming: Option<Incoming>,
    back: Option<oneshot::Sender<Incoming>>,
    length: Option<u64>,
    patience: Duration,
}

impl Intake for Reading {
    fn length(&self) -> Option<u64> {
        self.length
    }

    fn next(&mut self) -> Answer<'_, Option<io::Result<Bytes>>> {
        Box::pin(async move {
            let incoming = self.incoming.as_mut()?;
            loop {
                let frame = match timeout(self.patience, incoming.frame()).await {
                    Ok(frame) => frame?,
                    Err(_) => return Some(Err(ErrorKind::TimedOut.into())),
                };
                match frame.map(|frame| frame.into_data()) {
                    Ok(Ok(data)) if data.is_empty() => {}
                    Ok(Ok(data)) => return Some(Ok(data)),
                    // Trailers say nothing to us.
                    Ok(Err(_)) => {}
                    Err(error) => return Some(Err(io::Error::other(error))),
                }
            }
        })
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if let (Some(incoming), Some(back)) = (self.incoming.take(), self.back.take()) {
            let _ = back.send(incoming);
        }
    }
}
