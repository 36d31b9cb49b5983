//! One document that holds one element.

use crate::{
    Element, Limits, XmlError,
    namespaces::Outer,
    scan::{Around, Fault, Goal, Scan, Step, utf8, utf8_from},
    tag::spaces,
};

/// Reads one whole document holding exactly one element: a WebSocket message.
///
/// RFC 7395 §3.3.3: "The first character of each WebSocket message MUST be a '<'". White space
/// may follow the element. `allow_declaration` tolerates a leading XML declaration.
pub fn parse(
    message: &[u8],
    limits: &Limits,
    content_ns: &str,
    allow_declaration: bool,
) -> Result<Element, XmlError> {
    let outer = Outer::nothing(content_ns);
    let mut bytes = message;
    if allow_declaration && bytes.starts_with(b"<?") {
        let mut scan = Scan::new(Goal::Document { declaration: true });
        match scan_piece(&mut scan, bytes, limits, &outer)? {
            Step::Declaration => bytes = &bytes[spaces(bytes, scan.pos())..],
            _ => return Err(XmlError::NotWellFormed("the document ends too early")),
        }
    }
    let mut scan = Scan::new(Goal::Document { declaration: false });
    match scan_piece(&mut scan, bytes, limits, &outer)? {
        Step::Element => {}
        _ => return Err(XmlError::NotWellFormed("the document ends too early")),
    }
    if spaces(bytes, scan.pos()) != bytes.len() {
        return Err(XmlError::NotWellFormed("something follows the element"));
    }
    scan.take_element(bytes, &outer, limits)
}

fn scan_piece(
    scan: &mut Scan,
    bytes: &[u8],
    limits: &Limits,
    outer: &Outer,
) -> Result<Step, XmlError> {
    let window = &bytes[..bytes.len().min(limits.bytes())];
    let around = Around { outer, limits, root: "" };
    let step = scan
        .advance(window, around)
        .map_err(|Fault { error, seen }| utf8_from(&window[..seen], 0).err().unwrap_or(error))?;
    if step == Step::More {
        utf8(window)?;
        if window.len() < bytes.len() {
            return Err(XmlError::TooLarge("an element is too long"));
        }
    }
    Ok(step)
}
