//! From what a request says to what a command is given: by JSON, or behind the `?`.

use serde_json::{Map, Value};
use waxwing_kernel::command::{CommandAbout, FieldAbout, Values};
use waxwing_kernel::config::closest;
use waxwing_kernel::http::percent_decoded;

use super::problem::Problem;

/// The fields that a program fills in: those that make sense in a dialogue only are not among them.
pub(super) fn fields(about: &CommandAbout) -> impl Iterator<Item = &'static FieldAbout> {
    about.fields.iter().filter(|field| !field.is_dialogue)
}

/// Reads an object with the fields of a command.
///
/// # Errors
/// It is no such object; with the field where that can be told.
pub(super) fn from_json(about: &CommandAbout, body: &[u8]) -> Result<Values, Problem> {
    let mut values = Values::default();
    if body.trim_ascii().is_empty() {
        return Ok(values);
    }
    let object: Map<String, Value> = serde_json::from_slice(body)
        .map_err(|error| Problem::bad(format!("The body is no JSON object: {error}.")))?;
    for (name, value) in &object {
        let field = find(about, name)?;
        for text in texts(field, value)? {
            push(&mut values, field, text)?;
        }
    }
    Ok(values)
}

/// Reads `name=value&name=value`.
///
/// # Errors
/// As of [`from_json`].
pub(super) fn from_query(about: &CommandAbout, query: Option<&str>) -> Result<Values, Problem> {
    let mut values = Values::default();
    for (name, text) in pairs(query)? {
        let field = find(about, &name)?;
        if !field.kind.is_many() && !values.of(field.var).is_empty() {
            return Err(Problem::at(field.var, "only one value may be given"));
        }
        push(&mut values, field, text)?;
    }
    Ok(values)
}

/// The names and values behind a `?`, decoded.
///
/// # Errors
/// They are not encoded as they should be.
pub(super) fn pairs(query: Option<&str>) -> Result<Vec<(String, String)>, Problem> {
    let decoded = |text: &str| {
        let text = percent_decoded(&text.replace('+', " "));
        text.ok_or_else(|| {
            Problem::bad("What stands behind the `?` is not encoded as it should be.")
        })
    };
    let parts = query.unwrap_or_default().split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Ok((decoded(name)?, decoded(value)?))
        })
        .collect()
}

/// What a program misspells, it must learn of: the command would do something else.
fn find(about: &CommandAbout, name: &str) -> Result<&'static FieldAbout, Problem> {
    fields(about).find(|field| field.var == name).ok_or_else(|| {
        let near = closest(name, fields(about).map(|field| field.var));
        let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        let shown: String = name.chars().take(60).collect();
        let words = about.words.join(" ");
        Problem::at(shown, format!("`{words}` has no such field{hint}"))
    })
}

fn texts(field: &FieldAbout, value: &Value) -> Result<Vec<String>, Problem> {
    let wrong = |text: &str| Problem::at(field.var, text);
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(list) if field.kind.is_many() => {
            let text = |value| plain(value).ok_or_else(|| wrong("expected a list of texts"));
            list.iter().map(text).collect()
        }
        Value::Array(_) => Err(wrong("only one value may be given")),
        single => match plain(single) {
            Some(text) => Ok(vec![text]),
            None => Err(wrong("expected a text, a number, true or false")),
        },
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

/// What may not stand in XML could not have come from a client's form either.
fn push(values: &mut Values, field: &FieldAbout, text: String) -> Result<(), Problem> {
    let is_odd = |letter: char| match letter {
        '\t' | '\n' | '\r' => false,
        '\u{fffe}' | '\u{ffff}' => true,
        other => other < ' ',
    };
    match text.chars().find(|letter| is_odd(*letter)) {
        Some(odd) => {
            let code = u32::from(odd);
            Err(Problem::at(field.var, format!("the character U+{code:04X} may not be used")))
        }
        None => {
            values.push(field.var, text);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use waxwing_kernel::command::Secret;
    use waxwing_kernel::form;

    use super::*;

    form! {
        /// Tries things.
        pub struct Try {
            /// Several.
            pub names("accountjids"): Vec<String>,
            /// One.
            pub reason: Option<String>,
            /// How many.
            pub count: Option<u32>,
            /// Whether.
            pub force: bool,
            /// Secret.
            pub password: Option<Secret>,
            /// Secret again.
            [dialogue] pub again: Option<Secret>,
        }
    }
    static TRY: CommandAbout = CommandAbout::of::<Try>("try", &["try", "it"]);

    fn wrong(result: Result<Values, Problem>) -> String {
        let reply = result.unwrap_err().reply();
        let waxwing_kernel::http::Content::Bytes(body) = reply.content else { panic!("bytes") };
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["status"], 400);
        format!("{} {}", body["field"].as_str().unwrap_or("-"), body["detail"].as_str().unwrap())
    }

    #[test]
    fn objects_and_queries_say_the_same() {
        let json = r#"{"accountjids": ["a b", "c&d"], "count": 3, "force": true, "reason": null}"#;
        let values = from_json(&TRY, json.as_bytes()).unwrap();
        assert_eq!(values.of("accountjids"), ["a b", "c&d"]);
        assert_eq!((values.get("count"), values.get("force")), (Some("3"), Some("true")));
        assert_eq!(values.get("reason"), None);
        let query = "accountjids=a+b&accountjids=c%26d&&count=3&force=true";
        assert_eq!(from_query(&TRY, Some(query)).unwrap(), values_without(&values));
        assert!(from_json(&TRY, b" \n").unwrap() == Values::default());
        assert!(from_query(&TRY, None).unwrap() == Values::default());
    }

    /// The same without fields that were given nothing.
    fn values_without(values: &Values) -> Values {
        let mut filled = Values::default();
        for var in ["accountjids", "count", "force"] {
            values.of(var).iter().for_each(|text| filled.push(var, text));
        }
        filled
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (json, expected) in [
            (r#"{"reasn": "x"}"#, "reasn `try it` has no such field; did you mean `reason`?"),
            (r#"{"again": "x"}"#, "again `try it` has no such field"),
            (r#"{"reason": ["x"]}"#, "reason only one value may be given"),
            (r#"{"reason": {"x": 1}}"#, "reason expected a text, a number, true or false"),
            (r#"{"accountjids": [["x"]]}"#, "accountjids expected a list of texts"),
            (r#"{"reason": "\u0000"}"#, "reason the character U+0000 may not be used"),
            (r#"{"reason": "\uffff"}"#, "reason the character U+FFFF may not be used"),
        ] {
            assert_eq!(wrong(from_json(&TRY, json.as_bytes())), expected, "{json}");
        }
        for json in
            ["[]", "{", "1", "\"x\"", "{\"a\":1}}", "\u{feff}{}", "{\"reason\":\"\\ud800\"}"]
        {
            assert!(wrong(from_json(&TRY, json.as_bytes())).starts_with("- "), "{json}");
        }
        let deep = format!("{{\"reason\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(wrong(from_json(&TRY, deep.as_bytes())).starts_with("- "));
        let not_text = b"{\"reason\":\"\xff\"}";
        assert!(wrong(from_json(&TRY, not_text)).starts_with("- "));
        assert!(wrong(from_query(&TRY, Some("reason=%zz"))).starts_with("- "));
        assert_eq!(
            wrong(from_query(&TRY, Some("reason=a&reason=b"))),
            "reason only one value may be given"
        );
    }
}
