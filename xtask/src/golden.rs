//! `cargo xtask golden`: renews the files that pin what users read, for a look at the difference.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::Task;

pub(crate) const TASK: Task = Task {
    name: "golden",
    about: "renews golden/, docs/xeps.md and the DOAP file from the declarations in the code",
    run,
};

/// What the test writes below `target/fresh` when it is stale.
const FILES: [&str; 5] = [
    "golden/config.md",
    "golden/waxwing.toml",
    "golden/routes.txt",
    "docs/xeps.md",
    "docs/waxwing.doap",
];

fn run(root: &Path, _: &[String]) -> Result<bool, String> {
    let fresh = root.join("target/fresh");
    let _ = fs::remove_dir_all(&fresh);
    let test = ["test", "-q", "-p", "waxwing-server", "--bin", "waxwing", "golden"];
    let output = Command::new(env!("CARGO")).args(test).current_dir(root).output();
    let output = output.map_err(|error| error.to_string())?;
    let mut renewed = 0;
    for name in FILES {
        if let Ok(text) = fs::read(fresh.join(name)) {
            fs::write(root.join(name), text).map_err(|error| format!("{name}: {error}"))?;
            println!("renewed {name}");
            renewed += 1;
        }
    }
    if renewed == 0 && !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    println!("{renewed} of {} files changed", FILES.len());
    Ok(true)
}
