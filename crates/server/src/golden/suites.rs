//! The compliance suites of 2023 (XEP-0479) as far as they concern servers.

use super::xeps::Claim;

/// One line of a suite.
struct Feature {
    category: &'static str,
    name: &'static str,
    /// Whether a server needs it, and not only an advanced one.
    is_basic: bool,
    /// The extensions that provide it.
    xeps: &'static [u16],
    /// The RFC where it is one, which is met.
    rfc: &'static str,
}

const fn basic(category: &'static str, name: &'static str, xeps: &'static [u16]) -> Feature {
    Feature { category, name, is_basic: true, xeps, rfc: "" }
}

const fn advanced(category: &'static str, name: &'static str, xeps: &'static [u16]) -> Feature {
    Feature { is_basic: false, ..basic(category, name, xeps) }
}

const fn rfc(category: &'static str, name: &'static str, rfc: &'static str) -> Feature {
    Feature { rfc, ..basic(category, name, &[]) }
}

const CATEGORIES: [&str; 5] = ["Core", "Web", "IM", "Mobile", "A/V calling"];

/// XEP-0479 §2 to §6, version 0.1.0, the columns "Server" and "Advanced Server".
const FEATURES: &[Feature] = &[
    rfc("Core", "Core features", "RFC 6120"),
    rfc("Core", "TLS", "RFC 7590"),
    advanced("Core", "Direct TLS", &[368]),
    basic("Core", "Feature discovery", &[30]),
    advanced("Core", "Feature broadcasts", &[115]),
    basic("Core", "Server extensibility", &[114]),
    advanced("Core", "Event publishing", &[163]),
    Feature { rfc: "RFC 7395", ..basic("Web", "Web connection mechanisms", &[206, 124]) },
    rfc("IM", "Core features", "RFC 6121"),
    advanced("IM", "User avatar compatibility", &[398, 153]),
    basic("IM", "vcard-temp", &[54]),
    basic("IM", "Outbound message synchronization", &[280]),
    advanced("IM", "User blocking", &[191]),
    basic("IM", "Group chat", &[45, 249]),
    advanced("IM", "Advanced group chat", &[45, 48, 313, 402]),
    advanced("IM", "Private data by publish-subscribe", &[223]),
    advanced("IM", "Private XML storage", &[49]),
    advanced("IM", "Stream management", &[198]),
    advanced("IM", "History storage and retrieval", &[313]),
    basic("IM", "File upload", &[363]),
    basic("Mobile", "Stream management", &[198]),
    basic("Mobile", "Client state indication", &[352]),
    advanced("Mobile", "Push notifications", &[357]),
    basic("A/V calling", "STUN and TURN discovery", &[215]),
];

impl Feature {
    /// What is not there yet.
    fn missing(&self, claims: &[Claim]) -> Vec<String> {
        let is_claimed = |number: u16| claims.iter().any(|claim| claim.number == number);
        let missing = self.xeps.iter().filter(|number| !is_claimed(**number));
        missing.map(|number| format!("{number:04}")).collect()
    }

    fn providers(&self) -> String {
        let rfc = (!self.rfc.is_empty()).then(|| self.rfc.to_owned());
        let xeps = self.xeps.iter().map(|number| format!("{number:04}"));
        rfc.into_iter().chain(xeps).collect::<Vec<_>>().join(", ")
    }
}

/// Whether every feature of a category is there, at the lower or the upper level. "To be considered
/// XMPP web compliant, all features from the core compliance category must be met", and so for the
/// others.
fn is_met(category: &str, is_advanced: bool, claims: &[Claim]) -> bool {
    FEATURES
        .iter()
        .filter(|feature| feature.category == category || feature.category == "Core")
        .filter(|feature| is_advanced || feature.is_basic)
        .all(|feature| feature.missing(claims).is_empty())
}

/// The part of `docs/xeps.md` about them.
pub(super) fn section(claims: &[Claim]) -> String {
    let mut text = String::from(
        "\n## Compliance suites\n\n\
         Where Waxwing stands in the suites of 2023 ([0479](https://xmpp.org/extensions/xep-0479.html), \
         the newest there are).\nA category needs all of its own features and those of Core.\n\n\
         | category | server | advanced server |\n| --- | --- | --- |\n",
    );
    let word = |is_met| if is_met { "met" } else { "not yet" };
    for category in CATEGORIES {
        let [server, advanced] = [false, true].map(|level| word(is_met(category, level, claims)));
        text += &format!("| {category} | {server} | {advanced} |\n");
    }
    text += "\n| category | feature | level | specifications | missing |\n\
             | --- | --- | --- | --- | --- |\n";
    for feature in FEATURES {
        text += &format!(
            "| {} | {} | {} | {} | {} |\n",
            feature.category,
            feature.name,
            if feature.is_basic { "server" } else { "advanced server" },
            feature.providers(),
            feature.missing(claims).join(", "),
        );
    }
    text
}

#[test]
fn a_category_is_met_with_all_of_its_features_and_those_of_core() {
    let claim = |number| Claim { number, version: "1", places: Vec::new(), lacks: Vec::new() };
    let claims = |numbers: &[u16]| numbers.iter().map(|number| claim(*number)).collect::<Vec<_>>();
    assert!(is_met("Core", false, &claims(&[30, 114])) && !is_met("Core", false, &claims(&[30])));
    assert!(!is_met("Core", true, &claims(&[30, 114])));
    assert!(is_met("Mobile", false, &claims(&[30, 114, 198, 352])));
    assert!(!is_met("Mobile", false, &claims(&[198, 352])));
    assert!(FEATURES.iter().all(|feature| CATEGORIES.contains(&feature.category)));
}
