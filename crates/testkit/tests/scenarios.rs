//! Plays every scenario: those in the manual pages of the modules, and those in `scenarios/`, over
//! both framings and on every engine that is at hand.

mod engine;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use waxwing_modules::MODULES;
use waxwing_stream::Framing;
use waxwing_testkit::{Plan, Scenario, play, read};

use crate::engine::Engine;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let scenarios = match scenarios() {
        Ok(scenarios) => scenarios,
        Err(reason) => {
            eprintln!("{reason}");
            return ExitCode::FAILURE;
        }
    };
    let engines = Engine::at_hand();
    let mut trials = Vec::new();
    for scenario in scenarios {
        for (way, framing) in [("tcp", Framing::Tcp), ("websocket", Framing::WebSocket)] {
            for engine in &engines {
                let name = format!("{way} {engine} {}: {}", scenario.file, scenario.title);
                let (scenario, engine) = (scenario.clone(), engine.clone());
                trials.push(Trial::test(name, move || run(&scenario, framing, &engine)));
            }
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn run(scenario: &Scenario, framing: Framing, engine: &Engine) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ground = engine.ground();
    let plan = Plan { location: ground.location(), ..Plan::in_memory(MODULES) };
    Ok(runtime.block_on(play(scenario, plan, framing))?)
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
    let entries = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
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
