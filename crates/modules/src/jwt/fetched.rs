//! Keys that an identity provider publishes, kept for a while.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jsonwebtoken::Header;
use parking_lot::Mutex;
use waxwing_kernel::Hub;
use waxwing_kernel::outgoing::{FetchRequest, HeaderValue, Reach, header};
use waxwing_stream::AuthFailure;

use super::keys::{Key, Keys};
use super::{Algorithm, JwtConfig};

/// How long the answer with the keys may be.
const SET_BYTES: usize = 256 * 1024;
/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// For how long keys are good that cannot be had again.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// The keys, and when they were had.
pub(super) struct Fetched {
    url: String,
    pinned: Vec<Algorithm>,
    /// After which they are asked for again.
    fresh: Duration,
    /// How long that must be ago at least.
    pause: Duration,
    state: Mutex<State>,
    /// Held while they are asked for: others wait for the answer instead of asking too.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    keys: Option<(Arc<Keys>, Instant)>,
    /// When they were asked for last, with whatever success.
    asked: Option<Instant>,
}

impl Fetched {
    pub(super) fn new(url: &str, config: &JwtConfig) -> Self {
        Self {
            url: url.to_owned(),
            pinned: config.pinned(),
            fresh: Duration::from_secs(config.keys_seconds.into()),
            pause: Duration::from_secs(config.refresh_seconds.into()),
            state: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// The keys that may have signed a token with this header; none when no key of the provider
    /// fits.
    ///
    /// # Errors
    /// There are no keys, because the provider does not answer.
    pub(super) async fn fitting(
        &self,
        hub: &Hub,
        header: &Header,
    ) -> Result<Vec<Arc<Key>>, AuthFailure> {
        let now = hub.clock().now();
        let (had, is_fresh) = self.had(now);
        let fitting = had.map(|keys| keys.fitting(header)).unwrap_or_default();
        // Old keys do as long as somebody else asks for new ones.
        let is_enough = is_fresh || self.asking.try_lock().is_err();
        if is_enough && !fitting.is_empty() {
            return Ok(fitting);
        }
        self.ask(hub, now).await;
        match self.had(hub.clock().now()).0 {
            Some(keys) => Ok(keys.fitting(header)),
            None => {
                let text = "The server cannot ask the identity provider at the moment; try again.";
                Err(AuthFailure::Temporary(Some(text.into())))
            }
        }
    }

    /// The keys, unless they are too old, and whether they are young.
    fn had(&self, now: Instant) -> (Option<Arc<Keys>>, bool) {
        let state = self.state.lock();
        let Some((keys, since)) = &state.keys else { return (None, false) };
        let age = now.saturating_duration_since(*since);
        let keys = (age < self.fresh + STALE).then(|| Arc::clone(keys));
        (keys, age < self.fresh)
    }

    /// Asks for the keys, unless somebody has done so since `noticed`, or just before.
    async fn ask(&self, hub: &Hub, noticed: Instant) {
        let _turn = self.asking.lock().await;
        let now = hub.clock().now();
        {
            let mut state = self.state.lock();
            let is_soon = |asked: Instant| asked >= noticed || now < asked + self.pause;
            if state.asked.is_some_and(is_soon) {
                return;
            }
            state.asked = Some(now);
        }
        match self.fetch(hub).await {
            Ok(keys) => {
                tracing::debug!(url = self.url, "the keys of the identity provider are here");
                self.state.lock().keys = Some((Arc::new(keys), hub.clock().now()));
            }
            Err(error) => {
                // It may have taken its time to fail; nobody waits as long again just now.
                self.state.lock().asked = Some(hub.clock().now());
                tracing::warn!(
                    url = self.url,
                    error,
                    "the keys of the identity provider cannot be had"
                );
            }
        }
    }

    pub(super) async fn fetch(&self, hub: &Hub) -> Result<Keys, String> {
        let request = FetchRequest::get(self.url.as_str(), Reach::Anywhere)
            .with(header::ACCEPT, HeaderValue::from_static("application/json"))
            .at_most(SET_BYTES)
            .within(PATIENCE);
        let reply = hub.fetch(request).await.map_err(|error| error.to_string())?;
        if !reply.status.is_success() {
            return Err(format!("the answer is {}", reply.status));
        }
        Keys::read(&reply.body, &self.pinned).map_err(str::to_owned)
    }
}
