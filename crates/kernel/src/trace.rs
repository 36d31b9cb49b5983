//! What passes between the server and a client, noted for an operator without being read: who
//! writes to whom and with which elements, and of every text only its size.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use waxwing_jid::Jid;
use waxwing_stanza::{Kind, Stanza};
use waxwing_stream::Closure;
use waxwing_xml::{Child, Element};

use crate::hub::Hub;

/// Watches at a time; one more is refused.
const WATCHES: usize = 8;

/// Lines of one watch; more are counted only.
const LINES: usize = 1_000;

/// Characters that one cell of a line keeps of what a client chose, such as an id.
const CELL: usize = 120;

/// Children of a stanza that are listed.
const CHILDREN: usize = 12;

/// Who watches whom. Costs one relaxed load for each stanza while nobody watches.
#[derive(Default)]
pub(crate) struct Tracer {
    watches: AtomicUsize,
    open: Mutex<Vec<Arc<Notes>>>,
}

/// Notes what passes until it is dropped or finished.
pub struct Watch {
    hub: Hub,
    notes: Arc<Notes>,
}

struct Notes {
    /// A bare address stands for all sessions of the account.
    whom: Jid,
    trace: Mutex<Trace>,
}

/// What was noted.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// In the order in which it passed.
    pub lines: Vec<Line>,
    /// How many more lines there would have been.
    pub left_out: usize,
}

/// One element that passed, or the end of a stream.
#[derive(Clone, Debug)]
pub struct Line {
    /// Unix time in milliseconds.
    pub millis: u64,
    /// The session.
    pub session: Jid,
    /// Whether the client sent it.
    pub is_from_client: bool,
    /// The element's name, its type, and the condition if it is an error.
    pub kind: String,
    /// The sender that the stanza names.
    pub from: String,
    /// The addressee that the stanza names.
    pub to: String,
    /// Its id.
    pub id: String,
    /// Bytes of its children, or of an element that is no stanza.
    pub bytes: usize,
    /// The children: name, namespace where it has one of its own, and size.
    pub children: String,
}

impl Hub {
    /// Notes what passes between the server and the session `whom`, or all sessions of the account
    /// when it is a bare address. None when there are too many watches.
    pub fn watch(&self, whom: Jid) -> Option<Watch> {
        let notes = Arc::new(Notes { whom, trace: Mutex::default() });
        let mut open = self.tracer().open.lock();
        if open.len() >= WATCHES {
            return None;
        }
        open.push(Arc::clone(&notes));
        self.tracer().watches.store(open.len(), Ordering::Relaxed);
        Some(Watch { hub: self.clone(), notes })
    }

    /// Whether anybody watches any session.
    pub(crate) fn is_traced(&self) -> bool {
        self.tracer().is_on()
    }

    pub(crate) fn trace_stanza(&self, session: &Jid, is_from_client: bool, stanza: &Stanza) {
        if self.tracer().is_on() {
            self.jot(session, is_from_client, || of_stanza(stanza));
        }
    }

    pub(crate) fn trace_element(&self, session: &Jid, element: &Element) {
        if self.tracer().is_on() {
            self.jot(session, true, || of_element(element));
        }
    }

    pub(crate) fn trace_end(&self, session: &Jid, closure: &Closure) {
        if self.tracer().is_on() {
            self.jot(session, false, || of_end(closure));
        }
    }

    #[cold]
    fn jot(&self, session: &Jid, is_from_client: bool, about: impl Fn() -> Line) {
        for notes in self.tracer().open.lock().iter().filter(|notes| notes.are_of(session)) {
            let mut trace = notes.trace.lock();
            if trace.lines.len() >= LINES {
                trace.left_out += 1;
                continue;
            }
            let (millis, session) = (self.clock().wall_millis(), session.clone());
            trace.lines.push(Line { millis, session, is_from_client, ..about() });
        }
    }
}

impl Tracer {
    fn is_on(&self) -> bool {
        self.watches.load(Ordering::Relaxed) > 0
    }
}

impl Notes {
    fn are_of(&self, session: &Jid) -> bool {
        match self.whom.resource() {
            Some(_) => self.whom == *session,
            None => self.whom.as_str() == session.bare_str(),
        }
    }
}

impl Watch {
    /// What was noted so far.
    pub fn finish(self) -> Trace {
        std::mem::take(&mut *self.notes.trace.lock())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let tracer = self.hub.tracer();
        let mut open = tracer.open.lock();
        open.retain(|notes| !Arc::ptr_eq(notes, &self.notes));
        tracer.watches.store(open.len(), Ordering::Relaxed);
    }
}

fn of_stanza(stanza: &Stanza) -> Line {
    let head = &stanza.head;
    let mut kind = head.kind.element().to_owned();
    if let Some(name) = head.kind.type_name() {
        let _ = write!(kind, " {name}");
    }
    if let Some(error) = stanza.error() {
        let _ = write!(kind, " {}", error.condition.name());
    }
    let address = |jid: &Option<Jid>| jid.as_ref().map_or(String::new(), |jid| clip(jid.as_str()));
    Line {
        from: address(&head.from),
        to: address(&head.to),
        id: head.id.as_deref().map(clip).unwrap_or_default(),
        bytes: stanza.body.len_bytes(),
        children: children(stanza.body.children(), head.kind),
        ..line(kind)
    }
}

fn of_element(element: &Element) -> Line {
    let name = named(element.name(), element.namespace());
    Line { bytes: element.as_str().len(), ..line(name) }
}

fn of_end(closure: &Closure) -> Line {
    line(match closure {
        Closure::Footer => "end of the stream".to_owned(),
        Closure::Lost => "connection lost".to_owned(),
        Closure::Error(error) => format!("stream error {}", error.condition.name()),
        Closure::Refused(trouble) => trouble.to_string(),
    })
}

fn line(kind: String) -> Line {
    let nobody = Jid::new("localhost").expect("a domain is an address");
    Line {
        millis: 0,
        session: nobody,
        is_from_client: false,
        kind,
        from: String::new(),
        to: String::new(),
        id: String::new(),
        bytes: 0,
        children: String::new(),
    }
}

/// Name, namespace and size; never a text nor an attribute, which may be secret as well.
fn children<'a>(children: impl Iterator<Item = Child<'a>>, kind: Kind) -> String {
    let (mut out, mut more) = (String::new(), 0_usize);
    // An error's text is the server's or says what went wrong; its condition is in the line.
    let shown = children.filter(|child| !(kind.is_error() && child.name() == "error"));
    for (index, child) in shown.enumerate() {
        if index >= CHILDREN {
            more += 1;
            continue;
        }
        let comma = if index == 0 { "" } else { ", " };
        let name = named(child.name(), child.namespace());
        let _ = write!(out, "{comma}{name} ({} B)", child.as_str().len());
    }
    if more > 0 {
        let _ = write!(out, ", {more} more");
    }
    out
}

fn named(name: &str, namespace: &str) -> String {
    match namespace {
        "" | "jabber:client" => clip(name),
        namespace => format!("{} {}", clip(name), clip(namespace)),
    }
}

/// What a client chose, short and without anything that a terminal would obey.
fn clip(text: &str) -> String {
    let is_unsafe = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}');
    let mut out: String =
        text.chars().take(CELL).map(|c| if is_unsafe(c) { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(CELL).is_some() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(xml: &str) -> Line {
        of_stanza(&Stanza::parse(xml).unwrap())
    }

    #[test]
    fn texts_and_attributes_are_not_noted() {
        let line = noted(
            "<message xmlns='jabber:client' to='juliet@example.org' type='chat' id='m1'>\
             <body>secret</body><x xmlns='urn:x' password='secret'>secret<y>secret</y></x>\
             </message>",
        );
        assert!(!format!("{line:?}").contains("secret"), "{line:?}");
        assert_eq!(line.kind, "message chat");
        assert_eq!((line.to.as_str(), line.id.as_str()), ("juliet@example.org", "m1"));
        assert_eq!(line.children, "body (19 B), x urn:x (58 B)");
    }

    #[test]
    fn an_error_is_named_and_its_text_is_not() {
        let line = noted(
            "<iq xmlns='jabber:client' type='error' id='1'><error type='cancel'>\
             <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
             <text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>secret</text></error></iq>",
        );
        assert_eq!((line.kind.as_str(), line.children.as_str()), ("iq error item-not-found", ""));
    }

    #[test]
    fn a_cell_is_short_and_harmless() {
        assert_eq!(clip("a\u{9b}31m\nb"), "a\u{fffd}31m\u{fffd}b");
        assert_eq!(clip(&"x".repeat(500)).chars().count(), CELL + 1);
        let many = "<a xmlns='urn:a'/>".repeat(20);
        let line = noted(&format!("<message xmlns='jabber:client'>{many}</message>"));
        assert!(line.children.ends_with(", 8 more"), "{}", line.children);
    }
}
