//! `cargo xtask bench`: what Waxwing costs, beside the servers that are installed.
//!
//! Everything runs on this machine: absolute figures are worth little, ratios of the same run
//! something. docs/performance.md says what is measured and keeps the results.

mod measure;
mod options;
mod peers;
mod report;
mod running;

use std::path::Path;
use std::process::Command;

use self::measure::Bench;
use self::options::Options;
use crate::Task;

pub(crate) const TASK: Task = Task {
    name: "bench",
    about: "measures start-up, processor time per message and memory per session, beside others",
    run,
};

fn run(root: &Path, arguments: &[String]) -> Result<bool, String> {
    let Some(options) = Options::read(arguments)? else {
        print!("{}", options::HELP);
        return Ok(true);
    };
    if options.builds {
        build(root)?;
    }
    let bench = Bench::new(root, options)?;
    println!("{}", bench.run()?);
    Ok(true)
}

fn build(root: &Path) -> Result<(), String> {
    let cargo = option_env!("CARGO").unwrap_or("cargo");
    let built = Command::new(cargo)
        .args(["build", "--release", "-p", "waxwing-server", "-p", "waxwing-load"])
        .current_dir(root)
        .status()
        .map_err(|error| format!("{cargo}: {error}"))?;
    if built.success() { Ok(()) } else { Err("the release build failed".into()) }
}
