//! What the server asks of others over HTTP/1.1: the other side of [`waxwing_kernel::outgoing`].
//!
//! An address that came from a client may only lead to the open internet. That is judged by the
//! addresses that its name resolves to, and those very addresses are then dialled, so a name that
//! changes its mind in between gains nothing. Nothing is redirected.

mod address;
mod dial;

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::Uri;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use parking_lot::Mutex;
use rustls::RootCertStore;
use tokio::sync::Semaphore;
use waxwing_kernel::outgoing::{Fetch, FetchError, FetchReply, FetchRequest, Reach};
use waxwing_kernel::request::Answer;

pub(crate) use self::address::is_public;
use self::dial::{Dialer, Trust};
use crate::limits::Limits;

type Pool = Client<Dialer, Full<Bytes>>;

/// Asks others over HTTP. Connections are kept for a while and used again.
pub struct Fetcher {
    public: Arc<Lane>,
    anywhere: Arc<Lane>,
}

/// What goes to the same kind of place shares connections and bounds, so that slow machines of
/// strangers keep nobody from asking the operator's own.
struct Lane {
    reach: Reach,
    pool: Pool,
    free: Arc<Semaphore>,
    per_host: usize,
    busy: Mutex<HashMap<String, Busy>>,
}

/// What is under way to one host.
struct Busy {
    /// Requests, those that wait among them.
    count: usize,
    free: Arc<Semaphore>,
}

/// A request to one host, until it is dropped.
struct Place {
    lane: Arc<Lane>,
    host: String,
}

impl Fetcher {
    /// Trusts the authorities that this machine trusts; they are read when first needed.
    pub fn new(limits: &Limits) -> Self {
        Self::with(limits, Trust::System)
    }

    /// Trusts `roots` and nobody else.
    pub fn trusting(limits: &Limits, roots: RootCertStore) -> Self {
        Self::with(limits, Trust::These(Arc::new(roots)))
    }

    fn with(limits: &Limits, trust: Trust) -> Self {
        let lane = |reach| Arc::new(Lane::new(reach, limits, &trust));
        Self { public: lane(Reach::Public), anywhere: lane(Reach::Anywhere) }
    }
}

impl Fetch for Fetcher {
    fn fetch(&self, request: FetchRequest) -> Answer<'static, Result<FetchReply, FetchError>> {
        let lane = match request.reach {
            Reach::Public => Arc::clone(&self.public),
            Reach::Anywhere => Arc::clone(&self.anywhere),
        };
        let time = request.time;
        Box::pin(async move {
            let asked = tokio::time::timeout(time, lane.ask(request)).await;
            asked.unwrap_or(Err(FetchError::TimedOut))
        })
    }
}

impl Lane {
    fn new(reach: Reach, limits: &Limits, trust: &Trust) -> Self {
        let mut pool = Client::builder(TokioExecutor::new());
        pool.pool_timer(TokioTimer::new())
            .pool_idle_timeout(limits.fetch_idle())
            .pool_max_idle_per_host(limits.fetch_idle_per_host_max)
            .http1_max_buf_size(limits.header_bytes_max)
            .http1_max_headers(limits.headers_max);
        let dialer = Dialer::new(reach, limits.fetch_connect(), trust.clone());
        Self {
            reach,
            pool: pool.build(dialer),
            free: Arc::new(Semaphore::new(limits.fetches_max)),
            per_host: limits.fetches_per_host_max,
            busy: Mutex::default(),
        }
    }

    async fn ask(self: Arc<Self>, request: FetchRequest) -> Result<FetchReply, FetchError> {
        let url = judged(&request.url, self.reach)?;
        let (_place, host_free) = self.enter(&url)?;
        // In this order: what waits for a slow host takes no place from others.
        let _host_turn = host_free.acquire().await.map_err(|_| FetchError::Busy)?;
        let _turn = self.free.acquire().await.map_err(|_| FetchError::Busy)?;
        let mut outgoing = hyper::Request::new(Full::new(request.body));
        *outgoing.method_mut() = request.method;
        *outgoing.uri_mut() = url;
        *outgoing.headers_mut() = request.headers;
        let reply = self.pool.request(outgoing).await.map_err(|error| reason(&error))?;
        let (head, body) = reply.into_parts();
        let body = Limited::new(body, request.reply_bytes).collect().await;
        let body = body.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
            Some(_) => FetchError::TooLong,
            None => FetchError::Broken(error.to_string()),
        })?;
        Ok(FetchReply { status: head.status, headers: head.headers, body: body.to_bytes() })
    }

    /// A place among the requests to the host of `url`, and what gives leave to ask it. Strangers'
    /// hosts that are busy are not waited for. The operator's are, each program on a machine for
    /// itself: whoever asks those is bounded.
    fn enter(self: &Arc<Self>, url: &Uri) -> Result<(Place, Arc<Semaphore>), FetchError> {
        let name = match self.reach {
            Reach::Public => url.host(),
            Reach::Anywhere => url.authority().map(|authority| authority.as_str()),
        };
        let host = name.unwrap_or_default().to_ascii_lowercase();
        let mut busy = self.busy.lock();
        let fresh = || Busy { count: 0, free: Arc::new(Semaphore::new(self.per_host)) };
        let held = busy.entry(host.clone()).or_insert_with(fresh);
        if self.reach == Reach::Public && held.count >= self.per_host {
            return Err(FetchError::Busy);
        }
        held.count += 1;
        let free = Arc::clone(&held.free);
        drop(busy);
        Ok((Place { lane: Arc::clone(self), host }, free))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut busy = self.lane.busy.lock();
        if let Some(held) = busy.get_mut(&self.host) {
            held.count -= 1;
            if held.count == 0 {
                busy.remove(&self.host);
            }
        }
    }
}

/// The address, if it may be asked by those of this reach as far as the text tells.
fn judged(url: &str, reach: Reach) -> Result<Uri, FetchError> {
    let url: Uri = url.parse().map_err(|_| FetchError::BadUrl("it is no URL"))?;
    let has_user = url.authority().is_some_and(|authority| authority.as_str().contains('@'));
    match (url.scheme_str(), reach) {
        _ if url.host().is_none_or(str::is_empty) => Err(FetchError::BadUrl("it names no host")),
        // RFC 9110 §4.2.4: what names a user in front of the host is treated as an error.
        _ if has_user => Err(FetchError::BadUrl("it names a user")),
        (Some("https"), _) | (Some("http"), Reach::Anywhere) => Ok(url),
        (Some("http"), Reach::Public) => Err(FetchError::BadUrl("it is not https")),
        _ => Err(FetchError::BadUrl("it is neither http nor https")),
    }
}

/// Why there was no answer: what the dialer said, if it came from there.
fn reason(error: &hyper_util::client::legacy::Error) -> FetchError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    let mut text = error.to_string();
    while let Some(error) = cause {
        if let Some(known) = error.downcast_ref::<FetchError>() {
            return known.clone();
        }
        text = error.to_string();
        cause = error.source();
    }
    FetchError::Broken(text)
}

#[cfg(test)]
mod tests;
