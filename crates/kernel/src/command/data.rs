//! Data forms (XEP-0004) as plain data: what to ask, and what was answered.

use super::CommandAbout;
use super::field::FieldKind;
use super::form::FieldAbout;
use super::said::{Fact, Grid, Said};

/// A data form, ready to be written as `<x xmlns='jabber:x:data'/>` in the order of its fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataForm {
    /// What the form is for.
    pub kind: FormKind,
    /// Its title; without line breaks.
    pub title: Option<String>,
    /// What to do with it; without line breaks.
    pub instructions: Option<String>,
    /// Its fields; empty if there are items.
    pub fields: Vec<DataField>,
    /// The columns of the items; empty if there are none.
    pub reported: Vec<DataField>,
    /// The items, each with a field for every column.
    pub items: Vec<Vec<DataField>>,
}

/// What a form is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormKind {
    /// It asks to be filled in.
    Form,
    /// It tells something.
    Result,
}

impl FormKind {
    /// The value of the `type` attribute.
    pub fn name(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Result => "result",
        }
    }
}

/// A field of a data form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataField {
    /// Its name.
    pub var: String,
    /// The `type` attribute; none where the context says it.
    pub kind: Option<&'static str>,
    /// Its name for people.
    pub label: Option<String>,
    /// More about it.
    pub desc: Option<String>,
    /// Whether it must be filled in.
    pub is_required: bool,
    /// Its values.
    pub values: Vec<String>,
    /// `(label, value)` of each option.
    pub options: Vec<(String, String)>,
}

impl DataField {
    fn new(var: &str, kind: Option<&'static str>) -> Self {
        Self {
            var: var.to_owned(),
            kind,
            label: None,
            desc: None,
            is_required: false,
            values: Vec::new(),
            options: Vec::new(),
        }
    }

    fn value(mut self, value: impl Into<String>) -> Self {
        self.values.push(value.into());
        self
    }

    fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }
}

impl CommandAbout {
    /// The form to fill in.
    pub fn to_form(&self) -> DataForm {
        let fields = std::iter::once(self.form_type()).chain(self.fields.iter().map(ask)).collect();
        DataForm {
            kind: FormKind::Form,
            title: Some(self.title()),
            instructions: Some(crate::config::paragraph(self.about)),
            fields,
            reported: Vec::new(),
            items: Vec::new(),
        }
    }

    /// The answer as a form; none if the note says everything. XEP-0004 §3.4: a form with items
    /// "MUST NOT contain any top-level fields other than `<reported/>` and `<item/>`", so facts
    /// beside a table go into the note: see [`Said::full_note`].
    pub fn to_result(&self, said: &Said) -> Option<DataForm> {
        if said.facts.is_empty() && said.table.is_none() {
            return None;
        }
        let mut form = DataForm {
            kind: FormKind::Result,
            title: None,
            instructions: None,
            fields: Vec::new(),
            reported: Vec::new(),
            items: Vec::new(),
        };
        match &said.table {
            Some(table) => list(&mut form, table),
            None => {
                form.title = Some(self.title());
                form.fields.push(said.form.map_or_else(|| self.form_type(), form_type));
                form.fields.extend(said.facts.iter().map(tell));
            }
        }
        Some(form)
    }

    fn form_type(&self) -> DataField {
        let name = match self.node.split_once('#') {
            Some((protocol, _)) => protocol,
            None => self.node,
        };
        form_type(name)
    }
}

fn form_type(name: &str) -> DataField {
    DataField::new("FORM_TYPE", Some("hidden")).value(name)
}

impl Said {
    /// The note to send with a form: with the facts that do not fit into it.
    pub fn full_note(&self) -> String {
        let mut parts = Vec::new();
        parts.extend((!self.note.is_empty()).then(|| self.note.clone()));
        if self.table.is_some() {
            let fact = |fact: &Fact| format!("{}: {}", fact.label, fact.values.join(", "));
            parts.extend(self.facts.iter().map(fact));
        }
        parts.join(" · ")
    }
}

fn ask(about: &FieldAbout) -> DataField {
    let label = about.label();
    let doc = crate::config::paragraph(about.doc);
    let is_more = doc.trim_end_matches('.') != label;
    let option = |(word, doc): &(&str, &str)| {
        let meaning = super::form::first_sentence(doc);
        (format!("{word}: {meaning}"), (*word).to_owned())
    };
    DataField {
        desc: is_more.then_some(doc),
        is_required: about.is_required,
        options: about.options.iter().map(option).collect(),
        ..DataField::new(about.var, Some(about.kind.name())).label(label)
    }
}

fn tell(fact: &Fact) -> DataField {
    let field = DataField::new(fact.var, Some(fact.kind.name())).label(fact.label);
    DataField { values: fact.values.clone(), ..field }
}

fn list(form: &mut DataForm, table: &Grid) {
    let head = |column: &super::Column| {
        DataField::new(column.var, Some(FieldKind::Text.name())).label(column.label)
    };
    form.reported = table.columns.iter().map(head).collect();
    let item = |row: &Vec<String>| {
        let cells = table.columns.iter().zip(row);
        cells.map(|(column, cell)| DataField::new(column.var, None).value(cell)).collect()
    };
    form.items = table.rows.iter().map(item).collect();
}
