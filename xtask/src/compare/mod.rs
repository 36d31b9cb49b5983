//! `cargo xtask compare`: what Waxwing costs, beside the servers that are installed and beside a
//! relay that understands nothing (the floor).
//!
//! Everything runs on this machine: absolute figures are worth little, ratios of the same run
//! something. docs/performance.md says what is measured and keeps the results.

mod cases;
mod measure;
mod options;
mod page;
mod peers;
mod plot;
mod results;
mod running;

use std::fs;
use std::path::Path;
use std::process::Command;

use self::measure::Comparison;
use self::options::Options;
use self::results::Results;
use crate::Task;

pub(crate) const TASK: Task = Task {
    name: "compare",
    about: "measures Waxwing beside other servers and a relay that understands nothing",
    run,
};

/// Every figure of the runs that the page shows.
const RAW: &str = "docs/performance.json";
/// The same of the last run, published or not.
const LAST: &str = "target/compare.json";

fn run(root: &Path, arguments: &[String]) -> Result<bool, String> {
    let Some(options) = Options::read(arguments)? else {
        print!("{}", options::HELP);
        return Ok(true);
    };
    let (does_write, from) = (options.writes, options.from.clone());
    let results = match from {
        Some(file) => Results::read(&root.join(file))?,
        None => {
            if options.builds {
                build(root)?;
            }
            // Kept after every case: a run that is stopped leaves what it has.
            let last = root.join(LAST);
            // Cargo may have been told to build elsewhere.
            let folder = last.parent().unwrap_or(root);
            std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
            Comparison::new(root, options)?.run(|results| results.write(&last))?
        }
    };
    println!("{}", page::tables(&results));
    for failure in results.failures() {
        eprintln!("{failure}");
    }
    if does_write {
        results.write(&root.join(RAW))?;
        let pictures = plot::all(&results);
        for picture in &pictures {
            let path = root.join("docs/images").join(picture.file);
            let written = fs::write(&path, &picture.svg);
            written.map_err(|error| format!("{}: {error}", path.display()))?;
        }
        page::write(root, &results, &pictures)?;
    }
    Ok(results.failures().is_empty())
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
