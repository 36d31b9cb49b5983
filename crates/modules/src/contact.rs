#![cfg_attr(not(doctest), doc = include_str!("contact.md"))]

use waxwing_kernel::config::Uri;
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
        pub abuse: Vec<Uri> = [],
        /// The admins.
        pub admin: Vec<Uri> = [],
        /// For what people think of the service.
        pub feedback: Vec<Uri> = [],
        /// For those who want to buy something.
        pub sales: Vec<Uri> = [],
        /// For reports of weaknesses.
        pub security: Vec<Uri> = [],
        /// Where the state of the service is shown.
        pub status: Vec<Uri> = [],
        /// For those who need help.
        pub support: Vec<Uri> = [],
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
        Ok(Self { form: form(config) })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.server_form(|contact| contact.form.clone());
    }
}

/// The form of what is set; none when nothing is. §3: "Values … SHOULD be valid URIs"; those of
/// `status-addresses` MUST.
fn form(config: ContactConfig) -> Option<DataForm> {
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
        let field = Field::new(FieldType::ListMulti, format!("{role}-addresses"));
        let values = addresses.iter().map(Uri::to_string).collect();
        form = form.with(Field { values, ..field });
    }
    (form.fields.len() > 1).then_some(form)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_shown_when_nothing_is_set() {
        assert_eq!(form(ContactConfig::default()), None);
    }

    #[test]
    fn what_is_set_is_shown_under_its_registered_name() {
        let abuse = vec![Uri::new("mailto:abuse@example.org").unwrap()];
        let form = form(ContactConfig { abuse, ..ContactConfig::default() }).unwrap();
        assert_eq!(form.form_type(), Some(FORM));
        assert_eq!(form.values("abuse-addresses"), ["mailto:abuse@example.org"]);
        assert_eq!(form.fields.len(), 2);
    }
}
