//! Commands as XML: what is asked, what is answered, and what is refused.

use waxwing_kernel::command::{self, Command, DataField, FormKind, Refusal, RefusalKind, Said};
use waxwing_stanza::payload::dataform::{
    Choice, DataForm, Field, FieldType, FormType, Reported, Row, Value,
};
use waxwing_stanza::{Condition, ErrorKind, StanzaError, payload, reply};
use xso::{AsXml, FromXml, FromXmlText};

/// Namespace of commands, their disco node and their error conditions.
pub(super) const NS: &str = "http://jabber.org/protocol/commands";

/// The language of everything the server says.
const LANGUAGE: &str = "en";

/// §4.1
#[derive(FromXml)]
#[xml(namespace = NS, name = "command", on_unknown_attribute = Discard, on_unknown_child = Discard)]
pub(super) struct Question {
    /// "uniquely identifies the command. This attribute MUST be present."
    #[xml(attribute)]
    pub(super) node: String,
    #[xml(attribute(default))]
    pub(super) action: Option<String>,
    #[xml(attribute(default))]
    pub(super) sessionid: Option<String>,
    #[xml(lang(default))]
    pub(super) lang: Option<String>,
    #[xml(child(default))]
    pub(super) form: Option<DataForm>,
}
payload!(Question, "command", NS);

/// §4.1, the values of `action`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Execute,
    Cancel,
    Prev,
    Next,
    Complete,
}

impl Action {
    /// "execute … is the default value."
    pub(super) fn read(action: Option<&str>) -> Result<Self, Fault> {
        match action {
            None | Some("execute") => Ok(Self::Execute),
            Some("cancel") => Ok(Self::Cancel),
            Some("prev") => Ok(Self::Prev),
            Some("next") => Ok(Self::Next),
            Some("complete") => Ok(Self::Complete),
            Some(_) => Err(Fault::MalformedAction),
        }
    }
}

/// §3.7: "If the responder cannot accomodate the requested language/locale, it SHOULD respond with
/// a <bad-request/> (<bad-locale/>) error condition." Only the language of the command itself is
/// a request; that of its stream or iq says what the client speaks besides.
pub(super) fn check_language(lang: Option<&str>) -> Result<(), Fault> {
    let primary = lang.map(|lang| lang.split('-').next().unwrap_or(lang));
    match primary {
        None => Ok(()),
        Some(primary) if primary.is_empty() || primary.eq_ignore_ascii_case(LANGUAGE) => Ok(()),
        Some(_) => Err(Fault::BadLocale),
    }
}

/// §4.4
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    MalformedAction,
    BadAction,
    BadLocale,
    BadPayload,
    BadSession,
    SessionExpired,
    Forbidden,
}

impl From<Fault> for StanzaError {
    fn from(fault: Fault) -> StanzaError {
        let bad = |condition: &str, text: &'static str| {
            StanzaError::bad_request().text(text).with(format!("<{condition} xmlns='{NS}'/>"))
        };
        match fault {
            Fault::MalformedAction => bad("malformed-action", "There is no such action."),
            Fault::BadAction => bad("bad-action", "This action is not possible here."),
            Fault::BadLocale => bad("bad-locale", "The server speaks English only."),
            Fault::BadPayload => bad("bad-payload", "The filled-in form is missing."),
            Fault::BadSession => bad("bad-sessionid", "You have no such session of this command."),
            Fault::SessionExpired => StanzaError::not_allowed()
                .text("This session has ended; ask for the form anew.")
                .with(format!("<session-expired xmlns='{NS}'/>")),
            Fault::Forbidden => StanzaError::forbidden()
                .kind(ErrorKind::Cancel)
                .text("Only an admin of this domain may do this."),
        }
    }
}

/// What a command refused. §4.4 has `bad-payload` for what "did not provide one or more required
/// fields"; XEP-0133 §5 has stanza errors for the rest.
pub(super) fn refused(refusal: &Refusal) -> StanzaError {
    let text = refusal.to_string();
    match refusal.kind {
        RefusalKind::Invalid => StanzaError::from(Fault::BadPayload).text(text),
        RefusalKind::Forbidden => StanzaError::from(Fault::Forbidden).text(text),
        kind => {
            let condition = Condition::read(kind.condition());
            StanzaError::new(condition.unwrap_or(Condition::UndefinedCondition)).text(text)
        }
    }
}

/// What is answered to a step of a command.
#[derive(AsXml)]
#[xml(namespace = NS, name = "command")]
pub(super) struct Answer {
    #[xml(attribute)]
    node: String,
    #[xml(attribute)]
    sessionid: String,
    #[xml(attribute)]
    status: String,
    #[xml(lang)]
    lang: String,
    #[xml(child(default))]
    actions: Option<Actions>,
    #[xml(child(default))]
    note: Option<Note>,
    #[xml(child(default))]
    form: Option<DataForm>,
}
reply!(Answer);

/// §4.2
#[derive(AsXml)]
#[xml(namespace = NS, name = "actions")]
struct Actions {
    /// What `execute` means.
    #[xml(attribute)]
    execute: String,
    /// The one action there is.
    #[xml(flag)]
    complete: bool,
}

/// §4.3
#[derive(AsXml)]
#[xml(namespace = NS, name = "note")]
struct Note {
    #[xml(attribute = "type")]
    kind: String,
    #[xml(text)]
    text: String,
}

impl Answer {
    fn new(node: &str, sessionid: String, status: &str) -> Self {
        let (node, status, lang) = (node.to_owned(), status.to_owned(), LANGUAGE.to_owned());
        Self { node, sessionid, status, lang, actions: None, note: None, form: None }
    }

    /// §2.4.2: a form to fill in, the only stage.
    pub(super) fn form(node: &str, sessionid: String, form: &command::DataForm) -> Self {
        let actions = Some(Actions { execute: "complete".to_owned(), complete: true });
        let form = Some(form_of(form));
        Self { actions, form, ..Self::new(node, sessionid, "executing") }
    }

    /// §2.4.3: "The responder MUST reply with the success of the command".
    pub(super) fn canceled(node: &str, sessionid: String) -> Self {
        Self::new(node, sessionid, "canceled")
    }

    /// What a command said.
    pub(super) fn completed(command: &Command, sessionid: String, said: &Said) -> Self {
        let form = command.to_result(said);
        let note = Some(said.full_note()).filter(|note| !note.is_empty());
        Self {
            note: note.map(|text| Note { kind: "info".to_owned(), text }),
            form: form.as_ref().map(form_of),
            ..Self::new(command.node, sessionid, "completed")
        }
    }
}

fn form_of(form: &command::DataForm) -> DataForm {
    let fields = |fields: &[DataField]| fields.iter().map(field_of).collect();
    DataForm {
        kind: match form.kind {
            FormKind::Form => FormType::Form,
            FormKind::Result => FormType::Result,
        },
        title: form.title.clone(),
        instructions: form.instructions.clone().into_iter().collect(),
        fields: fields(&form.fields),
        reported: (!form.reported.is_empty()).then(|| Reported { fields: fields(&form.reported) }),
        items: form.items.iter().map(|cells| Row { fields: fields(cells) }).collect(),
    }
}

fn field_of(field: &DataField) -> Field {
    let options = field.options.iter();
    let option = |(label, value): &(String, String)| (Some(label.clone()), Value(value.clone()));
    Field {
        var: Some(field.var.clone()),
        kind: field.kind.and_then(|kind| FieldType::from_xml_text(kind.to_owned()).ok()),
        label: field.label.clone(),
        desc: field.desc.clone(),
        required: field.is_required,
        values: field.values.clone(),
        options: options.map(option).map(|(label, value)| Choice { label, value }).collect(),
    }
}

#[cfg(test)]
mod tests {
    use waxwing_kernel::command::Grid;
    use waxwing_stanza::{Reply, to_xml};

    use super::*;

    #[test]
    fn actions_are_read_and_execute_is_the_default() {
        assert_eq!(Action::read(None), Ok(Action::Execute));
        assert_eq!(Action::read(Some("prev")), Ok(Action::Prev));
        assert_eq!(Action::read(Some("destroy")), Err(Fault::MalformedAction));
    }

    #[test]
    fn languages_other_than_english_are_refused() {
        for fine in [None, Some(""), Some("en"), Some("en-us"), Some("EN")] {
            assert_eq!(check_language(fine), Ok(()));
        }
        assert_eq!(check_language(Some("fr-ca")), Err(Fault::BadLocale));
    }

    #[test]
    fn a_refused_field_is_named() {
        let error = refused(&Refusal::invalid("accountjid", "must be given"));
        assert_eq!(error.condition, Condition::BadRequest);
        assert_eq!(error.text.as_deref(), Some("accountjid: must be given"));
        assert_eq!(error.app.as_deref(), Some(&*format!("<bad-payload xmlns='{NS}'/>")));
        let error = refused(&Refusal::conflict("it exists already"));
        assert_eq!((error.condition, error.kind), (Condition::Conflict, ErrorKind::Cancel));
    }

    #[test]
    fn a_table_becomes_reported_fields_and_items() {
        let mut grid = Grid::new(&[("jid", "Address")]);
        grid.row(["romeo@example.net".to_owned()]);
        let form = DataForm {
            kind: FormType::Result,
            reported: Some(Reported { fields: vec![Field::new(FieldType::TextSingle, "jid")] }),
            ..DataForm::new(FormType::Result)
        };
        assert!(
            to_xml(&form).contains("<reported><field var='jid' type='text-single'/></reported>")
        );
        let canceled = Answer::canceled("list", "1".to_owned()).into_xml();
        let expected = format!(
            "<command xmlns='{NS}' node='list' sessionid='1' status='canceled' xml:lang='en'/>"
        );
        assert_eq!(canceled, Some(expected));
        assert_eq!(grid.rows.len(), 1);
    }
}
