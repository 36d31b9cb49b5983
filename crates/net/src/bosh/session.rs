//! The sessions of a server, by the ids that their clients know.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Mutex, MutexGuard};
use waxwing_kernel::clock::Clock;

use super::state::State;

/// One session, shared by the requests of its client and its wire. Locked for moments, never
/// across an await.
pub(super) struct Session {
    sid: String,
    /// Whether its requests come over TLS. One that does not cannot be theirs.
    pub(super) is_secure: bool,
    /// The largest body that its client may send.
    body_bytes_max: AtomicUsize,
    state: Mutex<State>,
}

/// All sessions.
#[derive(Clone, Default)]
pub(crate) struct Sessions(Arc<Mutex<HashMap<String, Arc<Session>>>>);

impl Session {
    pub(super) fn new(sid: String, is_secure: bool, body_bytes_max: usize, state: State) -> Self {
        let (body_bytes_max, state) = (AtomicUsize::new(body_bytes_max), Mutex::new(state));
        Self { sid, is_secure, body_bytes_max, state }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    pub(super) fn body_bytes_max(&self) -> usize {
        self.body_bytes_max.load(Ordering::Relaxed)
    }

    /// The client has signed in, and may send more at a time.
    pub(super) fn trust(&self, bytes: usize) {
        self.body_bytes_max.store(bytes, Ordering::Relaxed);
    }
}

impl Sessions {
    pub(super) fn add(&self, session: &Arc<Session>) {
        self.0.lock().insert(session.sid.clone(), Arc::clone(session));
    }

    pub(super) fn find(&self, sid: &str) -> Option<Arc<Session>> {
        self.0.lock().get(sid).cloned()
    }

    pub(super) fn remove(&self, session: &Session) {
        self.0.lock().remove(&session.sid);
    }

    /// Looks after a session until it is over.
    pub(super) async fn watch(self, session: Arc<Session>, clock: Clock) {
        loop {
            let next = session.lock().expire(clock.now());
            match next {
                Some(_) => clock.until(next).await,
                None => return self.remove(&session),
            }
        }
    }
}
