//! The end of the server or of one of its hosts: every session is told, and what it did not take
//! is stored.

use std::time::Duration;

use waxwing_stream::{Closing, StreamError};

use crate::hub::Hub;
use crate::mailbox::Mail;
use crate::wire::Transport;

/// How often it is looked whether everybody has left.
const LOOK: Duration = Duration::from_millis(20);

impl Hub {
    /// Refuses new sessions and ends the open ones with `system-shutdown` (RFC 6120 §4.9.3.22);
    /// those on WebSockets are sent to `elsewhere` if there is such a place (RFC 7395 §3.6.1).
    /// Returns how many sessions were left when `limit` was over.
    pub async fn drain(&self, limit: Duration, elsewhere: Option<&str>) -> usize {
        self.start_draining(elsewhere);
        for resource in self.directory().everybody() {
            let closing = self.goodbye(resource.transport);
            let _ = resource.mailbox.send(Mail::Close(closing));
        }
        let deadline = self.clock().now() + limit;
        while !self.is_deserted() && self.clock().now() < deadline {
            self.clock().until(Some(self.clock().now() + LOOK)).await;
        }
        self.sessions()
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
