//! What holds for every line: its width, and the tags in comments.

use super::Finding;
use super::tree::File;

const COLUMNS: usize = 100;
/// Programs are held to the width; a table or a link in a page may be wider.
const PROGRAMS: &[&str] = &[".rs", ".py", ".mjs", ".js", ".sh"];

/// Lines that are too wide and tags that nobody agreed on.
pub(super) fn check(files: &[File]) -> Vec<Finding> {
    let is_program = |file: &&File| PROGRAMS.iter().any(|end| file.path.ends_with(end));
    files.iter().filter(is_program).flat_map(check_file).collect()
}

fn check_file(file: &File) -> Vec<Finding> {
    let mark = if file.path.ends_with(".py") || file.path.ends_with(".sh") { "#" } else { "//" };
    let mut findings = Vec::new();
    for (i, line) in file.text.lines().enumerate() {
        let mut found = |what: String, why, remedy| {
            findings.push(Finding { file: file.path.clone(), line: i + 1, what, why, remedy });
        };
        let columns = line.chars().count();
        if columns > COLUMNS && !line.contains("://") {
            found(
                format!("{columns} columns"),
                "two files fit beside each other on a screen",
                "break the line at 100",
            );
        }
        let comment = line.trim_start().strip_prefix(mark);
        if let Some(tag) = comment.and_then(wrong_tag) {
            found(
                tag.to_owned(),
                "a tag says who must do what and until when",
                "use FIXME, TODO(issue) or COMPAT(client, until)",
            );
        }
    }
    findings
}

/// A tag in a comment that is none of ours, or one of ours without what belongs to it.
fn wrong_tag(comment: &str) -> Option<&'static str> {
    let comment = comment.trim_start_matches(['/', '!', '#', ' ']);
    let begins = |tag: &str| comment.strip_prefix(tag);
    for tag in ["XXX", "HACK", "NOCOMMIT", "WTF"] {
        if begins(tag).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric)) {
            return Some(tag);
        }
    }
    let is_argued = |rest: &str, needs: &str| {
        let inside = rest.strip_prefix('(').and_then(|rest| rest.split_once(')'));
        inside.is_some_and(|(inside, _)| !inside.is_empty() && inside.contains(needs))
    };
    if begins("TODO").is_some_and(|rest| !is_argued(rest, "")) {
        return Some("TODO without its issue");
    }
    if begins("COMPAT").is_some_and(|rest| !rest.contains(')') && !rest.starts_with('(')) {
        return Some("COMPAT without its client");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<(usize, String)> {
        let file = File { path: path.to_owned(), text: text.to_owned() };
        check_file(&file).into_iter().map(|finding| (finding.line, finding.what)).collect()
    }

    #[test]
    fn a_hundred_columns_fit_and_links_may_be_longer() {
        assert!(found("a.rs", &"ä".repeat(100)).is_empty());
        assert_eq!(found("a.rs", &"ä".repeat(101)), [(1, "101 columns".to_owned())]);
        assert!(found("a.rs", &format!("// https://{}", "a".repeat(100))).is_empty());
    }

    #[test]
    fn only_tags_with_their_reason_pass() {
        assert!(found("a.rs", "// FIXME: breaks on leap seconds\n// TODO(12): later\n").is_empty());
        assert!(found("a.rs", "// COMPAT(Pidgin, until 3.0): no id\n").is_empty());
        assert_eq!(found("a.rs", "    // TODO: later\n").len(), 1);
        assert_eq!(found("a.py", "# HACK around it\n").len(), 1);
        assert!(found("a.rs", "// XXXL is a size\nlet a = \"TODO\";\n").is_empty());
    }
}
