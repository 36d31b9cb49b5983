//! From vcard-temp (XEP-0054) to vCard4 (RFC 6351), as XEP-0292 §7 maps them.

use waxwing_xml::Child;
use waxwing_xml::write::element;

use super::tree::{Tree, parts, value};
use super::{NS, NS4};

/// What the four words of vcard-temp about an address, a number or a mailbox are in vCard4.
pub(super) const TYPES: [(&str, &str); 9] = [
    ("HOME", "home"),
    ("WORK", "work"),
    ("TEXT", "text"),
    ("VOICE", "voice"),
    ("FAX", "fax"),
    ("CELL", "cell"),
    ("VIDEO", "video"),
    ("PAGER", "pager"),
    ("TEXTPHONE", "textphone"),
];

/// The parts of a name, in the order of RFC 6351.
pub(super) const NAME: [(&str, &str); 5] = [
    ("FAMILY", "surname"),
    ("GIVEN", "given"),
    ("MIDDLE", "additional"),
    ("PREFIX", "prefix"),
    ("SUFFIX", "suffix"),
];

/// The parts of an address, in the order of RFC 6351.
pub(super) const PLACE: [(&str, &str); 7] = [
    ("POBOX", "pobox"),
    ("EXTADD", "ext"),
    ("STREET", "street"),
    ("LOCALITY", "locality"),
    ("REGION", "region"),
    ("PCODE", "code"),
    ("CTRY", "country"),
];

/// What is one text in both: in vcard-temp, in vCard4, and the type of its value there.
pub(super) const TEXTS: [(&str, &str, &str); 11] = [
    ("NICKNAME", "nickname", "text"),
    ("BDAY", "bday", "date"),
    ("TZ", "tz", "text"),
    ("TITLE", "title", "text"),
    ("ROLE", "role", "text"),
    ("NOTE", "note", "text"),
    ("DESC", "note", "text"),
    ("PRODID", "prodid", "text"),
    ("REV", "rev", "timestamp"),
    ("UID", "uid", "uri"),
    ("URL", "url", "uri"),
];

/// The vCard4 of a vcard-temp.
pub(super) fn four(card: &str) -> String {
    let tree = Tree::read(card);
    let mut out = format!("<vcard xmlns='{NS4}'>");
    if let Some(card) = tree.root("vCard", NS) {
        // RFC 6350 §6.2.1: there is a formatted name always.
        let name = card.child("FN", NS).map(|name| name.text()).unwrap_or_default();
        value(&mut out, "fn", "text", name.trim());
        for child in card.children().filter(|child| child.namespace() == NS) {
            property(&mut out, child);
        }
    }
    out.push_str("</vcard>");
    out
}

fn property(out: &mut String, child: Child<'_>) {
    let plain = TEXTS.iter().find(|(temp, ..)| *temp == child.name());
    if let Some((_, name, kind)) = plain {
        return value(out, name, kind, child.text().trim());
    }
    match child.name() {
        "N" => structure(out, "n", child, &NAME),
        "ADR" => structure(out, "adr", child, &PLACE),
        "TEL" => {
            let number = part(child, "NUMBER").map(|number| format!("tel:{number}"));
            typed(out, ("tel", "uri"), child, number);
        }
        "EMAIL" => typed(out, ("email", "text"), child, part(child, "USERID")),
        "JABBERID" => uri(out, "impp", "xmpp:", child.text().trim()),
        "GEO" => {
            if let (Some(lat), Some(lon)) = (part(child, "LAT"), part(child, "LON")) {
                value(out, "geo", "uri", &format!("geo:{lat},{lon}"));
            }
        }
        "ORG" => {
            let units = child.children().filter(|part| part.name() == "ORGUNIT");
            let name = part(child, "ORGNAME").unwrap_or_default();
            let units = units.map(|unit| unit.text().trim().to_owned());
            let texts: Vec<String> = std::iter::once(name).chain(units).collect();
            if texts.iter().any(|text| !text.is_empty()) {
                out.push_str("<org>");
                texts.iter().for_each(|text| element(out, "text", text));
                out.push_str("</org>");
            }
        }
        "CATEGORIES" => {
            out.push_str("<categories>");
            let words = child.children().filter(|part| part.name() == "KEYWORD");
            words.for_each(|word| element(out, "text", word.text().trim()));
            out.push_str("</categories>");
        }
        "KEY" => {
            if let Some(key) = part(child, "CRED") {
                value(out, "key", "text", &key);
            }
        }
        "PHOTO" => picture(out, "photo", child),
        "LOGO" => picture(out, "logo", child),
        _ => {}
    }
}

/// "PHOTO (mapped to a 'data:' URI in vCard4, see RFC 2397)".
fn picture(out: &mut String, name: &str, child: Child<'_>) {
    if let Some(elsewhere) = part(child, "EXTVAL") {
        return value(out, name, "uri", &elsewhere);
    }
    let Some(data) = part(child, "BINVAL") else { return };
    let data: String = data.split_whitespace().collect();
    let kind = part(child, "TYPE").unwrap_or_default();
    value(out, name, "uri", &format!("data:{kind};base64,{data}"));
}

fn uri(out: &mut String, name: &str, scheme: &str, text: &str) {
    if !text.is_empty() {
        value(out, name, "uri", &format!("{scheme}{text}"));
    }
}

/// A property with parts, such as a name.
fn structure(out: &mut String, name: &str, child: Child<'_>, known: &[(&str, &str)]) {
    out.push_str(&format!("<{name}>"));
    parameters(out, child);
    for (temp, four) in known {
        if let Some(text) = part(child, temp) {
            element(out, four, &text);
        }
    }
    out.push_str(&format!("</{name}>"));
}

/// A property with one value and words about it, such as a number at home.
fn typed(out: &mut String, (name, kind): (&str, &str), child: Child<'_>, text: Option<String>) {
    let Some(text) = text else { return };
    out.push_str(&format!("<{name}>"));
    parameters(out, child);
    element(out, kind, &text);
    out.push_str(&format!("</{name}>"));
}

fn parameters(out: &mut String, child: Child<'_>) {
    let has = |name: &str| child.children().any(|part| part.name() == name);
    let types: Vec<&str> =
        TYPES.iter().filter(|(temp, _)| has(temp)).map(|(_, four)| *four).collect();
    if types.is_empty() && !has("PREF") {
        return;
    }
    out.push_str("<parameters>");
    if !types.is_empty() {
        out.push_str("<type>");
        types.iter().for_each(|kind| element(out, "text", kind));
        out.push_str("</type>");
    }
    if has("PREF") {
        out.push_str("<pref><integer>1</integer></pref>");
    }
    out.push_str("</parameters>");
}

fn part(child: Child<'_>, name: &str) -> Option<String> {
    parts(child, name).into_iter().next()
}
