//! Plays every scenario: those in the manual pages of the modules, and those in `scenarios/`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use waxwing_modules::MODULES;
use waxwing_stream::Framing;
use waxwing_testkit::{Plan, Scenario, play, read};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let scenarios = match scenarios() {
        Ok(scenarios) => scenarios,
        Err(reason) => {
            eprintln!("{reason}");
            return ExitCode::FAILURE;
        }
    };
    let mut trials = Vec::new();
    for scenario in scenarios {
        for (name, framing) in [("tcp", Framing::Tcp), ("websocket", Framing::WebSocket)] {
            let title = format!("{name}: {}: {}", scenario.file, scenario.title);
            let scenario = scenario.clone();
            trials.push(Trial::test(title, move || run(&scenario, framing)));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn run(scenario: &Scenario, framing: Framing) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(play(scenario, Plan::in_memory(MODULES), framing))?)
}

/// All scenarios, by file.
fn scenarios() -> Result<Vec<Scenario>, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut all = Vec::new();
    for folder in ["crates/modules/src", "scenarios"] {
        for page in pages(&root.join(folder))? {
            let text = std::fs::read_to_string(&page).map_err(|error| error.to_string())?;
            let name = page.strip_prefix(&root).unwrap_or(&page).to_string_lossy();
            all.extend(read(&name, &text)?);
        }
    }
    Ok(all)
}

/// The Markdown files of a folder, by name.
fn pages(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut pages = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| error.to_string())?.path();
        if path.is_dir() {
            pages.extend(self::pages(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
    pages.sort();
    Ok(pages)
}
