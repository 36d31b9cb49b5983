//! Small JSON files that a domain's web server has for other servers.

use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;
use waxwing_kernel::outgoing::{Fetch, FetchError, FetchRequest, Reach, StatusCode, header};

/// Redirects that are followed, each to an `https:` URL.
const REDIRECTS: usize = 3;

/// The longest address that a file or a redirect may name. It is repeated to the operator.
const URL_BYTES: usize = 2048;

/// How files are asked for.
pub(super) struct Asking<'a> {
    pub(super) fetch: &'a dyn Fetch,
    pub(super) reach: Reach,
    /// For each file.
    pub(super) time: Duration,
    /// Of each file.
    pub(super) bytes_max: usize,
}

/// Whether `text` may be an address of the web, to be asked for and to be told.
pub(super) fn is_address(text: &str) -> bool {
    text.len() <= URL_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic())
}

impl Asking<'_> {
    /// The file at `url`; None where there is none. RFC 7711 §7 and XEP-0487 §2.3 want it over
    /// HTTPS only.
    ///
    /// # Errors
    /// Words on why it is not known whether there is one, or that it is no JSON.
    pub(super) async fn json(&self, url: &str) -> Result<Option<Value>, String> {
        // Whoever redirects is not waited for longer.
        let late = |_| Err(format!("{url}: no answer in time"));
        timeout(self.time, self.follow(url)).await.unwrap_or_else(late)
    }

    async fn follow(&self, url: &str) -> Result<Option<Value>, String> {
        let mut url = url.to_owned();
        for _ in 0..=REDIRECTS {
            if !url.starts_with("https://") {
                return Err(format!("{url} does not begin with https://"));
            }
            let request =
                FetchRequest::get(&url, self.reach).within(self.time).at_most(self.bytes_max);
            let reply = match self.fetch.fetch(request).await {
                Ok(reply) => reply,
                Err(FetchError::TooLong) => return Err(format!("{url} is too long")),
                Err(error) => return Err(format!("{url}: {error}")),
            };
            if reply.status.is_redirection() {
                let to = reply.headers.get(header::LOCATION).and_then(|to| to.to_str().ok());
                let to = to.filter(|to| is_address(to));
                url = to.ok_or_else(|| format!("{url} redirects to nowhere"))?.to_owned();
                continue;
            }
            return match reply.status {
                StatusCode::OK => serde_json::from_slice(&reply.body)
                    .map(Some)
                    .map_err(|error| format!("{url} is no JSON: {error}")),
                StatusCode::NOT_FOUND | StatusCode::GONE => Ok(None),
                status => Err(format!("{url}: the web server says {status}")),
            };
        }
        Err(format!("{url}: redirected too often"))
    }
}
