//! Calls that are not made here: each rule names what, where it may stand all the same, why it is
//! refused and what to do instead.

use super::Finding;
use super::scan::{Call, Source};

struct Rule {
    call: &'static str,
    /// Where it is fine: paths that begin so.
    fine: &'static [&'static str],
    /// Whether tests may do it.
    is_fine_in_tests: bool,
    why: &'static str,
    remedy: &'static str,
}

/// Places that meet the world: the clock, sockets, the process itself, and tools beside the server.
const WORLD: &[&str] = &[
    "crates/kernel/src/clock",
    "crates/net/",
    "crates/server/",
    "crates/testkit/",
    "crates/load/",
    "xtask/",
];
const STUB: &str = "what is not there yet must not look as if it were";
const TIME: &str = "time is passed in, so that tests can pass any";

const RULES: &[Rule] = &[
    Rule {
        call: ".unwrap()",
        fine: &[],
        is_fine_in_tests: true,
        why: "a panic without a reason helps nobody",
        remedy: "handle the error, or expect(\"the invariant that holds\")",
    },
    stub("todo!"),
    stub("unimplemented!"),
    Rule {
        call: "dbg!",
        fine: &[],
        is_fine_in_tests: false,
        why: "it prints into somebody's log",
        remedy: "take it out, or use tracing",
    },
    Rule {
        call: "allow(dead_code)",
        fine: &[],
        is_fine_in_tests: false,
        why: "code that nobody calls is read by everybody",
        remedy: "delete what is dead",
    },
    Rule {
        call: "#[ignore]",
        fine: &[],
        is_fine_in_tests: false,
        why: "a test that does not run protects nothing",
        remedy: "repair the test, or delete it",
    },
    world("Instant::now", TIME, "take `now` as an argument, from kernel::clock"),
    world("SystemTime::now", TIME, "take the time as an argument, from kernel::clock"),
    world("tokio::spawn", "a task needs an owner who ends it", "spawn through kernel::clock"),
    world("env::var", "the environment is read in one place", "pass the value in from server"),
    world("env::var_os", "the environment is read in one place", "pass the value in from server"),
];

const fn stub(call: &'static str) -> Rule {
    Rule {
        call,
        fine: &[],
        is_fine_in_tests: false,
        why: STUB,
        remedy: "write it, or leave its caller out",
    }
}

const fn world(call: &'static str, why: &'static str, remedy: &'static str) -> Rule {
    Rule { call, fine: WORLD, is_fine_in_tests: true, why, remedy }
}

/// Every disallowed call.
pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    sources.iter().flat_map(check_source).collect()
}

fn check_source(source: &Source) -> Vec<Finding> {
    source.calls.iter().filter_map(|call| judge(source, call)).collect()
}

fn judge(source: &Source, call: &Call) -> Option<Finding> {
    let rule = RULES.iter().find(|rule| rule.call == call.name)?;
    let is_fine = rule.fine.iter().any(|place| source.path.starts_with(place));
    if is_fine || (rule.is_fine_in_tests && call.is_test) {
        return None;
    }
    Some(Finding {
        file: source.path.clone(),
        line: call.line,
        what: rule.call.to_owned(),
        why: rule.why,
        remedy: rule.remedy,
    })
}

#[cfg(test)]
mod tests {
    use super::super::scan::scan;
    use super::super::tree::File;
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let file = File { path: path.to_owned(), text: text.to_owned() };
        let findings = check_source(&scan(&file).expect("Rust"));
        findings.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn code_must_not_unwrap_and_tests_may() {
        let text = "fn f() { a.unwrap() }\n#[test]\nfn t() { a.unwrap() }\n";
        assert_eq!(found("crates/xml/src/lib.rs", text), [".unwrap()"]);
        assert!(found("crates/xml/tests/a.rs", text).is_empty());
    }

    #[test]
    fn stubs_and_ignored_tests_are_refused_everywhere() {
        let text = "#[test]\n#[ignore = \"later\"]\nfn t() { todo!() }\n";
        assert_eq!(found("crates/xml/tests/a.rs", text), ["#[ignore]", "todo!"]);
    }

    #[test]
    fn the_clock_is_read_in_its_own_place() {
        let text = "fn f() { std::time::Instant::now(); }\n";
        assert_eq!(found("crates/stream/src/lib.rs", text), ["Instant::now"]);
        assert!(found("crates/kernel/src/clock.rs", text).is_empty());
    }
}
