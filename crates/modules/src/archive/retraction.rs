//! Messages taken back by their senders (XEP-0424, version 0.4.2).
//!
//! What is taken back is gone from both archives some seconds later: a tombstone stands in its
//! place. Nobody waits for that, so it is noted with the retraction and done on a round.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use waxwing_jid::BareJid;
use waxwing_kernel::clock::stamp_of;
use waxwing_kernel::{Hub, Site};
use waxwing_stanza::{CLIENT, Stanza};
use waxwing_store::domains::archive::{Archive as Rows, Retraction};
use waxwing_store::{Statement, StoreError};
use waxwing_xml::write::attribute;

use super::Archive;
use super::filter::millis;

pub(super) const NS: &str = "urn:xmpp:message-retract:1";

/// How long what was taken back may still be read.
pub(super) const ROUND: Duration = Duration::from_secs(10);

/// How far back a message is looked for that is taken back.
const LATEST: u32 = 5000;

/// Retractions carried out at a time, and how often that is done on one round.
const AT_A_TIME: u32 = 50;
const TIMES: u32 = 10;

/// Bytes of an id that can be looked for.
const ID_BYTES: usize = 1024;

/// Rounds until nothing can be waiting any more. One more than needed: what is noted now may be
/// written only after the next.
pub(super) struct Waiting(AtomicU8);

impl Default for Waiting {
    /// An earlier run may have left some.
    fn default() -> Self {
        Self(AtomicU8::new(1))
    }
}

impl Archive {
    /// What is to be noted of a message that takes another one back.
    pub(super) fn note(
        &self,
        number: u64,
        owner: &BareJid,
        peer: &str,
        stanza: &Stanza,
    ) -> Option<Statement> {
        let target = stanza.body.child("retract", NS)?.attribute("id")?;
        // §4: the tombstone names the id of the retraction, so there must be one.
        if target.len() > ID_BYTES || target.is_empty() || stanza.head.id.is_none() {
            return None;
        }
        self.waiting.0.store(2, Ordering::Release);
        Some(Rows::retract(Retraction {
            number: number.cast_signed(),
            owner: owner.to_string(),
            peer: peer.to_owned(),
            target: target.into_owned(),
        }))
    }

    /// Carries out what waits.
    pub(super) async fn retract(self: Arc<Self>, hub: Hub, _: Arc<Site>) {
        let rounds = self.waiting.0.load(Ordering::Acquire);
        if rounds == 0 {
            return;
        }
        for _ in 0..TIMES {
            match self.retract_some(&hub).await {
                Ok(true) => {
                    let (acquire, relaxed) = (Ordering::AcqRel, Ordering::Relaxed);
                    // Unless there is something new meanwhile.
                    let _ = self.waiting.0.compare_exchange(rounds, rounds - 1, acquire, relaxed);
                    return;
                }
                Ok(false) => {}
                Err(error) => {
                    return tracing::warn!(%error, "messages that were taken back stay for now");
                }
            }
        }
    }

    async fn retract_some(&self, hub: &Hub) -> Result<bool, StoreError> {
        let rows = Self::rows(hub);
        let waiting = rows.retractions(AT_A_TIME).await?;
        for retraction in &waiting {
            let mut batch = vec![Rows::retracted(retraction.number)];
            batch.extend(bury(&rows, retraction).await?);
            hub.db().batch(batch).await?;
        }
        Ok(waiting.len() < AT_A_TIME as usize)
    }
}

/// Puts a tombstone in the place of what is taken back, if that can be found.
async fn bury(rows: &Rows, retraction: &Retraction) -> Result<Vec<Statement>, StoreError> {
    let Some(filed) = rows.find(&retraction.owner, retraction.number).await? else {
        return Ok(Vec::new());
    };
    let Ok(word) = Stanza::parse(&filed.stanza) else { return Ok(Vec::new()) };
    let mut mark = String::new();
    attribute(&mut mark, "id", &retraction.target);
    for likely in rows.likely(retraction, &mark, LATEST).await? {
        let Ok(taken) = Stanza::parse(&likely.stanza) else { continue };
        if is_taken_back(&taken, &word, &retraction.target) {
            let tombstone = tombstone(&taken, &word, retraction.number);
            return Ok(rows.bury(&likely.owner, likely.number, &tombstone));
        }
    }
    Ok(Vec::new())
}

/// §5: a retraction "MUST only be processed when both the original message and the retraction
/// request are received from the same bare-JID". And "the archiving service MUST store the
/// retraction message", so that is not taken back itself.
fn is_taken_back(message: &Stanza, word: &Stanza, target: &str) -> bool {
    let sender = |stanza: &Stanza| stanza.head.from.as_ref().map(|from| from.bare());
    message.head.id.as_deref() == Some(target)
        && sender(message).is_some()
        && sender(message) == sender(word)
        && !message.body.has("retract", NS)
}

/// §4: "the original contents … get replaced with a <retracted/> element which MUST include an 'id'
/// attribute that's set to the value of the retraction's … 'id' attribute".
fn tombstone(message: &Stanza, word: &Stanza, number: i64) -> String {
    let mut retracted = format!("<retracted xmlns='{NS}'");
    attribute(&mut retracted, "id", word.head.id.as_deref().unwrap_or_default());
    attribute(&mut retracted, "stamp", &stamp_of(millis(number)));
    retracted.push_str("/>");
    let tombstone = Stanza { head: message.head.clone(), body: Arc::default() }.with(retracted);
    let mut text = String::new();
    tombstone.write(&mut text, Some(CLIENT));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(from: &str, id: &str, child: &str) -> Stanza {
        let text = format!(
            "<message xmlns='jabber:client' type='chat' from='{from}' to='b@b' id='{id}'>{child}\
             </message>"
        );
        Stanza::parse(&text).unwrap()
    }

    #[test]
    fn only_its_sender_takes_a_message_back_and_no_retraction_is_taken_back() {
        let retract = format!("<retract xmlns='{NS}' id='m1'/>");
        let word = message("a@b/other", "r1", &retract);
        assert!(is_taken_back(&message("a@b/c", "m1", "<body>x</body>"), &word, "m1"));
        assert!(!is_taken_back(&message("a@b/c", "m2", "<body>x</body>"), &word, "m1"));
        assert!(!is_taken_back(&message("e@b/c", "m1", "<body>x</body>"), &word, "m1"));
        assert!(!is_taken_back(&message("a@b/c", "m1", &retract), &word, "m1"));
    }

    #[test]
    fn a_tombstone_keeps_nothing_of_what_was_said() {
        let word = message("a@b/c", "r&apos;1", "");
        let text = tombstone(&message("a@b/c", "m1", "<body>secret</body>"), &word, 1001 << 19);
        assert_eq!(
            text,
            "<message xmlns='jabber:client' from='a@b/c' to='b@b' id='m1' type='chat'>\
             <retracted xmlns='urn:xmpp:message-retract:1' id='r&apos;1' \
             stamp='1970-01-01T00:00:01.001Z'/></message>"
        );
    }
}
