//! What comes from others: its licence and name against `deny.toml`, its reason in
//! `docs/dependencies.md`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use toml::{Table, Value};

use super::Finding;
use super::metadata::{Metadata, built};

const REASONS: &str = "docs/dependencies.md";
const RULES: &str = "deny.toml";

/// Dependencies without a reason, reasons without a dependency, licences and crates not allowed.
pub(super) fn check(root: &Path, metadata: &Metadata) -> Result<Vec<Finding>, String> {
    let read = |file: &str| {
        fs::read_to_string(root.join(file)).map_err(|error| format!("{file}: {error}"))
    };
    let table = |file: &str| {
        read(file)?.parse::<Table>().map_err(|error| format!("{file}: {}", error.message()))
    };
    let declared = declared(&table("Cargo.toml")?);
    let mut findings = check_reasons(&declared, &read(REASONS)?);
    findings.extend(check_use(&declared, metadata));
    let built = built(root, &["--workspace", "-e", "all"])?;
    findings.extend(check_packages(&table(RULES)?, metadata, &built));
    Ok(findings)
}

/// The names in `[workspace.dependencies]` that are not our own crates.
fn declared(manifest: &Table) -> Vec<String> {
    let dependencies = manifest.get("workspace").and_then(|w| w.get("dependencies"));
    let dependencies = dependencies.and_then(Value::as_table).into_iter().flatten();
    dependencies.filter(|(_, v)| v.get("path").is_none()).map(|(name, _)| name.clone()).collect()
}

fn check_reasons(declared: &[String], page: &str) -> Vec<Finding> {
    let rows: Vec<(usize, &str)> = page
        .lines()
        .enumerate()
        .filter_map(|(i, line)| Some((i + 1, line.strip_prefix("| `")?.split_once('`')?.0)))
        .collect();
    let missing = declared.iter().filter(|name| rows.iter().all(|(_, row)| row != name));
    let stale = rows.iter().filter(|(_, row)| declared.iter().all(|name| name != row));
    let missing = missing.map(|name| Finding {
        file: "Cargo.toml".to_owned(),
        line: 0,
        what: format!("{name} has no line in {REASONS}"),
        why: "a dependency is code that we answer for",
        remedy: "say there what it is for and why it is not our own code",
    });
    let stale = stale.map(|(line, row)| Finding {
        file: REASONS.to_owned(),
        line: *line,
        what: format!("{row} is no dependency of the workspace"),
        why: "the page would tell of what is not there",
        remedy: "delete the line",
    });
    missing.chain(stale).collect()
}

/// Declared for the workspace, and used by none of its crates.
fn check_use(declared: &[String], metadata: &Metadata) -> Vec<Finding> {
    let ours = metadata.members.iter().filter_map(|id| metadata.packages.get(id));
    let links = ours.flat_map(|package| &package.links);
    let used: BTreeSet<&str> =
        links.map(|link| metadata.packages[&link.to].name.as_str()).collect();
    let idle = declared.iter().filter(|name| !used.contains(name.as_str()));
    let findings = idle.map(|name| Finding {
        file: "Cargo.toml".to_owned(),
        line: 0,
        what: format!("{name} is used by no crate of ours"),
        why: "what is declared looks as if it were needed",
        remedy: "delete it here and in docs/dependencies.md",
    });
    findings.collect()
}

fn check_packages(rules: &Table, metadata: &Metadata, built: &BTreeSet<String>) -> Vec<Finding> {
    let allowed = strings(rules, "licenses", "allow");
    let banned = strings(rules, "bans", "deny");
    let mut findings = Vec::new();
    for package in metadata.packages.values().filter(|package| built.contains(&package.name)) {
        let mut found = |what: String, why, remedy| {
            findings.push(Finding { file: RULES.to_owned(), line: 0, what, why, remedy });
        };
        if banned.contains(package.name.as_str()) {
            found(
                format!("{} is in the dependency graph", package.name),
                "deny.toml bans it and says why",
                "`cargo tree -i` that crate tells who brings it; choose other features",
            );
        }
        let licence = package.licence.as_deref().unwrap_or("no licence");
        if !is_allowed(licence, &allowed) {
            found(
                format!("{} is under {licence}", package.name),
                "deny.toml does not list it, so nobody has judged it",
                "do without the crate, or list the licence when it permits what we do",
            );
        }
    }
    findings
}

fn strings<'a>(rules: &'a Table, section: &str, key: &str) -> BTreeSet<&'a str> {
    let list = rules.get(section).and_then(|section| section.get(key)).and_then(Value::as_array);
    let name = |value: &'a Value| value.as_str().or_else(|| value.get("crate")?.as_str());
    list.into_iter().flatten().filter_map(name).collect()
}

/// An SPDX expression without its finer points: one alternative must be allowed as a whole.
fn is_allowed(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let expression = expression.replace('/', " OR ");
    let tokens = expression.replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<&str> = tokens.split_whitespace().collect();
    let mut rest = &tokens[..];
    any_of(&mut rest, allowed) && rest.is_empty()
}

fn any_of(tokens: &mut &[&str], allowed: &BTreeSet<&str>) -> bool {
    let mut is_fine = all_of(tokens, allowed);
    while let ["OR", rest @ ..] = *tokens {
        *tokens = rest;
        is_fine |= all_of(tokens, allowed);
    }
    is_fine
}

fn all_of(tokens: &mut &[&str], allowed: &BTreeSet<&str>) -> bool {
    let mut is_fine = one(tokens, allowed);
    while let ["AND", rest @ ..] = *tokens {
        *tokens = rest;
        is_fine &= one(tokens, allowed);
    }
    is_fine
}

fn one(tokens: &mut &[&str], allowed: &BTreeSet<&str>) -> bool {
    match *tokens {
        ["(", rest @ ..] => {
            *tokens = rest;
            let is_fine = any_of(tokens, allowed);
            *tokens = tokens.strip_prefix(&[")"]).unwrap_or(&[]);
            is_fine
        }
        [name, "WITH", exception, rest @ ..] => {
            *tokens = rest;
            allowed.contains(format!("{name} WITH {exception}").as_str())
        }
        [name, rest @ ..] => {
            *tokens = rest;
            allowed.contains(name)
        }
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_judged_as_a_whole() {
        let allowed = BTreeSet::from(["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"]);
        let is_fine = |expression| is_allowed(expression, &allowed);
        assert!(is_fine("MIT"));
        assert!(is_fine("GPL-3.0 OR MIT"));
        assert!(is_fine("MIT/GPL-3.0"));
        assert!(is_fine("ISC AND (GPL-3.0 OR MIT)"));
        assert!(is_fine("Apache-2.0 WITH LLVM-exception OR GPL-3.0"));
        assert!(!is_fine("MIT AND GPL-3.0"));
        assert!(!is_fine("(MIT OR ISC) AND GPL-3.0"));
        assert!(!is_fine("no licence"));
    }

    #[test]
    fn every_dependency_has_its_reason_and_every_reason_its_dependency() {
        let manifest =
            "[workspace.dependencies]\nours = { path = \"x\" }\nbytes = \"1\"\nhyper = \"1\"\n";
        let declared = declared(&manifest.parse().expect("TOML"));
        assert_eq!(declared, ["bytes", "hyper"]);
        let found = check_reasons(&declared, "| `bytes` | buffers |\n| `gone` | … |\n");
        let found: Vec<_> = found.into_iter().map(|finding| finding.what).collect();
        let expected =
            ["hyper has no line in docs/dependencies.md", "gone is no dependency of the workspace"];
        assert_eq!(found, expected);
    }
}
