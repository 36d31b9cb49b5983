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
                Err(refusal) => refusal.to_string(),
            };
            self.router.note(Deed { caller, about, values, outcome }).await;
        }
        answer
    }
}
