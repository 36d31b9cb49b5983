//! Which characters XML 1.0 allows where, as table look-ups.

/// May start a name (colon excluded: namespaces give it a meaning of its own).
const NAME_START: u8 = 1;
/// May continue a name.
const NAME: u8 = 2;
/// Ends a run of harmless character data.
const TEXT_STOP: u8 = 4;
/// Ends a run of harmless attribute value.
const VALUE_STOP: u8 = 8;
/// May stand in an entity name or character reference.
const REFERENCE: u8 = 16;

const CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        let mut class = 0;
        if b.is_ascii_alphabetic() || b == b'_' {
            class |= NAME_START;
        }
        if b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.') {
            class |= NAME;
        }
        if b < 0x20 || b == 0xEF || matches!(b, b'<' | b'&' | b']') {
            class |= TEXT_STOP;
        }
        if b < 0x20 || b == 0xEF || matches!(b, b'<' | b'&' | b'\'' | b'"') {
            class |= VALUE_STOP;
        }
        if b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':') || b >= 0x80 {
            class |= REFERENCE;
        }
        table[byte] = class;
        byte += 1;
    }
    table
}

/// XML 1.0 §2.2: `Char ::= #x9 | #xA | #xD | [#x20-#xD7FF] | [#xE000-#xFFFD] |
/// [#x10000-#x10FFFF]`.
pub(crate) fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// XML 1.0 §2.3: `S ::= (#x20 | #x9 | #xD | #xA)+`.
#[inline]
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

pub(crate) fn is_reference(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & REFERENCE != 0
}

/// XML 1.0 §2.3, NameStartChar without the colon.
fn is_name_start(c: char) -> bool {
    matches!(c,
        'A'..='Z' | '_' | 'a'..='z' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}'
        | '\u{F8}'..='\u{2FF}' | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}'
        | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}' | '\u{2C00}'..='\u{2FEF}'
        | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}'
        | '\u{10000}'..='\u{EFFFF}')
}

/// XML 1.0 §2.3, NameChar without the colon.
fn is_name(c: char) -> bool {
    is_name_start(c)
        || matches!(c, '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}'
            | '\u{203F}'..='\u{2040}')
}

/// The end of the NCName that starts at `at`; `at` itself when none does.
#[inline]
pub(crate) fn name_end(bytes: &[u8], at: usize) -> usize {
    let mut end = at;
    let mut wanted = NAME_START;
    let mut wide: fn(char) -> bool = is_name_start;
    while let Some(&byte) = bytes.get(end) {
        if CLASSES[usize::from(byte)] & wanted != 0 {
            end += 1;
        } else if byte < 0x80 {
            break;
        } else {
            match first_char(&bytes[end..]) {
                Some(c) if wide(c) => end += c.len_utf8(),
                _ => break,
            }
        }
        wanted = NAME;
        wide = is_name;
    }
    end
}

/// The first character, if the bytes start with a whole one.
fn first_char(bytes: &[u8]) -> Option<char> {
    let window = &bytes[..bytes.len().min(4)];
    let valid = match std::str::from_utf8(window) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&window[..error.valid_up_to()]).ok()?,
    };
    valid.chars().next()
}

/// The first byte at or after `at` that character data must look at more closely.
#[inline]
pub(crate) fn text_stop(bytes: &[u8], mut at: usize) -> usize {
    while let Some(block) = bytes.get(at..at + 16) {
        let block: &[u8; 16] = block.try_into().expect("the slice has 16 bytes");
        // No early exit: the compiler turns this into a few vector comparisons.
        let stop = block.iter().fold(false, |stop, &b| {
            stop | (b < 0x20) | (b == b'<') | (b == b'&') | (b == b']') | (b == 0xEF)
        });
        if stop {
            break;
        }
        at += 16;
    }
    while at < bytes.len() && CLASSES[usize::from(bytes[at])] & TEXT_STOP == 0 {
        at += 1;
    }
    at
}

/// The first byte at or after `at` that an attribute value must look at more closely.
#[inline]
pub(crate) fn value_stop(bytes: &[u8], mut at: usize) -> usize {
    while let Some(block) = bytes.get(at..at + 16) {
        let block: &[u8; 16] = block.try_into().expect("the slice has 16 bytes");
        let stop = block.iter().fold(false, |stop, &b| {
            stop | (b < 0x20) | (b == b'<') | (b == b'&') | (b == b'\'') | (b == b'"') | (b == 0xEF)
        });
        if stop {
            break;
        }
        at += 16;
    }
    while at < bytes.len() && CLASSES[usize::from(bytes[at])] & VALUE_STOP == 0 {
        at += 1;
    }
    at
}
