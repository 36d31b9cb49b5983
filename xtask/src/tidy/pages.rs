//! Every module of the server has its manual page beside it.

use super::Finding;
use super::scan::Source;
use super::tree::File;

const MODULES: &str = "crates/modules/src/";

/// Modules without their page.
pub(super) fn check(files: &[File], sources: &[Source]) -> Vec<Finding> {
    let has = |path: &str| files.iter().any(|file| file.path == path);
    let mut findings = Vec::new();
    for source in sources {
        let Some(call) = source.calls.iter().find(|call| call.name == "impl Module") else {
            continue;
        };
        let Some([beside, inside]) = pages(&source.path) else { continue };
        if !has(&beside) && !has(&inside) {
            findings.push(Finding {
                file: source.path.clone(),
                line: call.line,
                what: format!("a module without {beside}"),
                why: "what is not described is not there for those who run a server",
                remedy: "write the page: what it does, its settings, a scenario for each promise",
            });
        }
    }
    findings
}

/// Where the page of the module declared in this file may lie.
fn pages(path: &str) -> Option<[String; 2]> {
    let inner = path.strip_prefix(MODULES)?.strip_suffix(".rs")?;
    let name = inner.split('/').next().filter(|name| *name != "lib")?;
    Some([format!("{MODULES}{name}.md"), format!("{MODULES}{name}/{name}.md")])
}

#[cfg(test)]
mod tests {
    use super::super::scan::scan;
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_module_needs_its_page_and_a_helper_does_not() {
        let module = file("crates/modules/src/ping.rs", "impl Module for Ping {}\n");
        let other = file("crates/modules/src/muc/roles.rs", "impl Roles {}\n");
        let sources = [scan(&module).expect("Rust"), scan(&other).expect("Rust")];
        let found = check(&[], &sources);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].what, "a module without crates/modules/src/ping.md");
        assert!(check(&[file("crates/modules/src/ping.md", "")], &sources).is_empty());
    }

    #[test]
    fn a_folder_may_hold_its_page() {
        let module = file("crates/modules/src/muc/mod.rs", "impl Module for Muc {}\n");
        let sources = [scan(&module).expect("Rust")];
        assert_eq!(check(&[file("crates/modules/src/muc/muc.md", "")], &sources), []);
    }
}
