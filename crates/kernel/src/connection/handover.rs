//! A connection that goes on in another task than its own.

use waxwing_jid::BareJid;
use waxwing_stream::{Answer, Ticket};

use super::{Connection, negotiate};
use crate::component::Attachment;
use crate::mailbox::{Handover, Mail, Mailbox};

impl Connection {
    /// Hands the connection to the session that it resumes; gives it back where there is none.
    pub(super) fn resume(
        mut self,
        ticket: Ticket,
        previd: &str,
        account: &BareJid,
    ) -> Option<Self> {
        match self.hub.resumable(previd, account) {
            Some(mailbox) => {
                self.hand_over(ticket, &mailbox);
                None
            }
            None => {
                let h = self.hub.lapsed().handled(previd, account);
                self.answer(ticket, Answer::NotResumed { h });
                Some(self)
            }
        }
    }

    fn hand_over(self, ticket: Ticket, mailbox: &Mailbox) {
        let Self { hub, stream, wire, .. } = self;
        let handover = Box::new(Handover { stream, wire, ticket });
        if let Err(Mail::Resume(handover)) = mailbox.send(Mail::Resume(handover)) {
            // The session ended between the look-up and the letter.
            let Handover { mut stream, wire, ticket } = *handover;
            stream.answer(hub.clock().now(), ticket, Answer::NotResumed { h: None });
            negotiate(&hub, stream, wire);
        }
    }

    /// Lets a component in, which goes on in a task of its own; gives one back that is refused.
    pub(super) fn attach(mut self, ticket: Ticket, domain: &str) -> Option<Self> {
        match Attachment::new(&self.hub, domain, self.wire.peer().ip()) {
            Ok(attachment) => {
                self.answer(ticket, Answer::Attached(Ok(())));
                let attachment = attachment.run(self.stream, self.wire);
                self.hub.clock().spawn(Box::pin(attachment));
                None
            }
            Err(error) => {
                self.answer(ticket, Answer::Attached(Err(error)));
                Some(self)
            }
        }
    }
}
