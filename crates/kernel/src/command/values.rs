//! What was filled in, before it is read.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

/// The values of a submitted form, by `var`. A field without values was left empty.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Values(BTreeMap<String, Vec<String>>);

impl Values {
    /// The values of one field.
    pub fn of(&self, var: &str) -> &[String] {
        self.0.get(var).map_or(&[], Vec::as_slice)
    }

    /// The first value of one field.
    pub fn get(&self, var: &str) -> Option<&str> {
        self.of(var).first().map(String::as_str)
    }

    /// Adds a value to a field.
    pub fn push(&mut self, var: impl Into<String>, value: impl Into<String>) {
        self.0.entry(var.into()).or_default().push(value.into());
    }

    /// Reads `{"var": "text", "other": ["a", "b"], "flag": true, "count": 3}`.
    pub fn from_json(object: &Map<String, Value>) -> Result<Self, String> {
        let mut values = Self::default();
        for (var, value) in object {
            let listed = match value {
                Value::Array(list) => list.iter().map(plain).collect(),
                Value::Null => Some(Vec::new()),
                single => plain(single).map(|text| vec![text]),
            };
            let listed =
                listed.ok_or_else(|| format!("{var}: expected text, a number, true or false"))?;
            values.0.insert(var.clone(), listed);
        }
        Ok(values)
    }

    /// As JSON: every field is a list of text.
    pub fn to_json(&self) -> Value {
        let field = |(var, list): (&String, &Vec<String>)| (var.clone(), list.clone().into());
        Value::Object(self.0.iter().map(field).collect())
    }
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Names the fields only: the values may be secret.
impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The fields of a submitted data form (XEP-0004). `FORM_TYPE` is left out: the node of the
/// command says the same.
impl<V: Into<String>, T: Into<String>> FromIterator<(V, Vec<T>)> for Values {
    fn from_iter<I: IntoIterator<Item = (V, Vec<T>)>>(fields: I) -> Self {
        let owned =
            |(var, list): (V, Vec<T>)| (var.into(), list.into_iter().map(T::into).collect());
        Self(fields.into_iter().map(owned).filter(|(var, _)| var != "FORM_TYPE").collect())
    }
}
