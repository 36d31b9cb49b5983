//! `cargo xtask tidy`: the project's style as a test. It reads files and `cargo metadata`, changes
//! nothing, and says of each finding where it is, what it is, why that matters, and the remedy.

mod arrows;
mod code;
mod metadata;
mod pages;
mod ratchet;
mod scan;
mod sizes;
mod supply;
mod text;
mod tree;

use std::fmt;
use std::path::Path;

use crate::Task;

pub(crate) const TASK: Task = Task {
    name: "tidy",
    about: "checks arrows between crates, sizes, disallowed calls, manual pages, dependencies",
    run,
};

/// Something that must not stay as it is.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    /// Path below the workspace's root.
    file: String,
    /// From 1; 0 when the whole file is meant.
    line: usize,
    what: String,
    why: &'static str,
    remedy: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}\n    {}; {}", self.file, self.line, self.what, self.why, self.remedy)
    }
}

fn run(root: &Path, arguments: &[String]) -> Result<bool, String> {
    if let Some(unknown) = arguments.first() {
        return Err(format!("takes no arguments, and got {unknown:?}"));
    }
    let files = tree::read(root)?;
    let metadata = metadata::read(root)?;
    let sources = scan::all(&files)?;
    let mut findings = Vec::new();
    findings.extend(arrows::check(&metadata));
    findings.extend(arrows::check_pure(root)?);
    findings.extend(supply::check(root, &metadata)?);
    findings.extend(code::check(&sources));
    findings.extend(sizes::check(root, &sources)?);
    findings.extend(text::check(&files));
    findings.extend(pages::check(&files, &sources));
    findings.sort();
    for finding in &findings {
        println!("{finding}");
    }
    println!("{}", sizes::summary(&sources));
    println!("{} files checked, {} findings", files.len(), findings.len());
    Ok(findings.is_empty())
}
