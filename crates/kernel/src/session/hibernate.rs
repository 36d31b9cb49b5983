//! A session without a connection, waiting for its client to come back (XEP-0198 §5).

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use waxwing_stanza::Stanza;
use waxwing_stream::Answer;

use crate::mailbox::{Handover, Mail};
use crate::request::Asleep;
use crate::session::{Alarm, Next, Session, State, Unacked};
use crate::wire::Transport;

impl Session {
    /// Waits for the client, collecting what comes for it meanwhile. Gives back what it never got
    /// when it does not come, is told to end, or has no room for more.
    pub(super) async fn hibernate(&mut self, mut acks: State) -> Next {
        self.show_live(false, Transport::Memory);
        self.fall_asleep(&acks);
        let window = Duration::from_secs(u64::from(self.resume_seconds));
        let deadline = self.hub.clock().now() + window;
        let mut alarm = Alarm::default();
        loop {
            let (mailbox, clock) = (&self.mailbox, self.hub.clock());
            // What waits for the client to come back is older.
            let deliveries = self.backlog.is_empty() && self.unread.is_none();
            let mail = poll_fn(|cx| {
                if let Poll::Ready(mail) = mailbox.poll_next(cx, deliveries) {
                    return Poll::Ready(Some(mail));
                }
                alarm.poll(cx, clock, Some(deadline)).map(|()| None)
            })
            .await;
            match mail {
                Some(Mail::Deliver(delivery)) => {
                    if acks.push(&delivery.stanza, delivery.tag).is_err() {
                        return Err(acks.into_unacked().collect());
                    }
                }
                Some(Mail::Resume(handover)) => return self.resume(Some(acks), *handover),
                Some(Mail::Close(_)) => return Err(acks.into_unacked().collect()),
                None => {
                    if let Some(id) = self.resumption.clone() {
                        self.hub.lapsed().note(id, self.account.jid().clone(), acks.h());
                    }
                    return Err(acks.into_unacked().collect());
                }
            }
        }
    }

    /// Tells the modules that the client is lost, and what it may not have got.
    fn fall_asleep(&self, acks: &State) {
        let Some(site) = self.site() else { return };
        let routes = &site.router.0.asleep;
        if routes.is_empty() {
            return;
        }
        let unconfirmed: Vec<&Stanza> = acks.unacked().map(|(stanza, _)| stanza).collect();
        for (_, hear) in routes {
            hear(&Asleep {
                hub: &self.hub,
                account: &self.account,
                session: &self.jid,
                unconfirmed: &unconfirmed,
            });
        }
    }

    /// Puts the session behind its new connection, which continues where the old one ended.
    pub(super) fn resume(&mut self, acks: Option<State>, handover: Handover) -> Next {
        let Handover { mut stream, wire, ticket } = handover;
        let now = self.hub.clock().now();
        match acks {
            Some(acks) => {
                stream.answer(now, ticket, Answer::Resumed(acks));
                self.hub.metrics().session_resumed();
                Ok((stream, wire))
            }
            None => {
                stream.answer(now, ticket, Answer::NotResumed { h: None });
                crate::connection::negotiate(&self.hub, stream, wire);
                Err(Unacked::new())
            }
        }
    }
}
