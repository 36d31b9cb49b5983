//! Sizes that stay readable: files, functions.

use std::collections::BTreeMap;
use std::path::Path;

use super::Finding;
use super::ratchet::Ratchet;
use super::scan::Source;

/// Lines of a file without its inline tests.
const FILE_CODE: usize = 400;
/// Lines of a file with its inline tests.
const FILE_ALL: usize = 500;
/// Lines of a file that is all tests.
const FILE_TEST: usize = 800;
/// Lines of a function, from `fn` to its brace; tests are free.
const FUNCTION: usize = 60;

/// Everything too large, and everything the ratchet allows too generously.
pub(super) fn check(root: &Path, sources: &[Source]) -> Result<Vec<Finding>, String> {
    let ratchet = Ratchet::read(root)?;
    let mut sizes = BTreeMap::new();
    let mut findings = Vec::new();
    for source in sources {
        check_file(source, &ratchet, &mut sizes, &mut findings);
        check_functions(source, &ratchet, &mut sizes, &mut findings);
    }
    findings.extend(ratchet.slack(&sizes));
    Ok(findings)
}

fn check_file(
    source: &Source,
    ratchet: &Ratchet,
    sizes: &mut BTreeMap<String, (usize, usize)>,
    findings: &mut Vec<Finding>,
) {
    let code = source.lines - source.test_lines;
    let (size, rule, what) = if source.is_test {
        (source.lines, FILE_TEST, "lines of tests")
    } else if code > FILE_CODE || source.lines <= FILE_ALL {
        (code, FILE_CODE, "lines of code")
    } else {
        (source.lines, FILE_ALL, "lines with its tests")
    };
    sizes.insert(source.path.clone(), (size, rule));
    let limit = ratchet.limit(&source.path, rule);
    if size > limit {
        findings.push(Finding {
            file: source.path.clone(),
            line: 0,
            what: format!("{size} {what}, {limit} at most"),
            why: "a file is one idea, read in one sitting",
            remedy: "split it by ideas into a folder; large tests go to tests.rs beside it",
        });
    }
}

fn check_functions(
    source: &Source,
    ratchet: &Ratchet,
    sizes: &mut BTreeMap<String, (usize, usize)>,
    findings: &mut Vec<Finding>,
) {
    for function in source.functions.iter().filter(|function| !function.is_test) {
        let name = format!("{}:{}", source.path, function.name);
        let limit = ratchet.limit(&name, FUNCTION);
        // Of two functions with one name in a file, the longer one counts for the ratchet.
        let known = sizes.entry(name).or_insert((function.lines, FUNCTION));
        known.0 = known.0.max(function.lines);
        if function.lines > limit {
            findings.push(Finding {
                file: source.path.clone(),
                line: function.line,
                what: format!("fn {} has {} lines, {limit} at most", function.name, function.lines),
                why: "a function fits on a screen and in a head",
                remedy: "give its parts names of their own",
            });
        }
    }
}

/// The distribution, in a line.
pub(super) fn summary(sources: &[Source]) -> String {
    let code = sources.iter().filter(|source| !source.is_test);
    let files: Vec<usize> = code.clone().map(|source| source.lines - source.test_lines).collect();
    let functions = code.flat_map(|source| &source.functions).filter(|function| !function.is_test);
    let functions: Vec<usize> = functions.map(|function| function.lines).collect();
    format!("lines per file {}; per function {}", quantiles(files), quantiles(functions))
}

fn quantiles(mut sizes: Vec<usize>) -> String {
    sizes.sort_unstable();
    let at = |percent: usize| match sizes.len() {
        0 => 0,
        count => sizes[(count - 1) * percent / 100],
    };
    format!("median {}, p90 {}, p99 {}, longest {}", at(50), at(90), at(99), at(100))
}

#[cfg(test)]
mod tests {
    use super::super::scan::scan;
    use super::super::tree::File;
    use super::*;

    fn found(text: &str, ratchet: &str) -> Vec<String> {
        let file = File { path: "crates/x/src/a.rs".to_owned(), text: text.to_owned() };
        let source = scan(&file).expect("Rust");
        let ratchet = Ratchet::parse(ratchet).expect("a list");
        let (mut sizes, mut findings) = (BTreeMap::new(), Vec::new());
        check_file(&source, &ratchet, &mut sizes, &mut findings);
        check_functions(&source, &ratchet, &mut sizes, &mut findings);
        findings.extend(ratchet.slack(&sizes));
        findings.into_iter().map(|finding| finding.what).collect()
    }

    fn function(lines: usize) -> String {
        format!("fn long() {{\n{}}}\n", "    a();\n".repeat(lines - 2))
    }

    #[test]
    fn a_function_of_sixty_lines_passes_and_one_more_does_not() {
        assert!(found(&function(60), "").is_empty());
        assert_eq!(found(&function(61), ""), ["fn long has 61 lines, 60 at most"]);
        assert!(found(&function(61), "crates/x/src/a.rs:long 61").is_empty());
    }

    #[test]
    fn inline_tests_get_a_hundred_lines_more() {
        let code = "const A: u8 = 0;\n".repeat(400);
        assert!(found(&code, "").is_empty());
        assert_eq!(found(&format!("{code}\n"), ""), ["401 lines of code, 400 at most"]);
        let tests = |lines: usize| {
            format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "    fn a() {}\n".repeat(lines - 3))
        };
        assert!(found(&(code.clone() + &tests(100)), "").is_empty());
        assert_eq!(found(&(code + &tests(101)), ""), ["501 lines with its tests, 500 at most"]);
    }

    #[test]
    fn quantiles_of_nothing_are_nothing() {
        assert_eq!(quantiles(vec![]), "median 0, p90 0, p99 0, longest 0");
        assert_eq!(quantiles((1..=100).collect()), "median 50, p90 90, p99 99, longest 100");
    }
}
