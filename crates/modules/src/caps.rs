#![cfg_attr(not(doctest), doc = include_str!("caps.md"))]

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use waxwing_kernel::config::NoConfig;
use waxwing_kernel::disco::{DiscoAnswer, DiscoAsk, DiscoNode};
use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::routes::Routes;
use waxwing_kernel::{Site, SiteBuilder};
use waxwing_stanza::payload::dataform::{DataForm, FORM_TYPE, Field};
use waxwing_stanza::payload::disco::{INFO, Info};
use waxwing_xml::write;

const NS: &str = "http://jabber.org/protocol/caps";

/// §4: "A URI that uniquely identifies a software application".
const NODE: &str = "urn:waxwing:server";

/// Tells clients in the stream features what the server can do, as a hash.
pub struct Caps;

impl Module for Caps {
    const ABOUT: &'static About = &About {
        name: "caps",
        summary: "Spares clients asking what the server can do when they know it already.",
        is_on: true,
        xeps: &[Xep(115, "1.6.0")],
        server_features: &[NS],
        account_features: &[],
        manual: include_str!("caps.md"),
    };
    type Config = NoConfig;

    fn start(_: &mut SiteBuilder<'_>, _: NoConfig) -> Result<Self, StartError> {
        Ok(Self)
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.stream_feature(Self::feature);
        on.disco_nodes(Self::node);
    }
}

impl Caps {
    /// §6.3: "A server MAY include its entity capabilities in a stream feature element". Nothing
    /// where nobody could ask what the hash stands for.
    fn feature(&self, site: &Site) -> Option<String> {
        let info = site.disco_info();
        if !info.has(INFO) {
            return None;
        }
        let mut out = String::from("<c");
        for (name, value) in
            [("xmlns", NS), ("hash", "sha-1"), ("node", NODE), ("ver", &verification(&info))]
        {
            write::attribute(&mut out, name, value);
        }
        out.push_str("/>");
        Some(out)
    }

    /// §6.2: the disco node is "the value of the caps 'node' attribute …, the "#" character, and
    /// the value of the caps 'ver' attribute". Of another hash, as it was before a change of the
    /// configuration, nothing is known any more.
    fn node(&self, ask: &DiscoAsk<'_>) -> DiscoAnswer {
        let asked = ask.node.strip_prefix(NODE).and_then(|rest| rest.strip_prefix('#'));
        let Some(asked) = asked else { return Ok(None) };
        let info = ask.site.disco_info();
        let is_current = asked == verification(&info);
        Ok(is_current.then(|| DiscoNode { info, items: Vec::new() }))
    }
}

/// §5.1: the string S, hashed with SHA-1 and written in Base64.
fn verification(info: &Info) -> String {
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, source(info).as_bytes()))
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
    // include a FORM_TYPE field" is ignored; ours all have one.
    let mut forms: Vec<(&str, &DataForm)> =
        info.forms.iter().filter_map(|form| Some((form.form_type()?, form))).collect();
    forms.sort_unstable_by_key(|(form_type, _)| *form_type);
    for (form_type, form) in forms {
        append(&mut out, form_type);
        append_fields(&mut out, &form.fields);
    }
    out
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
    use waxwing_stanza::payload::dataform::{FieldType, FormType};
    use waxwing_stanza::payload::disco::Identity;

    use super::*;

    const FEATURES: [&str; 4] = [
        "http://jabber.org/protocol/muc",
        "http://jabber.org/protocol/disco#items",
        "http://jabber.org/protocol/disco#info",
        "http://jabber.org/protocol/caps",
    ];

    #[test]
    fn the_simple_example_of_section_5_2() {
        let identities = vec![Identity::new("client", "pc", Some("Exodus 0.9.1"))];
        let info = Info { identities, ..Info::default() }.with(FEATURES);
        assert_eq!(verification(&info), "QgayPKawpkPSDYmwT/WM94uAlu0=");
    }

    #[test]
    fn the_complex_example_of_section_5_3() {
        let named = |lang: &str, name| Identity {
            lang: Some(lang.to_owned()),
            ..Identity::new("client", "pc", Some(name))
        };
        let field = |var: &str, value: &str| Field::new(FieldType::TextSingle, var).value(value);
        let form = DataForm::new(FormType::Result)
            .about("urn:xmpp:dataforms:softwareinfo")
            .with(field("software_version", "0.11"))
            .with(field("software", "Psi"))
            .with(field("os", "Mac"))
            .with(field("os_version", "10.5.1"))
            .with(field("ip_version", "ipv6").value("ipv4"));
        let info = Info {
            identities: vec![named("en", "Psi 0.11"), named("el", "Ψ 0.11")],
            forms: vec![form],
            ..Info::default()
        };
        assert_eq!(verification(&info.with(FEATURES)), "q07IKJEyjvHSyhy//CH0CxmKi8w=");
    }

    #[test]
    fn order_and_repetition_do_not_matter() {
        let identities = vec![Identity::new("server", "im", None)];
        let info = Info { identities, ..Info::default() };
        let once = info.clone().with(["b", "a"]).sorted();
        let twice = info.with(["a", "b", "a"]).sorted();
        assert_eq!(verification(&once), verification(&twice));
        assert_eq!(source(&once), "server/im//<a<b<");
    }
}
