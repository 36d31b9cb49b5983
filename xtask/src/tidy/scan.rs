//! Reads Rust files as token trees: what is test code, where functions begin and end, and which
//! calls are made. Strings and comments cannot mislead it, and macros are looked into.

use std::str::FromStr;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use super::tree::File;

/// What is known of one Rust file.
pub(super) struct Source {
    pub(super) path: String,
    pub(super) lines: usize,
    /// Lines that belong to tests.
    pub(super) test_lines: usize,
    pub(super) is_test: bool,
    pub(super) functions: Vec<Function>,
    pub(super) calls: Vec<Call>,
}

/// One function with a body.
pub(super) struct Function {
    pub(super) name: String,
    pub(super) line: usize,
    /// From `fn` to the closing brace.
    pub(super) lines: usize,
    pub(super) is_test: bool,
}

/// A place that some rule may object to, such as `.unwrap()` or `Instant::now`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) is_test: bool,
}

/// Scans every Rust file.
pub(super) fn all(files: &[File]) -> Result<Vec<Source>, String> {
    files.iter().filter(|file| file.is_rust()).map(scan).collect()
}

pub(super) fn scan(file: &File) -> Result<Source, String> {
    let tokens = TokenStream::from_str(&file.text)
        .map_err(|error| format!("{}: not Rust: {error}", file.path))?;
    let mut scanner = Scanner::default();
    scanner.walk(tokens, file.is_test());
    let lines = file.text.lines().count();
    Ok(Source {
        path: file.path.clone(),
        lines,
        test_lines: if file.is_test() { lines } else { scanner.test_lines },
        is_test: file.is_test(),
        functions: scanner.functions,
        calls: scanner.calls,
    })
}

#[derive(Default)]
struct Scanner {
    functions: Vec<Function>,
    calls: Vec<Call>,
    test_lines: usize,
}

/// What one level of tokens remembers while an item passes by.
#[derive(Default)]
struct Item {
    /// First line of an attribute that makes the item a test.
    test_from: Option<usize>,
    /// A keyword was seen: a comma no longer ends it.
    is_begun: bool,
    function: Option<(String, usize)>,
}

impl Scanner {
    fn walk(&mut self, tokens: TokenStream, is_test: bool) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut item = Item::default();
        let is_outer_test = is_test;
        for (i, token) in tokens.iter().enumerate() {
            let line = line_of(token);
            let is_test = is_outer_test || item.test_from.is_some();
            self.note_calls(&tokens[i..], is_test);
            match token {
                TokenTree::Group(group) if is_attribute(&tokens[..i], group) => {
                    self.attribute(group, &mut item, is_test);
                }
                TokenTree::Group(group) => {
                    self.walk(group.stream(), is_test);
                    if group.delimiter() == Delimiter::Brace {
                        self.end(&mut item, last_line(group), is_outer_test);
                    }
                }
                TokenTree::Ident(word) if word == "fn" => {
                    item.is_begun = true;
                    if let Some(TokenTree::Ident(name)) = tokens.get(i + 1) {
                        item.function = Some((name.to_string(), line));
                    }
                }
                TokenTree::Ident(word) => item.is_begun |= is_item_keyword(&word.to_string()),
                TokenTree::Punct(mark) if mark.as_char() == ';' => {
                    item.function = None;
                    self.end(&mut item, line, is_outer_test);
                }
                TokenTree::Punct(mark) if mark.as_char() == ',' && !item.is_begun => {
                    self.end(&mut item, line, is_outer_test);
                }
                _ => {}
            }
        }
    }

    /// An item is over: books its function and, when it was a test among code, its lines.
    fn end(&mut self, item: &mut Item, last: usize, is_outer_test: bool) {
        let item = std::mem::take(item);
        let is_test = is_outer_test || item.test_from.is_some();
        if let Some((name, line)) = item.function {
            self.functions.push(Function { name, line, lines: last + 1 - line, is_test });
        }
        if let Some(from) = item.test_from.filter(|_| !is_outer_test) {
            self.test_lines += last + 1 - from;
        }
    }

    fn attribute(&mut self, group: &Group, item: &mut Item, is_test: bool) {
        let words = words(group.stream());
        let has = |word: &str| words.iter().any(|other| other == word);
        let line = group.span_open().start().line;
        let first = words.first().map_or("", String::as_str);
        let before_arguments = words_before_arguments(group);
        let is_test_attribute = before_arguments.last().is_some_and(|word| word == "test");
        if is_test_attribute || (first == "cfg" && has("test") && !has("not")) {
            item.test_from.get_or_insert(line);
        }
        if first == "ignore" {
            self.calls.push(Call { name: "#[ignore]".to_owned(), line, is_test });
        }
        if matches!(first, "allow" | "expect") && has("dead_code") {
            self.calls.push(Call { name: "allow(dead_code)".to_owned(), line, is_test });
        }
    }

    /// Looks at what begins with the first of `tokens`.
    fn note_calls(&mut self, tokens: &[TokenTree], is_test: bool) {
        let word = |i: usize| match tokens.get(i) {
            Some(TokenTree::Ident(word)) => word.to_string(),
            _ => String::new(),
        };
        let mark = |i: usize| match tokens.get(i) {
            Some(TokenTree::Punct(mark)) => mark.as_char(),
            _ => ' ',
        };
        let name = if mark(0) == '.' && word(1) == "unwrap" {
            ".unwrap()".to_owned()
        } else if !word(0).is_empty() && mark(1) == '!' && mark(2) != '=' {
            format!("{}!", word(0))
        } else if !word(0).is_empty() && mark(1) == ':' && mark(2) == ':' {
            format!("{}::{}", word(0), word(3))
        } else if word(0) == "Module" && word(1) == "for" {
            "impl Module".to_owned()
        } else {
            return;
        };
        self.calls.push(Call { name, line: line_of(&tokens[0]), is_test });
    }
}

/// `#[…]` or `#![…]`: whether this group is the bracket of one.
fn is_attribute(before: &[TokenTree], group: &Group) -> bool {
    group.delimiter() == Delimiter::Bracket
        && match before {
            [.., mark] if is_mark(mark, '#') => true,
            [.., mark, inner] => is_mark(mark, '#') && is_mark(inner, '!'),
            _ => false,
        }
}

fn is_mark(token: &TokenTree, wanted: char) -> bool {
    matches!(token, TokenTree::Punct(mark) if mark.as_char() == wanted)
}

fn is_item_keyword(word: &str) -> bool {
    matches!(
        word,
        "mod" | "impl" | "struct" | "enum" | "trait" | "use" | "const" | "static" | "type"
    )
}

/// Every word inside, however deep.
fn words(tokens: TokenStream) -> Vec<String> {
    let mut found = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Ident(word) => found.push(word.to_string()),
            TokenTree::Group(group) => found.extend(words(group.stream())),
            _ => {}
        }
    }
    found
}

/// `tokio`, `test` of `#[tokio::test(flavor = "…")]`.
fn words_before_arguments(group: &Group) -> Vec<String> {
    let is_path = |token: &TokenTree| !matches!(token, TokenTree::Group(_) | TokenTree::Literal(_));
    words(group.stream().into_iter().take_while(is_path).collect())
}

fn line_of(token: &TokenTree) -> usize {
    match token {
        TokenTree::Group(group) => group.span_open().start().line,
        other => other.span().start().line,
    }
}

fn last_line(group: &Group) -> usize {
    group.span_close().end().line
}

#[cfg(test)]
mod tests;
