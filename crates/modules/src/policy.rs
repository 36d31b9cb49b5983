#![cfg_attr(not(doctest), doc = include_str!("policy.md"))]

use waxwing_kernel::config::{Flaw, Uri};
use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::routes::Routes;
use waxwing_kernel::{SiteBuilder, choice, section};
use waxwing_stanza::payload::dataform::{DataForm, Field, FieldType, FormType};

/// §3: "a data form using the 'FORM_TYPE' of …".
const FORM: &str = "urn:xmpp:data-policy:0";

section! {
    /// What happens to people's data, as clients show it to them. Nothing is shown until something
    /// is set; what is set is a promise that this server cannot keep by itself.
    pub struct PolicyConfig("policy", check = PolicyConfig::check) {
        /// What the server learns of passwords: `auth_data = "hidden"`.
        pub auth_data: Option<AuthData> = None,
        /// How many hours data such as messages or files are kept at most, `"infinite"` or
        /// `"unknown"`; `"0"`: they are only passed on. `data_retention = "720"`.
        pub data_retention: Option<String> = None,
        /// Whether people can delete single data by themselves: `data_deletion = true`.
        pub data_deletion: Option<bool> = None,
        /// Whether data is encrypted where it is stored: `encryption_at_rest = true`.
        pub encryption_at_rest: Option<bool> = None,
        /// The terms of service: `tos = "https://example.org/terms"`.
        pub tos: Option<Uri> = None,
        /// Whether people can take all their data with them: `data_export = true`.
        pub data_export: Option<bool> = None,
        /// Who besides the person can see accounts and data.
        pub access_policy: Vec<Access> = [],
        /// Whether people can erase their account with all data: `full_erasure = true`.
        pub full_erasure: Option<bool> = None,
        /// Hours between two backups; `"0"`: there are none. `backup_frequency = "24"`.
        pub backup_frequency: Option<String> = None,
        /// Hours that backups are kept at most, `"infinite"`, `"unknown"`, or `"0"` without
        /// backups: `backup_retention = "720"`.
        pub backup_retention: Option<String> = None,
        /// Whatever else people should know, line by line.
        pub extra_info: Vec<String> = [],
    }
}

choice! {
    /// What the server learns of passwords.
    pub enum AuthData {
        /// It is never told them, as with SCRAM alone.
        Hidden = "hidden",
        /// It is told them, as with PLAIN.
        Plain = "plain",
        /// It gets a restricted token instead.
        Restricted = "restricted",
        /// There are none.
        NoAuth = "no_auth",
    }
}

choice! {
    /// Who can see people's data.
    pub enum Access {
        /// Those who run the service.
        Admins = "admins",
        /// Those who moderate it.
        Moderators = "moderators",
        /// Everybody in the organisation that owns it.
        OrganizationMember = "organization_member",
        /// Authorities, as laws demand.
        Government = "government",
        /// Advertisers.
        Advertisers = "advertisers",
        /// Business partners.
        Partners = "partners",
        /// Nobody.
        None = "none",
    }
}

impl PolicyConfig {
    fn check(&self) -> Result<(), Flaw> {
        // §3.9: "If used, this value MUST be the only one selected."
        if self.access_policy.contains(&Access::None) && self.access_policy.len() > 1 {
            let problem = "`none` stands alone, or not at all".to_owned();
            return Err(Flaw { key: "access_policy", problem });
        }
        let open = ["infinite", "unknown"];
        hours("data_retention", self.data_retention.as_deref(), &open)?;
        hours("backup_retention", self.backup_retention.as_deref(), &open)?;
        hours("backup_frequency", self.backup_frequency.as_deref(), &[])
    }
}

fn hours(key: &'static str, value: Option<&str>, words: &[&str]) -> Result<(), Flaw> {
    let is_number = |text: &str| text.parse::<u32>().is_ok_and(|hours| hours.to_string() == text);
    match value {
        Some(text) if !is_number(text) && !words.contains(&text) => {
            let words: String = words.iter().map(|word| format!(" or \"{word}\"")).collect();
            Err(Flaw { key, problem: format!("expected a number of hours in quotes{words}") })
        }
        _ => Ok(()),
    }
}

/// Shows what happens to people's data.
pub struct Policy {
    form: Option<DataForm>,
}

impl Module for Policy {
    const ABOUT: &'static About = &About {
        name: "policy",
        summary: "Shows people what happens to their data.",
        is_on: true,
        xeps: &[Xep(504, "0.1.0").lacks("the fields about other networks")],
        server_features: &[],
        account_features: &[],
        manual: include_str!("policy.md"),
    };
    type Config = PolicyConfig;

    fn start(_: &mut SiteBuilder<'_>, config: PolicyConfig) -> Result<Self, StartError> {
        Ok(Self { form: form(config) })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.server_form(|policy| policy.form.clone());
    }
}

/// The form of what is set; none when nothing is.
fn form(config: PolicyConfig) -> Option<DataForm> {
    use FieldType::{Boolean, ListMulti, ListSingle, TextMulti, TextSingle};
    let truth = |flag: Option<bool>| flag.map(|flag| flag.to_string());
    let one = |kind, var, value: Option<String>| (kind, var, Vec::from_iter(value));
    let access = config.access_policy.iter().map(|access| access.word().to_owned()).collect();
    let auth = config.auth_data.map(|auth| auth.word().to_owned());
    let fields = [
        one(ListSingle, "auth_data", auth),
        one(TextSingle, "data_retention", config.data_retention),
        one(Boolean, "data_deletion", truth(config.data_deletion)),
        one(Boolean, "encryption_at_rest", truth(config.encryption_at_rest)),
        one(TextSingle, "tos", config.tos.map(|uri| uri.to_string())),
        one(Boolean, "data_export", truth(config.data_export)),
        (ListMulti, "access_policy", access),
        one(Boolean, "full_erasure", truth(config.full_erasure)),
        one(TextSingle, "backup_frequency", config.backup_frequency),
        one(TextSingle, "backup_retention", config.backup_retention),
        (TextMulti, "extra_info", config.extra_info),
    ];
    let mut form = DataForm::new(FormType::Result).about(FORM);
    for (kind, var, values) in fields.into_iter().filter(|(.., values)| !values.is_empty()) {
        form = form.with(Field { values, ..Field::new(kind, var) });
    }
    (form.fields.len() > 1).then_some(form)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_shown_when_nothing_is_set() {
        assert_eq!(form(PolicyConfig::default()), None);
    }

    #[test]
    fn what_is_set_is_shown_under_its_name_and_type() {
        let config = PolicyConfig {
            auth_data: Some(AuthData::NoAuth),
            data_deletion: Some(false),
            access_policy: vec![Access::Admins, Access::Government],
            ..PolicyConfig::default()
        };
        let form = form(config).unwrap();
        assert_eq!(form.form_type(), Some(FORM));
        assert_eq!(form.value("auth_data"), Some("no_auth"));
        assert_eq!(form.flag("data_deletion"), Some(false));
        assert_eq!(form.values("access_policy"), ["admins", "government"]);
        assert_eq!(form.field("access_policy").unwrap().kind, Some(FieldType::ListMulti));
        assert_eq!(form.fields.len(), 4);
    }

    #[test]
    fn hours_are_whole_and_words_are_known() {
        let check = |text: &str| {
            let text = Some(text.to_owned());
            PolicyConfig { data_retention: text, ..PolicyConfig::default() }.check().is_ok()
        };
        assert!(check("0") && check("720") && check("infinite") && check("unknown"));
        assert!(!check("") && !check("30 days") && !check("-1") && !check("007"));
        let frequency = Some("infinite".to_owned());
        let config = PolicyConfig { backup_frequency: frequency, ..PolicyConfig::default() };
        assert_eq!(config.check().unwrap_err().key, "backup_frequency");
        let access_policy = vec![Access::None, Access::Admins];
        let config = PolicyConfig { access_policy, ..PolicyConfig::default() };
        assert_eq!(config.check().unwrap_err().key, "access_policy");
    }
}
