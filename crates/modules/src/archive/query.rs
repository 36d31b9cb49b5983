//! What a client asks its archive (XEP-0313 §4), read.

use waxwing_stanza::payload::dataform::{DataForm, Field, FormType};
use waxwing_stanza::payload::rsm;
use waxwing_stanza::{Payload, StanzaError};
use waxwing_xml::Child;
use xso::FromXml;

use super::NS;

/// `<query/>`
#[derive(FromXml)]
#[xml(namespace = NS, name = "query", on_unknown_attribute = Discard, on_unknown_child = Discard)]
pub(super) struct Query {
    /// What the client calls its question.
    #[xml(attribute(default, name = "queryid"))]
    pub(super) queryid: Option<String>,
    /// The node whose items are wanted, where it is not a whole address.
    #[xml(attribute(default))]
    pub(super) node: Option<String>,
    #[xml(child(default))]
    form: Option<DataForm>,
    #[xml(child(default))]
    set: Option<rsm::Request>,
    /// Whether the messages of the page are wanted in reverse order.
    #[xml(flag(namespace = NS, name = "flip-page"))]
    pub(super) is_flipped: bool,
}
waxwing_stanza::payload!(Query, "query", NS);

/// `<metadata/>`
pub(super) struct Metadata {
    pub(super) node: Option<String>,
}

impl Payload for Metadata {
    const NAME: &'static str = "metadata";
    const NS: &'static str = NS;

    fn read(child: Child<'_>) -> Result<Self, StanzaError> {
        Ok(Self { node: child.attribute("node").map(|node| node.into_owned()) })
    }
}

impl Query {
    /// The form, if it is one that is understood here.
    pub(super) fn form(&self) -> Result<Form<'_>, StanzaError> {
        let Some(form) = &self.form else { return Ok(Form(&[])) };
        if form.kind != FormType::Submit {
            return Err(StanzaError::bad_request().text("The form must be of type submit."));
        }
        // §4.1: the FORM_TYPE "MUST be set to this protocol's namespace".
        if form.form_type() != Some(NS) {
            let text = format!("The form must have the FORM_TYPE {NS}.");
            return Err(StanzaError::bad_request().text(text));
        }
        Ok(Form(&form.fields))
    }

    /// Which page of the result is wanted (XEP-0059).
    pub(super) fn page(&self) -> Result<rsm::Request, StanzaError> {
        let page = self.set.clone().unwrap_or_default();
        if page.index.is_some() {
            // XEP-0059 §2.6: "the responding entity MAY return a <feature-not-implemented/> error."
            let text = "Pages are found by the ids of their neighbours, not by numbers.";
            return Err(StanzaError::feature_not_implemented().text(text));
        }
        Ok(page)
    }
}

/// The fields of a form.
pub(super) struct Form<'a>(&'a [Field]);

impl<'a> Form<'a> {
    /// The fields with their names.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&'a str, &'a Field)> + use<'a> {
        let named = |field: &'a Field| field.var.as_deref().map(|var| (var, field));
        self.0.iter().filter_map(named)
    }
}
