#![cfg_attr(not(doctest), doc = include_str!("contact.md"))]

use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::routes::Routes;
use waxwing_kernel::{SiteBuilder, section};
use waxwing_stanza::payload::dataform::{DataForm, Field, FieldType, FormType};

/// §3: "This information MUST be scoped using a FORM_TYPE of …".
const FORM: &str = "http://jabber.org/network/serverinfo";

section! {
    /// Whom people turn to, as URIs such as `["mailto:abuse@example.org"]`.
    pub struct ContactConfig("contact") {
        /// For reports of abuse.
        pub abuse: Vec<String> = [],
        /// The admins.
        pub admin: Vec<String> = [],
        /// For what people think of the service.
        pub feedback: Vec<String> = [],
        /// For those who want to buy something.
        pub sales: Vec<String> = [],
        /// For reports of weaknesses.
        pub security: Vec<String> = [],
        /// Where the state of the service is shown.
        pub status: Vec<String> = [],
        /// For those who need help.
        pub support: Vec<String> = [],
    }
}

/// Shows whom people turn to.
pub struct Contact {
    form: Option<DataForm>,
}

impl Module for Contact {
    const ABOUT: &'static About = &About {
        name: "contact",
        summary: "Shows the addresses of those who run the server.",
        is_on: true,
        xeps: &[Xep(157, "1.1.1")],
        server_features: &[],
        account_features: &[],
        manual: include_str!("contact.md"),
    };
    type Config = ContactConfig;

    fn start(_: &mut SiteBuilder<'_>, config: ContactConfig) -> Result<Self, StartError> {
        form(config)
            .map(|form| Self { form })
            .map_err(|reason| StartError { module: Self::ABOUT.name, reason })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.server_form(|contact| contact.form.clone());
    }
}

/// The form of what is set; none when nothing is.
fn form(config: ContactConfig) -> Result<Option<DataForm>, String> {
    let ContactConfig { abuse, admin, feedback, sales, security, status, support } = config;
    let all = [
        ("abuse", abuse),
        ("admin", admin),
        ("feedback", feedback),
        ("sales", sales),
        ("security", security),
        ("status", status),
        ("support", support),
    ];
    let mut form = DataForm::new(FormType::Result).about(FORM);
    for (role, addresses) in all.into_iter().filter(|(_, addresses)| !addresses.is_empty()) {
        if let Some(wrong) = addresses.iter().find(|address| !is_uri(address)) {
            return Err(format!(
                "`{role}` has {wrong:?}, which is no URI; write it like \
                 \"mailto:{role}@example.org\", \"xmpp:{role}@example.org\" or \
                 \"https://example.org/{role}\""
            ));
        }
        let field = Field::new(FieldType::ListMulti, format!("{role}-addresses"));
        form = form.with(Field { values: addresses, ..field });
    }
    Ok((form.fields.len() > 1).then_some(form))
}

/// §3: "Values … SHOULD be valid URIs"; those of `status-addresses` MUST. A scheme, a colon and
/// something without spaces (RFC 3986 §3).
fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || "+-.".contains(letter);
    scheme.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && scheme.chars().all(is_letter)
        && !rest.is_empty()
        && !text.contains(|letter: char| letter.is_whitespace() || letter.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_shown_when_nothing_is_set() {
        assert_eq!(form(ContactConfig::default()), Ok(None));
    }

    #[test]
    fn what_is_set_is_shown_under_its_registered_name() {
        let abuse = vec!["mailto:abuse@example.org".to_owned()];
        let config = ContactConfig { abuse: abuse.clone(), ..ContactConfig::default() };
        let form = form(config).unwrap().unwrap();
        assert_eq!(form.form_type(), Some(FORM));
        assert_eq!(form.values("abuse-addresses"), abuse);
        assert_eq!(form.fields.len(), 2);
    }

    #[test]
    fn what_is_no_uri_is_refused_by_name() {
        for wrong in ["abuse@example.org", "", "mailto:", "mailto:a b", ":x", "1x:y"] {
            let config =
                ContactConfig { status: vec![wrong.to_owned()], ..ContactConfig::default() };
            assert!(form(config).unwrap_err().contains("`status`"), "{wrong}");
        }
    }
}
