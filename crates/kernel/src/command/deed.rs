//! What an admin did, for whoever keeps account of it.

use super::field::FieldKind;
use super::{Access, Caller, Command, CommandAbout, FieldAbout, Refusal, Said, Values};
use crate::site::Site;

/// A command that was carried out or refused.
#[derive(Clone, Debug)]
pub struct Deed {
    /// Who gave it.
    pub caller: Caller,
    /// The command.
    pub about: &'static CommandAbout,
    /// What was filled in.
    values: Values,
    /// `done`, or why not.
    pub outcome: String,
}

impl Deed {
    /// What was filled in, in words: `accountjid: romeo@example.org; reason: spam`. What is secret
    /// is left out.
    pub fn filled(&self) -> String {
        let is_told = |field: &&FieldAbout| field.kind != FieldKind::Private && !field.is_unnoted;
        let fields = self.about.fields.iter().filter(is_told);
        let filled = fields.filter_map(|field| {
            let values = self.values.of(field.var).join(", ");
            (!values.is_empty()).then(|| format!("{}: {values}", field.var))
        });
        filled.collect::<Vec<_>>().join("; ")
    }
}

impl Site {
    /// Answers a caller, if that caller may ask, and lets it be noted when it is an admin's deed.
    ///
    /// # Errors
    /// The command's refusal.
    pub async fn run(
        &self,
        command: &Command,
        caller: Caller,
        is_admin: bool,
        values: Values,
    ) -> Result<Said, Refusal> {
        let about = command.about();
        // What everybody may do is a deed when a program does it for an admin.
        let is_official = about.access == Access::Admin || matches!(caller, Caller::Token { .. });
        let is_deed = is_official && !about.is_read;
        let noted = is_deed.then(|| (caller.clone(), values.clone()));
        let answer = command.run(caller, is_admin, values).await;
        if let Some((caller, values)) = noted {
            let outcome = match &answer {
                Ok(_) => "done".to_owned(),
                Err(refusal) => refused(about, refusal),
            };
            self.router.note(Deed { caller, about, values, outcome }).await;
        }
        answer
    }
}

/// Why it was refused; what is wrong with a field that is left out may be told in its words.
fn refused(about: &CommandAbout, refusal: &Refusal) -> String {
    let field = about.fields.iter().find(|field| Some(field.var) == refusal.field);
    match field.filter(|field| field.kind == FieldKind::Private || field.is_unnoted) {
        Some(field) => format!("{}: {}", field.var, refusal.kind.condition()),
        None => refusal.to_string(),
    }
}

#[cfg(test)]
#[allow(unreachable_pub, reason = "forms are public")]
mod tests {
    use super::*;

    crate::form! {
        /// Change something.
        pub struct Change {
            /// What.
            pub domain: String,
            /// How.
            [unnoted] pub settings: Option<String>,
        }
    }

    #[test]
    fn what_is_wrong_with_a_secret_is_not_noted_in_its_words() {
        let Change { domain, settings } = Change { domain: String::new(), settings: None };
        assert!(domain.is_empty() && settings.is_none(), "both are there");
        let about = CommandAbout::of::<Change>("urn:x#change", &["change"]);
        let refusal = Refusal::invalid("settings", "no TOML: password = x");
        assert_eq!(refused(&about, &refusal), "settings: not-acceptable");
        let refusal = Refusal::invalid("domain", "no domain");
        assert_eq!(refused(&about, &refusal), "domain: no domain");
    }
}
