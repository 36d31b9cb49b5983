//! Questions that the server, or a service of its own, asks of somebody, and the answers.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use waxwing_jid::Jid;
use waxwing_stanza::{ErrorKind, IqType, Kind, Stanza, StanzaError};

use crate::hub::Hub;
use crate::stage::{Effects, Party};

/// Bytes of randomness in the id of a question: whoever was not asked cannot make up an answer.
const ID_BYTES: usize = 12;

/// Of the questions that may be open, this part (one in so many) may be to one address: whoever
/// does not answer, and whoever makes us ask, leaves room for others.
const SHARE: usize = 4;

/// Questions without an answer so far.
#[derive(Default)]
pub(crate) struct Inquiries(Mutex<Asked>);

#[derive(Default)]
struct Asked {
    /// By their ids.
    open: HashMap<String, Open>,
    /// How many are to one address.
    counts: HashMap<Jid, usize>,
}

struct Open {
    asker: Jid,
    asked: Jid,
    tell: oneshot::Sender<Stanza>,
}

/// A question that is forgotten when nobody waits for its answer any more.
struct Held<'a> {
    hub: &'a Hub,
    id: String,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.hub.inquiries().0.lock().remove(&self.id);
    }
}

impl Asked {
    /// Notes a question; false when there are too many of `most`.
    fn insert(&mut self, id: &str, open: Open, most: usize) -> bool {
        let count = self.counts.get(&open.asked).copied().unwrap_or(0);
        if self.open.len() >= most || count >= (most / SHARE).max(1) {
            return false;
        }
        self.counts.insert(open.asked.clone(), count + 1);
        self.open.insert(id.to_owned(), open);
        true
    }

    fn remove(&mut self, id: &str) -> Option<Open> {
        let open = self.open.remove(id)?;
        if let Some(count) = self.counts.get_mut(&open.asked) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&open.asked);
            }
        }
        Some(open)
    }
}

impl Inquiries {
    /// Takes what may be an answer, and tells whether it was one: from who was asked, to who asks.
    fn take(&self, answer: &Stanza) -> bool {
        let (Some(from), Some(to)) = (&answer.head.from, &answer.head.to) else { return false };
        let Some(id) = answer.head.id.as_deref() else { return false };
        let mut all = self.0.lock();
        let fits = all.open.get(id).is_some_and(|open| open.asked == *from && open.asker == *to);
        let Some(open) = fits.then(|| all.remove(id)).flatten() else { return false };
        drop(all);
        let _ = open.tell.send(answer.clone());
        true
    }
}

impl Hub {
    /// Asks `to` something as `from`, the server or a service of its own: an IQ-set with `payload`.
    /// Waits for the answer, and no longer than `time`.
    ///
    /// # Errors
    /// What the other side answered, or why it did not; `remote-server-timeout` when it said
    /// nothing, `resource-constraint` when too many questions are open.
    pub async fn inquire(
        &self,
        from: &Jid,
        to: &Jid,
        payload: &str,
        time: Duration,
    ) -> Result<Stanza, StanzaError> {
        let question = Stanza::iq(IqType::Set).to(to.clone()).with(payload);
        let answer = self.inquire_for(&Party::new(from.clone(), None), question, time).await?;
        match answer.head.kind {
            Kind::Iq(IqType::Result) => Ok(answer),
            _ => Err(answer.error().unwrap_or_else(StanzaError::undefined_condition)),
        }
    }

    /// Sends a question, a get or a set with a `to`, on behalf of `from`: past the stages of its
    /// account, if it is one of ours. Under an id of our own; gives the answer, also an error.
    ///
    /// # Errors
    /// As of [`Hub::inquire`], when there is no answer.
    pub async fn inquire_for(
        &self,
        from: &Party,
        question: Stanza,
        time: Duration,
    ) -> Result<Stanza, StanzaError> {
        let Some(asked) = question.head.to.clone() else {
            return Err(StanzaError::bad_request().text("A question is for somebody."));
        };
        let (id, (tell, mut told)) = (self.clock().token(ID_BYTES), oneshot::channel());
        let open = Open { asker: from.jid.clone(), asked, tell };
        if !self.inquiries().0.lock().insert(&id, open, self.limits().inquiries) {
            let error = StanzaError::resource_constraint().kind(ErrorKind::Wait);
            return Err(error.text("The server waits for too many answers."));
        }
        let held = Held { hub: self, id };
        let deadline = self.clock().now() + time;
        let question = question.id(held.id.as_str()).from(from.jid.clone());
        let mut effects = Effects::default();
        Box::pin(self.route(from, question, &mut effects)).await;
        self.perform(effects).await;
        let answer = tokio::select! {
            answer = &mut told => answer.ok(),
            () = self.clock().until(Some(deadline)) => None,
        };
        answer.ok_or_else(|| StanzaError::remote_server_timeout().text("There was no answer."))
    }

    /// Takes an answer to a question of the server's; false when it answers none.
    pub(crate) fn answered(&self, answer: &Stanza) -> bool {
        matches!(answer.head.kind, Kind::Iq(IqType::Result | IqType::Error))
            && self.inquiries().take(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_answer_leaves_room_for_others() {
        let jid = |text: &str| Jid::new(text).unwrap();
        let open = |asked: &str| {
            let (tell, _) = oneshot::channel();
            Open { asker: jid("localhost"), asked: jid(asked), tell }
        };
        let mut asked = Asked::default();
        assert!(asked.insert("1", open("slow.localhost"), 8));
        assert!(asked.insert("2", open("slow.localhost"), 8));
        assert!(!asked.insert("3", open("slow.localhost"), 8), "its share is used up");
        assert!(asked.insert("4", open("irc.localhost"), 8));
        assert!(!asked.insert("5", open("sms.localhost"), 3), "there are three");
        assert!(asked.remove("1").is_some() && asked.remove("1").is_none());
        assert!(asked.insert("6", open("slow.localhost"), 8));
        for id in ["2", "4", "6"] {
            asked.remove(id);
        }
        assert!(asked.open.is_empty() && asked.counts.is_empty());
    }
}
