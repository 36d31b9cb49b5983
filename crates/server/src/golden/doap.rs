//! The description of the project for programs (DOAP, XEP-0453).

use super::xeps::Claim;

const RFCS: [u16; 5] = [6120, 6121, 7395, 7590, 7622];

/// `docs/waxwing.doap`. XEP-0453 §2: "The chosen RDF serialisation format MUST be RDF/XML".
pub(super) fn file(claims: &[Claim]) -> String {
    let mut text = String::from(
        "<?xml version='1.0' encoding='UTF-8'?>\n\
         <!-- Made by `cargo xtask golden` from what the modules declare. -->\n\
         <rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'\n         \
         xmlns='http://usefulinc.com/ns/doap#'\n         \
         xmlns:xmpp='https://linkmauve.fr/ns/xmpp-doap#'>\n  \
         <Project xml:lang='en'>\n    \
         <name>Waxwing</name>\n    \
         <shortdesc>An XMPP server: one program, everything in it</shortdesc>\n    \
         <license rdf:resource='https://www.apache.org/licenses/LICENSE-2.0'/>\n    \
         <language>en</language>\n    \
         <programming-language>Rust</programming-language>\n    \
         <os>Linux</os>\n    \
         <category rdf:resource='https://linkmauve.fr/ns/xmpp-doap#category-server'/>\n",
    );
    for rfc in RFCS {
        text += &format!("    <implements rdf:resource='https://xmpp.org/rfcs/rfc{rfc}.html'/>\n");
    }
    claims.iter().for_each(|claim| text += &supported(claim));
    text + "  </Project>\n</rdf:RDF>\n"
}

/// §4.2: `xep` and `status` are "Required".
fn supported(claim: &Claim) -> String {
    let status = if claim.lacks.is_empty() { "complete" } else { "partial" };
    let mut text = format!(
        "    <implements>\n      <xmpp:SupportedXep>\n        \
         <xmpp:xep rdf:resource='{}'/>\n        \
         <xmpp:status>{status}</xmpp:status>\n        \
         <xmpp:version>{}</xmpp:version>\n",
        claim.address(),
        claim.version,
    );
    if !claim.lacks.is_empty() {
        let lacks = escaped(&claim.lacks.join("; "));
        text += &format!("        <xmpp:note xml:lang='en'>Left out: {lacks}.</xmpp:note>\n");
    }
    text + "      </xmpp:SupportedXep>\n    </implements>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[test]
fn what_is_left_out_is_partial_and_said() {
    let claim = |lacks| Claim { number: 50, version: "1.3.0", places: Vec::new(), lacks };
    let (whole, part) = (supported(&claim(Vec::new())), supported(&claim(vec!["a < b"])));
    assert!(whole.contains("<xmpp:status>complete</") && !whole.contains("note"));
    assert!(part.contains("<xmpp:status>partial</"), "{part}");
    assert!(part.contains(">Left out: a &lt; b.</xmpp:note>"), "{part}");
}
