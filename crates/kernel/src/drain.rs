//! The end of the server or of one of its hosts: every session is told, and what it did not take
//! is stored.

use std::time::Duration;

use waxwing_stream::{Closing, StreamError};

use crate::directory::Resource;
use crate::hub::Hub;
use crate::mailbox::Mail;
use crate::request::Answer;
use crate::wire::Transport;

/// What a module does when the server is about to end.
pub(crate) type EndingRoute = Box<dyn Fn(Hub) -> Answer<'static, ()> + Send + Sync>;

/// How often some more are told, and how often it is looked whether everybody has left.
const TICK: Duration = Duration::from_millis(20);

/// How many sessions are told in one tick, if there is time to be so gentle: a thousand in a
/// second can come back elsewhere, or here, without standing in each other's way.
const GENTLE: usize = 20;

/// The part of the time, one in so many, that modules have to say that they end.
const LAST_WORDS: u32 = 4;

impl Hub {
    /// Refuses new sessions and ends the open ones with `system-shutdown` (RFC 6120 §4.9.3.22);
    /// those on WebSockets are sent to `elsewhere` if there is such a place (RFC 7395 §3.6.1).
    /// They are not told at once, so that those who come back do not come back at once, but within
    /// half of `limit`. Returns how many sessions were left when `limit` was over.
    pub async fn drain(&self, limit: Duration, elsewhere: Option<&str>) -> usize {
        self.start_draining(elsewhere);
        let deadline = self.clock().now() + limit;
        Box::pin(self.last_words(limit / LAST_WORDS)).await;
        // Behind those without a connection nobody waits; what they hold is stored first.
        let (live, waiting): (Vec<_>, Vec<_>) =
            self.directory().everybody().into_iter().partition(|session| session.is_live);
        self.say_goodbye(&waiting);
        for (turn, some) in live.chunks(pace(live.len(), limit)).enumerate() {
            if turn > 0 {
                self.tick().await;
            }
            self.say_goodbye(some);
        }
        while !self.is_deserted() && self.clock().now() < deadline {
            self.tick().await;
        }
        // Gateways hear that their people are gone before they are told to go themselves.
        self.dismiss_components();
        while self.components().is_any_linked() && self.clock().now() < deadline {
            self.tick().await;
        }
        // Other servers hear that people and services are gone before the streams end.
        self.dismiss_links();
        while self.links().is_any_open() && self.clock().now() < deadline {
            self.tick().await;
        }
        self.write_notes().await;
        self.sessions()
    }

    /// Lets the modules say what they have to while everybody is still there to hear it.
    async fn last_words(&self, limit: Duration) {
        let sites = self.sites();
        let all = async {
            for (_, run) in sites.iter().flat_map(|site| &site.router.0.endings) {
                run(self.clone()).await;
            }
        };
        tokio::select! {
            biased;
            () = all => {}
            () = self.clock().until(Some(self.clock().now() + limit)) => {
                tracing::warn!("not everybody could be told in time that services end");
            }
        }
    }

    fn say_goodbye(&self, sessions: &[Resource]) {
        for session in sessions {
            let closing = self.goodbye(session.transport);
            // One that refuses the letter has ended already.
            let _ = session.mailbox.send(Mail::Close(closing));
        }
    }

    async fn tick(&self) {
        self.clock().until(Some(self.clock().now() + TICK)).await;
    }

    /// What a client hears when the server ends.
    pub(crate) fn goodbye(&self, transport: Transport) -> Closing {
        match self.elsewhere() {
            Some(uri) if transport.is_websocket() => Closing::SeeOther(uri.to_string()),
            _ => {
                Closing::Error(StreamError::system_shutdown().text("The server is shutting down."))
            }
        }
    }

    /// Ends the sessions of a domain that is not served any more (RFC 6120 §4.9.3.5).
    pub(crate) fn close_host(&self, domain: &str) {
        for resource in self.directory().everybody() {
            if resource.jid.domain() == domain {
                let closing = Closing::Error(StreamError::host_gone());
                let _ = resource.mailbox.send(Mail::Close(closing));
            }
        }
    }
}

/// How many of `sessions` are told in each tick, so that all are within half of `limit`.
fn pace(sessions: usize, limit: Duration) -> usize {
    let ticks = (limit / 2).as_millis() / TICK.as_millis();
    let ticks = usize::try_from(ticks).unwrap_or(usize::MAX).max(1);
    sessions.div_ceil(ticks).max(GENTLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_told_at_once_and_many_within_half_the_time() {
        let ten = Duration::from_secs(10);
        assert_eq!(pace(0, ten), GENTLE);
        assert_eq!(pace(GENTLE, ten), GENTLE);
        assert_eq!(pace(5_000, ten), GENTLE);
        assert_eq!(pace(100_000, ten), 400);
        assert_eq!(pace(1_000, Duration::ZERO), 1_000);
        assert_eq!(pace(1_000, Duration::from_millis(30)), 1_000);
    }
}
