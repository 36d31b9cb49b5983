//! The forms in which a configuration travels.

use waxwing_stanza::StanzaError;
use waxwing_stanza::payload::dataform::{DataForm, Field, FieldType, FormType};

use super::{Bounds, Config, FIELDS, FieldAbout, fields};
use crate::pubsub::errors;

/// What a form with a node's configuration is about.
pub(in super::super) const CONFIG_FORM: &str = "http://jabber.org/protocol/pubsub#node_config";
/// What a form with the options of a publication is about (§7.1.5).
pub(in super::super) const OPTIONS_FORM: &str = "http://jabber.org/protocol/pubsub#publish-options";
/// What a form with metadata is about (§5.4).
pub(in super::super) const META_FORM: &str = "http://jabber.org/protocol/pubsub#meta-data";

/// Those fields of the configuration that are metadata as well (§16.4.3).
const META: [&str; 8] = [
    "pubsub#title",
    "pubsub#description",
    "pubsub#type",
    "pubsub#language",
    "pubsub#contact",
    fields::ACCESS,
    "pubsub#publish_model",
    "pubsub#max_items",
];

impl Config {
    /// The form that an owner may fill in. `groups` are those of the owner's contacts.
    pub(in super::super) fn form(&self, groups: &[String]) -> DataForm {
        let fields = FIELDS.iter().map(|about| {
            let mut field = self.field(about);
            if about.var == "pubsub#roster_groups_allowed" {
                let all = groups.iter().chain(&self.groups);
                let mut all: Vec<&String> = all.collect();
                all.sort();
                all.dedup();
                field = all.into_iter().fold(field, |field, group| field.option(group, group));
            }
            about.choices.iter().fold(field, |field, (value, label)| field.option(*value, *label))
        });
        fields.fold(DataForm::new(FormType::Form).about(CONFIG_FORM), DataForm::with)
    }

    /// What it is, for those who are told of a new configuration (§8.2.5.3).
    pub(in super::super) fn result(&self) -> DataForm {
        let fields = FIELDS.iter().map(|about| self.field(about));
        fields.fold(DataForm::new(FormType::Result).about(CONFIG_FORM), DataForm::with)
    }

    /// What of it anybody may know who may know of the node. The values that are known only when
    /// somebody asks come behind it.
    pub(in super::super) fn metadata(&self) -> DataForm {
        let shown = FIELDS.iter().filter(|about| META.contains(&about.var));
        let fields = shown.map(|about| self.field(about));
        let fields = fields.filter(|field| !field.values.is_empty());
        fields.fold(DataForm::new(FormType::Result).about(META_FORM), DataForm::with)
    }

    fn field(&self, about: &FieldAbout) -> Field {
        let field = Field::new(about.kind, about.var).label(about.label);
        (about.show)(self).into_iter().fold(field, Field::value)
    }

    /// Whether the node is as a publication wants it (§7.1.5); if not, how it would have to be.
    ///
    /// # Errors
    /// When the form wants what no node can be.
    pub(in super::super) fn met_by(
        &self,
        wanted: &DataForm,
        bounds: Bounds,
    ) -> Result<Option<Self>, StanzaError> {
        if wanted.form_type() != Some(OPTIONS_FORM) {
            let text = format!("FORM_TYPE: a form with options of a publication is {OPTIONS_FORM}");
            return Err(StanzaError::bad_request().text(text));
        }
        // "it MUST reject the publication upon encountering unknown fields."
        let is_known = |field: &&Field| {
            let var = field.var.as_deref();
            var == Some("FORM_TYPE") || var.is_some_and(|var| fields::find(var).is_some())
        };
        if let Some(field) = wanted.fields.iter().find(|field| !is_known(field)) {
            let var = field.var.as_deref().unwrap_or("a field without a name");
            return Err(unmet(format!("{var}: nodes have no such setting.")));
        }
        let config = self.with(wanted, bounds)?;
        Ok((config != *self).then_some(config))
    }
}

/// "the publish MUST fail with a <conflict/> error condition and a pubsub-specific condition of
/// <precondition-not-met/>."
fn unmet(text: String) -> StanzaError {
    errors::with(StanzaError::conflict(), "precondition-not-met").text(text)
}

/// Says in which setting a node is not as a publication wants it.
pub(in super::super) fn differs(is: &Config, wanted: &Config) -> StanzaError {
    let about = FIELDS.iter().find(|about| (about.show)(is) != (about.show)(wanted));
    let (var, is) =
        about.map_or(("the node", String::new()), |about| (about.var, (about.show)(is).join(", ")));
    unmet(format!("{var}: it is `{is}` at this node."))
}

/// Whether a form that was filled in is about a node's configuration. `None`: filling it in was
/// called off.
///
/// # Errors
/// When it is about something else.
pub(in super::super) fn submitted(form: &DataForm) -> Result<Option<&DataForm>, StanzaError> {
    match form.kind {
        FormType::Cancel => Ok(None),
        FormType::Submit if form.form_type().is_none_or(|about| about == CONFIG_FORM) => {
            Ok(Some(form))
        }
        FormType::Submit => {
            let text =
                format!("FORM_TYPE: a form with the configuration of a node is {CONFIG_FORM}");
            Err(StanzaError::bad_request().text(text))
        }
        FormType::Form | FormType::Result => {
            Err(StanzaError::bad_request().text("The form must be of type `submit` or `cancel`."))
        }
    }
}

/// A field of metadata that is no part of the configuration.
pub(in super::super) fn meta(
    kind: FieldType,
    var: &str,
    label: &str,
    values: impl IntoIterator<Item = String>,
) -> Field {
    values.into_iter().fold(Field::new(kind, var).label(label), Field::value)
}
