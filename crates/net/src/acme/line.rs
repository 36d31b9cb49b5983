//! The way to an authority: the library speaks ACME, the server's own HTTP client carries it.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::{
    ACCEPT_LANGUAGE, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT,
};
use hyper::{Request, Response, StatusCode};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use parking_lot::Mutex;
use waxwing_kernel::clock::Clock;
use waxwing_kernel::outgoing::{Fetch, FetchRequest, Reach};

/// How long one question may take.
const TIME: Duration = Duration::from_secs(30);
/// The longest answer: a chain of certificates has a few kilobytes.
const REPLY_BYTES: usize = 256 * 1024;
/// RFC 8555 §6.1: "ACME clients MUST send a User-Agent header field, in accordance with [RFC7231].
/// This header field SHOULD include the name and version of the ACME software".
const AGENT: &str = concat!("Waxwing/", env!("CARGO_PKG_VERSION"), " instant-acme");

/// Asks one authority.
#[derive(Clone)]
pub(super) struct Line {
    fetch: Arc<dyn Fetch>,
    clock: Clock,
    later: Arc<Mutex<Option<Duration>>>,
}

/// An answer that is no ACME: of a proxy in between, or of another server.
#[derive(Debug)]
pub(super) struct Foreign(pub(super) StatusCode);

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "what answers there speaks no ACME, and says HTTP {}", self.0)
    }
}

impl std::error::Error for Foreign {}

impl Line {
    pub(super) fn new(fetch: Arc<dyn Fetch>, clock: Clock) -> Self {
        Self { fetch, clock, later: Arc::default() }
    }

    /// How long the authority asked to wait with the next order since this was last asked.
    pub(super) fn later(&self) -> Option<Duration> {
        self.later.lock().take()
    }
}

impl HttpClient for Line {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let line = self.clone();
        let (head, body) = request.into_parts();
        Box::pin(async move {
            let Ok(body) = body.collect().await;
            let mut ask = FetchRequest::new(head.method, head.uri.to_string(), Reach::Anywhere);
            ask = ask.at_most(REPLY_BYTES).within(TIME);
            ask.headers = head.headers;
            ask.headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
            // Errors are passed on to the operator, among English words.
            ask.headers.insert(ACCEPT_LANGUAGE, HeaderValue::from_static("en"));
            ask.body = body.to_bytes();
            let reply = line.fetch.fetch(ask).await;
            let reply = reply.map_err(|error| Error::Other(Box::new(error)))?;
            if reply.status.is_client_error() || reply.status.is_server_error() {
                *line.later.lock() = later(&reply.headers, line.clock.wall_millis());
                if !is_json(&reply.headers) {
                    return Err(Error::Other(Box::new(Foreign(reply.status))));
                }
            }
            let mut answer = Response::new(Full::new(reply.body));
            *answer.status_mut() = reply.status;
            *answer.headers_mut() = reply.headers;
            Ok(BytesResponse::from(answer))
        })
    }
}

/// RFC 8555 §6.7: errors are problem documents, `application/problem+json`.
fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.contains("json"))
}

/// RFC 9110 §10.2.3: seconds, or a date.
fn later(headers: &HeaderMap, now_millis: u64) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let format = time::format_description::well_known::Rfc2822;
    let date = time::OffsetDateTime::parse(&text.replace("GMT", "+0000"), &format).ok()?;
    let at = u64::try_from(date.unix_timestamp()).ok()?;
    at.checked_sub(now_millis / 1000).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_says_when_in_seconds_or_by_a_date() {
        let of = |text: &'static str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
            later(&headers, 946_684_800_000)
        };
        assert_eq!(of("120"), Some(Duration::from_secs(120)));
        assert_eq!(of("soon"), None);
        assert_eq!(of("Fri, 31 Dec 1999 23:59:59 GMT"), None);
        assert_eq!(of("Sat, 01 Jan 2000 00:01:00 GMT"), Some(Duration::from_secs(60)));
    }
}
