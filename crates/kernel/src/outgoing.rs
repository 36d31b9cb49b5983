//! What the server itself asks of others over HTTP: push services, hooks of the operator, keys of
//! an identity provider. Sockets and the protocol belong to the network layer; here are the words
//! that both sides speak.

use std::fmt;
use std::time::Duration;

pub use bytes::Bytes;
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};

use crate::hub::Hub;
use crate::request::Answer;

/// How long an answer may take that nobody set a time for.
const TIME: Duration = Duration::from_secs(20);
/// How long the body of an answer may be that nobody set a length for.
const REPLY_BYTES: usize = 64 * 1024;

/// Whoever can ask over HTTP.
pub trait Fetch: Send + Sync {
    /// Asks once. A redirect is an answer like any other: it is not followed.
    fn fetch(&self, request: FetchRequest) -> Answer<'static, Result<FetchReply, FetchError>>;
}

/// Where a request may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Over TLS to machines on the open internet only. For addresses that come from clients: what
    /// resolves to this machine, to its networks or to its cloud's metadata is refused, so that
    /// nobody reaches through us what they cannot reach themselves.
    Public,
    /// To any machine, also without TLS. For addresses that the operator wrote down.
    Anywhere,
}

/// What is asked.
#[derive(Clone)]
pub struct FetchRequest {
    /// The method.
    pub method: Method,
    /// The whole address: `https://push.example/abc?d=e`.
    pub url: String,
    /// Header fields; `Host` and the length are added.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// Where it may go.
    pub reach: Reach,
    /// The most bytes that the body of the answer may have. Default 65 536.
    pub reply_bytes: usize,
    /// How long all of it may take. Default 20 s.
    pub time: Duration,
}

/// What was answered, whatever its status.
#[derive(Clone, Debug)]
pub struct FetchReply {
    /// The status.
    pub status: StatusCode,
    /// Header fields.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchError {
    /// The address is none that can be asked, and why.
    BadUrl(&'static str),
    /// The address is not on the open internet, where it has to be.
    NotPublic,
    /// No machine of that name answers, and what the system says.
    Unreachable(String),
    /// TLS failed: the certificate, usually.
    Untrusted(String),
    /// The answer is longer than allowed.
    TooLong,
    /// No answer came in time.
    TimedOut,
    /// Too many requests are under way, to this machine or at all.
    Busy,
    /// What came was no HTTP, or broke off.
    Broken(String),
    /// This server cannot ask over HTTP at all.
    Unavailable,
}

/// Header fields and body may hold secrets, and stay out of logs.
impl fmt::Debug for FetchRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, url, reach, .. } = self;
        write!(f, "FetchRequest({method} {url}, {reach:?}, {} bytes)", self.body.len())
    }
}

impl FetchRequest {
    /// A request without a body.
    pub fn new(method: Method, url: impl Into<String>, reach: Reach) -> Self {
        Self {
            method,
            url: url.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            reach,
            reply_bytes: REPLY_BYTES,
            time: TIME,
        }
    }

    /// `GET`.
    pub fn get(url: impl Into<String>, reach: Reach) -> Self {
        Self::new(Method::GET, url, reach)
    }

    /// `POST` of `body`.
    pub fn post(url: impl Into<String>, reach: Reach, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..Self::new(Method::POST, url, reach) }
    }

    /// Sets a header field.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets how long all of it may take.
    #[must_use]
    pub fn within(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// Sets the most bytes that the body of the answer may have.
    #[must_use]
    pub fn at_most(mut self, reply_bytes: usize) -> Self {
        self.reply_bytes = reply_bytes;
        self
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadUrl(why) => write!(f, "the address cannot be asked: {why}"),
            Self::NotPublic => f.write_str("the address is not on the open internet"),
            Self::Unreachable(why) => write!(f, "nobody answers there: {why}"),
            Self::Untrusted(why) => write!(f, "no secure connection: {why}"),
            Self::TooLong => f.write_str("the answer is too long"),
            Self::TimedOut => f.write_str("no answer came in time"),
            Self::Busy => f.write_str("too many requests are under way"),
            Self::Broken(why) => write!(f, "the answer is broken: {why}"),
            Self::Unavailable => f.write_str("this server asks nobody over HTTP"),
        }
    }
}

impl std::error::Error for FetchError {}

impl Hub {
    /// Asks over HTTP, once.
    ///
    /// # Errors
    /// Why there is no answer. An answer with a status that tells of an error is none.
    pub async fn fetch(&self, request: FetchRequest) -> Result<FetchReply, FetchError> {
        match self.fetcher() {
            Some(fetcher) => fetcher.fetch(request).await,
            None => Err(FetchError::Unavailable),
        }
    }
}
