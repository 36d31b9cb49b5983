//! Nothing is claimed that nothing shows: every specification is named where it is tested.

use std::fs;
use std::path::Path;

use super::{root, xeps};

/// Where tests are that say what they are about.
const PLACES: [&str; 4] = ["crates", "scenarios", "tests", "fuzz"];
const SKIPPED: [&str; 5] = ["target", "node_modules", "corpus", "__pycache__", "data"];

#[test]
fn every_claim_is_named_where_it_is_tested() {
    let mut tests = Vec::new();
    let root = root();
    PLACES.iter().for_each(|place| gather(&root.join(place), false, &mut tests));
    assert!(tests.len() > 50, "only {} tests were found", tests.len());
    let is_named = |number: u16| {
        let name = format!("XEP-{number:04}");
        tests.iter().any(|text| text.contains(&name))
    };
    let claims = xeps::claims();
    let unshown: Vec<String> = { claims.iter() }
        .filter(|claim| !is_named(claim.number))
        .map(|claim| format!("XEP-{:04} ({})", claim.number, claim.places.join(", ")))
        .collect();
    assert!(
        unshown.is_empty(),
        "no scenario or test names {unshown:?}: name it (as XEP-0001) in the heading of the \
         scenario or in the comment of the test that shows it"
    );
}

/// The texts of pages that have scenarios, of whatever lies in a folder of tests, and of the tests
/// beside code.
fn gather(folder: &Path, is_test: bool, texts: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if SKIPPED.contains(&name.as_str()) || name.starts_with('.') {
            continue;
        }
        let is_test = is_test || name == "tests" || folder.ends_with("tests");
        if path.is_dir() {
            gather(&path, is_test, texts);
            continue;
        }
        let kind = path.extension().and_then(|kind| kind.to_str()).unwrap_or_default();
        let is_text = is_test && matches!(kind, "rs" | "txt" | "py" | "mjs" | "sh");
        if !is_text && !matches!(kind, "md" | "rs") {
            continue;
        }
        let Ok(text) = fs::read_to_string(&path) else { continue };
        match text.split_once("#[cfg(test)]\nmod tests") {
            Some((_, tests)) if !is_text => texts.push(tests.to_owned()),
            _ if is_text || kind == "md" && has_scenario(&text) => texts.push(text),
            _ => {}
        }
    }
}

/// Whether a page has a conversation, and not only words.
fn has_scenario(page: &str) -> bool {
    let is_line = |line: &str| {
        let mut words = line.strip_prefix("    ").unwrap_or_default().split(' ');
        words.next().is_some_and(|who| !who.is_empty()) && words.next() == Some("<")
    };
    page.lines().any(is_line)
}

#[test]
fn a_page_of_words_shows_nothing() {
    assert!(!has_scenario("# Ping (XEP-0199)\n\n    romeo = 1\n"));
    assert!(has_scenario("## Pong\n\n    romeo > <a/>\n    romeo < <b/>\n"));
}
