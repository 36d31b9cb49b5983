//! Notifications on their way to a push service (§8).

use std::sync::Arc;
use std::time::Duration;

use waxwing_jid::Jid;
use waxwing_kernel::Hub;
use waxwing_kernel::account::{Account, Slot};
use waxwing_stanza::payload::dataform::{DataForm, Field, FieldType, FormType};
use waxwing_stanza::{Condition, ErrorKind, StanzaError, to_xml};
use waxwing_xml::write;

use super::enable::Ending;
use super::matter::Weight;
use super::pulse::Summary;
use super::registry::{Registration, Registrations};
use super::{NS, PRIORITY, Push};

pub(super) const PUBSUB: &str = "http://jabber.org/protocol/pubsub";
pub(super) const PUBLISH_OPTIONS: &str = "http://jabber.org/protocol/pubsub#publish-options";
pub(super) const SUMMARY: &str = "urn:xmpp:push:summary";

/// How long a service is left alone after its first failure; twice as long after each further one.
const BACKOFF: Duration = Duration::from_secs(30);
/// How much of a message a notification tells at most (letters).
const BODY_LETTERS: usize = 300;
const LONGEST_BACKOFF: Duration = Duration::from_secs(3600);

/// Whoever tells one service what there is to tell, until there is nothing more.
pub(super) struct Teller {
    hub: Hub,
    server: Jid,
    enabled: Slot<Registrations>,
    account: Arc<Account>,
    registration: Arc<Registration>,
    shows_sender: bool,
    shows_body: bool,
    pause: Duration,
    time: Duration,
    failures: u32,
}

impl Push {
    pub(super) fn teller(
        &self,
        account: &Arc<Account>,
        registration: &Arc<Registration>,
    ) -> Teller {
        Teller {
            hub: self.hub.clone(),
            server: self.server.clone(),
            enabled: self.enabled,
            account: Arc::clone(account),
            registration: Arc::clone(registration),
            shows_sender: self.config.show_sender,
            shows_body: self.config.show_body,
            pause: Duration::from_secs(self.config.pause_seconds.into()),
            time: Duration::from_secs(self.config.answer_seconds.into()),
            failures: self.config.failures,
        }
    }
}

impl Teller {
    pub(super) async fn run(self) {
        let mut is_hurried = false;
        while let Some(summary) = self.registration.pulse.next() {
            // §6: "When a service is not enabled, the server MUST NOT attempt publishing
            // notifications to the service."
            if !self.is_enabled() {
                return;
            }
            if self.registration.is_live(&self.hub, self.account.jid()) {
                self.registration.pulse.reset();
                continue;
            }
            let publish = self.publish(&summary);
            let service = &self.registration.service;
            let outcome = self.hub.inquire(&self.server, service, &publish, self.time).await;
            let pause = match outcome {
                Ok(_) => {
                    self.registration.pulse.succeeded();
                    self.pause
                }
                Err(error) => {
                    let count = self.registration.pulse.failed(summary, is_hurried);
                    tracing::debug!(%service, %error, count, "a notification was not taken");
                    if is_lasting(&error) || count >= self.failures {
                        return self.disable(&error).await;
                    }
                    backoff(count)
                }
            };
            let until = self.hub.clock().now() + pause;
            is_hurried = tokio::select! {
                () = self.hub.clock().until(Some(until)) => false,
                () = self.registration.pulse.hurried() => true,
            };
        }
    }

    fn is_enabled(&self) -> bool {
        let enabled = self.account.fact(self.enabled);
        enabled.0.iter().any(|held| Arc::ptr_eq(held, &self.registration))
    }

    /// §8.1: "If a publish request is returned with an IQ-error, then the server SHOULD consider
    /// the particular JID and node combination to be disabled."
    async fn disable(self, error: &StanzaError) {
        let (service, node) = (self.registration.service.clone(), self.registration.node.clone());
        let account = self.account.jid();
        tracing::info!(%account, %service, %error, "a push service was disabled");
        let Self { enabled, hub, account, .. } = self;
        Ending { enabled, hub, account, service, node }.end().await;
    }

    fn publish(&self, summary: &Summary) -> String {
        let mut xml = format!("<pubsub xmlns='{PUBSUB}'><publish");
        if !self.registration.node.is_empty() {
            write::attribute(&mut xml, "node", &self.registration.node);
        }
        xml += &format!("><item><notification xmlns='{NS}'>");
        xml += &to_xml(&self.form(summary));
        if summary.weight >= Weight::High {
            xml += &format!("<priority xmlns='{PRIORITY}'>high</priority>");
        }
        xml += "</notification></item></publish>";
        // "If additional data was provided when enabling the service, the publish request SHOULD
        // include the data as publish options."
        if let Some(options) = &self.registration.options {
            xml += &format!("<publish-options>{options}</publish-options>");
        }
        xml + "</pubsub>"
    }

    /// §11.3: the summary. §10: "servers SHOULD allow users to limit the information sent via push
    /// notifications": unless the operator says otherwise, it is numbers.
    fn form(&self, summary: &Summary) -> DataForm {
        let text = |var, value: String| {
            Field { kind: None, ..Field::new(FieldType::TextSingle, var) }.value(value)
        };
        let mut form = DataForm::new(FormType::Submit).about(SUMMARY);
        form = form.with(text("message-count", summary.messages.to_string()));
        if summary.requests > 0 {
            form = form.with(text("pending-subscription-count", summary.requests.to_string()));
        }
        if let Some(sender) = summary.sender.as_ref().filter(|_| self.shows_sender) {
            form = form.with(text("last-message-sender", sender.to_string()));
        }
        if let Some(body) = summary.body.as_ref().filter(|_| self.shows_body) {
            form = form.with(text("last-message-body", body.chars().take(BODY_LETTERS).collect()));
        }
        form
    }
}

/// Whether an error will not pass. §8.1: "a server MAY choose to keep a service enabled if the
/// error is deemed recoverable or transient, until a sufficient number of errors have been received
/// in a row."
fn is_lasting(error: &StanzaError) -> bool {
    error.kind != ErrorKind::Wait && error.condition != Condition::RemoteServerTimeout
}

fn backoff(failures: u32) -> Duration {
    let doubled = BACKOFF.saturating_mul(1 << failures.saturating_sub(1).min(10));
    doubled.min(LONGEST_BACKOFF)
}
