//! What is asked and answered, one JSON line each.

use serde_json::{Map, Value, json};
use waxwing_kernel::command::{Refusal, Said, Values};

/// What the running server is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// To run a declared command.
    Run {
        /// Its words, such as `["user", "add"]`.
        words: Vec<String>,
        /// What was filled in.
        values: Values,
    },
    /// To read its configuration again.
    Reload,
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Response {
    /// Done.
    Said {
        /// For people.
        text: String,
        /// For programs.
        json: Value,
    },
    /// Not done.
    Refused {
        /// A condition of RFC 6120 §8.3.3.
        condition: String,
        /// The field at fault.
        field: Option<String>,
        /// Why, and what to do.
        text: String,
    },
}

impl Request {
    pub(super) fn to_line(&self) -> String {
        let value = match self {
            Self::Run { words, values } => json!({ "run": words, "values": values.to_json() }),
            Self::Reload => json!({ "reload": true }),
        };
        format!("{value}\n")
    }

    pub(super) fn from_line(line: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
        if value["reload"] == true {
            return Ok(Self::Reload);
        }
        let words = value["run"].as_array().ok_or("the command is missing")?;
        let words = words.iter().map(|word| word.as_str().map(str::to_owned));
        let words = words.collect::<Option<Vec<_>>>().ok_or("a command consists of words")?;
        let nothing = Map::new();
        let values = value["values"].as_object().unwrap_or(&nothing);
        Ok(Self::Run { words, values: Values::from_json(values)? })
    }
}

impl Response {
    pub(super) fn to_line(&self) -> String {
        let value = match self {
            Self::Said { text, json } => json!({ "text": text, "json": json }),
            Self::Refused { .. } => json!({ "refused": self.to_json() }),
        };
        format!("{value}\n")
    }

    pub(super) fn from_line(line: &str) -> Option<Self> {
        let mut value: Value = serde_json::from_str(line).ok()?;
        if let Some(text) = value["text"].as_str().map(str::to_owned) {
            return Some(Self::Said { text, json: value["json"].take() });
        }
        let refused = value.get("refused")?;
        let text = |key: &str| refused[key].as_str().map(str::to_owned);
        Some(Self::Refused {
            condition: text("condition")?,
            field: text("field"),
            text: text("text")?,
        })
    }

    /// The answer as programs get it.
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::Said { json, .. } => json.clone(),
            Self::Refused { condition, field, text } => {
                json!({ "condition": condition, "field": field, "text": text })
            }
        }
    }
}

impl From<Result<Said, Refusal>> for Response {
    fn from(answer: Result<Said, Refusal>) -> Self {
        match answer {
            Ok(said) => Self::Said { text: said.to_text(), json: said.to_json() },
            Err(refusal) => Self::Refused {
                condition: refusal.kind.condition().to_owned(),
                field: refusal.field.map(str::to_owned),
                text: refusal.text,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_the_way() {
        let mut values = Values::default();
        values.push("jid", "a@b\n\"c");
        let words = vec!["user".to_owned(), "add".to_owned()];
        for request in [Request::Run { words, values }, Request::Reload] {
            let line = request.to_line();
            assert_eq!(line.matches('\n').count(), 1);
            assert_eq!(Request::from_line(&line), Ok(request));
        }
        for response in [
            Response::from(Ok(Said::note("Done.\nReally."))),
            Response::from(Err(Refusal::invalid("jid", "must be given"))),
            Response::from(Err(Refusal::forbidden())),
        ] {
            assert_eq!(Response::from_line(&response.to_line()), Some(response));
        }
        for broken in ["", "{}", "[]", "{\"run\":[1]}", "{\"run\":[],\"values\":{\"a\":{}}}"] {
            assert!(Request::from_line(broken).is_err(), "{broken}");
        }
    }
}
