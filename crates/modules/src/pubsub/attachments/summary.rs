//! What is in attachments, and how often.

use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_stanza::{Body, StanzaError};
use waxwing_xml::write;

use super::{NS, SUMMARY};
use crate::pubsub::wire::Draft;

/// Reactions of one person to one item.
const REACTIONS: usize = 50;
/// Bytes of one of them.
const REACTION_BYTES: usize = 64;
/// How often something was attached.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    noticed: u64,
    /// In the order in which they came first.
    reactions: Vec<(String, u64)>,
}

impl Summary {
    /// Counts what one person attached. §4.8.2: "if the same reaction appears several times for a
    /// single bare JID, it MUST be counted only once".
    pub(super) fn add(&mut self, payload: &Arc<str>) {
        let (has_noticed, reactions) = attached(payload).unwrap_or_default();
        self.noticed += u64::from(has_noticed);
        for reaction in reactions {
            match self.reactions.iter_mut().find(|(known, _)| *known == reaction) {
                Some((_, count)) => *count += 1,
                None => self.reactions.push((reaction, 1)),
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn write(&self) -> String {
        let mut out = format!("<summary xmlns='{SUMMARY}'>");
        if self.noticed > 0 {
            out.push_str(&format!("<noticed count='{}'/>", self.noticed));
        }
        if !self.reactions.is_empty() {
            out.push_str("<reactions>");
            for (reaction, count) in &self.reactions {
                // "If an emoji appears multiple times …, a 'count' attribute MUST be added".
                match count {
                    1 => out.push_str("<reaction>"),
                    count => out.push_str(&format!("<reaction count='{count}'>")),
                }
                write::text(&mut out, reaction);
                out.push_str("</reaction>");
            }
            out.push_str("</reactions>");
        }
        out.push_str("</summary>");
        out
    }
}

/// What is in an attachment: whether the item was noticed, and the different reactions to it;
/// `None` when it is none.
fn attached(payload: &Arc<str>) -> Option<(bool, Vec<String>)> {
    let mut body = Body::default();
    body.append(Arc::clone(payload));
    let root = body.child("attachments", NS)?;
    let mut reactions: Vec<String> = Vec::new();
    if let Some(all) = root.child("reactions", NS) {
        for reaction in all.children().filter(|child| child.is("reaction", NS)) {
            let text = reaction.text().trim().to_owned();
            if !text.is_empty() && !reactions.contains(&text) {
                reactions.push(text);
            }
        }
    }
    Some((root.child("noticed", NS).is_some(), reactions))
}

/// §4.5: "a fully-compliant service MUST check that the item is valid … If any of these points
/// are not met, the service MUST reject the item by returning a <bad-request/> error."
pub(super) fn check(draft: &Draft, publisher: &BareJid) -> Result<(), StanzaError> {
    let refused = |text: String| Err(StanzaError::bad_request().text(text));
    if draft.id.as_deref() != Some(publisher.as_str()) {
        return refused(format!("The id of what you attach is your address, {publisher}."));
    }
    let Some((_, reactions)) = attached(&draft.payload.as_str().into()) else {
        return refused(format!("What is attached stands in <attachments xmlns='{NS}'/>."));
    };
    if reactions.len() > REACTIONS {
        return refused(format!("There may be {REACTIONS} reactions of one person."));
    }
    match reactions.iter().any(|reaction| reaction.len() > REACTION_BYTES) {
        true => refused(format!("A reaction may have {REACTION_BYTES} bytes.")),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of §4.6, with fewer people.
    #[test]
    fn what_was_attached_is_counted() {
        let mut summary = Summary::default();
        let of = |inner: &str| format!("<attachments xmlns='{NS}'>{inner}</attachments>").into();
        summary.add(&of("<noticed/><reactions><reaction>👷</reaction></reactions>"));
        summary.add(&of(
            "<reactions><reaction>👷</reaction><reaction>👷</reaction><reaction>🔨</reaction>\
             </reactions><other xmlns='urn:x'/>",
        ));
        summary.add(&of("<noticed/>"));
        summary.add(&"<other xmlns='urn:x'/>".into());
        assert_eq!(
            summary.write(),
            "<summary xmlns='urn:xmpp:pubsub-attachments:summary:1'><noticed count='2'/>\
             <reactions><reaction count='2'>👷</reaction><reaction>🔨</reaction></reactions>\
             </summary>"
        );
    }

    #[test]
    fn what_is_no_attachment_is_refused() {
        let romeo = BareJid::new("romeo@montague.lit").unwrap();
        let draft = |id: &str, payload: &str| Draft {
            id: Some(id.to_owned()),
            payload: payload.to_owned(),
        };
        let of = |inner: &str| format!("<attachments xmlns='{NS}'>{inner}</attachments>");
        assert!(check(&draft("romeo@montague.lit", &of("<noticed/>")), &romeo).is_ok());
        let many: String = (0..=REACTIONS).map(|n| format!("<reaction>{n}</reaction>")).collect();
        let long = format!("<reaction>{}</reaction>", "x".repeat(REACTION_BYTES + 1));
        for (id, payload) in [
            ("juliet@capulet.lit", of("")),
            ("romeo@montague.lit", "<attachments xmlns='urn:x'/>".to_owned()),
            ("romeo@montague.lit", of(&format!("<reactions>{many}</reactions>"))),
            ("romeo@montague.lit", of(&format!("<reactions>{long}</reactions>"))),
        ] {
            assert!(check(&draft(id, &payload), &romeo).is_err(), "{id} {payload}");
        }
    }
}
