//! XEP-0004: Data Forms, version 2.13.2.

use xso::{AsXml, AsXmlText, FromXml, FromXmlText};

/// Namespace of `<x/>`.
pub const NS: &str = "jabber:x:data";

/// The field that names what a form is about (XEP-0068).
pub const FORM_TYPE: &str = "FORM_TYPE";

/// A form: asked, filled in, cancelled, or a result.
#[derive(FromXml, AsXml, Clone, Debug, PartialEq, Eq)]
#[xml(namespace = NS, name = "x", on_unknown_attribute = Discard, on_unknown_child = Discard)]
pub struct DataForm {
    /// What is being done with the form.
    #[xml(attribute = "type")]
    pub kind: FormType,
    /// What the form as a whole is called.
    #[xml(extract(default, on_unknown_attribute = Discard, fields(text(type_ = String))))]
    pub title: Option<String>,
    /// How to fill it in; one or more paragraphs.
    #[xml(extract(
        n = ..,
        name = "instructions",
        on_unknown_attribute = Discard,
        fields(text(type_ = String))
    ))]
    pub instructions: Vec<String>,
    /// The fields in their order.
    #[xml(child(n = ..))]
    pub fields: Vec<Field>,
    /// The columns of a table of results.
    #[xml(child(default))]
    pub reported: Option<Reported>,
    /// The rows of a table of results.
    #[xml(child(n = ..))]
    pub items: Vec<Row>,
}

/// What is being done with a form (§3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormType {
    /// To be filled in.
    Form,
    /// Filled in.
    Submit,
    /// Filling in was called off.
    Cancel,
    /// Data given.
    Result,
}

/// One field of a form or of a row.
#[derive(FromXml, AsXml, Clone, Debug, Default, PartialEq, Eq)]
#[xml(namespace = NS, name = "field", on_unknown_attribute = Discard, on_unknown_child = Discard)]
pub struct Field {
    /// Its name; only a `fixed` field may lack one.
    #[xml(attribute(default))]
    pub var: Option<String>,
    /// What kind of data it holds; missing in most submissions.
    #[xml(attribute(name = "type", default))]
    pub kind: Option<FieldType>,
    /// Its name for people.
    #[xml(attribute(default))]
    pub label: Option<String>,
    /// What it is for.
    #[xml(extract(default, on_unknown_attribute = Discard, fields(text(type_ = String))))]
    pub desc: Option<String>,
    /// Whether it must be filled in.
    #[xml(flag)]
    pub required: bool,
    /// What it holds.
    #[xml(extract(
        n = ..,
        name = "value",
        on_unknown_attribute = Discard,
        fields(text(type_ = String))
    ))]
    pub values: Vec<String>,
    /// What may be chosen, for the two kinds of list.
    #[xml(child(n = ..))]
    pub options: Vec<Choice>,
}

/// What kind of data a field holds (§3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// Yes or no.
    Boolean,
    /// Text for the reader, not to be filled in.
    Fixed,
    /// Not shown, and given back as it is.
    Hidden,
    /// Several addresses.
    JidMulti,
    /// One address.
    JidSingle,
    /// Several of the options.
    ListMulti,
    /// One of the options.
    ListSingle,
    /// Several lines.
    TextMulti,
    /// One line that is not shown while it is typed.
    TextPrivate,
    /// One line.
    TextSingle,
}

/// One option of a list.
#[derive(FromXml, AsXml, Clone, Debug, PartialEq, Eq)]
#[xml(namespace = NS, name = "option", on_unknown_attribute = Discard, on_unknown_child = Discard)]
pub struct Choice {
    /// Its name for people.
    #[xml(attribute(default))]
    pub label: Option<String>,
    /// What is submitted when it is chosen.
    #[xml(child)]
    pub value: Value,
}

/// What an option stands for.
#[derive(FromXml, AsXml, Clone, Debug, PartialEq, Eq)]
#[xml(namespace = NS, name = "value", on_unknown_attribute = Discard)]
pub struct Value(#[xml(text)] pub String);

/// The columns of a table of results (§3.4).
#[derive(FromXml, AsXml, Clone, Debug, PartialEq, Eq)]
#[xml(
    namespace = NS,
    name = "reported",
    on_unknown_attribute = Discard,
    on_unknown_child = Discard
)]
pub struct Reported {
    /// Name, type and label of each column.
    #[xml(child(n = ..))]
    pub fields: Vec<Field>,
}

/// One row of a table of results (§3.4).
#[derive(FromXml, AsXml, Clone, Debug, PartialEq, Eq)]
#[xml(
    namespace = NS,
    name = "item",
    on_unknown_attribute = Discard,
    on_unknown_child = Discard
)]
pub struct Row {
    /// The cells.
    #[xml(child(n = ..))]
    pub fields: Vec<Field>,
}

crate::payload!(DataForm, "x", NS);
crate::reply!(DataForm);

impl DataForm {
    /// An empty form of this kind.
    pub fn new(kind: FormType) -> DataForm {
        DataForm {
            kind,
            title: None,
            instructions: Vec::new(),
            fields: Vec::new(),
            reported: None,
            items: Vec::new(),
        }
    }

    /// Says what the form is about (XEP-0068): a hidden field `FORM_TYPE`.
    pub fn about(self, form_type: &str) -> DataForm {
        self.with(Field::new(FieldType::Hidden, FORM_TYPE).value(form_type))
    }

    /// Sets the title.
    pub fn title(mut self, title: impl Into<String>) -> DataForm {
        self.title = Some(title.into());
        self
    }

    /// Adds a paragraph of instructions.
    pub fn instruction(mut self, text: impl Into<String>) -> DataForm {
        self.instructions.push(text.into());
        self
    }

    /// Adds a field.
    pub fn with(mut self, field: Field) -> DataForm {
        self.fields.push(field);
        self
    }

    /// The field of this name.
    pub fn field(&self, var: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.var.as_deref() == Some(var))
    }

    /// The first value of the field of this name.
    pub fn value(&self, var: &str) -> Option<&str> {
        self.values(var).first().map(String::as_str)
    }

    /// All values of the field of this name; empty also when there is no such field.
    pub fn values(&self, var: &str) -> &[String] {
        self.field(var).map_or(&[], |field| &field.values)
    }

    /// The value of a `boolean` field; `None` when it is missing or neither yes nor no.
    ///
    /// §3.3: the lexical forms of `xs:boolean`, which are `true`, `1`, `false` and `0`.
    pub fn flag(&self, var: &str) -> Option<bool> {
        match self.value(var)? {
            "1" | "true" => Some(true),
            "0" | "false" => Some(false),
            _ => None,
        }
    }

    /// What the form is about (XEP-0068).
    pub fn form_type(&self) -> Option<&str> {
        self.value(FORM_TYPE)
    }
}

impl Field {
    /// A field without values.
    pub fn new(kind: FieldType, var: impl Into<String>) -> Field {
        Field { var: Some(var.into()), kind: Some(kind), ..Field::default() }
    }

    /// Text for the reader.
    pub fn fixed(text: impl Into<String>) -> Field {
        Field { kind: Some(FieldType::Fixed), ..Field::default() }.value(text)
    }

    /// Names it for people.
    pub fn label(mut self, label: impl Into<String>) -> Field {
        self.label = Some(label.into());
        self
    }

    /// Says what it is for.
    pub fn desc(mut self, desc: impl Into<String>) -> Field {
        self.desc = Some(desc.into());
        self
    }

    /// Says that it must be filled in.
    pub fn required(mut self) -> Field {
        self.required = true;
        self
    }

    /// Adds a value.
    pub fn value(mut self, value: impl Into<String>) -> Field {
        self.values.push(value.into());
        self
    }

    /// Adds an option.
    pub fn option(mut self, value: impl Into<String>, label: impl Into<String>) -> Field {
        self.options.push(Choice { label: Some(label.into()), value: Value(value.into()) });
        self
    }
}

impl FormType {
    fn name(self) -> &'static str {
        match self {
            FormType::Form => "form",
            FormType::Submit => "submit",
            FormType::Cancel => "cancel",
            FormType::Result => "result",
        }
    }
}

impl FromXmlText for FormType {
    fn from_xml_text(text: String) -> Result<FormType, xso::error::Error> {
        let all = [FormType::Form, FormType::Submit, FormType::Cancel, FormType::Result];
        let found = all.into_iter().find(|kind| kind.name() == text);
        found.ok_or(xso::error::Error::Other("unknown type of form"))
    }
}

impl AsXmlText for FormType {
    fn as_xml_text(&self) -> Result<std::borrow::Cow<'_, str>, xso::error::Error> {
        Ok(self.name().into())
    }
}

impl FieldType {
    const ALL: [FieldType; 10] = [
        FieldType::Boolean,
        FieldType::Fixed,
        FieldType::Hidden,
        FieldType::JidMulti,
        FieldType::JidSingle,
        FieldType::ListMulti,
        FieldType::ListSingle,
        FieldType::TextMulti,
        FieldType::TextPrivate,
        FieldType::TextSingle,
    ];

    fn name(self) -> &'static str {
        match self {
            FieldType::Boolean => "boolean",
            FieldType::Fixed => "fixed",
            FieldType::Hidden => "hidden",
            FieldType::JidMulti => "jid-multi",
            FieldType::JidSingle => "jid-single",
            FieldType::ListMulti => "list-multi",
            FieldType::ListSingle => "list-single",
            FieldType::TextMulti => "text-multi",
            FieldType::TextPrivate => "text-private",
            FieldType::TextSingle => "text-single",
        }
    }
}

/// §3.3: `text-single` "is the default and MUST be assumed if a form-submitting entity receives
/// a field type it does not understand".
impl FromXmlText for FieldType {
    fn from_xml_text(text: String) -> Result<FieldType, xso::error::Error> {
        let found = FieldType::ALL.into_iter().find(|kind| kind.name() == text);
        Ok(found.unwrap_or(FieldType::TextSingle))
    }
}

impl AsXmlText for FieldType {
    fn as_xml_text(&self) -> Result<std::borrow::Cow<'_, str>, xso::error::Error> {
        Ok(self.name().into())
    }
}
