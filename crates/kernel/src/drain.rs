//! The end of the server: every session is told, and what it did not take is stored.

use std::time::Duration;

use waxwing_stream::{Closing, StreamError};

use crate::hub::Hub;
use crate::mailbox::Mail;

/// How often it is looked whether everybody has left.
const LOOK: Duration = Duration::from_millis(20);

impl Hub {
    /// Refuses new sessions and ends the open ones with `system-shutdown` (RFC 6120 §4.9.3.22);
    /// those on WebSockets are sent to `elsewhere` if there is such a place (RFC 7395 §3.6.1).
    /// Returns how many sessions were left when `limit` was over.
    pub async fn drain(&self, limit: Duration, elsewhere: Option<&str>) -> usize {
        self.start_draining(elsewhere);
        for resource in self.directory().everybody() {
            let closing = match elsewhere {
                Some(uri) if resource.transport.is_websocket() => Closing::SeeOther(uri.to_owned()),
                _ => Closing::Error(
                    StreamError::system_shutdown().text("The server is shutting down."),
                ),
            };
            let _ = resource.mailbox.send(Mail::Close(closing));
        }
        let deadline = self.clock().now() + limit;
        while self.sessions() > 0 && self.clock().now() < deadline {
            self.clock().until(Some(self.clock().now() + LOOK)).await;
        }
        self.sessions()
    }
}
