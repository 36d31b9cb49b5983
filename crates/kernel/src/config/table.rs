//! A section as the file has it: tables over one another, each knowing where it stands.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Errors, Source};

/// One section of the file. Where the same key stands in several layers (a module's settings
/// for all hosts, and for one, perhaps in another file), the last layer wins.
#[derive(Clone, Debug)]
pub struct Table<'a> {
    source: Source<'a>,
    path: String,
    layers: Vec<Layer<'a>>,
    hidden: Option<&'static str>,
}

#[derive(Clone, Debug)]
struct Layer<'a> {
    source: Source<'a>,
    path: String,
    span: Range<usize>,
    entries: &'a DeTable<'a>,
}

/// One value with the path and the place it was found at.
#[derive(Clone, Debug)]
pub struct Item<'a> {
    source: Source<'a>,
    path: String,
    key_span: Range<usize>,
    value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Table<'a> {
    /// The whole document.
    pub fn root(source: Source<'a>, document: &'a Spanned<DeTable<'a>>) -> Self {
        let layer = Layer { source, path: String::new(), span: 0..0, entries: document.get_ref() };
        Self { source, path: String::new(), layers: vec![layer], hidden: None }
    }

    /// A section that the file does not have.
    pub fn absent(source: Source<'a>, path: &str) -> Self {
        Self { source, path: path.to_owned(), layers: Vec::new(), hidden: None }
    }

    /// The file it is from.
    pub fn source(&self) -> Source<'a> {
        self.source
    }

    /// The same section for a reader that shall not see one key.
    pub fn hide(mut self, key: &'static str) -> Self {
        self.hidden = Some(key);
        self
    }

    /// The key that this reader does not see and the file may have.
    pub fn hidden(&self) -> Option<&'static str> {
        self.hidden
    }

    /// The value of a key.
    pub fn item(&self, key: &str) -> Option<Item<'a>> {
        self.layers.iter().rev().find_map(|layer| {
            let (name, value) = layer.entries.iter().find(|(name, _)| name.get_ref() == key)?;
            let path = join(&layer.path, key);
            Some(Item { source: layer.source, path, key_span: name.span(), value })
        })
    }

    /// Every key of every layer that is not hidden, lowest layer first.
    pub fn items(&self) -> impl Iterator<Item = (&'a str, Item<'a>)> {
        let hidden = self.hidden;
        let items = self.layers.iter().flat_map(move |layer| {
            layer.entries.iter().map(move |(name, value)| {
                let key: &str = name.get_ref();
                let path = join(&layer.path, key);
                (key, Item { source: layer.source, path, key_span: name.span(), value })
            })
        });
        items.filter(move |(key, _)| hidden != Some(*key))
    }

    /// The section below `key`; absent if the file has none.
    pub fn table(&self, key: &str) -> Result<Table<'a>, Errors> {
        match self.item(key) {
            Some(item) => item.table(),
            None => Ok(Table::absent(self.source, &join(&self.path, key))),
        }
    }

    /// The sections written `[[key]]`.
    pub fn tables(&self, key: &str) -> Result<Vec<Table<'a>>, Errors> {
        let Some(item) = self.item(key) else { return Ok(Vec::new()) };
        let DeValue::Array(entries) = item.value.get_ref() else {
            return Err(vec![item.flaw(format!("expected [[{key}]], found {}", item.found()))]);
        };
        let entry = |value| Item { value, key_span: Spanned::span(value), ..item.clone() }.table();
        entries.iter().map(entry).collect()
    }

    /// Puts another section on top of this one.
    pub fn under(mut self, top: Table<'a>) -> Self {
        if !top.layers.is_empty() {
            self.layers.extend(top.layers);
            self.path = top.path;
        }
        self
    }

    /// An error about one key, whether the file has it or not.
    pub fn flaw(&self, key: &str, problem: impl Into<String>) -> ConfigError {
        if let Some(item) = self.item(key) {
            return item.flaw(problem);
        }
        let path = join(&self.path, key);
        match self.layers.last() {
            Some(layer) => layer.source.flaw(layer.span.clone(), path, problem),
            None => self.source.lack(path, problem),
        }
    }
}

impl<'a> Item<'a> {
    /// What stands there.
    pub fn value(&self) -> &'a DeValue<'a> {
        self.value.get_ref()
    }

    /// The path of the key.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The elements, if this is a list.
    pub fn elements(&self) -> Option<Vec<Item<'a>>> {
        let DeValue::Array(values) = self.value() else { return None };
        let element = |(index, value)| Item {
            path: format!("{}[{index}]", self.path),
            value,
            ..self.clone()
        };
        Some(values.iter().enumerate().map(element).collect())
    }

    /// The section, if this is one.
    pub fn table(&self) -> Result<Table<'a>, Errors> {
        let DeValue::Table(entries) = self.value() else {
            let problem = format!("expected a section [{}], found {}", self.path, self.found());
            return Err(vec![self.flaw(problem)]);
        };
        let (source, span) = (self.source, self.key_span.clone());
        let layer = Layer { source, path: self.path.clone(), span, entries };
        Ok(Table {
            source: self.source,
            path: self.path.clone(),
            layers: vec![layer],
            hidden: None,
        })
    }

    /// An error about the value.
    pub fn flaw(&self, problem: impl Into<String>) -> ConfigError {
        self.source.flaw(self.value.span(), self.path.clone(), problem)
    }

    /// An error about the key.
    pub fn key_flaw(&self, problem: impl Into<String>) -> ConfigError {
        self.source.flaw(self.key_span.clone(), self.path.clone(), problem)
    }

    /// An error about a value of the wrong kind.
    pub fn expected(&self, kind: &str) -> ConfigError {
        let error = self.flaw(format!("expected {kind}, found {}", self.found()));
        let is_unit = self.path.ends_with("_seconds") || self.path.ends_with("_days");
        match self.value() {
            DeValue::String(_) if is_unit => {
                error.hint("write the number alone: the unit is in the name of the setting")
            }
            _ => error,
        }
    }

    fn found(&self) -> String {
        match self.value() {
            DeValue::String(text) if text.chars().count() <= 40 && !text.contains("://") => {
                format!("the text {text:?}")
            }
            DeValue::String(_) => "text".to_owned(),
            DeValue::Integer(number) => format!("the number {number}"),
            DeValue::Float(number) => format!("the number {number}"),
            DeValue::Boolean(truth) => truth.to_string(),
            DeValue::Datetime(_) => "a date".to_owned(),
            DeValue::Array(_) => "a list".to_owned(),
            DeValue::Table(_) => "a section".to_owned(),
        }
    }
}

/// The path of a key below a path.
pub(crate) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
