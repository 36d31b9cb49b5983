//! What comes out of a splitter, in a form to compare.

use waxwing_xml::{Event, Limits, Splitter, XmlError};

use super::limits::CONTENT;

/// What a splitter makes of a stream, white space left out.
pub(crate) fn events(pieces: &[&[u8]], limits: Limits) -> (Vec<Event>, Option<XmlError>) {
    let mut splitter = Splitter::stream(limits, CONTENT);
    let mut events = Vec::new();
    for piece in pieces {
        let mut input = *piece;
        loop {
            match splitter.next(&mut input) {
                Ok(Some(Event::Whitespace)) => {}
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(error) => return (events, Some(error)),
            }
        }
        assert!(input.is_empty(), "None says that the input is used up");
    }
    (events, None)
}

/// Everything an event says, to compare with.
pub(crate) fn describe(event: &Event) -> String {
    match event {
        Event::Header(header) => {
            format!("header {} {} {}", header.namespace(), header.name(), header.as_str())
        }
        Event::Element(element) => {
            let children: Vec<_> = element
                .children()
                .map(|child| {
                    format!("{{{}}}{} {}", child.namespace(), child.name(), child.as_str())
                })
                .collect();
            let (namespace, name, text) = (element.namespace(), element.name(), element.as_str());
            format!("element {{{namespace}}}{name} {text}\n{}", children.join("\n"))
        }
        Event::Footer => "footer".to_owned(),
        Event::Whitespace => "white space".to_owned(),
    }
}
