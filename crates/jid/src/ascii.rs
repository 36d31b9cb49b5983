//! The fast path: what can be said about a part by looking its bytes up in a table.

/// What a byte means inside each part.
const LOCAL: u8 = 1;
const DOMAIN: u8 = 2;
const RESOURCE: u8 = 4;
const UPPER: u8 = 8;

static TABLE: [u8; 256] = table();

const fn table() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = flags(byte as u8);
        byte += 1;
    }
    table
}

const fn flags(byte: u8) -> u8 {
    let mut flags = 0;
    if byte.is_ascii_graphic() && !super::prepare::is_excluded(byte) {
        flags |= LOCAL;
    }
    if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.' {
        flags |= DOMAIN;
    }
    if byte.is_ascii_graphic() || byte == b' ' {
        flags |= RESOURCE;
    }
    if byte.is_ascii_uppercase() {
        flags |= UPPER;
    }
    flags
}

/// What the fast path found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scan {
    /// Prepared as it stands.
    Ready,
    /// Prepared once its ASCII letters are lower case.
    Fold,
    /// Not decided here: the part is not ASCII, or it is wrong.
    Slow,
}

/// Looks at a local part.
pub(crate) fn scan_local(text: &str) -> Scan {
    scan(text, LOCAL)
}

/// Looks at a resource (or a password), which keeps its case.
pub(crate) fn scan_resource(text: &str) -> Scan {
    match scan(text, RESOURCE) {
        Scan::Slow => Scan::Slow,
        Scan::Ready | Scan::Fold => Scan::Ready,
    }
}

/// Looks at a domain made of labels of letters, digits and hyphens. A label in its ASCII
/// form (`xn--`), an IPv6 address and everything unusual is left to the slow path.
pub(crate) fn scan_domain(text: &str) -> Scan {
    if text.split('.').all(is_plain_label) { scan(text, DOMAIN) } else { Scan::Slow }
}

fn is_plain_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    !bytes.is_empty()
        && bytes.len() <= 63
        && bytes[0] != b'-'
        && bytes[bytes.len() - 1] != b'-'
        && !bytes.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"xn--"))
}

fn scan(text: &str, part: u8) -> Scan {
    if text.is_empty() || text.len() > super::prepare::MAX_OCTETS {
        return Scan::Slow;
    }
    let (mut every, mut any) = (part, 0);
    for &byte in text.as_bytes() {
        let flags = TABLE[byte as usize];
        every &= flags;
        any |= flags;
    }
    match (every != 0, any & UPPER != 0) {
        (false, _) => Scan::Slow,
        (true, true) => Scan::Fold,
        (true, false) => Scan::Ready,
    }
}
