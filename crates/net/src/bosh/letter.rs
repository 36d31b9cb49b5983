//! What a stream writes, taken apart: payload, and what BOSH says in attributes.

use waxwing_stream::{MarkKind, Outbox};
use waxwing_xml::write;

use super::body::Terminal;

/// XEP-0206 §4: what every first answer says of the stream.
const XMPP: &str = " xmlns:xmpp='urn:xmpp:xbosh' xmpp:version='1.0' xmpp:restartlogic='true'";

/// What a stream wants to say, in the words of BOSH.
#[derive(Default)]
pub(super) struct Letter {
    /// Whole elements.
    pub(super) payload: String,
    /// Attributes that tell of a stream that has opened.
    pub(super) header: Option<String>,
    /// The session ends with this.
    pub(super) end: Option<Terminal>,
    /// The client is to show that it is there.
    pub(super) is_urgent: bool,
}

impl Letter {
    pub(super) fn read(out: &Outbox) -> Self {
        let (mut letter, mut start) = (Self::default(), 0);
        for mark in &out.marks {
            let text = &out.text[start..mark.end];
            start = mark.end;
            match mark.kind {
                MarkKind::Text => letter.add(text),
                MarkKind::Ping => letter.is_urgent = true,
                MarkKind::Close(_) => {
                    letter.end.get_or_insert(Terminal::Clean);
                }
            }
        }
        letter
    }

    fn add(&mut self, text: &str) {
        if text.starts_with("<open ") {
            self.header = Some(header(text));
        } else if text.starts_with("<close ") {
            // Elsewhere is a WebSocket, which is of no use here.
            let is_moved = text.contains(" see-other-uri=");
            let end = if is_moved { Terminal::SystemShutdown } else { Terminal::Clean };
            self.end.get_or_insert(end);
        } else {
            if text.starts_with("<stream:error") {
                self.end = Some(Terminal::RemoteStreamError);
            }
            self.payload += text;
        }
    }
}

/// XEP-0206 §4: what is known of the stream.
fn header(open: &str) -> String {
    let mut out = XMPP.to_owned();
    let limits = waxwing_xml::Limits::default();
    if let Ok(open) = waxwing_xml::parse(open.as_bytes(), &limits, "", false) {
        for (name, attribute) in [("from", "from"), ("authid", "id")] {
            if let Some(value) = open.attribute(attribute) {
                write::attribute(&mut out, name, &value);
            }
        }
    }
    out
}
