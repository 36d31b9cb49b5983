//! Writing character data and attributes that any strict parser accepts.

use crate::chars::is_char;

/// Whether every character may stand in an XML 1.0 document (§2.2, Char).
pub fn is_legal(s: &str) -> bool {
    // Two passes of cheap byte tests: nearly all text has neither control characters nor U+FFFx.
    let suspect = s.bytes().any(|b| b < 0x20 || b == 0xEF);
    !suspect || s.chars().all(is_char)
}

/// Appends `s` as character data. Characters that XML cannot carry are dropped.
pub fn text(out: &mut String, s: &str) {
    escape(out, s, |c| match c {
        '<' => Some("&lt;"),
        '>' => Some("&gt;"), // for `]]>`, XML 1.0 §2.4
        '&' => Some("&amp;"),
        '\r' => Some("&#13;"), // XML 1.0 §2.11 would turn it into a line feed
        _ => None,
    });
}

/// Appends `<name>s</name>`, with `s` as character data.
pub fn element(out: &mut String, name: &str, s: &str) {
    out.push('<');
    out.push_str(name);
    out.push('>');
    text(out, s);
    out.push_str("</");
    out.push_str(name);
    out.push('>');
}

/// Appends ` name='value'`, escaped. Characters that XML cannot carry are dropped.
pub fn attribute(out: &mut String, name: &str, value: &str) {
    out.push(' ');
    out.push_str(name);
    out.push_str("='");
    // XML 1.0 §3.3.3 would turn bare tabs and line ends into spaces.
    escape(out, value, |c| match c {
        '<' => Some("&lt;"),
        '&' => Some("&amp;"),
        '\'' => Some("&apos;"),
        '\t' => Some("&#9;"),
        '\n' => Some("&#10;"),
        '\r' => Some("&#13;"),
        _ => None,
    });
    out.push('\'');
}

fn escape(out: &mut String, s: &str, entity: fn(char) -> Option<&'static str>) {
    if is_plain(s.as_bytes()) {
        return out.push_str(s);
    }
    let special = |c: char| matches!(c, '<' | '>' | '&' | '\'') || !(' '..'\u{FFFE}').contains(&c);
    let mut rest = s;
    while let Some(at) = rest.find(special) {
        out.push_str(&rest[..at]);
        let c = rest[at..].chars().next().expect("find stopped at a character");
        match entity(c) {
            Some(entity) => out.push_str(entity),
            None if is_char(c) => out.push(c),
            None => {}
        }
        rest = &rest[at + c.len_utf8()..];
    }
    out.push_str(rest);
}

/// Whether nothing needs a closer look, which is so for nearly all addresses and ids. One pass
/// without branches, which the compiler turns into wide steps.
fn is_plain(bytes: &[u8]) -> bool {
    let is_special = |b: u8| b < 0x20 || b == 0xEF || matches!(b, b'<' | b'>' | b'&' | b'\'');
    !bytes.iter().fold(false, |found, b| found | is_special(*b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_escaped_and_illegal_characters_dropped() {
        let mut out = String::new();
        text(&mut out, "a<b>&'\"\r\n\u{1}\u{FFFE}\u{10000}ü");
        assert_eq!(out, "a&lt;b&gt;&amp;'\"&#13;\n\u{10000}ü");
        out.clear();
        attribute(&mut out, "x", "a<b>&'\"\t\n\u{0}");
        assert_eq!(out, " x='a&lt;b>&amp;&apos;\"&#9;&#10;'");
    }

    #[test]
    fn legality_is_the_char_production() {
        assert!(is_legal("a\t\r\n \u{7F}\u{FFFD}\u{EFFF}\u{10FFFF}"));
        for bad in ["\u{0}", "\u{B}", "\u{1F}", "\u{FFFE}", "\u{FFFF}"] {
            assert!(!is_legal(bad), "{bad:?}");
        }
    }
}
