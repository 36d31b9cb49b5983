//! Generated documents.

use super::random::Random;

/// A document that is well-formed more often than not.
pub(crate) fn document(random: &mut Random) -> String {
    let mut out = String::new();
    write_element(&mut out, random, &mut Vec::new(), 0);
    out
}

const NAMES: &[&str] = &["a", "body", "x1", "é", "_-.", "message", "\u{10000}\u{300}"];
const URIS: &[&str] = &["jabber:client", "urn:a", "urn:b", "urn:b&amp;c", "", "urn:&#97;", "u\tv"];

fn write_element(out: &mut String, random: &mut Random, scope: &mut Vec<&str>, depth: usize) {
    let outside = scope.len();
    let mut attributes = String::new();
    if random.below(3) == 0 {
        attributes.push_str(&format!(" xmlns='{}'", random.pick(URIS)));
    }
    if random.below(4) == 0 {
        let prefix = random.pick(&["p", "q", "pq"]);
        let uri = random.pick(&URIS[..4]);
        attributes.push_str(&format!(" xmlns:{prefix}=\"{uri}\""));
        scope.push(prefix);
    }
    let prefix = |random: &mut Random, scope: &[&str]| match random.below(12) {
        0..=3 if !scope.is_empty() => format!("{}:", random.pick(scope)),
        4 => "xml:".to_owned(),
        5 if random.below(20) == 0 => "undeclared:".to_owned(),
        _ => String::new(),
    };
    for _ in 0..random.below(3) {
        let name = format!("{}{}", prefix(random, scope), random.pick(NAMES));
        let value = random.pick(&["", "v", "a&amp;b", "\t\n", "&#13;", "'", "é>", "&lt;"]);
        attributes.push_str(&format!(" {name}=\"{value}\""));
    }
    let name = format!("{}{}", prefix(random, scope), random.pick(NAMES));
    out.push_str(&format!("<{name}{attributes}"));
    if random.below(4) == 0 {
        out.push_str("/>");
    } else {
        out.push('>');
        for _ in 0..random.below(5usize.saturating_sub(depth) + 1) {
            match random.below(4) {
                0 => out.push_str(random.pick(&["text", " ", "\r\n", "&lt;&#x1F600;", "]]", "ü"])),
                1 => out.push_str(random.pick(&["<![CDATA[]]>", "<![CDATA[<&]]]]>"])),
                _ => write_element(out, random, scope, depth + 1),
            }
        }
        out.push_str(&format!("</{name}>"));
    }
    scope.truncate(outside);
}
