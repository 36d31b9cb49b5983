//! Stream management (XEP-0198): what was received is counted, what was sent is kept until it has
//! been, and a session goes on over another connection.

use std::collections::VecDeque;

use super::{Client, attribute, slow};
use crate::Outcome;
use crate::target::Target;

const NS: &str = "urn:xmpp:sm:3";
/// Asks how much has been received.
pub(super) const REQUEST: &str = "<r xmlns='urn:xmpp:sm:3'/>";
/// Stanzas between two such questions.
const EVERY: u32 = 16;

/// What is known of a session that may be resumed.
pub(crate) struct Managed {
    /// What the server calls it.
    id: String,
    received: u32,
    sent: u32,
    /// What was sent and not confirmed yet, the oldest first.
    open: VecDeque<String>,
}

impl Managed {
    /// Notes what is sent; gives whether it is time to ask.
    pub(super) fn sent(&mut self, element: &str) -> bool {
        if !is_stanza(element) {
            return false;
        }
        self.sent = self.sent.wrapping_add(1);
        self.open.push_back(element.to_owned());
        self.sent.is_multiple_of(EVERY)
    }

    /// Notes what was received. What belongs to stream management is not for anybody else, and
    /// comes back as what has to be said to it, or as nothing.
    pub(super) fn heard(&mut self, element: &str) -> Outcome<Option<String>> {
        if is_stanza(element) {
            self.received = self.received.wrapping_add(1);
            return Ok(None);
        }
        if element.starts_with("<r ") {
            return Ok(Some(format!("<a xmlns='{NS}' h='{}'/>", self.received)));
        }
        if element.starts_with("<a ") {
            self.confirm(element)?;
            return Ok(Some(String::new()));
        }
        Ok(None)
    }

    /// Forgets what the other side says that it has.
    fn confirm(&mut self, element: &str) -> Outcome<()> {
        let wrong = || format!("the server confirms what was not sent: {element}");
        let count =
            attribute(element, "h").and_then(|h| h.parse::<u32>().ok()).ok_or_else(wrong)?;
        let left = self.sent.wrapping_sub(count) as usize;
        let done = self.open.len().checked_sub(left).ok_or_else(wrong)?;
        self.open.drain(..done);
        Ok(())
    }
}

impl Client {
    /// Agrees that the session outlives its connection (§3, §5).
    pub(crate) async fn manage(&mut self, target: &Target) -> Outcome<()> {
        let agreeing = async {
            self.send(&format!("<enable xmlns='{NS}' resume='true'/>")).await?;
            loop {
                let element = self.next().await?;
                if element.starts_with("<enabled") {
                    return Ok(attribute(&element, "id").map(str::to_owned));
                }
                if element.starts_with("<failed") {
                    return Err(format!("the server refuses stream management: {element}"));
                }
            }
        };
        let agreed = tokio::time::timeout(target.patience, agreeing).await;
        let id = agreed.map_err(|_| slow(target, "enable stream management"))??;
        let id = id.ok_or("the server does not let sessions be resumed")?;
        // What had come already came before it was agreed: the server counts from there.
        let (received, sent, open) = (0, 0, VecDeque::new());
        self.managed = Some(Box::new(Managed { id, received, sent, open }));
        Ok(())
    }

    /// Loses the connection; what is left can be resumed.
    pub(crate) fn lose(self) -> Outcome<Box<Managed>> {
        self.managed.ok_or_else(|| "a session without stream management was lost".into())
    }

    /// Goes on with the session over a new connection (§5).
    pub(crate) async fn resume(
        target: &Target,
        number: usize,
        mut managed: Box<Managed>,
    ) -> Outcome<Self> {
        let resuming = async {
            let mut client = Self::connect(target).await?;
            client.authenticate(target, number).await?;
            let Managed { id, received, .. } = &*managed;
            client.send(&format!("<resume xmlns='{NS}' h='{received}' previd='{id}'/>")).await?;
            // Nothing else may come before the answer.
            let answer = client.next().await?;
            if !answer.starts_with("<resumed") {
                return Err(format!("the server does not resume a session: {answer}"));
            }
            managed.confirm(&answer)?;
            for element in &managed.open {
                client.write(element);
            }
            client.managed = Some(managed);
            client.flush().await?;
            Ok(client)
        };
        let resumed = tokio::time::timeout(target.patience, resuming).await;
        resumed.map_err(|_| slow(target, "resume a session"))?
    }
}

fn is_stanza(element: &str) -> bool {
    ["<message", "<presence", "<iq"].iter().any(|start| element.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_confirmed_is_forgotten_and_the_rest_kept() {
        let (received, sent, open) = (0, 0, VecDeque::new());
        let mut managed = Managed { id: "s".into(), received, sent, open };
        for number in 0..3 {
            assert!(!managed.sent(&format!("<message id='{number}'/>")));
        }
        assert!(!managed.sent("<a xmlns='urn:xmpp:sm:3' h='0'/>"), "no stanza");
        assert_eq!(managed.heard("<presence/>"), Ok(None));
        let answer = "<a xmlns='urn:xmpp:sm:3' h='1'/>";
        assert_eq!(managed.heard("<r xmlns='urn:xmpp:sm:3'/>"), Ok(Some(answer.into())));
        assert_eq!(managed.heard("<a xmlns='urn:xmpp:sm:3' h='2'/>"), Ok(Some(String::new())));
        assert_eq!(managed.open, ["<message id='2'/>"]);
        assert!(managed.heard("<a xmlns='urn:xmpp:sm:3' h='9'/>").is_err());
    }
}
