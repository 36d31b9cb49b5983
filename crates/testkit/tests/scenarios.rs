//! Plays every scenario: those in the manual pages of the modules, and those in `scenarios/`, over
//! both framings and on every engine that is at hand.

mod engine;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;

use libtest_mimic::{Arguments, Failed, Trial};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use waxwing_modules::MODULES;
use waxwing_stream::Framing;
use waxwing_testkit::{Certificates, Plan, Scenario, Way, play, read};

use crate::engine::Engine;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let scenarios = match scenarios(only(&arguments)) {
        Ok(scenarios) => scenarios,
        Err(reason) => {
            eprintln!("{reason}");
            return ExitCode::FAILURE;
        }
    };
    let engines = Engine::at_hand();
    if only(&arguments).is_none() {
        let still = scenarios.iter().filter(|scenario| scenario.moves_time()).count();
        eprintln!("{still} scenarios move the clock and are played in memory only");
        let federated = scenarios.iter().filter(|scenario| scenario.is_federated()).count();
        eprintln!("{federated} scenarios have several servers and are played in memory only");
    }
    let trials = scenarios.iter().flat_map(|scenario| trials(scenario, &engines)).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// The one trial that is wanted, where there is one. A runner that starts a process for each must
/// not have each of them read all pages.
fn only(arguments: &Arguments) -> Option<&str> {
    arguments.filter.as_deref().filter(|_| arguments.exact)
}

const IN_MEMORY: [(&str, Way); 2] =
    [("tcp", Way::Memory(Framing::Tcp)), ("websocket", Way::Memory(Framing::WebSocket))];
const ON_SOCKETS: [(&str, Way); 5] = [
    ("starttls", Way::StartTls),
    ("tls", Way::DirectTls),
    ("ws", Way::WebSocket),
    ("wss", Way::SecureWebSocket),
    ("bosh", Way::Bosh),
];

/// One scenario: in memory on every engine, then on sockets.
fn trials(scenario: &Scenario, engines: &[Engine]) -> Vec<Trial> {
    let mut trials = Vec::new();
    let mut add = |way: &str, engine: &Engine, play: fn(&Scenario, Way, &Engine) -> _, by: Way| {
        let name = format!("{way} {engine} {}: {}", scenario.file, scenario.title);
        let (scenario, engine) = (scenario.clone(), engine.clone());
        trials.push(Trial::test(name, move || play(&scenario, by, &engine)));
    };
    for (name, way) in IN_MEMORY {
        for engine in engines {
            add(name, engine, in_memory, way);
        }
    }
    let is_movable = !scenario.moves_time() && !scenario.is_federated();
    let on_sockets_too = |way| is_movable && (way != Way::Bosh || !scenario.cuts());
    for (name, way) in ON_SOCKETS.into_iter().filter(|(_, way)| on_sockets_too(*way)) {
        add(name, &Engine::Sqlite, on_sockets, way);
    }
    trials
}

fn in_memory(scenario: &Scenario, way: Way, engine: &Engine) -> Result<(), Failed> {
    let ground = engine.ground();
    let plan = Plan { location: ground.location(), ..Plan::in_memory(MODULES) };
    Ok(runtime()?.block_on(play(scenario, plan, way))?)
}

fn on_sockets(scenario: &Scenario, way: Way, _: &Engine) -> Result<(), Failed> {
    static MADE: OnceLock<Result<(TempDir, Certificates), String>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let certificates = Certificates::make(folder.path())?;
        Ok((folder, certificates))
    });
    let (_, certificates) = made.as_ref()?;
    let plan = Plan::on_sockets(MODULES, certificates.clone());
    Ok(runtime()?.block_on(play(scenario, plan, way))?)
}

/// One thread for clients and server: what is not waiting for somebody else gets done.
fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// All scenarios, by file; or those of the page that the trial `only` is from.
fn scenarios(only: Option<&str>) -> Result<Vec<Scenario>, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut all = Vec::new();
    for folder in ["crates/modules/src", "scenarios"] {
        for page in pages(&root.join(folder))? {
            let name = page.strip_prefix(&root).unwrap_or(&page).to_string_lossy();
            if only.is_some_and(|trial| !trial.contains(&format!(" {name}: "))) {
                continue;
            }
            let text = std::fs::read_to_string(&page).map_err(|error| error.to_string())?;
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
