//! Does what came match what a scenario expects?

use crate::node::Node;

const STANZAS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
const STREAMS: &str = "urn:ietf:params:xml:ns:xmpp-streams";

/// Compares `got` with `expected`.
///
/// # Errors
/// The first difference, in words.
pub fn compare(expected: &Node, got: &Node) -> Result<(), String> {
    let mut path = Vec::new();
    element(expected, got, &mut path)
}

fn element<'a>(expected: &'a Node, got: &Node, path: &mut Vec<&'a str>) -> Result<(), String> {
    if expected.name != got.name || expected.namespace != got.namespace {
        let show = |node: &Node| format!("<{} xmlns='{}'>", node.name, node.namespace);
        return Err(format!("{}expected {}, got {}", at(path), show(expected), show(got)));
    }
    path.push(&expected.name);
    attributes(expected, got, path)?;
    if !is_like(&expected.text, &got.text) {
        let (wanted, came) = (&expected.text, &got.text);
        return Err(format!("{}expected the text {wanted:?}, got {came:?}", at(path)));
    }
    children(expected, got, path)?;
    path.pop();
    Ok(())
}

/// Every attribute must be the same, but the top element's `to` may be left out, and the language
/// of an error's words.
fn attributes(expected: &Node, got: &Node, path: &[&str]) -> Result<(), String> {
    for (key, wanted) in &expected.attributes {
        match got.attributes.get(key) {
            Some(value) if is_like(wanted, value) => {}
            Some(value) => {
                return Err(format!("{}expected {}='{wanted}', got '{value}'", at(path), key.1));
            }
            None => return Err(format!("{}expected {}='{wanted}', got none", at(path), key.1)),
        }
    }
    for (key, value) in &got.attributes {
        let is_free = key.1 == "to" && path.len() == 1 || is_words(got) && key.1 == "lang";
        if !is_free && !expected.attributes.contains_key(key) {
            return Err(format!("{}did not expect {}='{value}'", at(path), key.1));
        }
    }
    Ok(())
}

fn children<'a>(expected: &'a Node, got: &Node, path: &mut Vec<&'a str>) -> Result<(), String> {
    let has_words = expected.children.iter().any(is_words);
    let is_error = expected.name == "error";
    let seen = |node: &&Node| has_words || !(is_error && is_words(node));
    let mut came = got.children.iter().filter(seen);
    for wanted in &expected.children {
        match came.next() {
            Some(child) => element(wanted, child, path)?,
            None => return Err(format!("{}expected {wanted}, got nothing there", at(path))),
        }
    }
    match came.next() {
        // A lone `*` stands for whatever else there is, elements too.
        Some(_) if expected.text == "*" => Ok(()),
        Some(more) => Err(format!("{}did not expect {more}", at(path))),
        None => Ok(()),
    }
}

/// The words of an error: they are for people, and a scenario may leave them out.
fn is_words(node: &Node) -> bool {
    node.is("text", STANZAS) || node.is("text", STREAMS)
}

fn at(path: &[&str]) -> String {
    if path.is_empty() { String::new() } else { format!("in {}: ", path.join("/")) }
}

/// Whether `text` is like `pattern`, in which `*` stands for any run of characters.
fn is_like(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        match text.split_once(part) {
            Some((_, behind)) => text = behind,
            None => return false,
        }
    }
    text.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expected: &str, got: &str) -> Result<(), String> {
        compare(&Node::parse(expected).unwrap(), &Node::parse(got).unwrap())
    }

    #[test]
    fn what_is_written_must_be_there() {
        check("<a b='1' c='2'/>", "<a c='2' b='1'></a>").unwrap();
        check("<a><b/><c/></a>", "<a> <b/> <c/> </a>").unwrap();
        for (expected, got) in [
            ("<a/>", "<b/>"),
            ("<a/>", "<a xmlns='x'/>"),
            ("<a/>", "<a b='1'/>"),
            ("<a b='1'/>", "<a b='2'/>"),
            ("<a/>", "<a xml:lang='en'/>"),
            ("<a><b/><c/></a>", "<a><c/><b/></a>"),
            ("<a><b/></a>", "<a><b/><b/></a>"),
            ("<a/>", "<a>text</a>"),
        ] {
            check(expected, got).unwrap_err();
        }
    }

    #[test]
    fn some_may_be_left_open() {
        check("<a/>", "<a to='me'/>").unwrap();
        check("<a><b/></a>", "<a><b to='me'/></a>").unwrap_err();
        check("<a b='x*z'>*</a>", "<a b='xyz'><c/>text</a>").unwrap();
        check("<a b='x*z'/>", "<a b='xy'/>").unwrap_err();
        check("<a><b/>*</a>", "<a><b/><c/>text</a>").unwrap();
        check("<a><b/>*</a>", "<a><c/><b/></a>").unwrap_err();
        let words = "<error><text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>Ho!</text></error>";
        check("<error/>", words).unwrap();
        check("<error><x/></error>", words).unwrap_err();
    }

    #[test]
    fn stars() {
        for (pattern, text) in [("*", ""), ("a*", "a"), ("*c", "abc"), ("a*b*c", "a-b-c")] {
            assert!(is_like(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("a*", "b"), ("a*b*c", "a-c"), ("aa*aa", "aaa"), ("", "a")] {
            assert!(!is_like(pattern, text), "{pattern} {text}");
        }
    }
}
