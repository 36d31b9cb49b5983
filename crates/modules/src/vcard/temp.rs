//! From vCard4 (RFC 6351) to vcard-temp (XEP-0054), the way back of XEP-0292 §7.

use waxwing_xml::Child;
use waxwing_xml::write::element;

use super::four::{NAME, PLACE, TEXTS, TYPES};
use super::tree::{Tree, parts};
use super::{NS, NS4};

/// The vcard-temp of a vCard4. What only vCard4 has is left out.
pub(super) fn temp(card: &str) -> String {
    let tree = Tree::read(card);
    let mut out = format!("<vCard xmlns='{NS}'>");
    if let Some(card) = tree.root("vcard", NS4) {
        for child in card.children() {
            // RFC 6351 §5: properties may stand in groups.
            if child.is("group", NS4) {
                child.children().for_each(|child| property(&mut out, child));
            } else {
                property(&mut out, child);
            }
        }
    }
    out.push_str("</vCard>");
    out
}

fn property(out: &mut String, child: Child<'_>) {
    if child.namespace() != NS4 {
        return;
    }
    let text = any(child);
    match child.name() {
        "fn" => element(out, "FN", &text),
        // Both NOTE and DESC become a note; clients show the latter.
        "note" => element(out, "DESC", &text),
        "n" => structure(out, "N", child, &NAME),
        "adr" => structure(out, "ADR", child, &PLACE),
        "tel" => typed(out, "TEL", "NUMBER", child, text.strip_prefix("tel:").unwrap_or(&text)),
        "email" => typed(out, "EMAIL", "USERID", child, &text),
        "impp" => {
            if let Some(address) = text.strip_prefix("xmpp:") {
                element(out, "JABBERID", address);
            }
        }
        "geo" => {
            let place = text.strip_prefix("geo:").and_then(|place| place.split_once(','));
            if let Some((lat, rest)) = place {
                let lon = rest.split([',', ';']).next().unwrap_or_default();
                around(out, "GEO", |out| {
                    element(out, "LAT", lat);
                    element(out, "LON", lon);
                });
            }
        }
        "org" => around(out, "ORG", |out| {
            for (index, text) in parts(child, "text").iter().enumerate() {
                element(out, if index == 0 { "ORGNAME" } else { "ORGUNIT" }, text);
            }
        }),
        "categories" => around(out, "CATEGORIES", |out| {
            parts(child, "text").iter().for_each(|text| element(out, "KEYWORD", text));
        }),
        "key" => around(out, "KEY", |out| element(out, "CRED", &text)),
        "photo" => picture(out, "PHOTO", &text),
        "logo" => picture(out, "LOGO", &text),
        name => {
            if let Some((temp, ..)) = TEXTS.iter().find(|(_, four, _)| *four == name) {
                element(out, temp, &text);
            }
        }
    }
}

/// The value of a property with one value, whatever its type.
fn any(child: Child<'_>) -> String {
    let mut values = child.children().filter(|part| part.name() != "parameters");
    values.next().map(|value| value.text().trim().to_owned()).unwrap_or_default()
}

fn structure(out: &mut String, name: &str, child: Child<'_>, known: &[(&str, &str)]) {
    around(out, name, |out| {
        types(out, child);
        for (temp, four) in known {
            let texts = parts(child, four);
            if !texts.is_empty() {
                element(out, temp, &texts.join(" "));
            }
        }
    });
}

fn typed(out: &mut String, name: &str, part: &str, child: Child<'_>, text: &str) {
    around(out, name, |out| {
        types(out, child);
        element(out, part, text);
    });
}

fn types(out: &mut String, child: Child<'_>) {
    let Some(parameters) = child.child("parameters", NS4) else { return };
    if let Some(kinds) = parameters.child("type", NS4) {
        let kinds = parts(kinds, "text");
        let known = TYPES.iter().filter(|(_, four)| kinds.iter().any(|kind| kind == four));
        known.for_each(|(temp, _)| out.push_str(&format!("<{temp}/>")));
    }
    if parameters.child("pref", NS4).is_some() {
        out.push_str("<PREF/>");
    }
}

/// RFC 2397: `data:image/png;base64,…`; every other URI leads elsewhere.
fn picture(out: &mut String, name: &str, uri: &str) {
    let data = uri.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    around(out, name, |out| match data {
        Some((kind, data)) => {
            element(out, "TYPE", kind.split(';').next().unwrap_or_default());
            element(out, "BINVAL", data);
        }
        None => element(out, "EXTVAL", uri),
    });
}

fn around(out: &mut String, name: &str, content: impl FnOnce(&mut String)) {
    out.push_str(&format!("<{name}>"));
    content(out);
    out.push_str(&format!("</{name}>"));
}
