//! What a client sends: judged in order, made durable, then delivered and acknowledged.

use waxwing_jid::Jid;
use waxwing_stanza::{Kind, PresenceType, Stanza, StanzaError};
use waxwing_stream::{Stream, Tag};

use crate::decision::Decision;
use crate::mailbox::{Delivery, Mailbox};
use crate::request::Scope;
use crate::session::pending::refusal;
use crate::session::{Pending, Session};
use crate::stage::{Effects, Party};

impl Session {
    /// One stanza of the client.
    pub(super) async fn on_stanza(&mut self, stream: &mut Stream, seq: u64, stanza: Stanza) {
        self.hub.metrics().stanza_in(stanza.head.kind);
        self.hub.trace_stanza(&self.jid, true, &stanza);
        if let Kind::Presence(_) = stanza.head.kind
            && self.older.is_some()
        {
            Box::pin(self.outlive_older()).await;
        }
        let mut effects = Effects::default();
        let (from, head) = (self.party(), stanza.head.clone());
        self.judge(&from, stanza, &mut effects).await;
        self.conclude(stream, (seq, head), effects);
    }

    /// RFC 6120 §10.3 and §8.1.1: where a stanza without `to` goes depends on its kind.
    async fn judge(&mut self, from: &Party, mut stanza: Stanza, effects: &mut Effects) {
        let Some(site) = self.site() else { return };
        let to = stanza.head.to.clone();
        match (stanza.head.kind, to) {
            // What is rare is boxed, here and on the way to others: a message must not pay for it.
            (Kind::Presence(kind), None) => {
                Box::pin(self.broadcast(from, kind, stanza, effects)).await;
            }
            (Kind::Presence(kind), Some(_)) if kind.is_subscription() => {
                Box::pin(self.hub.send_subscription(&site, from, kind, stanza, effects)).await;
            }
            (Kind::Presence(kind), Some(to)) => {
                if let Err(error) = self.note_directed(kind, &to) {
                    return self.hub.refuse_presence(from, &stanza, &error, effects);
                }
                site.router.amend_presence(&self.account, &mut stanza);
                self.hub.route_from(&site, from, stanza, effects).await;
            }
            (Kind::Iq(_), None) => {
                let account = Some(self.account.clone());
                Box::pin(self.hub.ask(&site, Scope::Account, from, account, stanza, effects)).await;
            }
            // RFC 6120 §10.3.1: a message without `to` is for the sender's own bare address.
            (Kind::Message(_), None) => {
                stanza.head.to = Some(self.account.jid().to_jid());
                self.hub.route_from(&site, from, stanza, effects).await;
            }
            (_, Some(_)) => self.hub.route_from(&site, from, stanza, effects).await,
        }
    }

    /// RFC 6121 §4.6.3: the server remembers whom to tell when the session ends. An address that
    /// cannot be remembered is not written to.
    fn note_directed(&mut self, kind: PresenceType, to: &Jid) -> Result<(), StanzaError> {
        match kind {
            PresenceType::Available if !self.directed.contains(to) => {
                if self.directed.len() >= self.hub.limits().directed_presences {
                    let error = StanzaError::resource_constraint();
                    let text = "This session has sent directed presence to too many addresses.";
                    return Err(error.text(text));
                }
                self.directed.insert(to.clone());
            }
            PresenceType::Unavailable => {
                self.directed.remove(to);
            }
            _ => {}
        }
        Ok(())
    }

    /// The oldest commit is decided: its stanza counts, or is refused. Then go on with those
    /// behind it that are decided as well.
    pub(super) async fn settle(&mut self, stream: &mut Stream) {
        while self.pending.front().is_some_and(Pending::is_decided) {
            let Some(pending) = self.pending.pop_front() else { return };
            let Decision::Made(outcome) = pending.state else { return };
            self.hub.metrics().committed(self.hub.clock().now() - pending.since);
            match outcome {
                Ok(()) => {
                    self.release(stream, pending.deliveries).await;
                    self.begin_reading(pending.reads_spool);
                    self.hub.look_again(pending.spooled).await;
                }
                Err(error) => {
                    self.hub.abandon(&pending.deliveries, &pending.spooled).await;
                    if let Some(reply) = refusal(pending.head, &error) {
                        self.leave(stream, Delivery::new(reply.to(self.jid.clone())));
                    }
                }
            }
            stream.handled(self.hub.clock().now(), pending.seq);
        }
    }

    /// The stream is gone: waits for what is under way, so that nothing half-done is left. What
    /// was stored counts when the session is resumed; what was not was never acknowledged.
    pub(super) async fn settle_all(&mut self, stream: &mut Stream) {
        for mut pending in std::mem::take(&mut self.pending) {
            pending.decide().await;
            let Decision::Made(outcome) = pending.state else { continue };
            match outcome {
                Ok(()) => {
                    // What came out of the spool for this client waits for its return.
                    let (own, others): (Vec<_>, Vec<_>) =
                        pending.deliveries.into_iter().partition(|(mailbox, delivery)| {
                            mailbox.is(&self.mailbox) && delivery.tag != Tag(0)
                        });
                    self.backlog.extend(own.into_iter().map(|(_, delivery)| delivery));
                    self.hub.hand_over(others).await;
                    self.begin_reading(pending.reads_spool);
                    self.hub.look_again(pending.spooled).await;
                }
                Err(error) => {
                    self.hub.abandon(&pending.deliveries, &pending.spooled).await;
                    if let Some(reply) = refusal(pending.head, &error) {
                        self.leave(stream, Delivery::new(reply.to(self.jid.clone())));
                    }
                }
            }
            stream.handled(self.hub.clock().now(), pending.seq);
        }
    }

    /// The client takes messages now: it gets what was kept, from the beginning.
    pub(super) fn begin_reading(&mut self, reads_spool: bool) {
        if reads_spool {
            self.unread = Some(Tag(0));
        }
    }

    /// Reads on in the spool for as long as the client takes what comes from there.
    pub(super) async fn read_spool(&mut self, stream: &mut Stream) {
        let room = self.hub.limits().outbox_bytes;
        while let Some(after) = self.unread
            && self.backlog.is_empty()
            && stream.has_room()
            && stream.outbox().text.len() < room
        {
            self.unread = None;
            let Some(site) = self.site() else { return };
            let Some(spool) = site.router.spool() else { return };
            match spool.page(&self.hub, &self.account, after).await {
                Ok(page) => {
                    self.backlog.extend(page.deliveries);
                    self.unread = page.next;
                }
                Err(error) => tracing::error!(%error, "kept messages could not be read; they stay"),
            }
            self.drain(stream);
        }
    }

    /// Hands deliveries over, also those that a mailbox does not take.
    async fn release(&mut self, stream: &mut Stream, deliveries: Vec<(Mailbox, Delivery)>) {
        let others = self.hand_out(stream, deliveries);
        if !others.is_empty() {
            Box::pin(self.hub.hand_over(others)).await;
        }
    }
}
