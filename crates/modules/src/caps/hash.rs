//! The hash of what an entity can do (§5.1), and what an answer must look like to be believed
//! (§5.4).

use std::collections::HashSet;

use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA512, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use waxwing_stanza::payload::dataform::{DataForm, FORM_TYPE, Field, FieldType};
use waxwing_stanza::payload::disco::Info;

/// A hash function that clients may use. §9.1: "All implementations MUST support SHA-1."
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Algorithm {
    /// What nearly all use.
    Sha1,
    Sha256,
    Sha512,
}

impl Algorithm {
    /// By its name in the registry of hash functions (RFC 3279 and its successors).
    pub(super) fn read(name: &str) -> Option<Self> {
        match name {
            "sha-1" => Some(Self::Sha1),
            "sha-256" => Some(Self::Sha256),
            "sha-512" => Some(Self::Sha512),
            _ => None,
        }
    }

    fn digest(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha1 => &SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &SHA256,
            Self::Sha512 => &SHA512,
        }
    }
}

/// §5.1: the string S, hashed and written in Base64.
pub(super) fn verification(info: &Info, algorithm: Algorithm) -> String {
    STANDARD.encode(digest(algorithm.digest(), source(info).as_bytes()))
}

/// §5.4: whether an answer is well-formed and stands for `ver`.
pub(super) fn stands_for(info: &Info, algorithm: Algorithm, ver: &str) -> bool {
    is_well_formed(info) && verification(info, algorithm) == ver
}

/// §5.4, 3.3 to 3.5: nothing may be there twice. And nothing may contain what the parts of S are
/// told apart by: another answer could have the same S otherwise (§9.3, "trivial preimage attack").
fn is_well_formed(info: &Info) -> bool {
    let (mut identities, mut features, mut forms) =
        (HashSet::new(), HashSet::new(), HashSet::new());
    let is_new_identity = info.identities.iter().all(|it| {
        let parts = [Some(&it.category), Some(&it.kind), it.lang.as_ref(), it.name.as_ref()];
        !parts.into_iter().flatten().any(|part| part.contains('<'))
            && identities.insert((&it.category, &it.kind, &it.lang, &it.name))
    });
    let is_new_feature =
        info.features.iter().all(|it| !it.var.contains('<') && features.insert(&it.var));
    let is_new_form = info.forms.iter().all(|form| {
        let Some(of) = form.field(FORM_TYPE) else { return true };
        of.values.iter().all(|value| Some(value) == of.values.first())
            && form.form_type().is_none_or(|form_type| forms.insert(form_type.to_owned()))
            && form.fields.iter().all(|field| !contains_mark(field))
    });
    is_new_identity && is_new_feature && is_new_form
}

fn contains_mark(field: &Field) -> bool {
    field.var.as_ref().is_some_and(|var| var.contains('<'))
        || field.values.iter().any(|value| value.contains('<'))
}

/// §5.1: the string S of "identities", "features" and "forms", each sorted by its bytes.
fn source(info: &Info) -> String {
    let mut out = String::new();
    let mut identities: Vec<[&str; 4]> = (info.identities.iter())
        .map(|it| {
            let (lang, name) = (it.lang.as_deref(), it.name.as_deref());
            [&it.category, &it.kind, lang.unwrap_or_default(), name.unwrap_or_default()]
        })
        .collect();
    identities.sort_unstable();
    for identity in identities {
        // "Note that each slash is included even if the LANG or NAME is not included".
        append(&mut out, &identity.join("/"));
    }
    let mut features: Vec<&str> = info.features.iter().map(|it| it.var.as_str()).collect();
    features.sort_unstable();
    features.into_iter().for_each(|feature| append(&mut out, feature));
    // §5.4: a form "where the FORM_TYPE field is not of type "hidden" or the form does not
    // include a FORM_TYPE field" is ignored.
    let mut forms: Vec<(&str, &DataForm)> =
        info.forms.iter().filter_map(|form| Some((form_type(form)?, form))).collect();
    forms.sort_unstable_by_key(|(form_type, _)| *form_type);
    for (form_type, form) in forms {
        append(&mut out, form_type);
        append_fields(&mut out, &form.fields);
    }
    out
}

fn form_type(form: &DataForm) -> Option<&str> {
    let field = form.field(FORM_TYPE)?;
    (field.kind == Some(FieldType::Hidden)).then(|| form.form_type()).flatten()
}

/// "Sort the fields by the value of the "var" attribute. For each field other than FORM_TYPE …".
fn append_fields(out: &mut String, fields: &[Field]) {
    let named = |field: &'_ Field| field.var.clone().filter(|var| var != FORM_TYPE);
    let mut fields: Vec<(String, &Field)> =
        fields.iter().filter_map(|field| Some((named(field)?, field))).collect();
    fields.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    for (var, field) in fields {
        append(out, &var);
        let mut values: Vec<&str> = field.values.iter().map(String::as_str).collect();
        values.sort_unstable();
        values.into_iter().for_each(|value| append(out, value));
    }
}

/// "… followed by the '<' character".
fn append(out: &mut String, part: &str) {
    out.push_str(part);
    out.push('<');
}

#[cfg(test)]
mod tests {
    use waxwing_stanza::payload::dataform::FormType;
    use waxwing_stanza::payload::disco::Identity;

    use super::*;

    const FEATURES: [&str; 4] = [
        "http://jabber.org/protocol/muc",
        "http://jabber.org/protocol/disco#items",
        "http://jabber.org/protocol/disco#info",
        "http://jabber.org/protocol/caps",
    ];

    fn simple() -> Info {
        let identities = vec![Identity::new("client", "pc", Some("Exodus 0.9.1"))];
        Info { identities, ..Info::default() }.with(FEATURES)
    }

    /// Software information (XEP-0232), as in §5.3.
    fn software(form_type: &str) -> DataForm {
        let field = |var: &str, value: &str| Field::new(FieldType::TextSingle, var).value(value);
        DataForm::new(FormType::Result)
            .about(form_type)
            .with(field("software_version", "0.11"))
            .with(field("software", "Psi"))
            .with(field("os", "Mac"))
            .with(field("os_version", "10.5.1"))
            .with(field("ip_version", "ipv6").value("ipv4"))
    }

    fn complex() -> Info {
        let named = |lang: &str, name| Identity {
            lang: Some(lang.to_owned()),
            ..Identity::new("client", "pc", Some(name))
        };
        let info = Info {
            identities: vec![named("en", "Psi 0.11"), named("el", "Ψ 0.11")],
            forms: vec![software("urn:xmpp:dataforms:softwareinfo")],
            ..Info::default()
        };
        info.with(FEATURES)
    }

    #[test]
    fn the_simple_example_of_section_5_2() {
        assert_eq!(verification(&simple(), Algorithm::Sha1), "QgayPKawpkPSDYmwT/WM94uAlu0=");
        assert!(stands_for(&simple(), Algorithm::Sha1, "QgayPKawpkPSDYmwT/WM94uAlu0="));
        assert!(!stands_for(&simple(), Algorithm::Sha1, "66/0NaeaBKkwk85efJTGmU47vXI="));
        assert!(!stands_for(&simple(), Algorithm::Sha256, "QgayPKawpkPSDYmwT/WM94uAlu0="));
    }

    #[test]
    fn the_complex_example_of_section_5_3() {
        assert!(stands_for(&complex(), Algorithm::Sha1, "q07IKJEyjvHSyhy//CH0CxmKi8w="));
    }

    #[test]
    fn order_and_repetition_do_not_matter() {
        let identities = vec![Identity::new("server", "im", None)];
        let info = Info { identities, ..Info::default() };
        let once = info.clone().with(["b", "a"]).sorted();
        let twice = info.with(["a", "b", "a"]).sorted();
        assert_eq!(verification(&once, Algorithm::Sha1), verification(&twice, Algorithm::Sha1));
        assert_eq!(source(&once), "server/im//<a<b<");
    }

    /// §5.4: "If the response includes more than one …, consider the entire response to be
    /// ill-formed."
    #[test]
    fn an_answer_that_says_something_twice_is_ill_formed() {
        let believed =
            |info: &Info| stands_for(info, Algorithm::Sha1, &verification(info, Algorithm::Sha1));
        assert!(believed(&complex()));
        let mut info = complex();
        info.features.push(info.features[0].clone());
        assert!(!believed(&info), "a feature");
        let mut info = complex();
        info.identities.push(info.identities[0].clone());
        assert!(!believed(&info), "an identity");
        let mut info = complex();
        info.forms.push(software("urn:xmpp:dataforms:softwareinfo"));
        assert!(!believed(&info), "a form");
        let mut info = complex();
        info.forms[0].fields[0].values.push("urn:other".to_owned());
        assert!(!believed(&info), "a FORM_TYPE with two values");
    }

    /// §5.4: "If the response includes an extended service discovery information form where the
    /// FORM_TYPE field is not of type "hidden" or the form does not include a FORM_TYPE field,
    /// ignore the form but continue processing."
    #[test]
    fn a_form_about_nothing_is_ignored() {
        let mut info = complex();
        let mut other = software("urn:other");
        other.fields[0].kind = Some(FieldType::TextSingle);
        info.forms.push(other);
        let mut nameless = software("urn:nameless");
        nameless.fields.remove(0);
        info.forms.push(nameless);
        assert!(stands_for(&info, Algorithm::Sha1, "q07IKJEyjvHSyhy//CH0CxmKi8w="));
    }

    /// §9.3: one feature made of two has the same S.
    #[test]
    fn parts_that_contain_the_mark_between_parts_are_not_believed() {
        let identities = vec![Identity::new("client", "pc", Some("Exodus 0.9.1"))];
        let info = Info { identities, ..Info::default() };
        let forged = info.with([
            "http://jabber.org/protocol/caps<http://jabber.org/protocol/disco#info",
            "http://jabber.org/protocol/disco#items",
            "http://jabber.org/protocol/muc",
        ]);
        assert_eq!(source(&forged), source(&simple()));
        assert!(!stands_for(&forged, Algorithm::Sha1, "QgayPKawpkPSDYmwT/WM94uAlu0="));
    }
}
