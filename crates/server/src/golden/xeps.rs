//! The specifications that are implemented, gathered from the modules and from the list below.

use std::collections::BTreeMap;

use waxwing_kernel::module::Xep;

use super::suites;
use super::titles::TITLES;
use crate::modules::MODULES;

/// What is implemented below the modules, and in which crate.
const CORE: &[(Xep, &str)] = &[
    (Xep(82, "1.1.1"), "kernel"),
    (Xep(124, "1.11.2").lacks("several streams in one session, keys for insecure ones"), "net"),
    (Xep(156, "1.4.0"), "net"),
    (Xep(175, "1.2"), "stream"),
    (Xep(178, "1.2").lacks("links between servers"), "stream"),
    (Xep(198, "1.6.3"), "stream"),
    (Xep(199, "2.0.1"), "stream"),
    (Xep(206, "1.4"), "net"),
    (Xep(368, "1.1.0"), "net"),
    (Xep(386, "1.1.0"), "stream"),
    (Xep(388, "1.0.4"), "stream"),
    (Xep(440, "1.0.0"), "stream"),
    (Xep(468, "0.1.0").lacks("certificates of servers that call"), "net"),
    (Xep(474, "0.5.0"), "stream"),
    (Xep(478, "0.2.0"), "stream"),
    (Xep(480, "0.2.0"), "stream"),
    (Xep(487, "0.1.0").lacks("keys of our own to pin, encrypted ClientHello, QUIC"), "net"),
    (Xep(495, "0.1.0"), "net"),
    (Xep(509, "0.2.0"), "stream"),
    (Xep(515, "0.1.0"), "stream"),
];

/// One specification, whoever takes part in it.
pub(super) struct Claim {
    pub(super) number: u16,
    pub(super) version: &'static str,
    /// The modules and crates.
    pub(super) places: Vec<&'static str>,
    /// What each of them leaves out, if anything.
    pub(super) lacks: Vec<&'static str>,
}

impl Claim {
    pub(super) fn title(&self) -> &'static str {
        let known = TITLES.iter().find(|(number, _)| *number == self.number);
        known.map(|(_, title)| *title).unwrap_or_else(|| {
            panic!("titles.rs does not say what XEP-{:04} is called", self.number)
        })
    }

    /// Where it is on the web.
    pub(super) fn address(&self) -> String {
        format!("https://xmpp.org/extensions/xep-{:04}.html", self.number)
    }
}

/// What is claimed, by number.
pub(super) fn claims() -> Vec<Claim> {
    let of_modules = MODULES
        .iter()
        .flat_map(|mount| mount.about.xeps.iter().map(|xep| (*xep, mount.about.name)));
    let mut claims: BTreeMap<u16, Claim> = BTreeMap::new();
    for (Xep { number, version, lacks }, place) in CORE.iter().copied().chain(of_modules) {
        let new = || Claim { number, version, places: Vec::new(), lacks: Vec::new() };
        let claim = claims.entry(number).or_insert_with(new);
        assert_eq!(claim.version, version, "XEP-{number:04} is claimed in two versions");
        claim.places.push(place);
        claim.lacks.extend(Some(lacks).filter(|lacks| !lacks.is_empty()));
    }
    for claim in claims.values_mut() {
        claim.places.sort_unstable();
        claim.places.dedup();
    }
    claims.into_values().collect()
}

/// `docs/xeps.md`.
pub(super) fn page(claims: &[Claim]) -> String {
    let mut text = String::from(
        "# Specifications\n\n\
         RFC 6120, 6121, 7395, 7590 and 7622 for client streams, and these extensions. Where names \
         a module, its\npage is in `crates/modules/src`. Each is shown by a scenario or another \
         test that names it. The same is\nin `waxwing.doap`, for programs.\n\n\
         | XEP | title | version | where | left out |\n| --- | --- | --- | --- | --- |\n",
    );
    for claim in claims {
        text += &format!(
            "| [{:04}]({}) | {} | {} | {} | {} |\n",
            claim.number,
            claim.address(),
            claim.title(),
            claim.version,
            claim.places.join(", "),
            claim.lacks.join("; "),
        );
    }
    text + &suites::section(claims)
}

#[test]
fn an_extension_stands_in_one_row_whoever_takes_part() {
    let claims = claims();
    assert!(claims.windows(2).all(|pair| pair[0].number < pair[1].number));
    let ping = claims.iter().find(|claim| claim.number == 199).expect("ping is claimed");
    assert_eq!(ping.places, ["ping", "stream"]);
}
