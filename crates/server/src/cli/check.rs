//! `waxwing check`: finds what would hurt later.

mod certificate;
mod identity;
mod outside;
mod reach;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use super::args::Common;
use super::setup::{Program, Setup};
use super::{REFUSED, Stop, database, say};
use crate::control::is_running;

/// One thing looked at.
struct Finding {
    /// What it is about.
    about: String,
    /// What is wrong and what to do; none if it is well.
    trouble: Option<Trouble>,
}

struct Trouble {
    text: String,
    weight: Weight,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// Nothing is wrong, but the operator has something to do.
    Note,
    /// It will hurt somebody.
    Careful,
    /// The server would not start, or could not be used.
    Wrong,
}

impl Weight {
    fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Careful => "careful",
            Self::Wrong => "wrong",
        }
    }
}

impl Finding {
    fn new(about: impl Into<String>, verdict: Result<(), Trouble>) -> Self {
        Self { about: about.into(), trouble: verdict.err() }
    }
}

fn fatal(text: impl Into<String>) -> Trouble {
    Trouble { text: text.into(), weight: Weight::Wrong }
}

fn warning(text: impl Into<String>) -> Trouble {
    Trouble { text: text.into(), weight: Weight::Careful }
}

fn note(text: impl Into<String>) -> Trouble {
    Trouble { text: text.into(), weight: Weight::Note }
}

/// Checks everything, prints what was found.
pub(super) fn run(program: &Program, common: &Common) -> Result<ExitCode, Stop> {
    let setup = Setup::load(program, common)?;
    let findings = findings(&setup);
    if common.json {
        say(&format!("{}\n", to_json(&findings)))?;
    } else {
        say(&to_text(&findings))?;
    }
    let mut troubles = findings.iter().flat_map(|found| &found.trouble);
    let is_bad = troubles.any(|trouble| trouble.weight == Weight::Wrong);
    Ok(if is_bad { ExitCode::from(REFUSED) } else { ExitCode::SUCCESS })
}

fn to_text(findings: &[Finding]) -> String {
    let mut out = String::new();
    for found in findings {
        match &found.trouble {
            None => out.push_str(&format!("ok       {}\n", found.about)),
            Some(Trouble { text, weight }) => {
                let word = weight.name();
                let text = text.replace('\n', "\n         ");
                out.push_str(&format!("{word:8} {}\n         {text}\n", found.about));
            }
        }
    }
    out
}

fn to_json(findings: &[Finding]) -> serde_json::Value {
    let finding = |found: &Finding| {
        let verdict = found.trouble.as_ref().map_or("ok", |trouble| trouble.weight.name());
        let text = found.trouble.as_ref().map(|trouble| &trouble.text);
        json!({ "about": found.about, "verdict": verdict, "text": text })
    };
    findings.iter().map(finding).collect()
}

fn findings(setup: &Setup) -> Vec<Finding> {
    let config = &setup.config;
    let file = match &setup.file {
        Some(file) => format!("configuration {}", file.display()),
        None => "configuration: the defaults".to_owned(),
    };
    let mut all = vec![Finding::new(file, Ok(()))];
    let data = &config.server.data;
    all.push(Finding::new(format!("data folder {}", data.display()), usable(data)));
    all.extend(reach::public_url(config));
    for host in &config.hosts {
        all.push(certificate::finding(host, config));
        if config.server.public {
            all.push(reach::domain(host.config.domain.as_str()));
        }
    }
    let is_running = is_running(data);
    if config.server.public {
        all.extend(outside::findings(config, is_running));
    }
    all.extend(identity::findings(config));
    if is_running {
        let about = "database and ports: not tried, because the server is running";
        all.push(Finding::new(about, Ok(())));
    } else {
        all.push(Finding::new(database::name(config), database::works(config).map_err(fatal)));
        all.extend(reach::ports(config));
    }
    all
}

/// The folder must take a file, and is nobody else's business.
fn usable(folder: &Path) -> Result<(), Trouble> {
    writable(folder)?;
    match fs::metadata(folder) {
        Ok(facts) if facts.mode() & 0o007 != 0 => Err(warning(format!(
            "everybody on this machine may look into it, and it holds messages and the keys of \
             certificates\nclose it with `chmod o= {}`",
            folder.display()
        ))),
        // A folder that is not there is made for its owner only.
        _ => Ok(()),
    }
}

/// The folder, or the nearest one above it that exists, must take a file.
fn writable(folder: &Path) -> Result<(), Trouble> {
    let mut existing = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    while !existing.exists() && existing.pop() {}
    let trial = existing.join(format!(".waxwing-check-{}", std::process::id()));
    match fs::write(&trial, b"") {
        Ok(()) => {
            let _ = fs::remove_file(&trial);
            Ok(())
        }
        Err(error) => Err(fatal(format!(
            "{} may not be written: {error}\nmake it yours with chown, or choose another --data",
            existing.display()
        ))),
    }
}
