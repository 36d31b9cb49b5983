//! What is wrong with a configuration file, where, and what to write instead.

use std::fmt;
use std::ops::Range;

/// A configuration file in memory: the name it is known by, and its text.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// As the operator would type it; it begins every error.
    pub name: &'a str,
    /// The whole file.
    pub text: &'a str,
}

/// One thing wrong in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, and where in it when the text can be pointed at.
    pub place: Place,
    /// The path of the key, such as `modules.ping.idle_seconds`; empty for a syntax error.
    pub key: String,
    /// What is wrong and what was expected.
    pub problem: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// A stretch of one line in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The name of the file.
    pub file: String,
    /// Counted from 1; 0 when the error belongs to no line.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// How many characters are meant.
    pub width: usize,
    /// The line itself, with passwords inside URLs blotted out.
    pub text: String,
}

/// Everything wrong with a file: errors are collected, not reported one per attempt.
pub type Errors = Vec<ConfigError>;

impl Source<'_> {
    /// An error about the bytes `span` of this file.
    pub fn flaw(&self, span: Range<usize>, key: String, problem: impl Into<String>) -> ConfigError {
        ConfigError { place: self.place(span), key, problem: problem.into(), hint: None }
    }

    /// An error about what the file does not say at all.
    pub fn lack(&self, key: String, problem: impl Into<String>) -> ConfigError {
        let place =
            Place { file: self.name.to_owned(), line: 0, column: 0, width: 0, text: String::new() };
        ConfigError { place, key, problem: problem.into(), hint: None }
    }

    fn place(&self, span: Range<usize>) -> Place {
        let start = self.text.floor_char_boundary(span.start);
        let end = self.text.floor_char_boundary(span.end.max(start));
        let line_start = self.text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = self.text[start..].find('\n').map_or(self.text.len(), |at| start + at);
        let line = &self.text[line_start..line_end];
        let meant = &self.text[start..end.min(line_end)];
        Place {
            file: self.name.to_owned(),
            line: self.text[..line_start].matches('\n').count() + 1,
            column: self.text[line_start..start].chars().count() + 1,
            width: meant.trim_end().chars().count().max(1),
            text: blot(&line.trim_end().replace('\t', " ")),
        }
    }
}

impl ConfigError {
    /// Adds what to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a suggestion if a similar word exists among those that would have been right.
    pub fn suggest<'a>(self, word: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        match super::near::closest(word, known) {
            Some(near) => self.hint(format!("did you mean `{near}`?")),
            None => self,
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { file, line, column, width, text } = &self.place;
        write!(f, "{file}:")?;
        if *line > 0 {
            write!(f, "{line}:{column}:")?;
        }
        if !self.key.is_empty() {
            write!(f, " {}:", self.key)?;
        }
        write!(f, " {}", self.problem)?;
        let hint = self.hint.as_deref().unwrap_or_default();
        if *line == 0 {
            return if hint.is_empty() { Ok(()) } else { write!(f, "\n  {hint}") };
        }
        let gutter = line.to_string().len();
        let carets = "^".repeat(*width);
        let indent = " ".repeat(column - 1);
        write!(f, "\n{:gutter$} |\n{line} | {text}\n{:gutter$} | {indent}{carets}", "", "")?;
        if hint.is_empty() { Ok(()) } else { write!(f, " {hint}") }
    }
}

impl std::error::Error for ConfigError {}

/// Replaces the password of every URL in a line, keeping its width: errors end up in logs.
fn blot(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("://") {
        out.push_str(before);
        out.push_str("://");
        rest = after;
        let text_end = rest.find(['"', '\'']).unwrap_or(rest.len());
        let Some(at) = rest[..text_end].rfind('@') else { continue };
        let Some((user, password)) = rest[..at].split_once(':') else { continue };
        out.push_str(user);
        out.push(':');
        out.extend(password.chars().map(|_| '*'));
        rest = &rest[at..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_point_at_what_they_mean() {
        let source = Source { name: "w.toml", text: "a = 1\n[ping]\n\tidle = true\n" };
        let error = source.flaw(21..25, "ping.idle".into(), "expected a number").hint("no");
        assert_eq!(
            error.to_string(),
            "w.toml:3:9: ping.idle: expected a number\n  |\n3 |  idle = true\n  |         ^^^^ no"
        );
    }

    #[test]
    fn passwords_in_urls_are_blotted_out() {
        assert_eq!(blot("u = \"pg://me:s:e@h/d\" # a://b"), "u = \"pg://me:***@h/d\" # a://b");
    }

    #[test]
    fn an_error_at_the_very_end_has_a_place() {
        let source = Source { name: "w", text: "a = \n" };
        assert_eq!(source.flaw(5..5, String::new(), "x").place.line, 2);
    }
}
