//! The client's side of stream management (XEP-0198).

use std::collections::VecDeque;

use crate::node::{CLIENT, Node};

pub(super) const ACKS: &str = "urn:xmpp:sm:3";

/// What was sent and what came since `<enable/>`.
#[derive(Default)]
pub(super) struct Acks {
    /// Names the session for its resumption.
    pub(super) id: Option<String>,
    is_enabled: bool,
    received: u32,
    acknowledged: u32,
    sent: VecDeque<String>,
}

impl Acks {
    /// `<enabled/>`: what comes counts from here on.
    pub(super) fn enable(&mut self, enabled: &Node) {
        self.is_enabled = true;
        self.id = enabled.attribute("id").map(str::to_owned);
    }

    /// A stanza came.
    pub(super) fn count(&mut self) {
        self.received += u32::from(self.is_enabled);
    }

    /// How many came.
    pub(super) fn received(&self) -> u32 {
        self.received
    }

    /// A stanza is sent.
    pub(super) fn keep(&mut self, xml: &str) {
        self.sent.push_back(xml.to_owned());
    }

    /// The server says how many it has.
    ///
    /// # Errors
    /// When it has more than were sent, or fewer than it said before.
    pub(super) fn acknowledge(&mut self, node: &Node) -> Result<(), String> {
        let h: Option<u32> = node.attribute("h").and_then(|h| h.parse().ok());
        let news = h.and_then(|h| h.checked_sub(self.acknowledged));
        let news = news.filter(|news| *news as usize <= self.sent.len());
        let news = news.ok_or_else(|| {
            let (known, open) = (self.acknowledged, self.sent.len());
            format!("of {open} stanzas after {known}, the server acknowledges {node}")
        })?;
        self.sent.drain(..news as usize);
        self.acknowledged += news;
        Ok(())
    }

    /// What the server has not acknowledged.
    pub(super) fn open(&self) -> Vec<String> {
        self.sent.iter().cloned().collect()
    }
}

/// Whether it is counted.
pub(super) fn is_stanza(node: &Node) -> bool {
    node.namespace == CLIENT && matches!(node.name.as_str(), "message" | "presence" | "iq")
}
